"""Reading tables: CSV, TSV and Parquet, also compressed, whole or a chunk at a time."""

from __future__ import annotations

import codecs
import csv
import gzip
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from medtasks.cases.headers import LIKE_DATA, looks_like_data
from medtasks.errors import DataError, suggest

SUFFIXES = (".csv", ".tsv", ".txt", ".tab", ".parquet", ".pq")
MISSING = ("", "na", "n/a", "nan", "null", "?", "-", ".")
"""Texts that mean "not known" (lower case, without white space): pandas', UCI's and SAS' conventions.

"none" is not among them: of a symptom or a diagnosis it is an answer. So is "-" beside "+"; see `is_missing`."""
_PLUS = re.compile(r"\(?\d?\s*\++\)?|\+/?-|±")
"""How findings are graded by signs: +, ++, 2+, (+), +/-."""

_OTHER = re.compile(r"\s*(\{\s*(\"|$)|\[\s*([\[{\"]|$)|<[?!A-Za-z])")
"""How JSON and XML begin, whose values are not to be taken for names of columns."""
_DECLARED = re.compile(r"\"?sep=([^\w\s\"]|\t)\"?\s*", re.IGNORECASE)
"""A first line by which Excel is told what separates the fields, and that is no header."""
ROW_ERROR = "(why the row cannot be used)"
"""The column that tells of each row why it cannot be used, None where it can: only where rows are cut short."""
NAMELESS = "Unnamed: "
"""How a column without a name is called, with its number behind: as pandas does."""
_BLOCK = 1 << 20
"""Bytes looked at at a time to tell the encoding."""
_HEADER_LINES = 1000
"""Lines that a header with line breaks in its names may have: a quote that does not end is not followed further."""


def is_table(path: Path) -> bool:
    """Say whether the name is that of a table (``.csv``, ``.tsv.gz``, ``.parquet`` ...).

    >>> is_table(Path("a/b.tsv.gz")), is_table(Path("scan.png"))
    (True, False)
    """
    return suffix_of(path) in SUFFIXES


def read_table(path: Path) -> pd.DataFrame:
    """Read a whole table. The columns of text formats stay text, so that nothing is guessed too early.

    Rows with fewer fields than the header keep their place, and `row_errors` tells of them.

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


def is_missing(values: pd.Series, *, dash: bool | None = None) -> pd.Series:
    """Mark the values that mean "not known".

    Parameters
    ----------
    dash
        Whether ``-`` is an answer ("negative"); where None, it is if the values hold ``+``, ``++`` and the like.

    Examples
    --------
    >>> is_missing(pd.Series(["1", "?", " NA ", None])).tolist()
    [False, True, True, True]
    >>> is_missing(pd.Series(["-", "+"])).tolist(), is_missing(pd.Series(["-", "1"])).tolist()
    ([False, False], [True, False])
    """
    blank = values.isna()
    if isinstance(values.dtype, pd.CategoricalDtype) or values.dtype == object or pd.api.types.is_string_dtype(values):
        text = values.astype("string").str.strip().str.lower()
        dashes = text.eq("-").fillna(False).astype(bool)
        if dash is None:
            dash = bool(dashes.any()) and has_plus(text.dropna().unique())
        blank = blank | (text.isin(MISSING).fillna(True).astype(bool) & ~(dashes & dash))
    return blank


def has_plus(texts: Iterable[Any]) -> bool:
    """Say whether one of the texts grades a finding by ``+``, so that ``-`` beside it means "negative".

    >>> has_plus(["-", "++"]), has_plus(["-", "a+b"])
    (True, False)
    """
    return any(_PLUS.fullmatch(str(text).strip()) for text in texts)


def why_missing(values: pd.Series, what: str) -> list[str | None]:
    """Say of each row why it lacks ``what``: its cell is empty, or holds a text that counts as missing; None else.

    >>> why_missing(pd.Series(["ill", "", "NA"]), "label")[1]
    'the row has no label'
    """
    missing = is_missing(values).to_numpy()
    empty = (values.isna() | values.astype("string").str.strip().eq("").fillna(True).astype(bool)).to_numpy()
    told = f"the row's {what} is a text that counts as missing (NA, ?, - and the like)"
    return [
        None if not gone else f"the row has no {what}" if bare else told
        for gone, bare in zip(missing, empty, strict=True)
    ]


def column_names(table: pd.DataFrame) -> list[str]:
    """Return the names of a table's columns as text, without `ROW_ERROR`, which is none of the file's."""
    return [str(name) for name in table.columns if str(name) != ROW_ERROR]


def row_errors(table: pd.DataFrame) -> list[str | None]:
    """Return why each row of a table that was read cannot be used (it was cut short); None where it can.

    >>> row_errors(pd.DataFrame({"a": ["1"]}))
    [None]
    """
    if ROW_ERROR not in table.columns:
        return [None] * len(table)
    return [error if isinstance(error, str) else None for error in table[ROW_ERROR]]


def spare_cut(table: pd.DataFrame, values: Mapping[str | None, str]) -> pd.DataFrame:
    """Put values (by column) into rows that were cut short, which are left out anyway.

    A patient or a split that such a row lacks is no reason to refuse the whole table.
    """
    cut = np.array([error is not None for error in row_errors(table)], dtype=bool)
    return table.assign(**{name: table[name].mask(cut, value) for name, value in values.items() if name and cut.any()})


def check_header(where: str, names: Sequence[str]) -> None:
    """Raise `DataError` if two columns have one name."""
    stripped = [name.strip() for name in names]
    twice = sorted({name for name in stripped if stripped.count(name) > 1})
    if twice:
        raise DataError(
            f"{where} has more than one column called {', '.join(map(repr, twice))}",
            hint="give each column a name of its own",
        )


def check_names(where: str, table: pd.DataFrame) -> None:
    """Raise `DataError` if two columns of a table have one name; it is not told where it may be a patient's value."""
    names = column_names(table)
    if len({name.strip() for name in names}) < len(names) and _is_headless(table):
        raise DataError(f"{where} has columns of one name: {LIKE_DATA}", hint="put the names of columns above it")
    check_header(where, names)


def suggest_column(name: str, table: pd.DataFrame) -> str:
    """Say which of a user's columns is nearest to the one that lacks, or list them.

    Of a table whose first line `looks_like_data` none is named: in an export without a header they are a patient's
    values.

    >>> suggest_column("sex", pd.DataFrame({"age": [61], "gender": ["f"]}))
    'available: age, gender'
    >>> suggest_column("age", pd.DataFrame({"2021-01-05": ["2021-02-06"], "w": ["m"]}))
    'the first line looks like data, not like names of columns: put their names above it'
    """
    return f"{LIKE_DATA}: put their names above it" if _is_headless(table) else suggest(name, column_names(table))


def _is_headless(table: pd.DataFrame) -> bool:
    names = ["" if name.startswith(NAMELESS) else name for name in column_names(table)]
    return looks_like_data(names, table)


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
            head = _head(file)
            if _OTHER.match(head):
                raise DataError(f"{path} is JSON or XML, not a table", hint="give a CSV, TSV or Parquet file")
        declared = _DECLARED.fullmatch(head)
        separator = declared[1] if declared else _separator(path, head)
        with _open(path, encoding) as file:
            yield from _frames(_records(file, separator, declared is not None), rows, str(path))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file ({_first_line(error)})", hint="copy it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})", hint="check the file's permissions") from error
    except UnicodeError as error:
        raise DataError(
            f"{path} is encoded neither in UTF-8, UTF-16 nor Windows-1252 throughout", hint="save the table as UTF-8"
        ) from error
    except csv.Error as error:
        raise DataError(
            f"{path} is not a readable table ({_first_line(error)})",
            hint="give each row as many fields as the header, with commas in texts quoted",
        ) from error


_Record = tuple[int, list[str]]
"""The number of a record's last line in the file, and its fields."""


def _records(file: IO[str], separator: str, declared: bool) -> Iterator[_Record]:
    """Yield the header and the rows; blank lines are no rows, nor is the line that only ``declared`` the separator."""
    ended = False

    def lines() -> Iterator[str]:
        nonlocal ended
        yield from file
        ended = True

    reader = csv.reader(lines(), delimiter=separator, skipinitialspace=True)
    width, start = 0, 1
    for record in reader:
        if ended:  # the reader asks for a line after the last only within a quoted text
            raise csv.Error(f"a quoted text in the row of line {start} does not end")
        if declared and any(record):
            declared = False
        elif record and (record != [""] or width == 1):  # of a single column, an empty text is a row
            width = width or len(record)
            yield reader.line_num, record
        start = reader.line_num + 1


def _frames(records: Iterator[_Record], rows: int, where: str) -> Iterator[pd.DataFrame]:
    _, header = next(records, (0, []))
    if not header:
        raise csv.Error("it has no header")
    names = [name.strip() or f"{NAMELESS}{i}" for i, name in enumerate(header)]
    first = _frame(list(itertools.islice(records, rows)), names)
    check_names(where, first)
    yield first
    while part := list(itertools.islice(records, rows)):
        yield _frame(part, names)


def _frame(records: Sequence[_Record], names: list[str]) -> pd.DataFrame:
    """Make a table of texts; a row that ends early may be cut anywhere, so what it still has is not to be trusted."""
    width = len(names)
    long = next((record for record in records if len(record[1]) > width), None)
    if long is not None:
        raise csv.Error(f"line {long[0]} has {len(long[1])} fields below a header of {width}")
    whole = [fields + [""] * (width - len(fields)) for _, fields in records]
    frame = pd.DataFrame(whole, columns=names, dtype=str)
    if any(len(fields) < width for _, fields in records):
        frame[ROW_ERROR] = pd.Series(
            [
                f"the row has {len(fields)} of {width} fields (empty ones at the end need their separators too)"
                if len(fields) < width
                else None
                for _, fields in records
            ],
            dtype=object,
        )
    return frame


def _open(path: Path, encoding: str) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _encoding(path: Path) -> str:
    """UTF-8 (with or without BOM), UTF-16 by its BOM, or Windows-1252 where the first bytes past ASCII are no UTF-8."""
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
        head = file.read(_BLOCK)
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            return "utf-16"
        if b"\0" in head:
            raise DataError(f"{path} is binary, not a table", hint="give a CSV, TSV or Parquet file")
        while head.isascii() and (more := file.read(_BLOCK)):  # the first umlaut may stand late
            head = more
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # which lets the end cut a character in two
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _head(file: IO[str]) -> str:
    """Return the header: the first line that is not blank, with those that a quoted name goes on in."""
    head = next((line for line in file if line.strip()), "")
    for line in itertools.islice(file, _HEADER_LINES):
        if head.count('"') % 2 == 0:
            break
        head += line
    return head


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
