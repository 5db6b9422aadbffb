"""Reading tables: CSV, TSV and Parquet, also compressed, whole or a chunk at a time."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pandas as pd

from medtasks.errors import DataError

SUFFIXES = (".csv", ".tsv", ".txt", ".tab", ".parquet", ".pq")
MISSING = ("", "na", "n/a", "nan", "null", "?", "-", ".")
"""Texts that mean "not known" (lower case, without white space): pandas', UCI's and SAS' conventions.

"none" is not among them: of a symptom or a diagnosis it is an answer."""


def is_table(path: Path) -> bool:
    """Say whether the name is that of a table (``.csv``, ``.tsv.gz``, ``.parquet`` ...).

    >>> is_table(Path("a/b.tsv.gz")), is_table(Path("scan.png"))
    (True, False)
    """
    return suffix_of(path) in SUFFIXES


def read_table(path: Path) -> pd.DataFrame:
    """Read a whole table. The columns of text formats stay text, so that nothing is guessed too early.

    Raises
    ------
    DataError
        If there is no such file, or it is empty, damaged, or has two columns of one name.
    """
    return pd.concat(list(iterate_table(path, rows=100_000)), ignore_index=True)


def iterate_table(path: Path, rows: int, *, bare: bool = False) -> Iterator[pd.DataFrame]:
    """Read a table ``rows`` rows at a time; see `read_table`. With ``bare``, one that is only a header has no rows."""
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a table", hint="give a CSV, TSV or Parquet file")
    if not path.is_file():
        raise DataError(f"no file {path}", hint="check the path")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", hint="export the table again")
    parts = _parquet(path, rows) if suffix_of(path) in (".parquet", ".pq") else _text(path, rows)
    count = 0
    for part in parts:
        count += len(part)
        yield part
    if count == 0 and not bare:
        raise DataError(f"{path} has a header but no rows", hint="export the table again")


def is_missing(values: pd.Series) -> pd.Series:
    """Mark the values that mean "not known".

    >>> is_missing(pd.Series(["1", "?", " NA ", None])).tolist()
    [False, True, True, True]
    """
    blank = values.isna()
    if isinstance(values.dtype, pd.CategoricalDtype) or values.dtype == object or pd.api.types.is_string_dtype(values):
        text = values.astype("string").str.strip().str.lower()
        blank = blank | text.isin(MISSING).fillna(True).astype(bool)
    return blank


def check_header(where: str, names: Sequence[str]) -> None:
    """Raise `DataError` if two columns have one name."""
    stripped = [name.strip() for name in names]
    twice = sorted({name for name in stripped if stripped.count(name) > 1})
    if twice:
        raise DataError(
            f"{where} has more than one column called {', '.join(map(repr, twice))}",
            hint="give each column a name of its own",
        )


def _parquet(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            check_header(str(path), list(file.schema_arrow.names))
            for batch in file.iter_batches(rows):
                # pandas' own remarks are left out: they would turn a column with ids into an index
                part = batch.to_pandas(ignore_metadata=True)
                yield part.drop(columns=[name for name in part if str(name).startswith("__index_level_")])
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not a readable Parquet file ({_first_line(error)})",
            hint="write it again, or give a CSV file",
        ) from error


def _text(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    try:
        encoding = _encoding(path)
        with _open(path, encoding) as file:
            head, first = (next((line for line in file if line.strip()), "") for _ in range(2))
        separator = _separator(path, head)
        header, row = (next(csv.reader(io.StringIO(line), delimiter=separator), []) for line in (head, first))
        if len(row) > len(header):  # which pandas 2 passes over where the field too many is empty
            raise pd.errors.ParserError(f"{len(row)} fields below a header of {len(header)}")
        check_header(str(path), header)
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
            while (part := _next(parts)) is not None:
                yield part.rename(columns=str.strip)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file ({_first_line(error)})", hint="copy it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})", hint="check the file's permissions") from error
    except UnicodeError as error:
        raise DataError(
            f"{path} is encoded neither in UTF-8, UTF-16 nor Windows-1252 throughout", hint="save the table as UTF-8"
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning, csv.Error) as error:
        raise DataError(
            f"{path} is not a readable table ({_first_line(error)})",
            hint="give each row as many fields as the header, with commas in texts quoted",
        ) from error


def _next(parts: Iterator[pd.DataFrame]) -> pd.DataFrame | None:
    with warnings.catch_warnings():
        # pandas only warns where every row is longer than the header, and then leaves a column out
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return next(parts, None)


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
        codecs.getincrementaldecoder("utf-8")().decode(head)  # which lets the end cut a character in two
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _separator(path: Path, head: str) -> str:
    if suffix_of(path) in (".tsv", ".tab"):
        return "\t"
    return max(",;\t|", key=re.sub('"[^"]*"', "", head).count)


def suffix_of(path: Path) -> str:
    """Return a file name's suffix in lower case, that of compression left out.

    >>> suffix_of(Path("a/b.TSV.gz"))
    '.tsv'
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
