"""Logistic regression as two arrays, and how a probability is shared out among fields."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from medtasks.stored import Arrays, Codes, Values, require, take

CHUNK = 512
"""Rows at a time, which bounds the memory of a large batch."""
STEPS = 48
"""Points of the Gauss-Legendre rule: its error on a softmax along a line is far below 1e-6 for score
differences up to about 50, and what is left of it is shared out by `shared`."""


@dataclass(frozen=True)
class Linear:
    """Multinomial logistic regression on centred features.

    Attributes
    ----------
    coef : (classes, columns)
    bias : (classes,)
        The scores of the mean training case, whose features are all 0.
    """

    coef: Values
    bias: Values

    @classmethod
    def fit(cls, features: Values, targets: Codes, strength: float) -> Self:
        """Fit to ``targets`` 0 .. classes - 1, each of which occurs; ``strength``: inverse L2 penalty."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        classes = int(targets.max()) + 1
        if classes == 1 or features.shape[1] == 0:
            return cls(np.zeros((classes, features.shape[1])), np.log(np.bincount(targets) / len(targets)))
        model = LogisticRegression(C=strength, max_iter=1000, tol=1e-3)
        with warnings.catch_warnings():
            # Beyond 1,000 steps the fit moves in digits that no probability shows.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, targets)
        if classes == 2:  # scikit-learn keeps one row then: the score of class 1 against 0
            return cls(np.vstack([0 * model.coef_, model.coef_]), np.array([0.0, model.intercept_[0]]))
        return cls(np.array(model.coef_), np.array(model.intercept_))

    def sharpened(self, factor: float) -> Self:
        """Return the model with all scores times ``factor``."""
        return type(self)(self.coef * factor, self.bias * factor)

    def scores(self, features: Values) -> Values:
        """Return (n, classes) scores, before the softmax; a row's scores do not depend on its neighbours."""
        found = np.empty((len(features), len(self.bias)))
        for start in range(0, len(features), CHUNK):
            part = features[start : start + CHUNK]
            # A BLAS product sums in another order for one row than for many; this sum does not.
            for k, weights in enumerate(self.coef):
                products = np.ascontiguousarray(part * weights)
                found[start : start + CHUNK, k] = products.sum(axis=1) + self.bias[k]
        return found

    def predict(self, features: Values) -> Values:
        """Return class probabilities (n, classes)."""
        return np.asarray(softmax(self.scores(features), axis=1))

    def explain(self, features: Values, target: int, owners: Codes, fields: int) -> Values:
        """Return (n, fields): probability of ``target`` less `base`, shared out among the fields."""
        found = np.empty((len(features), fields))
        for start in range(0, len(features), CHUNK):
            part = features[start : start + CHUNK]
            parts = np.zeros((len(part), fields, len(self.bias)))
            for column, owner in enumerate(owners):
                parts[:, owner] += part[:, column, None] * self.coef[:, column]
            found[start : start + CHUNK] = shared(self.bias, parts, target)
        return found

    def base(self, target: int) -> float:
        """Return the probability of ``target`` for the mean training case."""
        return float(softmax(self.bias)[target])

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays to store."""
        return {"coef": self.coef, "bias": self.bias}

    @classmethod
    def from_arrays(cls, arrays: Arrays, columns: int, classes: int) -> Self:
        """Rebuild from `to_arrays`; raises `BundleError` if they do not fit."""
        model = cls(take(arrays, "coef", 2), take(arrays, "bias", 1))
        require(model.coef.shape == (classes, columns) and len(model.bias) == classes, "its coefficients do not fit")
        return model


def shared(start: Values, parts: Values, target: int) -> Values:
    """Share the change of a softmax probability out among fields, completely.

    Integrated gradients along the straight line of scores from ``start`` to ``start + parts.sum(fields)``:
    each field gets its parts times the mean gradient on the way (Sundararajan, Taly and Yan, "Axiomatic
    attribution for deep networks", ICML 2017). With two classes this is the change of probability in
    proportion to the fields' log-odds. The rest that the quadrature leaves, about 1e-9, goes to the fields in
    proportion to their size, so that the sum is exact.

    Parameters
    ----------
    start : (classes,) scores of the base
    parts : (n, fields, classes) what each field adds to the scores

    Returns
    -------
    (n, fields), whose rows sum to the probability of ``target`` at the end less that at the start
    """
    way = parts.sum(axis=1)
    knots, weights = np.polynomial.legendre.leggauss(STEPS)
    gradient = np.zeros_like(way)
    for knot, weight in zip((knots + 1) / 2, weights / 2, strict=True):
        chances = softmax(start + knot * way, axis=1)
        own = chances[:, target, None]
        slope = -own * chances
        slope[:, target] += own[:, 0]
        gradient += weight * slope
    found: Values = (parts * gradient[:, None, :]).sum(axis=2)
    change = softmax(start + way, axis=1)[:, target] - softmax(start)[target]
    size = np.abs(found)
    total = size.sum(axis=1, keepdims=True)
    rest = (change - found.sum(axis=1))[:, None]
    found += np.divide(size, total, out=np.zeros_like(size), where=total > 0) * rest
    return found
