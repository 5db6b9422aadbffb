"""How much each of several models counts, told by cases that none of them has learnt from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

PRIOR = 30.0
"""As many cases speak for equal weights: with few measured ones the weights stay near them."""


def weigh(answers: Values, targets: Values, censoring: npt.NDArray[np.int8]) -> Values:
    """Return (members,) weights of one target, at least 0 and 1 together, with the least squared error out of fold.

    Non-negative stacking (Breiman 1996, doi:10.1007/BF00117832), drawn towards equal weights; for classes the error is
    Brier's score (for probabilities joined by their log-odds, weights that minimise the log-loss did no better on
    scaffold folds of BACE and ClinTox). Cases of which only a bound is known do not count.

    Parameters
    ----------
    answers : (n, members) out of fold
    targets : (n,) with NaN where not measured; classes are 0 and 1
    censoring : (n,) see `Dataset.extra`
    """
    from scipy.optimize import nnls

    members = answers.shape[1]
    equal = np.full(members, 1 / members)
    known = np.isfinite(targets) & (censoring == 0)
    if members == 1 or not known.any():
        return equal
    x, y = answers[known], targets[known]
    middle = y.mean()
    # A row that says "the weights sum to one" with great weight, and rows that say "they are equal" with little.
    scale = float(np.sqrt(np.mean((x.mean(axis=1) - y) ** 2))) or 1.0
    strong, weak = 1e3 * scale * np.sqrt(len(y)), np.sqrt(PRIOR) * scale
    rows = np.vstack([x - middle, np.full((1, members), strong), weak * np.eye(members)])
    wanted = np.r_[y - middle, strong, weak * equal]
    found, _ = nnls(rows, wanted)
    return np.asarray(found / found.sum())
