"""Reading tables: CSV, TSV and Parquet, also compressed, whole or a chunk at a time."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pandas as pd

from medtasks.errors import DataError

SUFFIXES = (".csv", ".tsv", ".txt", ".tab", ".parquet", ".pq")
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-", ".")
"""Texts that mean "not known" (lower case, without white space): pandas', UCI's and SAS' conventions."""


def is_table(path: Path) -> bool:
    """Say whether the name is that of a table (``.csv``, ``.tsv.gz``, ``.parquet`` ...).

    >>> is_table(Path("a/b.tsv.gz")), is_table(Path("scan.png"))
    (True, False)
    """
    return _suffix(path) in SUFFIXES


def read_table(path: Path) -> pd.DataFrame:
    """Read a whole table. The columns of text formats stay text, so that nothing is guessed too early.

    Raises
    ------
    DataError
        If there is no such file, or it is empty, damaged, or has two columns of one name.
    """
    return pd.concat(list(iterate_table(path, rows=100_000)), ignore_index=True)


def iterate_table(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """Read a table ``rows`` rows at a time; see `read_table`."""
    if not path.is_file():
        raise DataError(f"no file {path}", hint="check the path")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", hint="export the table again")
    parts = _parquet(path, rows) if _suffix(path) in (".parquet", ".pq") else _text(path, rows)
    count = 0
    for part in parts:
        count += len(part)
        yield part
    if count == 0:
        raise DataError(f"{path} has a header but no rows", hint="export the table again")


def is_missing(values: pd.Series) -> pd.Series:
    """Mark the values that mean "not known".

    >>> is_missing(pd.Series(["1", "?", " NA ", None])).tolist()
    [False, True, True, True]
    """
    blank = values.isna()
    if values.dtype == object or pd.api.types.is_string_dtype(values):
        text = values.astype("string").str.strip().str.lower()
        blank = blank | text.isin(MISSING).fillna(True).astype(bool)
    return blank


def _parquet(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_header(path, list(file.schema_arrow.names))
            for batch in file.iter_batches(rows):
                yield batch.to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not a readable Parquet file ({_first_line(error)})",
            hint="write it again, or give a CSV file",
        ) from error


def _text(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    try:
        encoding = _encoding(path)
        with _open(path, encoding) as file:
            head = file.readline()
        separator = _separator(path, head)
        header = next(csv.reader(io.StringIO(head), delimiter=separator), [])
        _check_header(path, header)
        with (
            _open(path, encoding) as file,
            pd.read_csv(
                file,
                sep=separator,
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
                chunksize=rows,
                index_col=False,
                on_bad_lines="error",
            ) as parts,
        ):
            for part in parts:
                yield part.rename(columns=str.strip)
    except (EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged gzip file ({_first_line(error)})", hint="copy it again") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning, csv.Error) as error:
        raise DataError(
            f"{path} is not a readable table ({_first_line(error)})",
            hint="give each row as many fields as the header, with commas in texts quoted",
        ) from error


def _open(path: Path, encoding: str) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _encoding(path: Path) -> str:
    """UTF-8 (with or without BOM) or UTF-16 by its BOM; Windows-1252 where the bytes are not UTF-8."""
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
        head = file.read(1 << 20)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in head:
        raise DataError(f"{path} is binary, not a table", hint="give a CSV, TSV or Parquet file")
    try:
        head[: max(len(head) - 4, 0)].decode("utf-8")  # the last bytes may cut a character in two
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _separator(path: Path, head: str) -> str:
    if _suffix(path) in (".tsv", ".tab"):
        return "\t"
    return max(",;\t|", key=head.count)


def _check_header(path: Path, names: list[str]) -> None:
    stripped = [name.strip() for name in names]
    twice = sorted({name for name in stripped if stripped.count(name) > 1})
    if twice:
        raise DataError(
            f"{path} has more than one column called {', '.join(map(repr, twice))}",
            hint="give each column a name of its own",
        )


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
