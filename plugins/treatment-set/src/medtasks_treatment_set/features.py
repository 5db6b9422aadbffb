"""Patients' fields as numbers, on a scale that suits penalties and networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import RecordEncoder, Records

Values = npt.NDArray[np.float64]
FARTHEST = 4.0
"""Standard deviations beyond which a number counts as no larger: one slip of the pen must not decide."""
YES = 2.0
"""What "yes" is worth: as much as it would, standardised, where half of the patients have it. Standardised by its own
spread, what one in a thousand has would weigh as thirty standard deviations."""


@dataclass(frozen=True)
class Features:
    """Encodes patients: numbers standardised and bounded, the rest 0 or 2; the median patient is 0 everywhere."""

    encoder: RecordEncoder
    factor: Values
    bound: Values

    @classmethod
    def of(cls, encoder: RecordEncoder) -> Self:
        """Work out the scale of each column of an encoder."""
        factor, bound = np.full(len(encoder.owners), YES), np.full(len(encoder.owners), np.inf)
        for column, (name, owner) in enumerate(zip(encoder.names, encoder.owners, strict=True)):
            field = encoder.fields[owner]
            if name == field.name and field.type == "boolean":
                factor[column] = YES * min(encoder.scale[owner], 1.0)  # what never varied stays next to 0
            elif name == field.name and field.type == "number":
                factor[column], bound[column] = 1.0, FARTHEST
        return cls(encoder, factor, bound)

    @classmethod
    def fit(cls, records: Records) -> Self:
        """Learn the encoding."""
        return cls.of(RecordEncoder.fit(records))

    def transform(self, records: Records) -> Values:
        """Return (n, columns)."""
        found: Values = np.clip(self.encoder.transform(records) * self.factor, -self.bound, self.bound)
        return found
