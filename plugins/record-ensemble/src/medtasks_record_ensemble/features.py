"""What the three members see: a record's fields as centred and scaled numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import Field, RecordEncoder, Records
from medtasks.cases.records import fields_of
from medtasks.stored import Arrays, Codes, Values, require, take

SEEN = 5
"""A number's value gets a column of its own if at least so many training cases have it: a coefficient for
fewer is guesswork, and says something about single patients."""
FAR = 1e6
"""Standardised values are cut off here, far beyond any training value, so that no input can overflow."""


@dataclass(frozen=True)
class Features:
    """Encoded records; numbers with few different values also get one column per value.

    Codes such as "chest pain type 1 to 4" come as numbers: a linear model needs them as levels, while a
    grade 0 to 3 is served by the number. With both, the penalty settles which it is.

    Attributes
    ----------
    encoder : RecordEncoder
    level_field, level_value : (levels,) arrays
        The field, by position, and the value that each level column stands for.
    mean, scale : (columns,) arrays
        Of the training cases; encoded columns first, then levels.
    """

    encoder: RecordEncoder
    level_field: Codes
    level_value: Values
    mean: Values
    scale: Values

    @classmethod
    def fit(cls, records: Records, most: int) -> Self:
        """Learn from training cases; numbers with 3 to ``most`` different values get level columns."""
        encoder = RecordEncoder.fit(records)
        owners: list[int] = []
        values: list[float] = []
        for i, field in enumerate(encoder.fields):
            levels = _levels(records, field, most)
            owners += [i] * len(levels)
            values += levels
        whole = cls(
            encoder, np.array(owners, dtype=np.int64), np.array(values, dtype=np.float64), np.zeros(0), np.ones(0)
        )
        raw = whole._raw(records)
        spread = raw.std(axis=0)
        return cls(
            encoder, whole.level_field, whole.level_value, raw.mean(axis=0), np.where(spread > 1e-9, spread, 1.0)
        )

    @property
    def owners(self) -> Codes:
        """The field, by position, of each column."""
        return np.concatenate([self.encoder.owners, self.level_field])

    def transform(self, records: Records) -> Values:
        """Return (n, columns) features with mean 0 and standard deviation 1 over the training cases.

        Raises
        ------
        ValueError
            If the records do not have the fields of the training cases.
        """
        if [field.name for field in records.fields] != [field.name for field in self.encoder.fields]:
            raise ValueError("the records do not have the fields that the model was trained with")
        return np.clip((self._raw(records) - self.mean) / self.scale, -FAR, FAR)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learnt, as arrays; the fields are told by `describe`."""
        return {
            **self.encoder.to_arrays(),
            "level_field": self.level_field,
            "level_value": self.level_value,
            "mean": self.mean,
            "spread": self.scale,
        }

    def describe(self) -> list[dict[str, Any]]:
        """Return the fields as plain JSON."""
        return [asdict(field) for field in self.encoder.fields]

    @classmethod
    def from_arrays(cls, fields: Any, arrays: Arrays) -> Self:
        """Rebuild from `describe` and `to_arrays`.

        Raises
        ------
        BundleError
            If they do not fit each other.
        """
        known = fields_of({"fields": fields})
        learnt = {
            "median": take(arrays, "median", 1),
            "scale": take(arrays, "scale", 1),
            "flagged": take(arrays, "flagged", 1, "b"),
        }
        require(all(len(values) == len(known) for values in learnt.values()), "its fields do not fit")
        level_field, level_value = take(arrays, "level_field", 1, "i"), take(arrays, "level_value", 1)
        require(level_field.shape == level_value.shape, "its levels do not fit")
        require(
            all(0 <= i < len(known) and known[i].type == "number" for i in level_field.tolist()),
            "a level belongs to no number",
        )
        whole = cls(
            RecordEncoder.from_arrays(known, learnt),
            level_field,
            level_value,
            take(arrays, "mean", 1),
            take(arrays, "spread", 1),
        )
        require(whole.mean.shape == whole.scale.shape == whole.owners.shape, "its columns do not fit")
        require((whole.scale > 0).all() and (learnt["scale"] > 0).all(), "a scale is not positive")
        return whole

    def _raw(self, records: Records) -> Values:
        encoded = self.encoder.transform(records)
        whole = np.empty((len(records), encoded.shape[1] + len(self.level_field)))
        whole[:, : encoded.shape[1]] = encoded
        for i, (owner, value) in enumerate(zip(self.level_field, self.level_value, strict=True)):
            column = records.frame[self.encoder.fields[owner].name].to_numpy(np.float64, na_value=np.nan)
            whole[:, encoded.shape[1] + i] = column == value
        return whole


def _levels(records: Records, field: Field, most: int) -> list[float]:
    """Return the values of a number that get columns of their own."""
    if field.type != "number":
        return []
    column = records.frame[field.name].to_numpy(np.float64, na_value=np.nan)
    values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    if not 2 < len(values) <= most:
        return []
    found: list[float] = values[counts >= SEEN].tolist()
    return found
