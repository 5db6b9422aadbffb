"""The applicability domain: how far a new case lies from those a model was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
IN, BORDERLINE, OUT = "in", "borderline", "out"
NEAR, FAR = 1.0, 2.0
"""Scaled distances (see `Scale`) up to which a case is in the domain, and beyond which it is out."""
CENTRES = 50
MEMBERS = 20
"""A centre stands for so many training cases on average, so that it is nobody in particular."""
FEW = 5
"""A centre of fewer training cases is left out: it would show what single ones are like."""
KEPT = 0.95
"""Share of the spread of the features that principal components keep; what they leave out is measured as a whole."""
MOST = 64
"""Principal components at most."""


@dataclass(frozen=True)
class Scale:
    """Scales distances: 0 is the median of the cases calibrated on, 1 their 95th percentile."""

    middle: float
    upper: float
    count: int = 0
    """The cases that it was learnt from, or their patients where one can have several."""

    @classmethod
    def fit(cls, distance: Values, count: int = 0) -> Scale:
        """Learn it from cases that the model has not learnt, of ``count`` patients; of as many as cases where 0."""
        middle, upper = np.quantile(distance, [0.5, 0.95])
        return cls(float(middle), float(max(upper, middle + 1e-6 + 1e-3 * abs(middle))), count or len(distance))

    def __call__(self, distance: Values) -> Values:
        """Return scaled distances."""
        return np.asarray((distance - self.middle) / (self.upper - self.middle))


def verdict(scaled: Values) -> npt.NDArray[Any]:
    """Say ``in``, ``borderline`` or ``out`` of scaled distances.

    >>> verdict(np.array([0.3, 1.5, 9.0])).tolist()
    ['in', 'borderline', 'out']
    """
    return np.where(scaled <= NEAR, IN, np.where(scaled <= FAR, BORDERLINE, OUT)).astype(object)


@dataclass(frozen=True)
class Domain:
    """Where training cases lie in a space of features: centres among their principal components.

    A case is as far as the nearest centre, or as what the components cannot tell of it, whichever is more unusual.

    Attributes
    ----------
    mean, spread : (d,) of each feature
    axes : (d, k) principal components, divided by their own spread
    centres : (c, k)
    inside, outside : scales of the two distances
    """

    mean: Values
    spread: Values
    axes: Values
    centres: Values
    inside: Scale
    outside: Scale

    @classmethod
    def fit(cls, train: Values, valid: Values, seed: int = 0) -> Domain:
        """Learn it from (n, d) features of training cases and (m, d) of cases not trained on."""
        from sklearn.cluster import KMeans

        mean, spread = train.mean(axis=0), train.std(axis=0)
        spread = np.where(spread > 1e-9, spread, 1.0)
        whole = (train - mean) / spread
        _, singular, rows = np.linalg.svd(whole - whole.mean(axis=0), full_matrices=False)
        share = np.cumsum(singular**2) / max(float((singular**2).sum()), 1e-12)
        count = min(MOST, int(np.searchsorted(share, KEPT)) + 1, len(singular))
        size = np.maximum(singular[:count] / np.sqrt(len(train)), 1e-6)
        axes = rows[:count].T / size
        places = whole @ axes
        groups = min(int(np.clip(len(train) // MEMBERS, 1, CENTRES)), len(np.unique(places.round(9), axis=0)))
        found = KMeans(groups, n_init=1, random_state=seed).fit(places)
        held = np.bincount(found.labels_, minlength=groups)
        centres = found.cluster_centers_[held >= min(FEW, held.max())]
        blank = cls(mean, spread, axes, centres, Scale(0.0, 1.0), Scale(0.0, 1.0))
        near, left = blank.distances(valid)
        return cls(mean, spread, axes, centres, Scale.fit(near), Scale.fit(left))

    def distances(self, features: Values) -> tuple[Values, Values]:
        """Return (n,) distances to the nearest centre and (n,) sizes of what the components leave out."""
        from scipy.spatial.distance import cdist

        whole = (features - self.mean) / self.spread
        places = whole @ self.axes
        near = cdist(places, self.centres).min(axis=1, initial=np.inf)
        back = self.axes / np.maximum((self.axes**2).sum(axis=0), 1e-12)
        return near, np.linalg.norm(whole - places @ back.T, axis=1)

    def __call__(self, features: Values) -> Values:
        """Return (n,) the larger of the two scaled distances of each case."""
        near, left = self.distances(features)
        return np.maximum(self.inside(near), self.outside(left))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learnt, as arrays for an ``.npz`` file."""
        scales = np.array([[scale.middle, scale.upper] for scale in (self.inside, self.outside)])
        return {"mean": self.mean, "spread": self.spread, "axes": self.axes, "centres": self.centres, "scales": scales}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Domain:
        """Rebuild it from `to_arrays`."""
        inside, outside = (Scale(float(low), float(high)) for low, high in arrays["scales"])
        return cls(arrays["mean"], arrays["spread"], arrays["axes"], arrays["centres"], inside, outside)
