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
    with one_thread():
        return _fit(features, targets, penalty, start)


def _fit(features: Values, targets: Values, penalty: float, start: Linear | None) -> Linear:
    from scipy.optimize import minimize

    n, columns = features.shape
    medicines = targets.shape[1]
    single = n * columns * medicines > SINGLE
    known = np.isfinite(targets)
    # In the features' principal axes, each scaled by its curvature, all directions are about equally steep, and tens
    # of steps do what takes hundreds without; the penalty is the same on any axes.
    size, axes = np.linalg.eigh(features.T @ features)
    X = np.ascontiguousarray(features @ axes, dtype=np.float32 if single else np.float64)
    Y = np.where(known, targets, 0).astype(X.dtype)
    base = base_rates(targets)
    spread = expit(base) * (1 - expit(base))
    scale = 1 / np.sqrt(np.maximum(size, 0)[:, None] * spread + penalty)
    shifts = 1 / np.sqrt(known.sum(axis=0) * spread + BIAS_PENALTY)
    cut = columns * medicines

    def unpacked(flat: Values) -> tuple[Values, Values]:
        return scale * flat[:cut].reshape(columns, medicines), shifts * flat[cut:]

    def loss(flat: Values) -> tuple[float, Values]:
        coef, shift = unpacked(flat)
        logits = X @ coef.astype(X.dtype) + (base + shift).astype(X.dtype)
        chance = expit(logits)
        # log(1 + e^z) = -log(1 - p), without overflow: z where it is large
        each = np.where(known, np.maximum(logits, 0) + np.log1p(np.exp(-np.abs(logits))) - Y * logits, 0)
        slope = np.where(known, chance - Y, 0)
        value = float(each.sum(dtype=np.float64))
        value += penalty / 2 * float((coef * coef).sum()) + BIAS_PENALTY / 2 * float(shift @ shift)
        gradient = scale * ((X.T @ slope).astype(np.float64) + penalty * coef)
        return value / n, np.concatenate([gradient.ravel(), shifts * (slope.sum(0) + BIAS_PENALTY * shift)]) / n

    first = np.zeros(cut + medicines)
    if start is not None:
        first = np.concatenate([(axes.T @ start.coef / scale).ravel(), (start.bias - base) / shifts])
    options: Any = {"maxiter": STEPS, "ftol": 1e-6 if single else 1e-9, "gtol": 1e-6}
    flat = minimize(loss, first, jac=True, method="L-BFGS-B", options=options).x
    coef, shift = unpacked(flat)
    return Linear(axes @ coef, base + shift)


def one_thread() -> Any:
    """Return a context in which linear algebra runs on one thread.

    Beside other busy processes threads wait for each other longer than they work: principal axes of 500 columns then
    took 4 s instead of 0.1, and the optimiser's own sums as long as the products.
    """
    import scipy.linalg  # noqa: F401 - limits reach only libraries that are loaded already
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    return threadpool_limits(1)


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
    """Return the penalty with the lowest log-loss on the parts, each fitted without itself.

    From the strongest down, each fit starting where the one before ended, until the loss rises.
    """
    fitted: list[Linear | None] = [None] * len(parts)
    best, lowest = max(penalties), np.inf
    for penalty in sorted(penalties, reverse=True):
        total = 0.0
        for i, part in enumerate(parts):
            rest = np.setdiff1d(np.arange(len(features)), part)
            now = fitted[i] = fit_linear(features[rest], targets[rest], penalty, fitted[i])
            total += float(losses(now.logits(features[part]), targets[part]).sum())
        if total >= lowest:
            break
        best, lowest = penalty, total
    return float(best)


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
