"""The concordance index, for weighted rows and many weightings at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
MOST = 5000
"""Rows that are compared with each other; of more, so many drawn by chance (the same ones for each model)."""
_BLOCK = 500  # rows compared with all others at a time: 20 MB


def concordance(
    truth: Values, predicted: Values, weights: Values, within: npt.NDArray[np.int64] | None = None
) -> Values:
    """Return (b,) shares of the pairs of rows with different true values that are ranked rightly; a tie is half right.

    0.5 is guessing, 1 perfect (Gönen & Heller 2005, doi:10.1093/biomet/92.4.965; for affinities Pahikkala et al. 2015,
    doi:10.1093/bib/bbu010).

    Parameters
    ----------
    truth, predicted : (n,)
    weights : (b, n), those of a bootstrap
    within : (n,) codes; only rows of one code are compared (molecules of one protein); all where None

    Returns
    -------
    (b,) array, NaN where no two rows can be compared
    """
    rows = np.arange(len(truth))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST, replace=False))
    truth, predicted, weights = truth[rows], predicted[rows], weights[:, rows].astype(np.float32)
    codes = None if within is None else within[rows]
    right, total = np.zeros(len(weights)), np.zeros(len(weights))
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        above = truth[part, None] > truth[None, :]
        if codes is not None:
            above &= codes[part, None] == codes[None, :]
        ahead = predicted[part, None] - predicted[None, :]
        score = np.where(above, 0.5 * (1 + np.sign(ahead)), 0).astype(np.float32)
        right += ((weights[:, part] @ score) * weights).sum(axis=1, dtype=np.float64)
        total += ((weights[:, part] @ above.astype(np.float32)) * weights).sum(axis=1, dtype=np.float64)
    return np.asarray(np.divide(right, total, out=np.full(len(weights), np.nan), where=total > 0))
