"""How much each member counts: weights on the simplex, by log-loss on rows that no member has seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.dataset import group_numbers
from medtasks.stored import Codes, Values

FLOOR = 1e-6
"""Out-of-fold probabilities are not taken for smaller: one sure mistake must not decide alone."""
PRIOR = 20.0
"""Pseudo-cases per member that draw the weights to equal shares: with 30 cases they stay near them."""
ROUNDS = 500
"""EM steps at most; it ends earlier when no weight moves by more than 1e-6."""


def fold_numbers(targets: Codes, folds: int, rng: np.random.Generator, groups: npt.NDArray[Any] | None = None) -> Codes:
    """Deal the cases of each class out to folds, patients (``groups``) whole.

    Returns
    -------
    (n,) fold of each row; -1, never held out, for the only patient of a class. So every training part has every
    class, however rare, and fewer patients than folds just leave some folds without that class.
    """
    units = group_numbers(len(targets), groups)
    fold_of = np.full(int(units.max()) + 1 if len(units) else 0, -1, dtype=np.int64)
    dealt, free = 0, np.ones(len(fold_of), dtype=bool)
    owners = [np.unique(units[targets == label]) for label in np.unique(targets)]
    for own in sorted(owners, key=len):  # the rare first: who has several classes is dealt as one of the rarest
        mine = rng.permutation(own[free[own]])
        free[own] = False
        fold_of[mine] = (dealt + np.arange(len(mine))) % folds
        dealt += len(mine)  # the next class goes on where this one ended: folds stay equal in size
    for own in owners:
        if len(np.unique(fold_of[own])) == 1:  # all would be held out together
            fold_of[own] = -1
    return fold_of[units]


def losses(probabilities: Values, targets: Codes) -> Values:
    """Return the log-loss of each row (n,)."""
    own: Values = probabilities[np.arange(len(targets)), targets]
    return -np.log(np.maximum(own, FLOOR))


def sharpen(probabilities: Values, factor: float) -> Values:
    """Return probabilities (n, classes) with all scores before the softmax times ``factor``."""
    logs = factor * np.log(np.maximum(probabilities, 1e-300))
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    found: Values = powers / powers.sum(axis=1, keepdims=True)
    return found


def sharpness(probabilities: Values, targets: Codes, repeats: int = 1) -> float:
    """Return the factor on the scores that gives the lowest out-of-fold log-loss.

    Temperature scaling (Guo et al., "On calibration of modern neural networks", ICML 2017): a strong penalty
    often ranks best but is too modest, and log-loss alone would then prefer a weak one. A normal prior on the
    logarithm, with standard deviation 1, keeps the factor near 1 where cases are few.
    """
    grid = np.linspace(-1, 3, 41)
    sums = [losses(sharpen(probabilities, float(np.exp(step))), targets).sum() for step in grid]
    return float(np.exp(grid[np.argmin(np.array(sums) + repeats * grid**2 / 2)]))


def weigh(own: Values, repeats: int = 1) -> Values:
    """Return the weights of members, nonnegative and summing to one.

    The mixture's log-loss is convex in the weights; EM on a mixture with fixed components finds its minimum
    (Smyth and Wolpert, "Linearly combining density estimators via stacking", Machine Learning 36, 1999). A
    symmetric Dirichlet prior of `PRIOR` pseudo-cases each shrinks to equal weights where cases are few.

    Parameters
    ----------
    own : (n, members) out-of-fold probability of each case's true class
    repeats : how often each case stands in ``own``
    """
    members = own.shape[1]
    weights = np.full(members, 1 / members)
    likely = np.maximum(own, FLOOR)
    pseudo = PRIOR * repeats
    for _ in range(ROUNDS):
        shares = likely * weights
        shares /= shares.sum(axis=1, keepdims=True)
        new = (shares.sum(axis=0) + pseudo) / (len(own) + members * pseudo)
        done = np.abs(new - weights).max() < 1e-6
        weights = new
        if done:
            break
    return weights


def better(gain: npt.NDArray[np.float64], repeats: int = 1) -> bool:
    """Say whether the mean gain per case exceeds one standard error (Breiman et al., CART, 1984)."""
    n = len(gain) / repeats
    return bool(n > 1 and gain.mean() > gain.std() / np.sqrt(n))
