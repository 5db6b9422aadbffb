"""How alike molecules are in their bulk properties: lipophilicity, size, polarity, flexibility."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from medtasks.cases.properties import PROPERTIES, Scaling

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Profiles:
    """Molecules that others are compared with by their properties.

    Attributes
    ----------
    mean, scale : (16,) of the training molecules
    standard : (m, 16) standardised properties of the landmarks
    """

    mean: Values
    scale: Values
    standard: Values

    @classmethod
    def of(cls, values: Values, landmarks: npt.NDArray[np.int64]) -> Self:
        """Make profiles of the training molecules' (n, 16) properties and the places of the landmarks."""
        scaling = Scaling.of(values)
        return cls(scaling.mean, scaling.spread, scaling.apply(values[landmarks]))

    def compare(self, values: Values) -> npt.NDArray[np.float32]:
        """Return the Gaussian kernel (n, m), as wide as the number of properties: 1 for equals, near 0 for far ones."""
        new = Scaling(self.mean, self.scale).apply(values)
        squares = (new**2).sum(axis=1)[:, None] + (self.standard**2).sum(axis=1) - 2 * new @ self.standard.T
        return np.asarray(np.exp(-np.maximum(squares, 0) / (2 * len(PROPERTIES))), dtype=np.float32)
