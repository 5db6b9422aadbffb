"""How a result stands beside the baseline's: the table and the sentence that every report opens with."""

from __future__ import annotations

import numpy as np

from medtasks.evaluation import metrics
from medtasks.evaluation.bootstrap import Measure, decimals
from medtasks.evaluation.directions import LOWER_IS_BETTER
from medtasks.report.blocks import Block, Table, Text
from medtasks.task import Judged

MEANING = {
    "auroc": "a case of the class ranks above one without it",
    "auprc": "area under the precision-recall curve",
    "mcc": "Matthews' correlation of decision and truth",
    "accuracy": "cases decided rightly",
    "balanced_accuracy": "the mean over the classes of cases decided rightly",
    "sensitivity": "of those with the class, share found",
    "specificity": "of those without it, share cleared",
    "ppv": "of those called positive, share that are",
    "npv": "of those cleared, share that are free of it",
    "f1": "harmonic mean of sensitivity and PPV",
    "brier": "mean squared error of the probabilities (lower is better)",
    "log_loss": "mean surprise at the truth (lower is better)",
    "ece": "mean gap between stated and observed (lower is better)",
    "rmse": "root of the mean squared error, in the unit of the target (lower is better)",
    "rmse_cliff": "RMSE of molecules with a near twin that measures ten-fold more or less (lower is better)",
    "mae": "mean absolute error, in the unit of the target (lower is better)",
    "r2": "share of the spread that is explained",
    "spearman": "correlation of the ranks",
    "kendall": "share of pairs ranked rightly less those ranked wrongly",
    "bedroc": "actives at the very top of the ranking (alpha 20)",
    "ef_1pct": "actives in the first 1 %, as a multiple of chance",
    "gain_over_best_arm": "the mean outcome if each received the arm ranked first, against one arm for all",
    "gain_where_clear": "the same, where only clear recommendations are followed",
    "policy_value": "the mean outcome if each received the arm ranked first",
    "best_arm_value": "the mean outcome if all received the arm that was best in training",
    "qini": "what treating those of the largest expected benefit first gains against any order",
    "recommended": "share of patients with a clear recommendation",
    "pehe": "root of the mean squared error of the effects (lower is better)",
    "coverage": "share of the prediction sets or intervals that hold the truth",
    "set_size": "mean number of classes in the prediction sets (lower is better)",
    "within_20pct": "share of doses within a fifth of the one that proved right",
    "jaccard": "medicines that model and clinician share, of all that either gave",
    "jaccard_unrestricted": "the same if no rule held medicines back",
    "prauc": "area under the precision-recall curve of a visit's medicines",
    "ddi_rate": "share of the pairs given together that interact, over all visits (lower is better)",
    "ddi_rate_per_patient": "the same as a mean over visits (lower is better)",
    "medicines": "mean number recommended",
    "medicines_given": "mean number that clinicians gave",
    "bias": "mean of predicted less right dose",
    "interval_width": "mean width of the intervals, in the unit of the target (lower is better)",
}
SHORT = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "mcc": "MCC",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "ece": "Calibration error",
    "brier": "Brier score",
    "log_loss": "Log-loss",
    "rmse": "RMSE",
    "rmse_cliff": "RMSE on cliffs",
    "mae": "MAE",
    "r2": "R²",
    "kendall": "Kendall's tau",
    "bedroc": "BEDROC",
    "ef_1pct": "Enrichment at 1 %",
    "gain_over_best_arm": "Gain over the best arm",
    "gain_where_clear": "Gain where clear",
    "policy_value": "Value of the choices",
    "best_arm_value": "Value of the best arm",
    "qini": "Qini coefficient",
    "recommended": "Clear recommendations",
    "pehe": "Root PEHE",
    "prauc": "PRAUC",
    "ddi_rate": "Interacting pairs",
    "ddi_rate_per_patient": "Interacting pairs by patient",
    "within_20pct": "Within 20 %",
}
SHARES = frozenset(metrics.ORDER) - {"brier", "log_loss"} | {
    "bedroc", "coverage", "ddi_rate", "ddi_rate_per_patient", "jaccard", "jaccard_unrestricted", "prauc", "recommended",
    "within_20pct",
}  # fmt: skip
"""Measures that lie between 0 and 1, and so do the intervals of their means."""


def blocks(judged: Judged, headline: str, unit: str, remark: str = "") -> list[Block]:
    """Return the table of all measures beside the baseline's, and the verdict on the headline.

    Parameters
    ----------
    headline
        The measure that the verdict is about.
    unit
        What was resampled for the intervals: ``patients``, ``cases``, ``molecules``.
    remark
        A further sentence for the caption.
    """
    ours = judged.evaluation.metrics
    base = judged.baseline.metrics if judged.baseline else {}
    gain = judged.evaluation.overall.minus(judged.baseline.overall) if judged.baseline else {}
    rows = [
        [label(name), str(found), str(base.get(name, "")), _signed(gain.get(name)), _meaning(name, judged)]
        for name, found in ours.items()
    ]
    caption = f"On {judged.evaluation.n} cases. In brackets 95 % intervals by bootstrap over {unit}."
    table = Table(
        ["Measure", "Model", "Baseline", "Difference", "Means"], rows, f"{caption} {remark}".strip(), remarks=True
    )
    return [table, Text(verdict(gain.get(headline), headline, judged.lower_is_better))] if base else [table]


def _meaning(name: str, judged: Judged) -> str:
    return MEANING.get(name, "lower is better" if name in judged.lower_is_better else "")


def label(name: str) -> str:
    """Return a measure's name as a reader knows it."""
    return SHORT.get(name, name.replace("_", " ").capitalize())


def limits(name: str) -> tuple[float, float]:
    """Return the least and the most that a measure can be."""
    return (0.0, 1.0) if name in SHARES else (-np.inf, np.inf)


def verdict(gain: Measure | None, name: str, lower_is_better: frozenset[str] = LOWER_IS_BETTER) -> str:
    """Say in a sentence whether the model is better than the baseline."""
    shown = label(name)
    if gain is not None and gain.value == 0 and gain.low is None:
        return "The model answers as the baseline does."
    if gain is None or gain.low is None or gain.high is None:
        return f"The {shown} of model and baseline cannot be compared on these cases."
    if gain.value == gain.low == gain.high == 0:
        return "The model is the baseline itself."
    less = name in lower_is_better
    low, high = (-gain.high, -gain.low) if less else (gain.low, gain.high)
    side, other = ("below", "above") if less else ("above", "below")
    if low > 0:
        return f"The model is better than the baseline: the interval of the difference in {shown} lies {side} 0."
    if high < 0:
        return f"The model is worse than the baseline: the interval of the difference in {shown} lies {other} 0."
    return (
        f"The model cannot be told from the baseline: the interval of the difference in {shown} holds 0. "
        "The simpler model may serve as well."
    )


def _signed(found: Measure | None) -> str:
    if found is None or found.value is None:
        return ""
    if found.low is None or found.high is None:
        return f"{found.value:+.{decimals(found.value)}f}"
    places = decimals(found.value, found.low, found.high)
    return f"{found.value:+.{places}f} ({found.low:+.{places}f} to {found.high:+.{places}f})"
