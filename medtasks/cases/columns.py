"""Columns of a table that say something about a case beside what a model sees: its label, its patient."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases.amounts import MOSTLY, has_commas, numbers, unit_of
from medtasks.cases.headers import DATE, RATIO, TIME
from medtasks.cases.identifiers import evenly_many, least_patients, names_patients
from medtasks.cases.tables import column_names, is_missing, suggest_column
from medtasks.errors import DataError, UsageError


def column(table: pd.DataFrame, named: str | None, usual: Sequence[str], where: str) -> str | None:
    """Return the column named by the user, or the first usual one that exists.

    Raises
    ------
    UsageError
        If the named column does not exist.
    """
    names = column_names(table)
    if named is not None and named not in names:
        raise UsageError(f"{where} has no column {named!r}", hint=suggest_column(named, table))
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


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the sets of names that differ in case or white space only.

    >>> alike(["benign", "BENIGN", "malignant"])
    [('benign', 'BENIGN')]
    """
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(" ".join(name.casefold().split()), []).append(name)
    return [tuple(own) for own in found.values() if len(own) > 1]


def alike_notes(names: Iterable[str], what: str) -> list[str]:
    """Say which classes or treatments may be one, written differently."""
    return [
        f"{', '.join(map(repr, own))} differ in case or space only, and are {what} of their own" for own in alike(names)
    ]


def patient_columns(table: pd.DataFrame, leave_out: Collection[str]) -> list[tuple[str, int, int]]:
    """Return columns that seem to name patients who have several rows, with their different values and their rows.

    First those that are called so, then those whose texts look like identifiers: more kinds than a category has, each a
    single word with a digit, and each about as frequent as the others, which codes of diseases and drugs are not.
    """
    called, alike = [], []
    for name in column_names(table):
        if name in leave_out:
            continue
        named = names_patients(name)
        if not named and numbers(table[name]).notna().mean() > 1 - MOSTLY:
            continue  # soon told, as tables may have thousands of columns
        values = table[name][~is_missing(table[name]).to_numpy()]
        text = values.astype("string").str.strip()
        counts: npt.NDArray[Any] = text.value_counts().to_numpy(dtype=np.float64)
        if len(counts) == len(text):
            continue
        if named and len(counts) >= least_patients(name, text):
            called.append((name, len(counts), len(text)))
        elif not named and _look_like_names(text, counts):
            alike.append((name, len(counts), len(text)))
    return [*called, *alike]


def _look_like_names(text: pd.Series, counts: npt.NDArray[Any]) -> bool:
    """Say whether texts look like identifiers that recur in several rows, and like no measurement, date or time."""
    return bool(
        evenly_many(counts)
        and len(text) >= 1.5 * len(counts)
        and numbers(text).isna().mean() > MOSTLY
        and text.str.fullmatch(r"\S*\d\S*").mean() > MOSTLY
        and text.str.fullmatch(rf"{DATE}|{TIME}|{RATIO}").mean() <= 1 - MOSTLY
        and unit_of(text, has_commas(text)) is None
    )


def patient_notes(table: pd.DataFrame, leave_out: Collection[str]) -> list[str]:
    """Ask of data that name no patients whether a column does; see `patient_columns`."""
    return [
        f"the column {name!r} has {kinds} values in {rows} rows: if it names the patient, --group {name!r} keeps the "
        "rows of one on the same side of a split"
        for name, kinds, rows in patient_columns(table, leave_out)
    ]


APART = 0.9
"""Share of the rows with a label that lack a field, and half of those without know it, for both to stand apart."""
JOIN = "join the rows of a patient into one: else there is nothing to learn from"


def apart_notes(frame: pd.DataFrame, known: npt.NDArray[np.bool_], what: str) -> list[str]:
    """Tell of a table with fields and labels in rows of their own, as exports with a row per event have them.

    Parameters
    ----------
    frame
        The fields, n rows.
    known
        (n,) whether each row has what is to be learnt, ``what``.
    """
    if not len(frame.columns) or known.all() or not known.any():
        return []
    missing = frame.isna().to_numpy()
    apart = (missing[known].mean(axis=0) >= APART) & (missing[~known].mean(axis=0) <= 0.5)
    if apart.mean() < 0.5:
        return []
    return [
        f"{apart.sum()} of {len(apart)} fields are missing in the rows with {what} and known in those without, as "
        f"where each visit has a row; {JOIN}"
    ]


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
        raise UsageError(f"--within: {where} has no column {name!r}", hint=suggest_column(name, table))
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
