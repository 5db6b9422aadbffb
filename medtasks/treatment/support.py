"""Whether the data can speak about an arm for a patient at all: overlap, and patients like this one.

A tree that tells from the fields which arm patients received cuts them into leaves. Patients of one leaf are alike in
what decided their treatment; an arm that next to nobody of them received cannot be compared with the others there.
Only counts are kept, of leaves large enough that they name nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases import Patients, RecordEncoder
from medtasks.dataset import group_numbers

Codes = npt.NDArray[np.int64]
LEAST = 5
"""Patients of an arm in a leaf below which the arm is not spoken of there."""
EXPECTED = 15
"""A leaf is so large that of the rarest arm as many are expected in it: fewer than `LEAST` are then no chance
(Poisson, P = 0.0009)."""
SMALLEST = 50
"""Patients in a leaf at least."""
DEPTH = 6
"""Cuts one after the other: the sentence that tells a leaf stays short."""


@dataclass(frozen=True)
class Support:
    """How many patients received each arm, among those alike in what decided the treatment.

    Attributes
    ----------
    encoder : turns patients into columns; None where chance decided, so that all are alike
    feature, left, right : (nodes,) int arrays; a leaf has -1 as its ``left``
    threshold : (nodes,) at most this goes left
    counts : (nodes, arms) patients who received each arm
    """

    encoder: RecordEncoder | None
    feature: Codes
    threshold: npt.NDArray[np.float64]
    left: Codes
    right: Codes
    counts: Codes

    @classmethod
    def fit(
        cls,
        cases: Patients,
        treatment: Codes,
        arms: int,
        *,
        by_lot: bool,
        groups: npt.NDArray[Any] | None = None,
        seed: int = 0,
    ) -> Support:
        """Cut patients by what decided their treatment; not at all where it was drawn ``by_lot``.

        Parameters
        ----------
        groups
            (n,) of rows that belong to one patient, who counts once.
        """
        number = group_numbers(len(treatment), groups)
        given = _patients(np.zeros(len(treatment), dtype=np.int64), treatment, number, (1, arms))[0]
        rarest = int(np.bincount(treatment, minlength=arms).min())
        leaf = int(max(SMALLEST, np.ceil(EXPECTED * len(treatment) / max(1, rarest))))
        if by_lot or len(treatment) < 2 * leaf:
            return cls(None, np.array([-1]), np.zeros(1), np.array([-1]), np.array([-1]), given[None])
        from sklearn.tree import DecisionTreeClassifier

        encoder = RecordEncoder.fit(cases)
        features = encoder.transform(cases)
        tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=leaf, random_state=seed)
        found = tree.fit(features, treatment).tree_
        counts = _patients(tree.apply(features), treatment, number, (found.node_count, arms))
        return cls(
            encoder,
            np.asarray(found.feature, dtype=np.int64),
            np.asarray(found.threshold, dtype=np.float64),
            np.asarray(found.children_left, dtype=np.int64),
            np.asarray(found.children_right, dtype=np.int64),
            counts,
        )

    def of(self, cases: Patients) -> Codes:
        """Return (n, arms): among the training patients like each of these, how many received each arm."""
        node = np.zeros(len(cases), dtype=np.int64)
        if self.encoder is None:
            return self.counts[node]
        features = self.encoder.transform(cases).astype(np.float32)  # as scikit-learn compares
        rows = np.arange(len(cases))
        for _ in range(DEPTH):
            inner = self.left[node] >= 0
            goes_left = features[rows, np.maximum(self.feature[node], 0)] <= self.threshold[node]
            node = np.where(inner, np.where(goes_left, self.left[node], self.right[node]), node)
        return self.counts[node]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON; `read` takes it back."""
        arrays = {} if self.encoder is None else self.encoder.to_arrays()
        return {
            "encoder": {name: values.tolist() for name, values in arrays.items()},
            "feature": self.feature.tolist(),
            "threshold": self.threshold.tolist(),
            "left": self.left.tolist(),
            "right": self.right.tolist(),
            "counts": self.counts.tolist(),
        }

    @classmethod
    def read(cls, stored: dict[str, Any], cases: Patients) -> Support:
        """Rebuild it from `as_json`, for patients with the fields of ``cases``."""
        arrays = {name: np.array(values) for name, values in stored["encoder"].items()}
        return cls(
            RecordEncoder.from_arrays(cases.fields, arrays) if arrays else None,
            np.array(stored["feature"], dtype=np.int64),
            np.array(stored["threshold"], dtype=np.float64),
            np.array(stored["left"], dtype=np.int64),
            np.array(stored["right"], dtype=np.int64),
            np.array(stored["counts"], dtype=np.int64),
        )


def _patients(node: Codes, treatment: Codes, number: Codes, shape: tuple[int, int]) -> Codes:
    """Count in each node the patients who received each arm, each once however often."""
    places = np.unique(np.column_stack([node, treatment, number]), axis=0)
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts, (places[:, 0], places[:, 1]), 1)
    return counts


def supported(counts: Codes) -> npt.NDArray[np.bool_]:
    """Return (n, arms): whether enough patients like this one received the arm; see `LEAST`."""
    return np.asarray(counts >= LEAST)
