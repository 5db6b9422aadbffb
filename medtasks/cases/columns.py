"""Columns of a table that say something about a case beside what a model sees: its label, its patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases.records import numbers
from medtasks.cases.tables import is_missing
from medtasks.errors import DataError, UsageError, suggest


def column(table: pd.DataFrame, named: str | None, usual: Sequence[str], where: str) -> str | None:
    """Return the column named by the user, or the first usual one that exists.

    Raises
    ------
    UsageError
        If the named column does not exist.
    """
    names = [str(name) for name in table.columns]
    if named is not None and named not in names:
        raise UsageError(f"{where} has no column {named!r}", hint=suggest(named, names))
    return named or next((name for name in usual if name in names), None)


def clean(values: pd.Series) -> npt.NDArray[Any]:
    """Return labels as text, ``1.0`` as ``1``; None where missing."""
    missing = is_missing(values).to_numpy()
    text = values.astype("string").str.strip().astype(object).to_numpy(copy=True)
    text[missing] = None
    if pd.api.types.is_bool_dtype(values):
        # as a text file has them; Arrow writes its own in lower case
        text[~missing] = [str(value).capitalize() for value in text[~missing]]
        return text
    as_numbers = numbers(values).to_numpy()
    whole = ~np.isnan(as_numbers[~missing])
    if whole.all() and (as_numbers[~missing] == np.round(as_numbers[~missing])).all():
        text[~missing] = [str(int(value)) for value in as_numbers[~missing]]
    return text


def names_in(table: pd.DataFrame, name: str | None, where: str) -> npt.NDArray[Any] | None:
    """Return the patients (or other groups) that a column names in every row; None where there is no column.

    Raises
    ------
    DataError
        If a row names none.
    """
    if name is None:
        return None
    missing = np.flatnonzero(is_missing(table[name]).to_numpy())
    if len(missing):
        raise DataError(
            f"{where}, row {missing[0] + 1}: the column {name!r} is empty",
            hint="name the patient in every row: a split by patient needs it",
        )
    return table[name].astype(str).str.strip().to_numpy(dtype=object)


COHORT = "cohort"
"""Key of a schema that names the column of cohorts, and the column of what was read."""


def cohorts_in(table: pd.DataFrame, name: str, where: str) -> npt.NDArray[Any]:
    """Return the group (site, assay) of each row within which sets and intervals are calibrated; None where missing.

    Raises
    ------
    UsageError
        If there is no such column.
    """
    if name not in table.columns:
        raise UsageError(f"--within: {where} has no column {name!r}", hint=suggest(name, map(str, table.columns)))
    return np.array(
        [
            None if gone else str(value).strip()
            for value, gone in zip(table[name], is_missing(table[name]), strict=True)
        ],
        dtype=object,
    )


def natural(name: str) -> tuple[int, float, str]:
    """Return a key that sorts numbers by value, before words.

    >>> sorted(["b", "10", "9"], key=natural)
    ['9', '10', 'b']
    """
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
