"""Differences between arms for each patient, with their errors, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.causal import Scores, clustered, group_sums
from medtasks.dataset import group_numbers

Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Z = 1.959963984540054
"""Standard errors to each side that hold 95 % of a normal distribution."""
CARRIERS = 10
"""Rows (groups) that a column must differ in, in effect, for a test along it."""
BLOCK = 256
"""Columns tested at a time."""
RECOMMEND, TIED, ABSTAIN, INSUFFICIENT = "recommend", "tied", "abstain", "insufficient"


@dataclass(frozen=True)
class Effects:
    """Of n patients and K arms the expected outcome under one arm minus that under another.

    Attributes
    ----------
    difference : (n, K, K) [:, a, b] is a minus b, in the unit of the outcome
    error : (n, K, K) its standard error
    """

    difference: Values
    error: Values


@dataclass(frozen=True)
class Choice:
    """What follows for each of n patients.

    Attributes
    ----------
    status : (n,) recommend, tied, abstain or insufficient
    best : (n,) the arm ranked first among those that the data can speak of, -1 where there are none to compare
    tied : (n, K) the arms that cannot be told from the best
    """

    status: npt.NDArray[Any]
    best: npt.NDArray[np.int64]
    tied: Mask


def critical(arms: int, level: float = 0.95, freedom: float = 1e6) -> float:
    """Return the standard errors by which the best of several arms must lead to be so at a level over all pairs.

    Tukey's honestly significant difference; for many degrees of ``freedom`` 1.96 for two arms at 95 %.
    """
    from scipy.stats import studentized_range, t

    if arms == 2:
        return float(t.ppf((1 + level) / 2, freedom))
    return float(studentized_range.ppf(level, arms, freedom) / np.sqrt(2))


def modified(scores: Values, columns: Values, groups: npt.NDArray[Any] | None = None) -> float:
    """Return how often chance alone would let an effect differ as much along any column as it does here.

    A regression of each difference of scores on each column (the best linear view of an effect: Semenova &
    Chernozhukov 2021, doi:10.1093/ectj/utaa027), its error that of residuals left out (HC3: MacKinnon & White 1985,
    doi:10.1016/0304-4076(85)90158-7), Student's t with as many degrees of freedom as rows (groups) carry the
    column, and all tests together by Bonferroni. Columns that fewer than ten carry say nothing.

    Parameters
    ----------
    scores : (n, K) doubly robust scores of the outcome under each arm
    columns : (n, d) what patients differ in
    groups : (n,) rows of one group are not independent
    """
    from scipy.stats import t

    n, number = len(scores), None if groups is None else group_numbers(len(scores), groups)
    count = n if number is None else int(number.max(initial=-1)) + 1
    least, tests = 1.0, 0
    pairs = [(a, b) for a in range(scores.shape[1]) for b in range(a)]
    for start in range(0, columns.shape[1], BLOCK):
        part = columns[:, start : start + BLOCK]
        part = part - part.mean(axis=0)
        size = (part**2).sum(axis=0)
        part, size = part[:, size > 1e-9 * n], size[size > 1e-9 * n]
        free = 1 / np.maximum((group_sums(part**2 / size, number) ** 2).sum(axis=0), 1e-12) - 1
        told = free >= CARRIERS - 1
        for a, b in pairs:
            difference = scores[:, a] - scores[:, b]
            difference = difference - difference.mean()
            slope = part.T @ difference / size
            left_out = (difference[:, None] - part * slope) / np.maximum(1 - 1 / n - part**2 / size, 0.05)
            squares = (group_sums(part * left_out / size, number) ** 2).sum(axis=0)
            error = np.sqrt(count / max(1, count - 1) * squares)
            chance = 2 * t.sf(np.abs(slope[told]) / np.maximum(error[told], 1e-300), np.minimum(free[told], count - 1))
            least, tests = min(least, float(chance.min(initial=1.0))), tests + len(chance)
    return min(1.0, least * max(1, tests))


def errors_of_differences(covariance: Values) -> Values:
    """Return (..., K, K) standard errors of the difference of each two of K estimates with a covariance (..., K, K)."""
    own = np.diagonal(covariance, axis1=-2, axis2=-1)
    variance = own[..., :, None] + own[..., None, :] - covariance - np.swapaxes(covariance, -2, -1)
    return np.asarray(np.sqrt(np.maximum(variance, 0)))


def effects(raw: Values, calibration: list[dict[str, Any]] | None) -> Effects:
    """Return the differences that a model's numbers mean.

    Parameters
    ----------
    raw : (n, K) expected outcomes, or (n, K, 1 + K) with their covariance behind them
    calibration : what `calibrate` found, for a model that gives no covariance
    """
    expected = raw if raw.ndim == 2 else raw[:, :, 0]
    difference = expected[:, :, None] - expected[:, None, :]
    if raw.ndim == 3:
        return Effects(difference, errors_of_differences(raw[:, :, 1:]))
    error = np.zeros_like(difference)
    for pair in calibration or ():
        a, b = pair["arms"]
        off = difference[:, a, b] - pair["centre"]
        found = pair["mean"] + pair["slope"] * off
        (v, c), (_, w) = np.array(pair["covariance"], dtype=np.float64)  # None, where it is not known, is NaN
        deviation = np.sqrt(np.maximum(v + 2 * c * off + w * off**2, 0))
        difference[:, a, b], difference[:, b, a] = found, -found
        error[:, a, b] = error[:, b, a] = deviation
    return Effects(difference, error)


def calibrate(expected: Values, scores: Scores, groups: npt.NDArray[Any] | None = None) -> list[dict[str, Any]]:
    """Fit, for each pair of arms, the line that best tells its effect from a model's own difference.

    The best linear predictor of Chernozhukov, Demirer, Duflo & Fernández-Val (2018, doi:10.3386/w24678): doubly robust
    scores regressed on what the model said of patients it had not seen. A model that knows nothing gets the slope 0 and
    with it the average effect; its covariance (HC1, over ``groups`` where patients have several rows) gives each
    patient's interval.

    Returns
    -------
    list of dict
        ``arms``, ``centre``, ``mean``, ``slope``, ``covariance`` (2, 2) of mean and slope, None where fewer than two
        groups say nothing of it, ``z`` of the slope
    """
    pairs = []
    for a in range(expected.shape[1]):
        for b in range(a + 1, expected.shape[1]):
            said, seen = expected[:, a] - expected[:, b], scores.values[:, a] - scores.values[:, b]
            centre = float(said.mean())
            mean, slope, covariance, z = _line(said - centre, seen, groups)
            if slope <= 0:  # the model ranks patients the wrong way round: it says nothing about who gains more
                slope, covariance = 0.0, np.array([[covariance[0, 0], 0.0], [0.0, 0.0]])
            pairs.append(
                {
                    "arms": [a, b],
                    "centre": centre,
                    "mean": mean,
                    "slope": slope,
                    "covariance": [[float(v) if np.isfinite(v) else None for v in row] for row in covariance],
                    "z": z,
                }
            )
    return pairs


def _line(x: Values, y: Values, groups: npt.NDArray[Any] | None) -> tuple[float, float, Values, float]:
    """Regress y on a centred x: mean, slope, their covariance and the slope's z."""
    spread, off = float(x @ x), y - y.mean()
    if spread <= 1e-12 * max(1.0, float(y @ y)):  # the model says the same of everybody
        alone = clustered(off[:, None] / len(y), groups)[0, 0]
        return float(y.mean()), 0.0, np.array([[alone, 0.0], [0.0, 0.0]]), 0.0
    slope = float(x @ y) / spread
    residual = off - slope * x
    covariance = clustered(np.column_stack([residual / len(y), x * residual / spread]), groups, parameters=2)
    error = float(np.sqrt(covariance[1, 1]))
    return float(y.mean()), slope, covariance, slope / error if error > 0 else 0.0


def choose(found: Effects, supported: Mask, standard: int, sign: float, lead: float, evident: bool) -> Choice:
    """Say for each patient what the differences between its arms allow.

    Parameters
    ----------
    supported : (n, K) the arms that the data can speak of
    standard : the arm that is best for everybody, by which the others are ranked
    sign : 1 where more is better, -1 where less is
    lead : standard errors by which the best must lead another; see `critical`
    evident : whether the data hold evidence of any difference at all; without it nothing is recommended
    """
    value = np.where(supported, sign * found.difference[:, :, standard], -np.inf)
    rows, best = np.arange(len(value)), value.argmax(axis=1)
    ahead = sign * found.difference[rows, best] > lead * found.error[rows, best]
    tied = supported & ~ahead
    tied[rows, best] = True
    count, able = tied.sum(axis=1), supported.sum(axis=1)
    status = np.where(count == 1, RECOMMEND, np.where(count < able, TIED, ABSTAIN)).astype(object)
    if not evident:
        status[:] = ABSTAIN
        tied = supported.copy()
    status[able < 2] = INSUFFICIENT
    return Choice(status, np.where(able < 2, -1, best), tied)
