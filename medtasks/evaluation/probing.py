"""Probes: how well something tells two kinds of rows apart, judged on rows left out.

A probe says what a model could read off a column, a corner or a name; its area under the ROC curve comes with a
standard error (Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747). A classifier that tells two samples apart
better than chance is a test of whether they come from one source (Lopez-Paz & Oquab 2017, arXiv:1610.06545).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Truth = npt.NDArray[np.bool_]

LEAST = 10
"""Rows of each kind below which nothing is told: an AUROC of ten against many has a standard error of about .1."""
MOST = 3000
"""Rows that a multivariate probe looks at: the standard error is then below .015, and a probe takes a tenth of a
second."""
FOLDS = 5
PENALTY = 50.0
"""Rows' worth of ridge on the standardised columns: weak enough to find one telling column in a hundred rows, strong
enough that hundreds of useless ones do not drown it."""
BINS = 32
"""Quantile bins of a number: finer ones hold too few rows of a small table."""
PRIOR = 2.0
"""Rows of average answer that each bin is given: a bin of one row should not be sure."""


@dataclass(frozen=True)
class Told:
    """An AUROC with its standard error."""

    auroc: float
    error: float

    def surely(self, least: float, errors: float = 2.0) -> bool:
        """Say whether it is above ``least`` by more than ``errors`` standard errors."""
        return self.auroc - errors * self.error > least

    def __str__(self) -> str:
        return f"AUROC {self.auroc:.2f} ± {max(self.error, 0.005):.2f}"


NOTHING = Told(0.5, 0.5)


def area(truth: Truth, scores: Values) -> Told:
    """Return the area under the ROC curve, ties counted half.

    >>> area(np.array([False, False, True, True]), np.array([1.0, 2.0, 2.0, 3.0])).auroc
    0.875
    """
    from scipy.stats import rankdata

    positive, negative = int(truth.sum()), int((~truth).sum())
    if not positive or not negative:
        return NOTHING
    found = (rankdata(scores)[truth].sum() - positive * (positive + 1) / 2) / (positive * negative)
    return Told(float(found), _error(float(found), positive, negative))


def _error(found: float, positive: int, negative: int) -> float:
    one, two = found / (2 - found), 2 * found**2 / (1 + found)
    spread = found * (1 - found) + (positive - 1) * (one - found**2) + (negative - 1) * (two - found**2)
    return float(np.sqrt(max(spread, 0.0) / (positive * negative)))


def separable(columns: Values, truth: Truth, groups: npt.NDArray[Any] | None = None, seed: int = 0) -> Told:
    """Say how well all columns together tell, by a cross-validated linear discriminant.

    Ridge regression of the kind on the columns, which is Fisher's discriminant with a penalty (Hastie, Buja &
    Tibshirani 1995, doi:10.1214/aos/1176324456): it tells as well as a logistic regression does, in a tenth of the
    time, since each fold's matrix is the whole one less what is left out.

    Parameters
    ----------
    columns : (n, d), finite
    truth : (n,) which rows are of the kind
    groups : (n,) the patient of each row, or None where each row is one of its own. Rows of one group are left out
        together, and the standard error counts groups: rows of one patient are alike, and tell no more than one does
    """
    rows = _sample(truth, seed)
    columns, truth = columns[rows], truth[rows]
    if min(truth.sum(), (~truth).sum()) < LEAST or not columns.shape[1]:
        return NOTHING
    spread = columns.std(axis=0)
    columns = columns[:, spread > 1e-9]  # rounding of a constant column
    if not columns.shape[1]:
        return NOTHING
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    columns = np.column_stack([columns, np.ones(len(columns))])
    groups = None if groups is None else groups[rows]
    parts = _folds(truth, groups, seed)
    answer = truth - truth.mean()
    whole, moments = columns.T @ columns, columns.T @ answer
    ridge = PENALTY * np.eye(columns.shape[1])
    found, weights = [], []
    for part in np.unique(parts):
        test = parts == part
        if not all(truth[side].any() and (~truth[side]).any() for side in (test, ~test)):
            continue
        left = columns[test]
        slope = np.linalg.solve(whole - left.T @ left + ridge, moments - left.T @ answer[test])
        found.append(area(truth[test], left @ slope).auroc)
        weights.append(int(test.sum()))
    if not found:
        return NOTHING
    mean = float(np.average(found, weights=weights))
    return Told(mean, _error(mean, *(units(int(side.sum()), groups, side) for side in (truth, ~truth))))


def units(n: int, groups: npt.NDArray[Any] | None, rows: Truth | None = None) -> int:
    """Count what was drawn independently: patients where there are ``groups`` (of some of the rows), else the rows."""
    if groups is None:
        return n
    return len(set((groups if rows is None else groups[rows]).tolist()))


def _sample(truth: Truth, seed: int) -> Codes:
    """Return at most `MOST` rows, the rarer kind kept as far as half of them."""
    if len(truth) <= MOST:
        return np.arange(len(truth))
    rng = np.random.default_rng(seed)
    one, other = np.flatnonzero(truth), np.flatnonzero(~truth)
    few, many = sorted((one, other), key=len)
    few = rng.permutation(few)[: MOST // 2]
    return np.sort(np.concatenate([few, rng.permutation(many)[: MOST - len(few)]]))


def _folds(truth: Truth, groups: npt.NDArray[Any] | None, seed: int) -> Codes:
    """Deal rows, or groups whole, into folds, both kinds in proportion."""
    rng = np.random.default_rng(seed)
    if groups is None:
        parts = np.empty(len(truth), dtype=np.int64)
        for kind in (truth, ~truth):
            rows = rng.permutation(np.flatnonzero(kind))
            parts[rows] = np.arange(len(rows)) % FOLDS
        return parts
    names, own = np.unique(groups.astype(str), return_inverse=True)
    share = np.bincount(own, weights=truth) / np.bincount(own)
    order = np.lexsort((rng.random(len(names)), share))
    dealt = np.empty(len(names), dtype=np.int64)
    dealt[order] = np.arange(len(names)) % FOLDS
    return np.asarray(dealt[own])


def column_tells(values: Values, truth: Truth, seed: int = 0) -> Told:
    """Say how well one column of numbers (NaN where missing) tells: by its order, by its range, or value by value.

    The last two are judged on rows left out: each bin tells what it held in the other folds.
    """
    if min(truth.sum(), (~truth).sum()) < LEAST:
        return NOTHING
    known = np.isfinite(values)
    if not known.any():
        return NOTHING
    order = area(truth, np.where(known, values, np.median(values[known])))
    found = [order if order.auroc >= 0.5 else Told(1 - order.auroc, order.error)]
    levels, exact = np.unique(np.where(known, values, np.inf), return_inverse=True)
    if len(levels) <= BINS:
        found.append(codes_tell(exact, truth, seed))
    else:
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, BINS + 1)[1:-1]))
        found.append(codes_tell(np.where(known, np.searchsorted(edges, values), len(edges) + 1), truth, seed))
        if len(levels) <= len(values) / 2:
            found.append(codes_tell(exact, truth, seed))
    return max(found, key=lambda told: told.auroc)


def codes_tell(codes: npt.NDArray[Any], truth: Truth, seed: int = 0) -> Told:
    """Say how well the levels of a column tell, each by what it held in the other folds."""
    if min(truth.sum(), (~truth).sum()) < LEAST:
        return NOTHING
    own = np.unique(codes, return_inverse=True)[1]
    parts, scores = _folds(truth, None, seed), np.empty(len(truth))
    for part in range(FOLDS):
        test = parts == part
        held = np.bincount(own[~test], minlength=own.max() + 1)
        hits = np.bincount(own[~test], weights=truth[~test], minlength=own.max() + 1)
        told = (hits + PRIOR * truth[~test].mean()) / (held + PRIOR)
        scores[test] = told[own[test]]
    return area(truth, scores)
