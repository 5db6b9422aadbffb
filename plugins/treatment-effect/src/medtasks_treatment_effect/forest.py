"""A random forest as plain arrays: the outcome that patients have whatever the treatment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.stored import Arrays, Codes, Values, require, take

LEAF = 10
"""Fewest patients in a leaf: outcomes are noisy, and a leaf should say nothing about single patients."""
CELLS = 400_000
"""Rows times trees that are walked at once: their working arrays stay within a few tens of MB."""


@dataclass(frozen=True)
class Forest:
    """The mean of regression trees (Breiman 2001, doi:10.1023/A:1010933404324), one behind the other in the arrays.

    Attributes
    ----------
    roots : (trees,) the first node of each tree
    left, right : (nodes,) children, behind their parent; -1 at a leaf
    feature : (nodes,) column asked; a row goes left where it is ``<= threshold``
    threshold, value : (nodes,)
    """

    roots: Codes
    left: Codes
    right: Codes
    feature: Codes
    threshold: Values
    value: Values

    @classmethod
    def fit(cls, features: Values, outcome: Values, trees: int, seed: int) -> tuple[Self, Values]:
        """Learn from (n, d) features and (n,) outcomes; return also what the trees say of rows they did not see."""
        from sklearn.ensemble import RandomForestRegressor

        model = RandomForestRegressor(
            trees, min_samples_leaf=LEAF, max_features=1 / 3, bootstrap=True, random_state=seed, n_jobs=1
        ).fit(features, outcome)
        parts = [one.tree_ for one in model.estimators_]
        sizes = np.array([part.node_count for part in parts], dtype=np.int64)
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        shift = np.repeat(roots, sizes)
        left = np.concatenate([part.children_left for part in parts]).astype(np.int64)
        right = np.concatenate([part.children_right for part in parts]).astype(np.int64)
        leaf = left < 0
        found = cls(
            roots,
            np.where(leaf, -1, left + shift),
            np.where(leaf, -1, right + shift),
            np.where(leaf, 0, np.concatenate([part.feature for part in parts])).astype(np.int64),
            np.where(leaf, 0.0, np.concatenate([part.threshold for part in parts])),
            np.concatenate([part.value[:, 0, 0] for part in parts]).astype(np.float64),
        )
        unseen = np.ones((len(features), trees), dtype=bool)
        for number, rows in enumerate(model.estimators_samples_):
            unseen[rows, number] = False
        said = found._leaves(features)
        counts = unseen.sum(axis=1)
        mean = np.where(counts > 0, (said * unseen).sum(axis=1) / np.maximum(counts, 1), outcome.mean())
        return found, mean

    def predict(self, features: Values) -> Values:
        """Return (n,) expectations."""
        return np.asarray(self._leaves(features).mean(axis=1))

    def _leaves(self, features: Values) -> Values:
        """Return (n, trees) what each tree says of each row."""
        # scikit-learn's trees compare 32-bit inputs with 64-bit thresholds.
        single = features.astype(np.float32).astype(np.float64)
        found = np.empty((len(features), len(self.roots)))
        step = max(1, CELLS // len(self.roots))
        for at in range(0, len(features), step):
            rows = single[at : at + step]
            node = np.tile(self.roots, (len(rows), 1))
            own = np.arange(len(rows))[:, None]
            while (inner := self.left[node] >= 0).any():
                goes = rows[own, self.feature[node]] <= self.threshold[node]
                node = np.where(inner, np.where(goes, self.left[node], self.right[node]), node)
            found[at : at + step] = self.value[node]
        return found

    def to_arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays to store, their names behind ``prefix``."""
        names = ("roots", "left", "right", "feature", "threshold", "value")
        return {prefix + name: getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str, columns: int) -> Self:
        """Rebuild from `to_arrays`; raises `BundleError` if a row could leave the trees or never end."""
        roots, left = (take(arrays, prefix + name, (None,), "i") for name in ("roots", "left"))
        nodes = len(left)
        right, feature = (take(arrays, prefix + name, (nodes,), "i") for name in ("right", "feature"))
        inner = np.flatnonzero(left >= 0)
        require(len(roots) > 0 and ((roots >= 0) & (roots < nodes)).all(), "its trees do not begin where they should")
        for child in (left[inner], right[inner]):
            require(((child > inner) & (child < nodes)).all(), "a tree's children lie outside it")
        require(((feature >= 0) & (feature < max(columns, 1))).all(), "a tree asks for a column that is not there")
        values = (take(arrays, prefix + name, (nodes,)) for name in ("threshold", "value"))
        return cls(roots, left, right, feature, *values)
