"""Cases that are pairs: a molecule and the amino-acid sequence of a protein."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import CHUNK, Cases, Molecules, Reading, Schema, Source
from medtasks.cases.tables import is_missing, iterate_table
from medtasks.errors import BundleError, DataError, suggest

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
ACCEPTED = frozenset(RESIDUES + "BJOUXZ")
"""One-letter codes of IUPAC-IUB (1984, doi:10.1111/j.1432-1033.1984.tb07877.x): the twenty, rare and ambiguous ones."""
SHORTEST, LONGEST = 10, 40_000
"""Residues: fewer are a peptide's end or a mistake, and titin, the longest human protein, has some 35,000."""
COLUMNS = {"id": "id", "smiles": "smiles", "sequence": "sequence"}


class Pairs(Cases):
    """Molecules with the protein that each is asked about.

    Parameters
    ----------
    ids
        One name per pair.
    molecules
        The molecule of each pair.
    sequences
        The protein of each pair, in one-letter code.
    columns
        The columns that hold ``id``, ``smiles`` and ``sequence`` in tables of such pairs.
    """

    kind: ClassVar[str] = "pairs"

    def __init__(
        self,
        ids: Sequence[str] | npt.NDArray[Any],
        molecules: Molecules,
        sequences: Sequence[str],
        columns: dict[str, str] | None = None,
    ) -> None:
        super().__init__(ids)
        if not len(ids) == len(molecules) == len(sequences):
            raise ValueError(f"{len(ids)} ids, {len(molecules)} molecules and {len(sequences)} sequences")
        self.molecules, self.sequences, self.columns = molecules, tuple(sequences), {**COLUMNS, **(columns or {})}

    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """Return the given pairs, in the given order."""
        sequences = [self.sequences[i] for i in rows]
        return type(self)(self.ids[rows], self.molecules.take(rows), sequences, self.columns)

    def join(self, other: Self) -> Self:
        """Return these pairs with those of ``other`` behind them."""
        ids = np.concatenate([self.ids, other.ids])
        return type(self)(ids, self.molecules.join(other.molecules), self.sequences + other.sequences, self.columns)

    def schema(self) -> Schema:
        """Describe the columns, and how structures are read."""
        return {"kind": self.kind, "columns": self.columns, "molecules": self.molecules.schema()}

    def digests(self) -> list[str]:
        """Return the SHA-256 of each pair: its molecule's canonical SMILES and its sequence."""
        both = zip(self.molecules.smiles(), self.sequences, strict=True)
        return [hashlib.sha256(f"{smiles}\n{sequence}".encode()).hexdigest() for smiles, sequence in both]

    def distinct(self) -> tuple[Molecules, npt.NDArray[np.int64], list[str], npt.NDArray[np.int64]]:
        """Return each molecule and each sequence once, and (n,) which of them every pair has."""
        places: dict[bytes, int] = {}
        which = np.array([places.setdefault(one, len(places)) for one in self.molecules.binaries], dtype=np.int64)
        first = np.unique(which, return_index=True)[1]
        names: dict[str, int] = {}
        codes = np.array([names.setdefault(one, len(names)) for one in self.sequences], dtype=np.int64)
        return self.molecules.take(first), which, list(names), codes

    @classmethod
    def check_schema(cls, schema: Schema) -> None:
        """Refuse a schema that lacks what `read` needs."""
        columns, molecules = schema.get("columns"), schema.get("molecules")
        if not isinstance(columns, dict) or not set(COLUMNS) <= set(columns) or not isinstance(molecules, dict):
            raise BundleError("the columns that the model needs cannot be read", hint="train the model again")

    @classmethod
    def read(cls, source: Source, schema: Schema, *, chunk: int = CHUNK) -> Iterator[Reading[Self]]:
        """Read a CSV, TSV or Parquet file, or a table in memory, with a structure and a sequence in each row."""
        parts = (
            (source.iloc[start : start + chunk] for start in range(0, len(source), chunk))
            if isinstance(source, pd.DataFrame)
            else iterate_table(Path(source).expanduser(), chunk)
        )
        start = 0
        for part in parts:
            yield cls._read_part(part, schema, start)
            start += len(part)

    @classmethod
    def _read_part(cls, table: pd.DataFrame, schema: Schema, start: int) -> Reading[Self]:
        columns: dict[str, str] = schema["columns"]
        for column in (columns["smiles"], columns["sequence"]):
            if column not in table.columns:
                raise DataError(f"the table has no column {column!r}", hint=suggest(column, map(str, table.columns)))
        numbers = [str(start + i + 1) for i in range(len(table))]
        ids = [str(value) for value in table[columns["id"]]] if columns["id"] in table.columns else numbers
        texts = table[columns["smiles"]].map(lambda value: value.strip() if isinstance(value, str) else None)
        once = list(dict.fromkeys(texts))  # a screen repeats each molecule for every protein
        found: dict[Any, bytes | str] = {}
        for reading in Molecules.read(pd.DataFrame({"smiles": once}, dtype=object), schema["molecules"]):
            valid = iter(reading.cases.binaries if reading.cases is not None else ())
            for error in reading.errors:
                found[once[len(found)]] = next(valid) if error is None else error
        sequences = table[columns["sequence"]].where(~is_missing(table[columns["sequence"]]), None)
        proteins = [read_sequence(value) for value in sequences]
        molecules = [found[text] for text in texts]
        errors = [_fault(molecule, protein) for molecule, protein in zip(molecules, proteins, strict=True)]
        rows = [i for i, error in enumerate(errors) if error is None]
        if not rows:
            return Reading(tuple(ids), tuple(errors), None)
        names = [ids[i] for i in rows]
        held = Molecules(names, [molecules[i] for i in rows])  # type: ignore[misc]
        return Reading(tuple(ids), tuple(errors), cls(names, held, [str(proteins[i][0]) for i in rows], columns))


def read_sequence(value: object) -> tuple[str, str]:
    """Return a sequence in capitals and nothing, or nothing and why it cannot be used (never the text itself).

    >>> read_sequence("mktayiakqr")
    ('MKTAYIAKQR', '')
    >>> read_sequence("MKT AYIAKQR")
    ('', 'the sequence holds a character that is no amino acid')
    """
    if not isinstance(value, str) or not value.strip():
        return "", "the row has no sequence"
    text = value.strip().upper()
    if not set(text) <= ACCEPTED:
        return "", "the sequence holds a character that is no amino acid"
    if not SHORTEST <= len(text) <= LONGEST:
        return "", f"the sequence has {len(text)} residues, not {SHORTEST} to {LONGEST}"
    return text, ""


def _fault(molecule: bytes | str, protein: tuple[str, str]) -> str | None:
    return molecule if isinstance(molecule, str) else protein[1] or None
