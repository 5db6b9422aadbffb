"""Files of molecules: tables, SMILES files and SD files, each also gzipped, a chunk of rows at a time."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

import pandas as pd

from medtasks.cases.structures import quiet
from medtasks.cases.tables import is_table, iterate_table, suffix_of
from medtasks.errors import DataError

STRUCTURE = "smiles"
"""The column that holds the structure in what was read from a SMILES or SD file."""
NAME = "name"
NAMES = ("id", NAME)
"""Names (lower case) by which a column that names molecules is known."""
USUAL = ("smiles", "canonical_smiles", "isomeric_smiles", "smi", "structure", "mol")
"""Names (lower case) by which a column of structures is known, the likeliest first."""
_SMI, _SDF = (".smi", ".smiles", ".ism"), (".sdf", ".sd")


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
        raise DataError(f"no file {path}", hint="check the path")
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
    names = [str(name) for name in table.columns]
    if named is not None:
        return named if named in names else None
    return next((name for usual in USUAL for name in names if name.strip().lower() == usual), None)


def name_column(table: pd.DataFrame, named: str | None, taken: Collection[str] = ()) -> str | None:
    """Return the column that names the molecules: the one named, or the likeliest that is not ``taken``, or None."""
    names = [str(name) for name in table.columns if str(name) not in taken]
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
            yield {STRUCTURE: smiles, NAME: name.strip() or None}


def _sd_records(path: Path) -> Iterator[dict[str, Any]]:
    """Read molecules with their properties; RDKit tells a damaged record by None and goes on with the next."""
    from rdkit import Chem

    with quiet(), gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for mol in Chem.ForwardSDMolSupplier(file):
            if mol is None:
                yield {STRUCTURE: None, NAME: None}
                continue
            about = mol.GetPropsAsDict(includePrivate=False, includeComputed=False, autoConvertStrings=False)
            name = mol.GetProp("_Name").strip() if mol.HasProp("_Name") else ""
            yield {NAME: name or None, **about, STRUCTURE: mol}


def _open(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")
