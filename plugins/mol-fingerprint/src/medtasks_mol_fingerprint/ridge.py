"""Kernel ridge regression of one target, its choices made by leave-one-out errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import expit

from medtasks.dataset import impute_bounds

Values = npt.NDArray[np.float64]
Kernel = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

MIXTURES: Mapping[str, tuple[str, ...]] = {
    "all": ("morgan2", "morgan3", "pairs"),
    "morgan": ("morgan2", "morgan3"),
    "pairs": ("pairs",),
    "with properties": ("morgan2", "morgan3", "pairs", "properties", "properties", "properties"),
}
"""Views whose kernels are averaged; the first is taken where the others are no better."""
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0)
CHOSEN_ON = 1000
"""Molecules that the choices are made on at most: inverting a matrix takes the third power of their number."""
PASSES = 3
"""Rounds in which bounded values are filled in: changes after the third were below measurement noise."""


@dataclass(frozen=True)
class Ridge:
    """What is fitted for one target.

    Attributes
    ----------
    mixture : key of `MIXTURES`
    weights : (m,) of the landmarks
    middle : what is predicted far from every landmark
    slope, shift : for classes, of the sigmoid that turns scores into probabilities; None for numbers
    """

    mixture: str
    weights: Values
    middle: float
    slope: float | None = None
    shift: float = 0.0

    def predict(self, kernels: Mapping[str, Kernel]) -> Values:
        """Return (n,) numbers, or probabilities of being active."""
        scores = mixed(kernels, self.mixture) @ self.weights + self.middle
        return scores if self.slope is None else np.asarray(expit(self.slope * scores + self.shift))


def mixed(kernels: Mapping[str, Kernel], mixture: str) -> Values:
    """Return the mean of some views' kernels."""
    views = MIXTURES[mixture]
    total = np.zeros(kernels[views[0]].shape)
    for view in dict.fromkeys(views):
        total += kernels[view] * np.float32(views.count(view) / len(views))
    return total


def fit(
    kernels: Mapping[str, Kernel],
    square: Mapping[str, Kernel],
    own: Rows,
    targets: Values,
    bounds: npt.NDArray[np.int8],
    *,
    binary: bool,
    leave_out: bool,
    rng: np.random.Generator,
) -> tuple[Ridge, Values]:
    """Fit one target; return what was fitted and, with ``leave_out``, what each molecule is answered when left out.

    Parameters
    ----------
    kernels
        (n, m) of each view: the molecules measured with the landmarks.
    square
        (m, m) of each view: the landmarks with each other.
    own
        (n,) place of each molecule among the landmarks, -1 where it is none.
    targets, bounds
        (n,) values; -1 where the true one is at most, 1 where it is at least this, else 0.

    Notes
    -----
    With every molecule a landmark this is kernel ridge regression, with fewer the subset of regressors (Smola &
    Bartlett 2001; Quinonero-Candela & Rasmussen 2005, JMLR 6). Leave-one-out errors in closed form: Allen 1974,
    doi:10.2307/1267500. Classes are fitted as -1 and 1 (Rifkin & Klautau 2004) and turned into probabilities by a
    sigmoid on leave-one-out scores (Platt 1999).
    """
    y = 2 * targets - 1 if binary else targets
    middle = float(y.mean())
    known = np.flatnonzero(own >= 0)
    some = known if len(known) <= CHOSEN_ON else np.sort(rng.choice(known, CHOSEN_ON, replace=False))
    mixture, penalty, left_out = _choose(square, own[some], y[some] - middle)
    whole, inner = mixed(kernels, mixture), mixed(square, mixture)
    weights, left = _solve(whole, inner, own, y - middle, penalty, leave_out=leave_out or bool(bounds.any()))
    for _ in range(PASSES if bounds.any() else 0):
        # A bound pulls only while what the others say of its molecule lies on its wrong side.
        values = impute_bounds(y, bounds, left + middle)
        weights, left = _solve(whole, inner, own, values - middle, penalty, leave_out=True)
    if not binary:
        return Ridge(mixture, weights, middle), left + middle
    slope, shift = _sigmoid(left_out + middle, targets[some])
    return Ridge(mixture, weights, middle, slope, shift), np.asarray(expit(slope * (left + middle) + shift))


def _choose(square: Mapping[str, Kernel], rows: Rows, y: Values) -> tuple[str, float, Values]:
    """Return mixture and penalty with the lowest leave-one-out error, and the left-out predictions."""
    best = (np.inf, "all", PENALTIES[2], np.zeros(len(y)))
    for mixture in MIXTURES:
        kernel = mixed({view: square[view][np.ix_(rows, rows)] for view in MIXTURES[mixture]}, mixture)
        values, vectors = np.linalg.eigh(kernel)
        turned = vectors.T @ y
        for penalty in PENALTIES:
            shrunk = 1 / (np.maximum(values, 0) + penalty)
            diagonal = np.maximum((vectors**2) @ shrunk, 1e-12)
            predicted = y - (vectors @ (shrunk * turned)) / diagonal
            error = float(np.mean((predicted - y) ** 2))
            # 1 % better or not at all: the errors of two choices differ by more than this by chance
            if error < best[0] * (0.99 if mixture != best[1] else 1.0):
                best = (error, mixture, penalty, predicted)
    return best[1], best[2], best[3]


def _solve(
    whole: Values, inner: Values, own: Rows, y: Values, penalty: float, *, leave_out: bool
) -> tuple[Values, Values]:
    """Return the weights of the landmarks, and with ``leave_out`` what each molecule gets when left out."""
    if len(own) == len(inner) and (own == np.arange(len(own))).all():
        factor = cho_factor(inner + penalty * np.eye(len(inner)), lower=True, overwrite_a=True, check_finite=False)
        weights = cho_solve(factor, y, check_finite=False)
        if not leave_out:
            return weights, y
        inverse = cho_solve(factor, np.eye(len(inner)), overwrite_b=True, check_finite=False)
        return weights, y - weights / np.diag(inverse)
    # Ridge regression on the landmarks' features: half of the inverse of their kernel, times it.
    root = np.linalg.cholesky(inner + 1e-6 * len(inner) * np.eye(len(inner)))
    features = solve_triangular(root, whole.T, lower=True, check_finite=False)
    gram = features @ features.T
    gram.flat[:: len(gram) + 1] += penalty
    factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    found = cho_solve(factor, features @ y, check_finite=False)
    weights = solve_triangular(root, found, lower=True, trans="T", check_finite=False)
    if not leave_out:
        return weights, y
    lever = np.einsum("mn,mn->n", features, cho_solve(factor, features, check_finite=False))
    return weights, (features.T @ found - lever * y) / np.maximum(1 - lever, 1e-9)


def _sigmoid(scores: Values, active: Values) -> tuple[float, float]:
    """Fit Platt's sigmoid, with his smoothed targets so that perfect separation stays finite."""
    from scipy.optimize import minimize

    positive = float(active.sum())
    high, low = (positive + 1) / (positive + 2), 1 / (len(active) - positive + 2)
    wanted = np.where(active == 1, high, low)

    def loss(both: Values) -> tuple[float, Values]:
        z = both[0] * scores + both[1]
        value = float(np.mean(np.logaddexp(0, z) - wanted * z))
        gap = expit(z) - wanted
        return value, np.array([np.mean(gap * scores), np.mean(gap)])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)])
    return float(found.x[0]), float(found.x[1])
