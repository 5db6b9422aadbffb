"""Trees of scikit-learn as plain arrays, one tree behind the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.stored import Arrays, Values, require

LEAF = -1


def join(trees: Sequence[Any], *, shares: bool) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of fitted trees (``tree_``).

    Parameters
    ----------
    shares
        Whether leaves hold classes: brought to shares that sum to one.

    Returns
    -------
    ``roots`` (trees,); ``left``, ``right`` (nodes,) children counted over all trees, -1 at a leaf; ``feature``
    (nodes,); ``threshold`` (nodes,), a row goes left where its feature is at most that; ``value`` (nodes, outputs)
    """
    sizes = np.array([tree.node_count for tree in trees], dtype=np.int64)
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    shift = np.repeat(roots, sizes)
    value = np.concatenate([tree.value[:, 0, :] for tree in trees]).astype(np.float64)
    left, right, feature, threshold = (
        np.concatenate([getattr(tree, name) for tree in trees])
        for name in ("children_left", "children_right", "feature", "threshold")
    )
    leaf = left == LEAF
    return {
        "roots": roots,
        "left": np.where(leaf, LEAF, left + shift),
        "right": np.where(leaf, LEAF, right + shift),
        "feature": np.where(leaf, LEAF, feature).astype(np.int64),
        "threshold": np.where(leaf, 0.0, threshold),
        # Only leaves answer: what inner nodes hold of the training cases is not stored.
        "value": np.where(leaf[:, None], value / value.sum(axis=1, keepdims=True) if shares else value, 0.0),
    }


def grow(arrays: Arrays, features: Values) -> Values:
    """Return (n, outputs): the mean over the trees of the leaves that each row ends in."""
    left, right, feature, threshold, value = (
        arrays[name] for name in ("left", "right", "feature", "threshold", "value")
    )
    x = features.astype(np.float32)  # scikit-learn's trees compare 32-bit inputs with 64-bit thresholds
    total = np.zeros((len(x), value.shape[1]))
    for root in arrays["roots"]:
        node, rows = np.full(len(x), root), np.arange(len(x))
        while len(rows := rows[left[node[rows]] != LEAF]):
            here = node[rows]
            node[rows] = np.where(x[rows, feature[here]] <= threshold[here], left[here], right[here])
        total += value[node]
    return np.asarray(total / len(arrays["roots"]))


def check_trees(arrays: Arrays, width: int) -> None:
    """Raise `BundleError` if a row of ``width`` features could leave the trees or never end."""
    names = ("roots", "left", "right", "feature", "threshold", "value")
    require(all(name in arrays for name in names), "its trees are not whole")
    roots, left, right, feature, threshold, value = (arrays[name] for name in names)
    require(all(one.dtype.kind == "i" for one in (roots, left, right, feature)), "its trees' nodes have no numbers")
    nodes = len(left)
    require(all(len(one) == nodes for one in (right, feature, threshold, value)), "its trees differ in length")
    require(len(roots) > 0 and ((roots >= 0) & (roots < nodes)).all(), "its trees do not begin where they should")
    own = np.flatnonzero(left != LEAF)
    for child in (left[own], right[own]):
        require(((child > own) & (child < nodes)).all(), "a tree's children do not stand behind their parent")
    require(((feature[own] >= 0) & (feature[own] < width)).all(), "a tree asks for a column that is not there")
