"""What the rows of a table are called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def names_of(table: pd.DataFrame, column: str | None, start: int = 0) -> list[str]:
    """Return the name of each row as text: from a column, or its number, counted from ``start`` + 1.

    A row whose name is missing is called by its number. Whole numbers are written without a point: beside a gap pandas
    makes floats of them.

    >>> names_of(pd.DataFrame({"id": [11, None, 13]}), "id"), names_of(pd.DataFrame({"age": [61, 70]}), None)
    (['11', '2', '13'], ['1', '2'])
    """
    if column is None:
        return [str(start + i + 1) for i in range(len(table))]
    return [written(value) or str(start + i + 1) for i, value in enumerate(table[column])]


def is_nothing(value: Any) -> bool:
    """Say whether a single value is missing: None, NaN, NaT or pandas' NA; an array or a list is not.

    >>> is_nothing(pd.NA), is_nothing(float("nan")), is_nothing(""), is_nothing([None])
    (True, True, False, False)
    """
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def written(value: Any) -> str:
    """Return a name as text, empty where it is missing or blank; whole numbers have no point.

    >>> written(7.0), written("7.0"), written(None)
    ('7', '7.0', '')
    """
    if is_nothing(value):
        return ""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    text = str(value)
    return text if text.strip() else ""
