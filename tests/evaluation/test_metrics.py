"""Every measure is scikit-learn's, for weights, ties, two classes and more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from medtasks.evaluation.directions import LOWER_IS_BETTER
from medtasks.evaluation.metrics import ORDER, auprc, auroc, classification, confusion


def draw(classes: int, seed: int, ties: bool) -> tuple[Any, Any, Any, Any]:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, 120)
    scores = rng.dirichlet(np.ones(classes), 120) + 0.4 * np.eye(classes)[targets]
    scores /= scores.sum(axis=1, keepdims=True)
    if ties:
        scores = np.round(scores, 1)
        scores = (scores + 0.05) / (scores + 0.05).sum(axis=1, keepdims=True)  # no certainty, rows sum to 1
    decided = scores.argmax(axis=1) if classes > 2 else (scores[:, 1] >= 0.4).astype(int)
    weights = rng.integers(0, 4, (3, 120)).astype(float)
    weights[0] = 1
    return targets, scores, decided, weights


def expected(targets: Any, scores: Any, decided: Any, weight: Any) -> dict[str, float]:
    """Compute each measure with scikit-learn: of class 1 of two, else the mean over one class against the rest."""
    classes = scores.shape[1]
    each: dict[str, list[float]] = {}
    for k in [1] if classes == 2 else range(classes):
        truth, called, given = targets == k, decided == k, {"sample_weight": weight, "zero_division": np.nan}
        for name, value in {
            "auroc": reference.roc_auc_score(truth, scores[:, k], sample_weight=weight),
            "auprc": reference.average_precision_score(truth, scores[:, k], sample_weight=weight),
            "sensitivity": reference.recall_score(truth, called, **given),
            "specificity": reference.recall_score(~truth, ~called, **given),
            "ppv": reference.precision_score(truth, called, **given),
            "npv": reference.precision_score(~truth, ~called, **given),
            "f1": reference.f1_score(truth, called, **given),
        }.items():
            each.setdefault(name, []).append(value)
    labels = list(range(classes))
    truth = targets if classes == 2 else np.eye(classes)[targets]
    brier = scores[:, 1] if classes == 2 else scores
    return {
        **{name: float(np.mean(values)) for name, values in each.items()},
        "accuracy": reference.accuracy_score(targets, decided, sample_weight=weight),
        "balanced_accuracy": reference.balanced_accuracy_score(targets, decided, sample_weight=weight),
        "brier": float(np.average(((np.eye(classes)[targets] - scores) ** 2).sum(axis=1), weights=weight))
        if classes > 2
        else reference.brier_score_loss(truth, brier, sample_weight=weight),
        "log_loss": reference.log_loss(targets, scores, sample_weight=weight, labels=labels),
    }


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_every_measure_is_scikit_learns(classes: int, ties: bool, seed: int) -> None:
    targets, scores, decided, weights = draw(classes, seed, ties)
    found = classification(targets, scores, decided, weights)
    assert tuple(found) == ORDER
    for row, weight in enumerate(weights):
        for name, value in expected(targets, scores, decided, weight).items():
            assert found[name][row] == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_a_weight_is_that_many_copies_of_a_row() -> None:
    targets, scores, decided, weights = draw(3, 0, ties=True)
    rows = np.repeat(np.arange(120), weights[1].astype(int))
    found = classification(targets, scores, decided, weights[1:2])
    copied = classification(targets[rows], scores[rows], decided[rows], np.ones((1, len(rows))))
    for name in ORDER:
        assert found[name][0] == pytest.approx(copied[name][0]), name


def test_the_order_of_rows_makes_no_difference_even_with_ties() -> None:
    targets, scores, decided, _ = draw(2, 1, ties=True)
    mixed = np.random.default_rng(0).permutation(120)
    one = classification(targets, scores, decided, np.ones((1, 120)))
    other = classification(targets[mixed], scores[mixed], decided[mixed], np.ones((1, 120)))
    for name in ORDER:
        assert one[name][0] == pytest.approx(other[name][0]), name


def test_calibration_error_by_hand() -> None:
    # ten cases at 0.85, of which six are positive, and ten at 0.15, of which two: gaps of 0.25 and 0.05
    scores = np.r_[np.full(10, 0.85), np.full(10, 0.15)]
    targets = np.r_[np.ones(6), np.zeros(4), np.ones(2), np.zeros(8)].astype(int)
    pair = np.column_stack([1 - scores, scores])
    found = classification(targets, pair, (scores > 0.5).astype(int), np.ones((1, 20)))
    assert found["ece"][0] == pytest.approx(0.5 * 0.25 + 0.5 * 0.05)


def test_calibration_error_of_several_classes_is_of_the_top_one() -> None:
    scores = np.tile([0.7, 0.2, 0.1], (10, 1))
    found = classification(np.r_[np.zeros(9), [2]].astype(int), scores, np.zeros(10, dtype=int), np.ones((1, 10)))
    assert found["ece"][0] == pytest.approx(0.9 - 0.7)


def test_certain_and_right_is_perfect_and_certain_and_wrong_is_finite() -> None:
    targets = np.array([0, 1, 1, 0])
    sure = np.eye(2)[targets]
    found = classification(targets, sure, targets, np.ones((1, 4)))
    for name in ORDER:
        # scikit-learn clips a certainty too: its log-loss is of the order of 1e-16
        assert found[name][0] == pytest.approx(0 if name in LOWER_IS_BETTER else 1, abs=1e-12), name
    wrong = classification(targets, 1 - sure, 1 - targets, np.ones((1, 4)))
    assert np.isfinite(wrong["log_loss"][0])
    assert wrong["brier"][0] == 1
    assert wrong["auroc"][0] == 0


def test_what_the_data_do_not_define_is_nan_and_not_zero() -> None:
    scores = np.column_stack([1 - np.linspace(0.1, 0.9, 5), np.linspace(0.1, 0.9, 5)])
    found = classification(np.zeros(5, dtype=int), scores, np.zeros(5, dtype=int), np.ones((1, 5)))
    assert all(np.isnan(found[name][0]) for name in ("auroc", "auprc", "sensitivity", "ppv", "f1"))
    assert found["specificity"][0] == found["npv"][0] == found["accuracy"][0] == 1


def test_a_class_that_no_case_has_is_left_out_of_the_mean() -> None:
    targets, scores, decided, weights = draw(3, 2, ties=False)
    weights = np.where(targets == 2, 0.0, weights)
    found = classification(targets, scores, decided, weights)
    kept = targets != 2
    one_class = [reference.roc_auc_score(targets[kept] == k, scores[kept, k]) for k in range(2)]
    assert found["auroc"][0] == pytest.approx(np.mean(one_class))
    assert np.isfinite(found["balanced_accuracy"]).all()


def test_ranking_by_hand() -> None:
    positive, ones = np.array([True, False, True, False]), np.ones((1, 4))
    assert auroc(positive, np.array([0.9, 0.8, 0.7, 0.1]), ones) == pytest.approx([0.75])
    assert auroc(positive, np.full(4, 0.5), ones) == pytest.approx([0.5])
    assert auprc(positive, np.array([0.9, 0.8, 0.7, 0.1]), ones) == pytest.approx([(1 + 2 / 3) / 2])


def test_confusion_has_the_truth_in_rows() -> None:
    targets, decided = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    assert confusion(targets, decided, 3).tolist() == reference.confusion_matrix(targets, decided).tolist()
    assert confusion(targets, decided, 4).shape == (4, 4)


@pytest.mark.parametrize("positive", [True, False])
def test_of_one_class_neither_ranking_is_measured(positive: bool) -> None:
    truth, scores, weights = np.full(4, positive), np.array([0.9, 0.8, 0.7, 0.1]), np.ones((2, 4))
    assert np.isnan(auprc(truth, scores, weights)).all()
    assert np.isnan(auroc(truth, scores, weights)).all()
    mixed = np.array([True, True, True, False])  # of the second draw's weights only positives are left
    found = auprc(mixed, scores, np.array([[1.0, 1, 1, 1], [1, 1, 1, 0]]))
    assert np.isnan(found).tolist() == [False, True]
