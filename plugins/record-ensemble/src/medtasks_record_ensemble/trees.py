"""Trees as plain arrays: one predictor for extra trees and gradient boosting, fitted or loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from medtasks.stored import Arrays, Codes, Values, require, take
from medtasks_record_ensemble.linear import shared

CELLS = 400_000
"""Rows times trees that are walked at once: their working arrays stay within a few tens of MB."""
LEAF = -1


@dataclass(frozen=True)
class Trees:
    """Binary trees, one behind the other; a row goes left where its feature is ``<=`` the threshold.

    Attributes
    ----------
    roots : (trees,) the first node of each tree, rising from 0
    left, right : (nodes,) children, counted over all trees; -1 at a leaf
    feature : (nodes,) column; -1 at a leaf
    threshold : (nodes,)
    value : (nodes, outputs)
        At inner nodes the mean of the training cases below, which is what a path is explained with.
    """

    roots: Codes
    left: Codes
    right: Codes
    feature: Codes
    threshold: Values
    value: Values

    @classmethod
    def join(cls, trees: Sequence[Arrays]) -> Self:
        """Put trees, each with ``left right feature threshold value`` of its own, behind each other."""
        sizes = np.array([len(tree["left"]) for tree in trees], dtype=np.int64)
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        shift = np.repeat(roots, sizes)
        whole = {
            name: np.concatenate([tree[name] for tree in trees])
            for name in ("left", "right", "feature", "threshold", "value")
        }
        leaf = whole["left"] < 0
        left, right, feature = (
            np.where(leaf, LEAF, values).astype(np.int64)
            for values in (whole["left"] + shift, whole["right"] + shift, whole["feature"])
        )
        threshold = np.where(leaf, 0.0, whole["threshold"]).astype(np.float64)
        return cls(roots, left, right, feature, threshold, whole["value"].astype(np.float64))

    def leaves(self, features: Values) -> Iterator[tuple[slice, Codes]]:
        """Yield rows and the leaves (rows, trees) they end in."""
        for rows in self._parts(len(features)):
            node = np.tile(self.roots, (rows.stop - rows.start, 1))
            for at, tree, _, child in self._walk(features[rows], node):
                node[at, tree] = child
            yield rows, node

    def paths(self, features: Values, output: int, group: Codes, owners: Codes, fields: int) -> Values:
        """Follow each row's paths and book each change of value on the field that was asked.

        Parameters
        ----------
        output : which column of ``value``
        group : (trees,) which of the sums 0 .. max(group) each tree adds to

        Returns
        -------
        (n, fields, groups), to be added to the roots' values
        """
        groups = int(group.max()) + 1
        found = np.zeros((len(features), fields, groups))
        value = np.ascontiguousarray(self.value[:, output])
        for rows in self._parts(len(features)):
            n = rows.stop - rows.start
            booked = np.zeros(n * fields * groups)
            for at, tree, parent, child in self._walk(features[rows], np.tile(self.roots, (n, 1))):
                cell = (at * fields + owners[self.feature[parent]]) * groups + group[tree]
                booked += np.bincount(cell, value[child] - value[parent], len(booked))
            found[rows] = booked.reshape(n, fields, groups)
        return found

    def _parts(self, n: int) -> Iterator[slice]:
        step = max(1, CELLS // len(self.roots))
        return (slice(start, min(start + step, n)) for start in range(0, n, step))

    def _walk(self, features: Values, start: Codes) -> Iterator[tuple[Codes, Codes, Codes, Codes]]:
        """Go down all trees at once; yield for each step: row, tree, node left behind, node reached."""
        trees = start.shape[1]
        cell = np.arange(start.size)
        node = start.ravel()
        while True:
            inner = self.left[node] != LEAF
            cell, node = cell[inner], node[inner]
            if not len(cell):
                return
            at = cell // trees
            goes_left = features[at, self.feature[node]] <= self.threshold[node]
            child = np.where(goes_left, self.left[node], self.right[node])
            yield at, cell - at * trees, node, child
            node = child

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays to store; node numbers are kept in 32 bits."""
        whole: dict[str, npt.NDArray[Any]] = {
            name: getattr(self, name).astype(np.int32) for name in ("roots", "left", "right", "feature")
        }
        return {**whole, "threshold": self.threshold, "value": self.value}

    @classmethod
    def from_arrays(cls, arrays: Arrays, columns: int) -> Self:
        """Rebuild from `to_arrays`; raises `BundleError` if a row could leave the trees or never end."""
        roots, left, right, feature = (take(arrays, name, 1, "i") for name in ("roots", "left", "right", "feature"))
        trees = cls(roots, left, right, feature, take(arrays, "threshold", 1), take(arrays, "value", 2))
        nodes = len(left)
        require(
            all(len(values) == nodes for values in (right, feature, trees.threshold, trees.value)),
            "its trees' arrays differ in length",
        )
        require(
            len(roots) > 0 and roots[0] == 0 and (np.diff(roots) > 0).all() and roots[-1] < nodes,
            "its trees do not begin where they should",
        )
        inner = left != LEAF
        own = np.flatnonzero(inner)
        end = np.repeat(np.append(roots[1:], nodes), np.diff(np.append(roots, nodes)))[own]
        for child in (left[own], right[own]):
            # Children behind their parent and within their tree: every path ends, in the right tree.
            require(((child > own) & (child < end)).all(), "a tree's children lie outside it")
        asked = feature[own]
        require(((asked >= 0) & (asked < columns)).all(), "a tree asks for a column that is not there")
        require((right[~inner] == LEAF).all(), "a leaf has a child")
        return trees


@dataclass(frozen=True)
class Forest:
    """Extra trees (Geurts, Ernst and Wehenkel, Machine Learning 63, 2006): the mean of the leaves' shares."""

    trees: Trees

    @classmethod
    def fit(cls, model: Any) -> Self:
        """Take the trees of a fitted `sklearn.ensemble.ExtraTreesClassifier`, or of a regressor of indicators."""
        found = []
        for estimator in model.estimators_:
            tree = estimator.tree_
            counts = tree.value.reshape(tree.node_count, -1)  # (nodes, 1, classes), or (nodes, classes, 1)
            found.append(
                {
                    "left": tree.children_left,
                    "right": tree.children_right,
                    "feature": tree.feature,
                    "threshold": tree.threshold,
                    "value": counts / counts.sum(axis=1, keepdims=True),
                }
            )
        return cls(Trees.join(found))

    def predict(self, features: Values) -> Values:
        """Return class probabilities (n, classes)."""
        found = np.zeros((len(features), self.trees.value.shape[1]))
        for rows, leaf in self.trees.leaves(_single(features)):
            for tree in range(leaf.shape[1]):  # one after the other: the same sum for one row as for many
                found[rows] += self.trees.value[leaf[:, tree]]
        return found / len(self.trees.roots)

    def explain(self, features: Values, target: int, owners: Codes, fields: int) -> Values:
        """Return (n, fields): probability of ``target`` less `base`, booked along the paths.

        Each split's change of the share of ``target`` goes to the field it asks (Saabas, "Interpreting
        random forests", 2014; Palczewska et al., "Interpreting random forest classification models using a
        feature contribution method", 2014).
        """
        group = np.zeros(len(self.trees.roots), dtype=np.int64)
        booked: Values = self.trees.paths(_single(features), target, group, owners, fields)[:, :, 0]
        return booked / len(self.trees.roots)

    def base(self, target: int) -> float:
        """Return the mean share of ``target`` at the roots: its share among the training cases."""
        return float(self.trees.value[self.trees.roots, target].mean())

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays to store."""
        return self.trees.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays, columns: int, classes: int) -> Self:
        """Rebuild from `to_arrays`; raises `BundleError` if they do not fit."""
        trees = Trees.from_arrays(arrays, columns)
        require(trees.value.shape[1] == classes, "its extra trees have other classes")
        sums = trees.value.sum(axis=1)
        require((trees.value >= 0).all() and np.allclose(sums, 1), "a leaf's shares do not sum to one")
        return cls(trees)


@dataclass(frozen=True)
class Boosted:
    """Gradient boosting: scores that add up over the trees, through a softmax.

    Two classes have one score, that of class 1 against 0.

    Attributes
    ----------
    trees : with one output each
    group : (trees,) the class that each tree's score belongs to
    start : (classes,) scores before the first tree
    """

    trees: Trees
    group: Codes
    start: Values

    @classmethod
    def fit(cls, model: Any, classes: int) -> Self:
        """Take the trees of a fitted `sklearn.ensemble.HistGradientBoostingClassifier`.

        ``_predictors`` and ``_baseline_prediction`` are private: the caller compares the result with
        ``predict_proba`` and does without boosting if a later scikit-learn has changed them.
        """
        rounds = model._predictors
        found = [_hist_tree(predictor.nodes) for trees in rounds for predictor in trees]
        start = np.ravel(model._baseline_prediction).astype(np.float64)
        group = np.tile(np.arange(len(start)), len(rounds))
        if classes == 2:
            start, group = np.array([0.0, start[0]]), group + 1
        return cls(Trees.join(found), group.astype(np.int64), start)

    def scores(self, features: Values) -> Values:
        """Return (n, classes) scores."""
        found = np.tile(self.start, (len(features), 1))
        for rows, leaf in self.trees.leaves(features):
            for tree in range(leaf.shape[1]):
                found[rows, self.group[tree]] += self.trees.value[leaf[:, tree], 0]
        return found

    def predict(self, features: Values) -> Values:
        """Return class probabilities (n, classes)."""
        return np.asarray(softmax(self.scores(features), axis=1))

    def explain(self, features: Values, target: int, owners: Codes, fields: int) -> Values:
        """Return (n, fields): probability of ``target`` less `base`.

        Paths are booked on the scores as in `Forest.explain`; `medtasks_record_ensemble.linear.shared`
        brings the scores to probabilities.
        """
        found = np.empty((len(features), fields))
        step = 512  # bounds (rows, fields, classes)
        for begin in range(0, len(features), step):
            parts = self.trees.paths(features[begin : begin + step], 0, self.group, owners, fields)
            found[begin : begin + step] = shared(self._root(), parts, target)
        return found

    def base(self, target: int) -> float:
        """Return the probability of ``target`` that the roots' mean scores give."""
        return float(softmax(self._root())[target])

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays to store."""
        return {**self.trees.to_arrays(), "group": self.group, "start": self.start}

    @classmethod
    def from_arrays(cls, arrays: Arrays, columns: int, classes: int) -> Self:
        """Rebuild from `to_arrays`; raises `BundleError` if they do not fit."""
        trees = Trees.from_arrays(arrays, columns)
        model = cls(trees, take(arrays, "group", 1, "i"), take(arrays, "start", 1))
        require(
            model.trees.value.shape[1] == 1 and model.group.shape == model.trees.roots.shape,
            "its boosted trees do not fit",
        )
        require(
            len(model.start) == classes and bool(((model.group >= 0) & (model.group < classes)).all()),
            "its boosted trees have other classes",
        )
        require(model.group.max() == classes - 1, "a class has no boosted tree")
        return model

    def _root(self) -> Values:
        sums = np.bincount(self.group, self.trees.value[self.trees.roots, 0], len(self.start))
        root: Values = self.start + sums
        return root


def _single(features: Values) -> Values:
    """Round as scikit-learn's trees do, which compare 32-bit inputs with 64-bit thresholds."""
    return features.astype(np.float32).astype(np.float64)


def _hist_tree(nodes: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Bring one tree of histogram boosting to our arrays.

    Its inner nodes hold values from before the learning rate: ours are the means of the leaves below, by the
    number of training cases. Features have no missing values, so that the thresholds alone decide.
    """
    leaf = nodes["is_leaf"].astype(bool)
    left = np.where(leaf, LEAF, nodes["left"].astype(np.int64))
    right = np.where(leaf, LEAF, nodes["right"].astype(np.int64))
    count, value = nodes["count"].astype(np.float64), nodes["value"].astype(np.float64).copy()
    for node in np.flatnonzero(~leaf)[::-1]:  # children stand behind their parent
        below = np.array([left[node], right[node]])
        value[node] = np.average(value[below], weights=count[below])
    return {
        "left": left,
        "right": right,
        "feature": nodes["feature_idx"].astype(np.int64),
        "threshold": nodes["num_threshold"],
        "value": value[:, None],
    }
