"""Files of molecules: tables, SMILES files and SD files, each also gzipped, a chunk of rows at a time."""

from __future__ import annotations

import gzip
import io
import itertools
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

import pandas as pd

from medtasks.cases.cxsmiles import EXTENSION
from medtasks.cases.structures import Mol, block_fault, can_be_smiles, quiet
from medtasks.cases.tables import column_names, is_table, iterate_table, suffix_of
from medtasks.errors import DataError

STRUCTURE = "smiles"
"""The column that holds the structure in what was read from a SMILES or SD file."""
NAME = "name"
NAMES = ("id", NAME)
"""Names (lower case) by which a column that names molecules is known."""
USUAL = ("smiles", "canonical_smiles", "isomeric_smiles", "smi", "structure", "mol", "romol")
"""Names (lower case) by which a column of structures is known, the likeliest first."""
_SMI, _SDF = (".smi", ".smiles", ".ism", ".cxsmiles", ".cxsmi"), (".sdf", ".sd")
LOOKED_AT = 100
"""Lines by which it is told whether a file of SMILES has the names first."""
SURE = 0.9
"""Share of the second fields that must be able to be SMILES for the first ones to be names."""
LEAST_SWAPPED = 2
"""Fewer lines tell nothing: a broken SMILES can stand before a name such as CO."""
_SPACE = re.compile(r" *\t| +")
_PROPERTY = re.compile(r"^>.*<.*>", re.MULTILINE)
_NO_ATOMS = "\n\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n"
"""A molecule without atoms, to read by RDKit the properties that stand behind one that it refuses."""


def is_molecules(path: Path) -> bool:
    """Say whether the name is that of a file that can hold molecules.

    >>> is_molecules(Path("a.sdf.gz")), is_molecules(Path("a.csv")), is_molecules(Path("a.png"))
    (True, True, False)
    """
    return suffix_of(path) in (*_SMI, *_SDF) or is_table(path)


def iterate_molecules(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """Read a file ``rows`` rows at a time; every row of it has its place.

    Raises
    ------
    DataError
        If there is no such file, it is empty, or of no known kind.
    """
    if not path.is_file():
        raise DataError(f"no file {path}", hint="check the path; SMILES are given in a list, as in ['CCO']")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", hint="export the molecules again")
    if suffix_of(path) in _SMI:
        yield from _from_records(_smiles_lines(path), rows, path)
    elif suffix_of(path) in _SDF:
        yield from _from_records(_sd_records(path), rows, path)
    elif is_table(path):
        yield from iterate_table(path, rows)
    else:
        raise DataError(
            f"{path} is none of the formats that molecules are read from",
            hint="give a CSV, TSV, Parquet, SMI, CXSMILES or SDF file",
        )


def structure_column(table: pd.DataFrame, named: str | None) -> str | None:
    """Return the column that holds the structures: the one named, or the likeliest; None where there is none."""
    names = column_names(table)
    if named is not None:
        return named if named in names else None
    return next((name for usual in USUAL for name in names if name.strip().lower() == usual), None)


def name_column(table: pd.DataFrame, named: str | None, taken: Collection[str] = ()) -> str | None:
    """Return the column that names the molecules: the one named, or the likeliest that is not ``taken``, or None."""
    names = [name for name in column_names(table) if name not in taken]
    if named is not None:
        return named if named in table.columns else None
    return next((name for usual in NAMES for name in names if name.strip().lower() == usual), None)


def _from_records(records: Iterator[dict[str, Any]], rows: int, path: Path) -> Iterator[pd.DataFrame]:
    found = False
    try:
        while part := list(itertools.islice(records, rows)):
            found = True
            yield pd.DataFrame(part, dtype=object)
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise DataError(f"{path} cannot be read ({type(error).__name__})", hint="copy it again") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not text in UTF-8", hint="save it as UTF-8") from None
    if not found:
        raise DataError(f"{path} holds no molecule", hint="export the molecules again")


def _smiles_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read ``SMILES name`` lines; a first line that says so is a header, an empty line a row without a structure.

    Of fields that tabs part, the first behind the SMILES is the name. Files with the name first, as PubChem's
    CID-SMILES, are read too, where the header says so or no first field can be a SMILES.
    """
    with _open(path) as file:
        head = [_fields(line) for line in itertools.islice(file, LOOKED_AT)]
        first, second = (text.lower() for text in head[0][:2]) if head else ("", "")
        named = second in USUAL and first not in USUAL and not can_be_smiles(head[0][0])
        swapped = named or (first not in USUAL and _name_first(head))
        head = head[1:] if named or first in USUAL else head
        for smiles, name, extension in itertools.chain(head, map(_fields, file)):
            structure, label = (name, smiles) if swapped else (smiles, name)
            yield {STRUCTURE: f"{structure} {extension}".strip(), NAME: label or None}


def _fields(line: str) -> tuple[str, str, str]:
    """Return the first field of a line, the one behind it, and the extension of CXSMILES between them."""
    first, *behind = _SPACE.split(line.rstrip().lstrip(" "), maxsplit=1)
    rest = behind[0] if behind else ""
    found = EXTENSION.match(rest)
    if found:
        rest = _SPACE.sub("", rest[found.end() :], count=1)
    return first, rest.partition("\t")[0].strip(), found[0] if found else ""


def _name_first(lines: Collection[tuple[str, str, str]]) -> bool:
    """Say whether a name stands before the SMILES: of some lines no first field can be one, and nearly each second."""
    full = [(first, second) for first, second, _ in lines if first]
    if len(full) < LEAST_SWAPPED or any(can_be_smiles(first) for first, _ in full):
        return False
    return sum(bool(second) and can_be_smiles(second) for _, second in full) >= SURE * len(full)


def _sd_records(path: Path) -> Iterator[dict[str, Any]]:
    """Read molecules with their properties; of a damaged record what can be read, with its fault for the structure."""
    with quiet(), _open(path) as file:
        for record in _split(file):
            mol = _from_sd(record)
            if mol is not None:
                name = mol.GetProp("_Name").strip() if mol.HasProp("_Name") else ""
                yield {NAME: name or None, **_properties(mol), STRUCTURE: mol}
                continue
            start = found.start() if (found := _PROPERTY.search(record)) else len(record)
            name = record[:start].partition("\n")[0].strip()
            about = _properties(_from_sd(_NO_ATOMS + record[start:]))
            yield {NAME: name or None, **about, STRUCTURE: block_fault(record[:start])}


def _split(file: IO[str]) -> Iterator[str]:
    """Yield the records of an SD file, one by one: what stands behind one that is damaged is then read all the same."""
    lines: list[str] = []
    for line in file:
        lines.append(line)
        if line.startswith("$$$$"):
            yield "".join(lines)
            lines = []
    if "".join(lines).strip():
        yield "".join(lines)


def _from_sd(record: str) -> Mol | None:
    from rdkit import Chem

    return next(Chem.ForwardSDMolSupplier(io.BytesIO(record.encode())), None)


def _properties(mol: Mol | None) -> dict[str, Any]:
    if mol is None:
        return {}
    about: dict[str, Any] = mol.GetPropsAsDict(includePrivate=False, includeComputed=False, autoConvertStrings=False)
    return about


def _open(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")
