"""Measures of a virtual screen: whether the active molecules come early, for many weightings at once.

RDKit's ``rdkit.ML.Scoring`` computes one ranking a call; the tests hold these against it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.evaluation.bootstrap import Weights

Values = npt.NDArray[np.float64]
ALPHA = 20.0
"""BEDROC's exponent: 80 % of the score comes from the first 8 % of the ranking (Truchon & Bayly 2007)."""
FRACTION = 0.01
"""The part of the ranking that the enrichment factor looks at."""


def screening(active: npt.NDArray[np.bool_], scores: Values, weights: Weights) -> dict[str, Values]:
    """Compute ``bedroc`` (alpha 20) and ``ef_1pct``.

    Parameters
    ----------
    active, scores : (n,); higher scores come first, of ties each as likely: the measures are means over their orders
    weights : (b, n) whole numbers: how often each row stands in the ranking

    Returns
    -------
    dict of (b,) arrays, NaN without active or without inactive molecules
    """
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0])
    # Both measures are sums over places: their mean over the orders of ties puts an equal share of hits on each place.
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    found = np.add.reduceat(weights[:, order] * active[order], starts, axis=1)
    return {"bedroc": _bedroc(counts, found), "ef_1pct": _enrichment(counts, found)}


def _bedroc(counts: Values, found: Values) -> Values:
    """Boltzmann-enhanced discrimination of ROC (Truchon & Bayly 2007, doi:10.1021/ci600426e, eq. 36)."""
    total, actives = counts.sum(axis=1), found.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share, step = actives / total, ALPHA / total
        ends = np.cumsum(counts, axis=1)
        # Ties that are k rows take k places in the ranking: a stretch of a geometric series.
        first = np.exp(-step[:, None] * (ends - counts + 1))
        places = first * -np.expm1(-step[:, None] * counts) / -np.expm1(-step)[:, None]
        hits = np.divide(found, counts, out=np.zeros_like(found), where=counts > 0)
        summed = (places * hits).sum(axis=1)
        rie = summed / (share * (1 - np.exp(-ALPHA)) / np.expm1(step))
        factor = share * np.sinh(ALPHA / 2) / (np.cosh(ALPHA / 2) - np.cosh(ALPHA / 2 - ALPHA * share))
        value = rie * factor + 1 / (1 - np.exp(ALPHA * (1 - share)))
    return np.asarray(np.where((actives > 0) & (actives < total), value, np.nan))


def _enrichment(counts: Values, found: Values) -> Values:
    """How many times more actives the first places hold than chance would put there."""
    total, actives = counts.sum(axis=1), found.sum(axis=1)
    looked = np.ceil(FRACTION * total)
    before = np.cumsum(counts, axis=1) - counts
    taken = np.clip(looked[:, None] - before, 0, counts)
    hits = np.divide(found, counts, out=np.zeros_like(found), where=counts > 0)
    out: Values = np.full(len(counts), np.nan)
    chance = looked * actives / np.maximum(total, 1)
    valid: Any = (actives > 0) & (actives < total)
    return np.asarray(np.divide((taken * hits).sum(axis=1), chance, out=out, where=valid))
