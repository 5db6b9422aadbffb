"""Records in a report: a field as the patient has it, what it contributes, and what the fields look like in all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Field, Records
from medtasks.report import figures
from medtasks.report.blocks import Block, Figure, Table, Text
from medtasks.task import Judged

LARGEST = 12
"""Fields drawn of one record."""
LISTED = 60
"""Fields listed in a report; a table of hundreds is read by nobody."""
LEVELS = 6
"""Categories listed of a field."""
EXPLAINED = 500
"""Cases over which contributions are averaged: more change no mean by what a reader would notice."""
EXTREMES = 40
"""With fewer values an outer twentieth is a single patient or none, so that no range is given."""


def contributions(records: Records, row: int, values: npt.NDArray[Any], caption: str) -> Figure:
    """Draw what the `LARGEST` fields of one record contribute, beside its own values, the most telling first.

    Parameters
    ----------
    values : (fields,) contributions
    """
    order = np.argsort(-np.abs(values), kind="stable")[:LARGEST]
    bars = {f"{records.fields[i].name} = {told(records, row, i)}": float(values[i]) for i in order}
    return Figure(figures.bars(bars, "contribution"), caption)


def told(records: Records, row: int, number: int) -> str:
    """Return the value of a record's field as a reader knows it.

    >>> records = Records.from_table(pd.DataFrame({"crp": ["12.50", "3"], "fever": ["yes", "?"]}))
    >>> told(records, 0, 0), told(records, 0, 1), told(records, 1, 1)
    ('12.5', 'yes', 'not known')
    """
    field = records.fields[number]
    value = records.frame[field.name].iloc[row]
    if pd.isna(value):
        return "not known"
    if field.type == "boolean":
        return "yes" if value else "no"
    return f"{_plain(value)} {field.unit}".rstrip() if field.type == "number" else str(value)


def section(train: Records, judged: Judged, part: str, decided: npt.NDArray[np.int64]) -> list[Block]:
    """Return the table of fields, with their weight in the model where it explains itself.

    Parameters
    ----------
    train
        The records that the table describes; only of all of them together.
    judged
        The cases judged, which are explained.
    part
        What the described records are, as in "the training part".
    decided
        (n,) for each case judged the class or target that its explanation is about.
    """
    weights, cases = _weights(judged, decided)
    order = np.arange(len(train.fields)) if weights is None else np.argsort(-weights, kind="stable")
    header = ["Field", "Type", "Missing", "Values", *(["Mean |contribution|"] if weights is not None else [])]
    rows = []
    for i in order[:LISTED]:
        field = train.fields[i]
        column = train.frame[field.name]
        kind = f"{field.type} ({field.unit})" if field.unit else field.type
        row = [field.name, kind, f"{column.isna().mean():.0%}", _values(field, column)]
        rows.append(row if weights is None else [*row, f"{weights[i]:.3g}"])
    left = len(train.fields) - len(rows)
    caption = (
        f"The fields of {part} ({len(train)} cases). Of numbers the median and, in brackets, the range of the middle "
        "90 %; units stand where the data name them."
    )
    blocks: list[Block] = [Table(header, rows, caption, numeric=False)]
    if weights is not None:
        blocks.append(
            Text(
                f"The fields that drive the model stand first: the last column is the size of a field's contribution "
                f"to the decided answer, averaged over {cases} of the {len(judged.data)} cases judged, each explained "
                "by the model that answered it. It says what the model used, not what causes the outcome."
            )
        )
    if left:
        blocks.append(Text(f"{left} further fields are not listed."))
    return blocks


def _weights(judged: Judged, decided: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64] | None, int]:
    """Return the mean size of each field's contribution to the answer decided on, and over how many cases."""
    if judged.explain is None:
        return None, 0
    rows = np.arange(len(judged.data))
    if len(rows) > EXPLAINED:
        rows = np.sort(np.random.default_rng(0).choice(rows, EXPLAINED, replace=False))
    found: npt.NDArray[np.float64] = np.abs(judged.explain(rows, decided[rows])).mean(axis=0)
    return found, len(rows)


def _values(field: Field, column: pd.Series) -> str:
    known = column.dropna()
    if known.empty:
        return "none"
    if field.type == "boolean":
        return f"yes in {known.mean():.0%}"
    if field.type == "category":
        return _shares(known.value_counts(normalize=True))
    middle = f"{known.nunique()} different, median {_plain(known.median())}"
    if len(known) < EXTREMES:
        return middle
    low, high = known.quantile([0.05, 0.95])
    return f"{middle} ({_plain(low)} to {_plain(high)})"


def _shares(counts: pd.Series) -> str:
    shown: Sequence[str] = [f"{name} {share:.0%}" for name, share in counts.iloc[:LEVELS].items()]
    left = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {left} more" if left else "")


def _plain(value: float) -> str:
    """Write a number without the digits that its file does not have: ``%g`` would cut 1234567 short."""
    return f"{value:.10g}"
