"""Records in a report: a field as the patient has it, and what it contributes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Records
from medtasks.report import figures
from medtasks.report.blocks import Figure

LARGEST = 12
"""Fields drawn of one record."""


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
    return _plain(value) if field.type == "number" else str(value)


def _plain(value: float) -> str:
    """Write a number without the digits that its file does not have: ``%g`` would cut 1234567 short."""
    return f"{value:.10g}"
