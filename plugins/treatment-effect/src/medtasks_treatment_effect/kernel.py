"""Learning a Gaussian process's hyper-parameters by marginal likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medtasks.stored import Values

CONSTANT = 10.0
"""Prior variance of the mean, in variances of the outcome: so wide that the data settle it."""
JITTER = 1e-6
"""Added to the noise, in variances of the outcome, so that a Cholesky factor exists."""
WIDE = 2.0
"""Prior standard deviation of a log variance: 95 % lie within a factor of fifty of the outcome's. It keeps variances
from 0 (Chung et al. 2013, doi:10.1007/s11336-013-9328-2): that a small trial shows no difference between patients does
not prove that there is none, and intervals that took it for proven would be too narrow."""
NARROW = 0.7
"""Prior standard deviation of the logarithm of a length scale, around 2 times the root of the number of columns: a
column is taken for irrelevant or decisive only if the data say so, which keeps many columns from fitting noise."""
STEPS = 40
"""Of L-BFGS at most."""


@dataclass(frozen=True)
class Hyper:
    """Hyper-parameters, in units of the standardised outcome.

    Attributes
    ----------
    linear : prior variance of the linear part
    smooth : prior variance of the smooth part (squared exponential)
    noise : variance of the outcome around its expectation
    lengths : (columns,) how far a column must move for the smooth part to change
    """

    linear: float
    smooth: float
    noise: float
    lengths: Values


def usual(columns: int, *, smooth: bool) -> Hyper:
    """Return what is believed before any data: the centre of the prior."""
    scale = np.full(columns, 2 * np.sqrt(max(columns, 1)))
    return Hyper(1.0, 1.0 if smooth else 0.0, 0.5, scale)


def learn(features: Values, outcome: Values, *, smooth: bool) -> Hyper:
    """Return the hyper-parameters of largest posterior density, one length scale per column.

    Automatic relevance determination by marginal likelihood (Rasmussen and Williams, "Gaussian processes for machine
    learning", 2006, sections 5.1 and 5.4), with log-normal priors.

    Parameters
    ----------
    features : (n, d), about standardised
    outcome : (n,) standardised
    smooth : whether there is a smooth part beside the linear one
    """
    from scipy.optimize import minimize

    n, d = features.shape
    if n < 2 or d == 0:
        return usual(d, smooth=smooth)
    centre = _pack(usual(d, smooth=smooth), smooth)
    widths = np.r_[WIDE, WIDE, [WIDE] * smooth, [NARROW] * (d * smooth)]
    objective = _Objective(features, outcome, centre, widths, smooth)
    limits = [(-9.0, 6.0), (-10.0, 2.0)] + [(-9.0, 6.0)] * smooth  # logarithms: from e-4 to e+2 times the outcome's
    limits += [(float(c - 4), float(c + 4)) for c in centre[3:]]
    found = minimize(
        objective, centre, jac=True, method="L-BFGS-B", bounds=limits, options={"maxiter": STEPS, "ftol": 1e-5}
    )
    return _unpack(np.asarray(found.x), d, smooth)


def covariance(features: Values, hyper: Hyper) -> tuple[Values, Values, Values]:
    """Return the linear and the smooth part of the prior covariance, each (n, n), and the scaled columns (n, d)."""
    scaled = features / hyper.lengths
    squares = (scaled**2).sum(axis=1)
    distance = np.maximum(squares[:, None] + squares - 2 * scaled @ scaled.T, 0)
    return hyper.linear / features.shape[1] * features @ features.T, hyper.smooth * np.exp(-distance / 2), scaled


class _Objective:
    """Minus the log posterior density of the logarithms of the hyper-parameters, with its gradient."""

    def __init__(self, features: Values, outcome: Values, centre: Values, widths: Values, smooth: bool) -> None:
        self.features, self.outcome, self.smooth = features, outcome, smooth
        self.centre, self.widths = centre, widths

    def __call__(self, theta: Values) -> tuple[float, Values]:
        from scipy.linalg import cho_factor, cho_solve

        n, d = self.features.shape
        hyper = _unpack(theta, d, self.smooth)
        if self.smooth:
            linear, smooth, scaled = covariance(self.features, hyper)
            whole = linear + smooth + CONSTANT
        else:
            linear = hyper.linear / d * self.features @ self.features.T
            whole = linear + CONSTANT
        whole[np.diag_indices(n)] += hyper.noise + JITTER
        factor: Any = cho_factor(whole, lower=True, overwrite_a=True)
        inverse = cho_solve(factor, np.eye(n))
        weights = inverse @ self.outcome
        value = 0.5 * self.outcome @ weights + np.log(np.diag(factor[0])).sum()
        inner = inverse - np.outer(weights, weights)
        slope = [(inner * linear).sum(), np.trace(inner) * hyper.noise]
        if self.smooth:
            inner *= smooth
            slope.append(inner.sum())
            # sum over i, j of inner_ij (x_i - x_j)^2, for each column
            spread = 2 * (inner.sum(axis=1) @ scaled**2) - 2 * np.einsum("ij,ij->j", scaled, inner @ scaled)
            slope += spread.tolist()
        away = (theta - self.centre) / self.widths
        return float(value + 0.5 * away @ away), 0.5 * np.array(slope) + away / self.widths


def _pack(hyper: Hyper, smooth: bool) -> Values:
    first = [np.log(hyper.linear), np.log(hyper.noise)]
    rest = [np.log(hyper.smooth), *np.log(hyper.lengths)] if smooth else []
    return np.array(first + rest, dtype=np.float64)


def _unpack(theta: Values, columns: int, smooth: bool) -> Hyper:
    linear, noise = np.exp(theta[:2])
    if not smooth:
        return Hyper(float(linear), 0.0, float(noise), usual(columns, smooth=False).lengths)
    return Hyper(float(linear), float(np.exp(theta[2])), float(noise), np.exp(theta[3:]))
