"""Measures of predicted numbers, for weighted rows and many weightings at once; see `medtasks.evaluation.metrics`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.evaluation.bootstrap import Weights

Values = npt.NDArray[np.float64]
Censoring = npt.NDArray[np.integer[Any]]
ORDER = ("rmse", "mae", "r2", "spearman", "kendall")
MOST_PAIRED = 2000
"""Rows up to which Kendall's tau is computed: it takes all pairs, times the replicates of the bootstrap."""


def regression(
    targets: Values, predicted: Values, weights: Weights, censoring: Censoring | None = None
) -> dict[str, Values]:
    """Compute every measure of a regression.

    Parameters
    ----------
    targets, predicted : (n,) finite
    weights : (b, n)
    censoring : (n,) -1 where the true value is at most the target ("<"), 1 where it is at least (">"), else 0; None
        where none is. A prediction beyond such a bound, on its side, is no error; ranks and R2 take only rows whose
        value is known.

    Returns
    -------
    dict of (b,) arrays, NaN where undefined
    """
    errors = residuals(targets, predicted, censoring)
    total = weights.sum(axis=1)
    known = weights if censoring is None else weights * (censoring == 0)
    return {
        "rmse": rmse(errors, weights),
        "mae": _ratio(weights @ np.abs(errors), total),
        "r2": _r2(targets, predicted, known),
        "spearman": _pearson(_ranks(targets, known), _ranks(predicted, known), known),
        "kendall": _kendall(targets, predicted, known),
    }


def rmse(errors: Values, weights: Weights) -> Values:
    """Return (b,) roots of the mean squared (n,) errors, NaN where no row has weight."""
    return np.sqrt(_ratio(weights @ errors**2, weights.sum(axis=1)))


def residuals(targets: Values, predicted: Values, censoring: Censoring | None = None) -> Values:
    """Return predicted minus true values; 0 where a prediction lies on the right side of a bound."""
    errors = predicted - targets
    if censoring is None:
        return errors
    beyond = ((censoring > 0) & (errors > 0)) | ((censoring < 0) & (errors < 0))
    return np.where(beyond, 0.0, errors)


def _r2(targets: Values, predicted: Values, weights: Weights) -> Values:
    """Coefficient of determination: against the mean of the rows judged, not of training."""
    total = weights.sum(axis=1)
    centred = targets - _ratio(weights @ targets, total)[:, None]
    spread = (weights * centred**2).sum(axis=1)
    lost = weights @ (targets - predicted) ** 2
    # A mean is right to about 1e-16 of the values' size: a spread below 1e-10 of it is rounding of targets all alike.
    return np.where(spread > 1e-20 * np.maximum(weights @ targets**2, 1e-300), 1 - _ratio(lost, spread), np.nan)


def _ranks(values: Values, weights: Weights) -> Values:
    """Return (b, n) mid-ranks when each row stands there as often as it weighs."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(values[order]) != 0])
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(tied, axis=1) - tied + (tied + 1) / 2
    place = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(values)]))
    ranks = np.empty_like(weights)
    ranks[:, order] = middle[:, place]
    return ranks


def _pearson(x: Values, y: Values, weights: Weights) -> Values:
    total = weights.sum(axis=1, keepdims=True)
    x = x - _ratio((weights * x).sum(axis=1, keepdims=True), total)
    y = y - _ratio((weights * y).sum(axis=1, keepdims=True), total)
    both = (weights * x * y).sum(axis=1)
    return _ratio(both, np.sqrt((weights * x**2).sum(axis=1) * (weights * y**2).sum(axis=1)))


def _kendall(targets: Values, predicted: Values, weights: Weights) -> Values:
    """Kendall's tau-b, which corrects for ties; NaN for more rows than `MOST_PAIRED`."""
    if len(targets) > MOST_PAIRED:
        return np.full(len(weights), np.nan)
    x = np.sign(targets[:, None] - targets).astype(np.float32)
    y = np.sign(predicted[:, None] - predicted).astype(np.float32)
    counts = weights.astype(np.float32)

    def pairs(signs: npt.NDArray[np.float32]) -> Values:
        return np.asarray(((counts @ signs) * counts).sum(axis=1), dtype=np.float64)

    return _ratio(pairs(x * y), np.sqrt(pairs(np.abs(x)) * pairs(np.abs(y))))


def _ratio(above: Values, below: Values) -> Values:
    out: Values = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    return np.divide(above, below, out=out, where=below > 0)
