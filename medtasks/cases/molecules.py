"""Cases that are molecules."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Concatenate, ParamSpec, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases.base import Cases, Reading, Schema, Source
from medtasks.cases.columns import COHORT, cohorts_in
from medtasks.cases.molecule_files import NAME, STRUCTURE, iterate_molecules, name_column, structure_column
from medtasks.cases.naming import is_nothing, names_of
from medtasks.cases.structures import Mol, Standard, StructureError, quiet, read_mol, read_smiles, smiles, version
from medtasks.cases.tables import ROW_ERROR, check_names, row_errors, suggest_column
from medtasks.errors import DataError

CHUNK = 2048
"""Molecules read and answered at a time: a few megabytes, some thirty with what `Molecules.once` keeps of them."""

P = ParamSpec("P")
T = TypeVar("T")


class Molecules(Cases):
    """Molecules in their standard form, held in RDKit's compact binary form (about 400 bytes each).

    Parameters
    ----------
    ids
        One name per molecule.
    binaries
        One ``Mol.ToBinary()`` per molecule.
    standard
        The standard form that they were brought to.
    cohorts
        The group of each that sets and intervals are calibrated within (an assay, a series), if there is one.

    Examples
    --------
    >>> molecules = Molecules.from_smiles(["CCO", "c1ccccc1"])
    >>> [mol.GetNumAtoms() for mol in molecules.mols()]
    [3, 6]
    """

    kind: ClassVar[str] = "molecules"

    def __init__(
        self,
        ids: Sequence[str] | npt.NDArray[Any],
        binaries: Sequence[bytes],
        standard: Standard | None = None,
        cohorts: Sequence[str | None] | npt.NDArray[Any] | None = None,
    ) -> None:
        super().__init__(ids, cohorts)
        if len(ids) != len(binaries):
            raise ValueError(f"{len(ids)} ids for {len(binaries)} molecules")
        self.binaries = tuple(binaries)
        self.standard = standard or Standard()
        self._kept: dict[Any, Any] = {}

    @classmethod
    def from_smiles(
        cls, texts: Iterable[str], ids: Sequence[str] | None = None, standard: Standard | None = None
    ) -> Self:
        """Read SMILES that are all valid.

        Raises
        ------
        DataError
            If one is not, naming its row.
        """
        standard, found = standard or Standard(), []
        with quiet():
            for row, text in enumerate(texts):
                try:
                    found.append(read_smiles(text, standard).ToBinary())
                except StructureError as error:
                    raise DataError(f"row {row + 1}: {error}", hint="mend the row or leave it out") from None
        return cls(ids if ids is not None else [str(i + 1) for i in range(len(found))], found, standard)

    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """Return the given molecules, in the given order."""
        cohorts = None if self.cohorts is None else self.cohorts[rows]
        return type(self)(self.ids[rows], [self.binaries[i] for i in rows], self.standard, cohorts)

    def join(self, other: Self) -> Self:
        """Return these molecules with those of ``other`` behind them."""
        cohorts = None
        if self.cohorts is not None and other.cohorts is not None:
            cohorts = np.concatenate([self.cohorts, other.cohorts])
        return type(self)(np.concatenate([self.ids, other.ids]), self.binaries + other.binaries, self.standard, cohorts)

    def mol(self, row: int) -> Mol:
        """Return one molecule as RDKit's ``Mol``."""
        from rdkit import Chem

        return Chem.Mol(self.binaries[row])

    def mols(self) -> Iterator[Mol]:
        """Yield every molecule as RDKit's ``Mol``, in order; of a chunk always the same, not to be changed."""
        if len(self) > CHUNK:
            return map(self.mol, range(len(self)))
        return iter(self.once(_unpacked))

    def once(self, work: Callable[Concatenate[Self, P], T], *given: P.args, **named: P.kwargs) -> T:
        """Return ``work(self, ...)``, which is done once for a chunk (at most `CHUNK` molecules) and kept with it.

        So the members of a blend and the applicability domain share what they compute of the same molecules. Nobody
        may change what is returned.

        Examples
        --------
        >>> Molecules.from_smiles(["CCO", "C"]).once(lambda molecules, atom: atom in molecules.smiles()[0], "O")
        True
        """
        key = (work, given, tuple(named.items()))
        if key in self._kept:
            found: T = self._kept[key]
            return found
        found = work(self, *given, **named)
        if len(self) <= CHUNK:
            self._kept[key] = found
        return found

    def smiles(self) -> list[str]:
        """Return the canonical SMILES of each molecule."""
        return [smiles(mol) for mol in self.mols()]

    def schema(self) -> Schema:
        """Describe how structures are read: the limits, the standard form, and the RDKit that made it."""
        return {"kind": self.kind, "standard": self.standard.as_json(), "rdkit": version()}

    def digests(self) -> list[str]:
        """Return the SHA-256 of each molecule's canonical SMILES."""
        return [hashlib.sha256(text.encode()).hexdigest() for text in self.smiles()]

    @classmethod
    def read(cls, source: Source | Sequence[Any], schema: Schema, *, chunk: int = CHUNK) -> Iterator[Reading[Self]]:
        """Read a CSV, TSV, Parquet, SMI or SDF file, a table, or a list of SMILES or RDKit molecules in memory."""
        for piece in cls.pieces(source, schema, chunk=chunk):
            yield cls.read_piece(piece, schema)

    @classmethod
    def pieces(cls, source: Source | Sequence[Any], schema: Schema, *, chunk: int = CHUNK) -> Iterator[pd.DataFrame]:
        """Yield a source in pieces, nothing parsed: tables of structure, name and, if the schema asks, cohort.

        Raises
        ------
        DataError
            If the source as a whole cannot be read, has no column with structures, or is a file or table without that
            of cohorts.
        """
        where = "the table" if isinstance(source, pd.DataFrame) else str(source)
        start = 0
        for part in parts_of(source, chunk):
            column = structure_column(part, schema.get("smiles")) or structure_column(part, None)
            if column is None:
                wanted = schema.get("smiles") or STRUCTURE
                raise DataError(f"{where} has no column {wanted!r} with structures", hint=suggest_column(wanted, part))
            names = names_of(part, name_column(part, schema.get("id")), start)
            found: dict[str, Any] = {STRUCTURE: part[column].to_numpy(), NAME: names}
            if schema.get(COHORT) and isinstance(source, (str, Path, pd.DataFrame)):  # a list has no columns
                found[COHORT] = cohorts_in(part, schema[COHORT], where)
            if ROW_ERROR in part:
                found[ROW_ERROR] = row_errors(part)
            yield pd.DataFrame(found, dtype=object)
            start += len(part)

    @classmethod
    def read_piece(
        cls, piece: pd.DataFrame, schema: Schema, *, tick: Callable[[int], None] | None = None
    ) -> Reading[Self]:
        """Read one of the `pieces`; ``tick`` is told the place of each row before it is parsed."""
        standard, ids = Standard.of(schema["standard"]), piece[NAME].tolist()
        read = zip(row_errors(piece), _read(piece[STRUCTURE], standard, tick), strict=True)
        found = [error or item for error, item in read]
        errors = tuple(item if isinstance(item, str) else None for item in found)
        rows = [row for row, error in enumerate(errors) if error is None]
        if not rows:
            return Reading(tuple(ids), errors, None)
        mols: list[Mol] = [found[row] for row in rows]
        groups = None if COHORT not in piece else [piece[COHORT].iloc[row] for row in rows]
        cases = cls([ids[row] for row in rows], [mol.ToBinary() for mol in mols], standard, groups)
        if len(cases) <= CHUNK:
            cases._kept[_unpacked, (), ()] = mols
        return Reading(tuple(ids), errors, cases)


def parts_of(source: Source | Sequence[Any], chunk: int = CHUNK) -> Iterator[pd.DataFrame]:
    """Yield the rows of any source of molecules as tables of at most ``chunk`` rows.

    Raises
    ------
    DataError
        If the source as a whole cannot be read.
    """
    if isinstance(source, (str, Path)):
        yield from iterate_molecules(Path(source).expanduser(), chunk)
        return
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise DataError(
            f"molecules are not read from a {type(source).__name__}",
            hint="give a path, a pandas.DataFrame, or a list of SMILES or RDKit molecules",
        )
    if isinstance(source, np.ndarray) and source.ndim != 1:
        raise DataError(
            f"molecules are not read from an array of {source.ndim} dimensions",
            hint="give one of its columns, as in array[:, 0], or a pandas.DataFrame with a column 'smiles'",
        )
    table = source if isinstance(source, pd.DataFrame) else pd.DataFrame({STRUCTURE: list(source)}, dtype=object)
    check_names("the table", table)
    for start in range(0, len(table), chunk):
        yield table.iloc[start : start + chunk]


def read_structures(values: Iterable[Any], standard: Standard) -> list[bytes | str]:
    """Read structures (SMILES or RDKit molecules): the binary form of each, or why it cannot be used."""
    found = _read(values, standard)
    return [item if isinstance(item, str) else item.ToBinary() for item in found]


def _read(values: Iterable[Any], standard: Standard, tick: Callable[[int], None] | None = None) -> Iterator[Mol | str]:
    """Yield each structure's molecule, or why it cannot be used."""
    with quiet():
        for row, value in enumerate(values):
            if tick is not None:
                tick(row)
            try:
                yield read_smiles(value.strip(), standard) if isinstance(value, str) else _given(value, standard)
            except StructureError as error:
                yield str(error)


def _unpacked(molecules: Molecules) -> list[Mol]:
    return [molecules.mol(row) for row in range(len(molecules))]


def _given(value: Any, standard: Standard) -> Mol:
    """Take what is no text: a molecule, or nothing."""
    if hasattr(value, "GetNumHeavyAtoms"):
        return read_mol(value, standard)
    if isinstance(value, StructureError):  # of a record that could not be read
        raise StructureError(str(value))
    if is_nothing(value):
        raise StructureError("the row has no structure")
    raise StructureError(f"the structure is a {type(value).__name__}, neither SMILES nor a molecule")
