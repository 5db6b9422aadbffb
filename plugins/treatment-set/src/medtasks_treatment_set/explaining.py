"""What each column adds to a medicine's log-odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Values = npt.NDArray[np.float64]
KNOTS = 24
"""Points of the Gauss-Legendre rule on the way from the median patient; what it leaves is shared out."""
CHUNK = 64


def integrated_gradients(hidden: Sequence[tuple[Array, Array]], kernel: Array, features: Values) -> Values:
    """Return (n, columns): what each column adds to the log-odds, from the median patient (all 0) to each one.

    The mean gradient on the straight line between the two, times the way (Sundararajan, Taly & Yan, "Axiomatic
    attribution for deep networks", ICML 2017). Rows sum to the difference of the log-odds.

    Parameters
    ----------
    hidden
        Kernel and bias of each hidden layer, with ReLU.
    kernel : (hidden,) the medicine's weights on the last one
    features : (n, columns)
    """
    knots, weights = np.polynomial.legendre.leggauss(KNOTS)
    found = np.empty_like(features)
    for start in range(0, len(features), CHUNK):
        part = features[start : start + CHUNK]
        slope = np.zeros_like(part)
        for knot, weight in zip((knots + 1) / 2, weights / 2, strict=True):
            slope += weight * _gradient(hidden, kernel, knot * part)
        change = _score(hidden, kernel, part) - _score(hidden, kernel, np.zeros((1, part.shape[1])))
        found[start : start + CHUNK] = _complete(slope * part, change)
    return found


def _score(hidden: Sequence[tuple[Array, Array]], kernel: Array, x: Values) -> Values:
    for weights, bias in hidden:
        x = np.maximum(x @ weights.astype(np.float64) + bias, 0)
    found: Values = x @ kernel.astype(np.float64)
    return found


def _gradient(hidden: Sequence[tuple[Array, Array]], kernel: Array, x: Values) -> Values:
    active = []
    for weights, bias in hidden:
        x = x @ weights.astype(np.float64) + bias
        active.append(x > 0)
        x = np.maximum(x, 0)
    back = np.tile(kernel.astype(np.float64), (len(x), 1))
    for (weights, _), on in zip(reversed(hidden), reversed(active), strict=True):
        back = (back * on) @ weights.T.astype(np.float64)
    return back


def _complete(parts: Values, change: Values) -> Values:
    """Share what the quadrature left out among the columns by the size of their parts."""
    size = np.abs(parts)
    total = size.sum(axis=1, keepdims=True)
    rest = (change - parts.sum(axis=1))[:, None]
    found: Values = parts + np.divide(size, total, out=np.zeros_like(size), where=total > 0) * rest
    return found
