"""Telling a first line of data from one of names: an export without a header must not be quoted."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

LIKE_DATA = "the first line looks like data, not like names of columns"
LOOKED_AT = 1000
"""Rows whose values are compared with the names of their columns."""
SAME_FORM = 0.9
"""Share of a column's values that must be written as its name is for both to be identifiers of one kind."""
ORDERED = 5
"""So many numbers in ascending order are the names of a matrix (years, wavelengths); fewer may be a patient's."""
DATE = r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}([ T].*)?"
"""A date, maybe with the time of day behind."""
TIME = r"\d{1,2}(:\d{2}){1,2}"
RATIO = r"\d+([.,]\d+)?\s*/\s*\d+([.,]\d+)?"
"""Two numbers with a slash between, as of a blood pressure."""
_DATED = re.compile(rf"{DATE}|{TIME}")
_RATIO = re.compile(RATIO)
_NUMBER = re.compile(r"[<>]?=?\s*[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?\s*%?")


def looks_like_data(names: Sequence[str], rows: pd.DataFrame) -> bool:
    """Say whether what stands where a table's names are expected are values of its columns.

    It is if one of them is a date, a time or a ratio such as that of a blood pressure, or if two of them (of one or two
    columns one) are found among the values of their own column, or are identifiers written alike. Numbers alone tell
    nothing: matrices of features have them for names, in order.

    Parameters
    ----------
    names
        As many as the table has columns, empty where one has none.
    rows
        What stands below; the first are looked at.
    """
    named = [(i, name.strip()) for i, name in enumerate(names) if name.strip()]
    if any(_DATED.fullmatch(name) or _RATIO.fullmatch(name) for _, name in named):
        return True
    numeric = [name for _, name in named if _NUMBER.fullmatch(name)]
    if _in_order(numeric):
        named = [(i, name) for i, name in named if name not in numeric]
    cells = rows.iloc[:LOOKED_AT, : len(names)].astype("string").apply(lambda column: column.str.strip())
    again = (cells == list(names)).fillna(False).all(axis=1)  # a header that is repeated among the rows
    found = sum(_is_value(name, cells.iloc[:, i][~again]) for i, name in named)
    return found > 0 and found >= min(2, (len(named) + 1) // 2)


def _is_value(name: str, values: pd.Series) -> bool:
    known = values.dropna()
    known = known[known != ""]
    if not len(known):
        return False
    if bool(known.str.casefold().eq(name.casefold()).any()):
        return True
    form = _form(name)
    if "9" in form and len(set(form)) > 1 and float(known.map(_form).eq(form).mean()) >= SAME_FORM:
        return True
    if not _NUMBER.fullmatch(name) or "." not in name:
        return False
    numbers = pd.to_numeric(known, errors="coerce").to_numpy(np.float64)
    value = float(pd.to_numeric(pd.Series([name]), errors="coerce").iloc[0])
    return bool(np.isfinite(numbers).mean() >= SAME_FORM and np.nanmin(numbers) <= value <= np.nanmax(numbers))


def _form(text: str) -> str:
    """Return how a text is written: K0001 as A9999."""
    return re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "A", text))


def _in_order(numbers: Sequence[str]) -> bool:
    """Say whether numbers are the names of a matrix: counted up from 0 or 1, or many that ascend."""
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        return False
    if values in ([float(i) for i in range(len(values))], [float(i + 1) for i in range(len(values))]):
        return len(values) > 1
    return len(values) >= ORDERED and all(a < b for a, b in itertools.pairwise(values))
