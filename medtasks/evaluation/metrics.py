"""Measures of classification, for weighted rows and many weightings at once.

scikit-learn computes one weighting a call, with checks that cost more than the sums; a bootstrap needs a
thousand. The tests hold every measure here against scikit-learn's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.evaluation.bootstrap import Weights

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer[Any]]
BINS = 10
"""Equal-width bins of the calibration error (Guo et al. 2017, arXiv:1706.04599, use 15; test parts in
medicine are small)."""


def classification(targets: Codes, probabilities: Values, decided: Codes, weights: Weights) -> dict[str, Values]:
    """Compute every measure of a classifier.

    Parameters
    ----------
    targets : (n,) class codes; with two classes, 1 is the positive one (the disease)
    probabilities : (n, classes)
    decided : (n,) class codes that the decision rule gave
    weights : (b, n)

    Returns
    -------
    dict of (b,) arrays
        With more than two classes, ``auroc``, ``auprc``, ``sensitivity``, ``specificity``, ``ppv``,
        ``npv`` and ``f1`` are macro averages, one class against the rest. NaN where undefined.
    """
    classes = probabilities.shape[1]
    positives = [1] if classes == 2 else range(classes)
    truth = np.eye(classes)[targets]
    per_class = [_binary(targets == k, probabilities[:, k], decided == k, weights) for k in positives]
    found = {name: _mean([part[name] for part in per_class]) for name in per_class[0]}
    total = weights.sum(axis=1)
    squared = (probabilities - truth) ** 2
    errors = squared[:, 1] if classes == 2 else squared.sum(axis=1)
    own = np.clip(probabilities[np.arange(len(targets)), targets], 1e-15, 1.0)  # as scikit-learn clips
    found["accuracy"] = weights @ (decided == targets) / total
    found["balanced_accuracy"] = _mean(
        [_ratio(weights @ ((decided == k) & (targets == k)), weights @ (targets == k)) for k in range(classes)]
    )
    found["brier"] = weights @ errors / total
    found["log_loss"] = weights @ -np.log(own) / total
    found["ece"] = calibration_error(targets, probabilities, weights)
    return {name: found[name] for name in ORDER}


ORDER = (
    "auroc",
    "auprc",
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "f1",
    "brier",
    "log_loss",
    "ece",
)


def auroc(positive: npt.NDArray[np.bool_], scores: Values, weights: Weights) -> Values:
    """Area under the ROC curve, ties counted half, for (b, n) weights."""
    tp, fp = _ranked(positive, scores, weights)
    below = fp.sum(axis=1, keepdims=True) - np.cumsum(fp, axis=1)  # ranks run from the highest score down
    return _ratio((tp * (below + 0.5 * fp)).sum(axis=1), tp.sum(axis=1) * fp.sum(axis=1))


def auprc(positive: npt.NDArray[np.bool_], scores: Values, weights: Weights) -> Values:
    """Average precision: the area under the precision-recall curve without interpolation; NaN of one class only."""
    tp, fp = _ranked(positive, scores, weights)
    hits, drawn = np.cumsum(tp, axis=1), np.cumsum(tp + fp, axis=1)
    precision = np.divide(hits, drawn, out=np.zeros_like(hits), where=drawn > 0)
    found = _ratio((tp * precision).sum(axis=1), tp.sum(axis=1))
    return np.where(fp.sum(axis=1) > 0, found, np.nan)  # of positives alone it would be 1, whatever the scores


def matthews(positive: npt.NDArray[np.bool_], decided: npt.NDArray[np.bool_], weights: Weights) -> Values:
    """Matthews' correlation of truth and decision (Matthews 1975), for (b, n) weights; NaN where undefined."""
    tp, fp = weights @ (positive & decided), weights @ (~positive & decided)
    fn, tn = weights @ (positive & ~decided), weights @ (~positive & ~decided)
    return _ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def calibration_error(targets: Codes, probabilities: Values, weights: Weights) -> Values:
    """Expected calibration error: of P(positive) with two classes, of the top class with more."""
    if probabilities.shape[1] == 2:
        confidence, hit = probabilities[:, 1], (targets == 1).astype(float)
    else:
        confidence, hit = probabilities.max(axis=1), (probabilities.argmax(axis=1) == targets).astype(float)
    cell = np.eye(BINS)[np.minimum((confidence * BINS).astype(int), BINS - 1)]
    gaps: Values = np.abs(weights @ (cell * (hit - confidence)[:, None])).sum(axis=1)
    return np.asarray(gaps / weights.sum(axis=1))


def confusion(targets: Codes, decided: Codes, classes: int) -> npt.NDArray[Any]:
    """Count cases: (classes, classes), the true class in rows, the decided one in columns."""
    counts = np.bincount(targets * classes + decided, minlength=classes**2)
    return counts.reshape(classes, classes)


def _binary(
    positive: npt.NDArray[np.bool_], scores: Values, decided: npt.NDArray[np.bool_], weights: Weights
) -> dict[str, Values]:
    tp, fp = weights @ (positive & decided), weights @ (~positive & decided)
    fn, tn = weights @ (positive & ~decided), weights @ (~positive & ~decided)
    return {
        "auroc": auroc(positive, scores, weights),
        "auprc": auprc(positive, scores, weights),
        "sensitivity": _ratio(tp, tp + fn),
        "specificity": _ratio(tn, tn + fp),
        "ppv": _ratio(tp, tp + fp),
        "npv": _ratio(tn, tn + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
    }


def _ranked(positive: npt.NDArray[np.bool_], scores: Values, weights: Weights) -> tuple[Values, Values]:
    """Weights of positives and negatives at each distinct score, from the highest down: (b, scores)."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0])
    sorted_weights = weights[:, order]
    truth = positive[order]
    return (
        np.add.reduceat(sorted_weights * truth, starts, axis=1),
        np.add.reduceat(sorted_weights * ~truth, starts, axis=1),
    )


def _ratio(above: Values, below: Values) -> Values:
    out: Values = np.full(np.shape(above), np.nan)
    return np.divide(above, below, out=out, where=below > 0)


def _mean(parts: list[Values]) -> Values:
    """Mean over the classes for which a measure is defined."""
    stacked = np.stack(parts)
    known = np.isfinite(stacked)
    return _ratio(np.where(known, stacked, 0).sum(axis=0), known.sum(axis=0))
