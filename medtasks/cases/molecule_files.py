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

from medtasks.cases.structures import Mol, block_fault, quiet
from medtasks.cases.tables import column_names, is_table, iterate_table, suffix_of
from medtasks.errors import DataError

STRUCTURE = "smiles"
"""The column that holds the structure in what was read from a SMILES or SD file."""
NAME = "name"
NAMES = ("id", NAME)
"""Names (lower case) by which a column that names molecules is known."""
USUAL = ("smiles", "canonical_smiles", "isomeric_smiles", "smi", "structure", "mol", "romol")
"""Names (lower case) by which a column of structures is known, the likeliest first."""
_SMI, _SDF = (".smi", ".smiles", ".ism"), (".sdf", ".sd")
_EXTENSION = re.compile(r"\|[^|]*\|(?=\s|$)")
"""What CXSMILES write between a structure and its name."""
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
            hint="give a CSV, TSV, Parquet, SMI or SDF file",
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
    """Read ``SMILES name`` lines; a first line that says so is a header, an empty line a row without a structure."""
    with _open(path) as file:
        for number, line in enumerate(file):
            smiles, _, name = line.strip().replace("\t", " ", 1).partition(" ")
            if number == 0 and smiles.lower() in USUAL:
                continue
            yield {STRUCTURE: smiles, NAME: _unextended(name.strip()) or None}


def _unextended(name: str) -> str:
    found = _EXTENSION.match(name)
    return name[found.end() :].strip() if found else name


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
