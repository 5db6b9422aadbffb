"""Turning records into numbers for models that need them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases.records import Field, Records, fields_of

WITHOUT_SPREAD = float(np.finfo(np.float64).max)
"""The scale of a field that has one value in training: whatever it is later is encoded as 0, for nothing was learnt of
how much another value means. It is finite, as all that is stored."""


@dataclass(frozen=True)
class RecordEncoder:
    """Imputes, scales and one-hot encodes records, with what it learnt from training cases.

    A missing number takes the training median and, where the field was ever missing in training, sets a
    column of its own, so that "not asked" can be told from any value. A missing category sets no column. A number that
    never varied in training is 0, also where a later case has another.

    Attributes
    ----------
    names : one name per column
    owners : (columns,) int array
        The field, by position, that each column comes from.
    """

    fields: tuple[Field, ...]
    median: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    flagged: npt.NDArray[np.bool_]

    @classmethod
    def fit(cls, records: Records) -> Self:
        """Learn medians, scales and which fields are ever missing."""
        median, scale, flagged = [], [], []
        for field, column in zip(records.fields, _values(records, records.fields), strict=True):
            missing = _missing(column)
            flagged.append(bool(missing.any()))
            known = column[~missing]
            if field.type == "category" or not len(known):
                median.append(0.0)
                scale.append(1.0 if field.type == "category" else WITHOUT_SPREAD)
                continue
            median.append(float(np.median(known)))
            varies = known.min() < known.max()  # rounding may give equal values a spread
            scale.append(float(known.std()) if varies else WITHOUT_SPREAD)
        return cls(records.fields, np.array(median), np.array(scale), np.array(flagged))

    @property
    def names(self) -> list[str]:
        """The name of each column."""
        return [name for name, _ in self._columns()]

    @property
    def owners(self) -> npt.NDArray[np.int64]:
        """The field, by position, of each column."""
        return np.array([owner for _, owner in self._columns()], dtype=np.int64)

    def transform(self, records: Records) -> npt.NDArray[np.float64]:
        """Encode records.

        Returns
        -------
        (n, columns) float64 array, finite; numbers have mean about 0 and standard deviation about 1.
        """
        columns: list[npt.NDArray[Any]] = []
        for i, (field, values) in enumerate(zip(self.fields, _values(records, self.fields), strict=True)):
            missing = _missing(values)
            if field.type == "category":
                columns += [np.asarray(values == level, dtype=np.float64) for level in _levels(field)]
            else:
                columns.append((np.where(missing, self.median[i], values) - self.median[i]) / self.scale[i])
            if self.flagged[i]:
                columns.append(missing.astype(np.float64))
        return np.column_stack(columns) if columns else np.empty((len(records), 0))

    def by_field(self, parts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Sum (n, columns) by the field that each column comes from: (n, fields)."""
        owners = self.owners
        return np.stack([parts[:, owners == i].sum(axis=1) for i in range(len(self.fields))], axis=1)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learnt, as arrays for an ``.npz`` file; the fields are the schema's."""
        return {"median": self.median, "scale": self.scale, "flagged": self.flagged}

    @classmethod
    def from_arrays(cls, fields: Sequence[Field], arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Rebuild an encoder from its fields and `to_arrays`."""
        return cls(tuple(fields), arrays["median"], arrays["scale"], arrays["flagged"].astype(bool))

    def save_fields(self, path: Path) -> None:
        """Write the fields as JSON, for `load`."""
        path.write_text(json.dumps([asdict(field) for field in self.fields]), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Rebuild an encoder from what `save_fields` wrote and `to_arrays` returned."""
        return cls.from_arrays(fields_of({"fields": json.loads(path.read_text(encoding="utf-8"))}), arrays)

    def _columns(self) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for i, field in enumerate(self.fields):
            if field.type == "category":
                found += [(f"{field.name} = {level}", i) for level in _levels(field)]
            else:
                found.append((field.name, i))
            if self.flagged[i]:
                found.append((f"{field.name} missing", i))
        return found


def _values(records: Records, fields: Sequence[Field]) -> Iterator[npt.NDArray[Any]]:
    """Yield (n,) values of each field; numbers are taken out at once, as there may be thousands."""
    names = [field.name for field in fields if field.type != "category"]
    numbers = iter(records.frame[names].to_numpy(dtype=np.float64, na_value=np.nan).T)
    for field in fields:
        yield records.frame[field.name].to_numpy(dtype=object) if field.type == "category" else next(numbers)


def _missing(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.asarray(pd.isna(values) if values.dtype == object else np.isnan(values), dtype=bool)


def _levels(field: Field) -> tuple[str, ...]:
    pooled = field.open and "other" not in field.categories
    return (*field.categories, "other") if pooled else field.categories
