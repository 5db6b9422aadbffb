"""Logistic regression on all medicines at once, and how it is blended with the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

STEPS = 200
"""L-BFGS steps at most; what is left then moves no probability by a thousandth."""
SINGLE = 100_000_000
"""Patients times columns times medicines beyond which 32-bit products are taken: half the time, same answers."""
SMALL = 20_000_000
"""Patients times columns times medicines below which one thread is faster."""
BIAS_PENALTY = 0.1
"""A medicine that everybody or nobody was given keeps a finite intercept."""
GRID = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class Linear:
    """Log-odds of each medicine, linear in the features.

    Attributes
    ----------
    coef : (columns, medicines)
    bias : (medicines,) the log-odds where every feature is 0
    """

    coef: Values
    bias: Values

    def logits(self, features: Values) -> Values:
        """Return (n, medicines)."""
        found: Values = features @ self.coef + self.bias
        return found


def fit_linear(features: Values, targets: Values, penalty: float, start: Linear | None = None) -> Linear:
    """Fit logistic regressions with one L2 penalty, by L-BFGS on the sum of their losses.

    Parameters
    ----------
    features : (n, columns)
    targets : (n, medicines) of 0 and 1, NaN where not known
    penalty
        Half of it times the squared coefficients is added to the log-loss summed over patients.
    start
        Where to begin: the fit with another penalty.
    """
    from scipy.optimize import minimize

    n, columns = features.shape
    medicines = targets.shape[1]
    single = n * columns * medicines > SINGLE
    X = np.ascontiguousarray(features, dtype=np.float32 if single else np.float64)
    known = np.isfinite(targets)
    Y = np.where(known, targets, 0).astype(X.dtype)
    base = base_rates(targets)

    def loss(flat: Values) -> tuple[float, Values]:
        coef, shift = flat[: columns * medicines].reshape(columns, medicines), flat[columns * medicines :]
        logits = X @ coef.astype(X.dtype) + (base + shift).astype(X.dtype)
        losses = np.logaddexp(0, logits) - Y * logits
        slope = np.where(known, expit(logits) - Y, 0)
        value = float(losses[known].sum(dtype=np.float64))
        value += penalty / 2 * float(coef.ravel() @ coef.ravel()) + BIAS_PENALTY / 2 * float(shift @ shift)
        gradient = (X.T @ slope).astype(np.float64) + penalty * coef
        return value / n, np.concatenate([gradient.ravel(), slope.sum(0) + BIAS_PENALTY * shift]) / n

    first = np.zeros((columns + 1) * medicines)
    if start is not None:
        first = np.concatenate([start.coef.ravel(), start.bias - base])
    options: Any = {"maxiter": STEPS, "ftol": 1e-7 if single else 1e-9, "gtol": 1e-5}
    with threads(n * columns * medicines):
        flat = minimize(loss, first, jac=True, method="L-BFGS-B", options=options).x
    return Linear(flat[: columns * medicines].reshape(columns, medicines), base + flat[columns * medicines :])


def threads(work: int) -> Any:
    """Return a context in which products of so many multiplications run on one thread, if they are small.

    Threads of small products wait for each other longer than they work, most of all beside other busy processes.
    """
    import scipy.linalg  # noqa: F401 - limits reach only libraries that are loaded already
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    return threadpool_limits(1 if work < SMALL else None)


def base_rates(targets: Values) -> Values:
    """Return (medicines,) the log-odds of each medicine over all patients; half a patient is added on either side."""
    known = np.isfinite(targets).sum(axis=0)
    given = np.nansum(targets, axis=0)
    found: Values = np.log((given + 0.5) / (known - given + 0.5))
    return found


def expit(logits: Array) -> Array:
    """Return probabilities; no overflow."""
    found: Array = 0.5 * (1 + np.tanh(0.5 * logits))
    return found


def losses(logits: Values, targets: Values) -> Values:
    """Return (n,) the log-loss of each patient, mean over the medicines that are known."""
    known = np.isfinite(targets)
    each = np.logaddexp(0, logits) - np.where(known, targets, 0) * logits
    found: Values = np.where(known, each, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return found


def deal(n: int, groups: Array | None, folds: int, rng: np.random.Generator) -> list[Codes]:
    """Deal rows out to folds, the rows of one group into one; fewer folds where there are fewer groups."""
    whose = np.arange(n) if groups is None else np.unique(groups.astype(str), return_inverse=True)[1]
    order = rng.permutation(int(whose.max()) + 1 if n else 0)
    number = order[whose] % max(1, min(folds, len(order)))
    return [np.flatnonzero(number == fold) for fold in np.unique(number)]


def choose_penalty(features: Values, targets: Values, parts: Sequence[Codes], penalties: Sequence[float]) -> float:
    """Return the penalty with the lowest log-loss on the parts, each fitted without itself."""
    total = np.zeros(len(penalties))
    order = np.argsort(penalties)[::-1]  # from the strongest: each fit starts where the one before ended
    for part in parts:
        rest = np.setdiff1d(np.arange(len(features)), part)
        fitted: Linear | None = None
        for i in order:
            fitted = fit_linear(features[rest], targets[rest], penalties[i], fitted)
            total[i] += losses(fitted.logits(features[part]), targets[part]).sum()
    return float(penalties[int(np.argmin(total))])


def weigh(linear: Values, network: Values, targets: Values) -> float:
    """Return how much the networks count, between 0 and 1, by what both said of patients they had not seen.

    The blend must beat logistic regression alone by more than one standard error (Breiman et al., CART, 1984), else
    the networks do not count.
    """
    alone = losses(linear, targets)
    found = [losses((1 - share) * linear + share * network, targets) for share in GRID]
    best = int(np.argmin([each.mean() for each in found]))
    gain = alone - found[best]
    sure = len(gain) > 1 and gain.mean() > gain.std() / np.sqrt(len(gain))
    return float(GRID[best]) if sure else 0.0
