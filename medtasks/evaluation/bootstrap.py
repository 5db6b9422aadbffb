"""Intervals by resampling patients (groups), not rows: rows of one patient are not independent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.dataset import group_numbers

REPLICATES = 1000
LEVEL = 0.95
_REPLICATES: ContextVar[int] = ContextVar("replicates", default=REPLICATES)
_BLOCK = 4_000_000  # weights held at a time: 32 MB

Weights = npt.NDArray[np.float64]
Statistic = Callable[[Weights], Mapping[str, npt.NDArray[np.float64]]]
"""Takes (b, n) weights of the rows, returns b values of each measure, NaN where one is undefined."""


@dataclass(frozen=True)
class Measure:
    """A value with its 95 % interval; None where the data do not define it (one class only, say)."""

    value: float | None
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, float | None]:
        """Return ``{"value", "low", "high"}``."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        if self.value is None:
            return "not defined"
        if self.low is None or self.high is None:
            return written(self.value)
        places = decimals(self.value, self.low, self.high)
        return f"{self.value:.{places}f} ({self.low:.{places}f} to {self.high:.{places}f})"


def decimals(*values: float) -> int:
    """Return the decimals to write numbers with: three below 10, and fewer the larger the largest is.

    >>> decimals(0.5), decimals(12.0, -9.0), decimals(403.3), decimals(2e6)
    (3, 2, 1, 0)
    """
    size = max(abs(value) for value in values)
    return 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0


def written(value: float) -> str:
    """Write a measure with the decimals that its size deserves."""
    return f"{value:.{decimals(value)}f}"


@dataclass(frozen=True)
class Resampled:
    """The values of some measures, and of each the values in all replicates of the bootstrap."""

    values: Mapping[str, float]
    replicates: Mapping[str, npt.NDArray[np.float64]] = field(repr=False)

    def measures(self) -> dict[str, Measure]:
        """Return each measure with its percentile interval (Efron & Tibshirani 1993, ch. 13)."""
        return {name: interval(value, self.replicates[name]) for name, value in self.values.items()}

    def minus(self, other: Resampled) -> dict[str, Measure]:
        """Return the paired difference to another model judged on the same rows with the same seed."""
        return {
            name: interval(value - other.values[name], self.replicates[name] - other.replicates[name])
            for name, value in self.values.items()
            if name in other.values
        }


def resample(
    statistic: Statistic, n: int, groups: npt.NDArray[Any] | None, seed: int, replicates: int | None = None
) -> Resampled:
    """Compute measures on the rows as they are, and on ``replicates`` resamples of their groups.

    Parameters
    ----------
    statistic
        What to compute.
    n
        The number of rows.
    groups
        (n,) the unit that is resampled (the patient); each row its own where None.
    seed
        The same seed gives the same resamples, which makes differences between models paired.
    replicates
        How many resamples; `REPLICATES` where None, none inside of `points_only`.
    """
    replicates = _REPLICATES.get() if replicates is None else replicates
    values = {name: float(found[0]) for name, found in statistic(np.ones((1, n))).items()}
    parts: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in values}
    for weights in _weights(n, groups, seed, replicates):
        for name, found in statistic(weights).items():
            parts[name].append(found)
    return Resampled(values, {name: np.concatenate([np.zeros(0), *found]) for name, found in parts.items()})


@contextlib.contextmanager
def points_only() -> Iterator[None]:
    """Leave the bootstrap out while the block runs: for values whose spread comes from repeated folds instead."""
    token = _REPLICATES.set(0)
    try:
        yield
    finally:
        _REPLICATES.reset(token)


def interval(value: float, replicates: npt.NDArray[np.float64]) -> Measure:
    """Return the value with the percentile interval of its replicates, undefined ones left out."""
    if not np.isfinite(value):
        return Measure(None, None, None)
    known = replicates[np.isfinite(replicates)]
    if len(known) < 20:  # too few for a 95 % interval to mean anything
        return Measure(value, None, None)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    if low == high == value and value in (0, 1):
        return Measure(value, None, None)  # all right or all wrong: resampling cannot tell how far that holds
    # A measure that noise can only raise (the calibration error) may lie below all of its replicates.
    return Measure(value, min(float(low), value), max(float(high), value))


def _weights(n: int, groups: npt.NDArray[Any] | None, seed: int, replicates: int) -> Iterator[Weights]:
    rng = np.random.default_rng(seed)
    units = group_numbers(n, groups)
    count = int(units.max()) + 1 if n else 0
    block = max(1, _BLOCK // max(n, 1))
    for start in range(0, replicates, block):
        size = min(block, replicates - start)
        drawn = np.stack([np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(size)])
        yield drawn[:, units].astype(np.float64)
