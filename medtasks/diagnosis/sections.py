"""The diagnosis part of a report: what a physician needs to judge a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medtasks.cases import Images
from medtasks.cases.image_files import as_float
from medtasks.evaluation.bootstrap import Measure
from medtasks.evaluation.calibration import reliability
from medtasks.evaluation.metrics import confusion
from medtasks.report import figures
from medtasks.report.blocks import Block, Bullets, Figure, Picture, Row, Section, Table, Text
from medtasks.task import Judged

MISTAKES = 12
MEANING = {
    "auroc": "a case of the class ranks above one without it",
    "auprc": "area under the precision-recall curve",
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
}
SHORT = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "ece": "Calibration error",
    "brier": "Brier score",
    "log_loss": "Log-loss",
}


def write(judged: Judged) -> list[Section]:
    """Write every section on the result."""
    return [
        Section("Result", _result(judged)),
        Section("Curves", _curves(judged)),
        Section("Decisions", _decisions(judged)),
        *_mistakes(judged),
    ]


def _result(judged: Judged) -> list[Block]:
    ours = judged.evaluation.metrics
    base = judged.baseline.metrics if judged.baseline else {}
    gain = judged.evaluation.overall.minus(judged.baseline.overall) if judged.baseline else {}
    rows = [
        [_label(name), str(found), str(base.get(name, "")), _signed(gain.get(name)), MEANING[name]]
        for name, found in ours.items()
    ]
    several = len(judged.data.classes) > 2
    blocks: list[Block] = [
        Table(
            ["Measure", "Model", "Baseline", "Difference", "Means"],
            rows,
            f"On {judged.evaluation.n} cases that neither model saw. In brackets 95 % intervals by bootstrap over "
            + ("patients." if judged.data.groups is not None else "cases.")
            + (" With more than two classes, averages of one class against the rest." if several else ""),
        )
    ]
    if base:
        blocks.append(Text(_verdict(gain.get("auroc"), "AUROC")))
    if several:
        blocks.append(
            Table(
                ["Class", "Cases", "AUROC", "Sensitivity", "Specificity", "PPV"],
                [
                    [
                        name,
                        str(int((judged.data.targets == code).sum())),
                        *(str(part.measures()[key]) for key in ("auroc", "sensitivity", "specificity", "ppv")),
                    ]
                    for code, (name, part) in enumerate(judged.evaluation.targets.items())
                ],
                "Each class against the rest.",
            )
        )
    return blocks


def _curves(judged: Judged) -> list[Block]:
    from sklearn.metrics import precision_recall_curve, roc_curve

    classes, table = judged.data.classes, judged.answers
    shown = [1] if len(classes) == 2 else range(min(len(classes), len(figures.COLOURS)))
    roc, precision = {}, {}
    for code in shown:
        truth, scores = judged.data.targets == code, table[f"p_{classes[code]}"].to_numpy()
        if truth.any() and not truth.all():
            false, true, _ = roc_curve(truth, scores)
            roc[classes[code]] = (false, true)
            exact, found, _ = precision_recall_curve(truth, scores)
            precision[classes[code]] = (found, exact)
    if not roc:
        return [Text("The cases judged hold one class only: no curve can be drawn.")]
    if len(classes) == 2:
        stated = table[f"p_{classes[1]}"].to_numpy()
        curve = reliability(judged.data.targets == 1, stated)
        about = f"probability of {classes[1]}"
    else:
        stated = table["probability"].to_numpy()
        hit = (table["prediction"] == np.array(classes, dtype=object)[judged.data.targets]).to_numpy()
        curve = reliability(hit, stated)
        about = "probability of the decided class"
    return [
        Row(
            [
                Figure(
                    figures.curves(roc, "1 - specificity", "sensitivity", diagonal=True),
                    "ROC: how many false alarms each gain in sensitivity costs. The dotted line is guessing.",
                ),
                Figure(
                    figures.curves(precision, "sensitivity (recall)", "PPV (precision)"),
                    "Precision-recall: the same choice seen by those who are called positive.",
                ),
                Figure(
                    figures.reliability(curve.stated, curve.observed, curve.low, curve.high, curve.count),
                    f"Reliability: among cases given a {about}, the share in which it held (95 % Wilson intervals, "
                    "dots sized by number of cases). On the dotted line stated and observed agree.",
                ),
            ]
        )
    ]


def _decisions(judged: Judged) -> list[Block]:
    classes = judged.data.classes
    place = {name: i for i, name in enumerate(classes)}
    decided = judged.answers["prediction"].map(place).to_numpy(dtype=np.int64)
    if "threshold" in judged.decision:
        rule = (
            f"A case counts as {judged.decision['positive']} from a probability of "
            f"{judged.decision['threshold']:.3f} on. This threshold was chosen by the rule "
            f"'{judged.decision['rule']}' on {judged.decision['cases']} cases that are not among those judged."
        )
        if judged.decision.get("folds", 1) > 1:
            rule += " In each fold of the cross-validation a threshold of its own was chosen the same way."
    else:
        rule = "The most probable class is the decision."
    return [
        Text(rule),
        Figure(
            figures.matrix(confusion(judged.data.targets, decided, len(classes)), classes),
            "Confusion matrix: the true class in rows, the decision in columns.",
        ),
    ]


def _mistakes(judged: Judged) -> list[Section]:
    names = np.array(judged.data.classes, dtype=object)
    wrong = np.flatnonzero((judged.answers["prediction"] != names[judged.data.targets]).to_numpy())
    sure = judged.answers["probability"].to_numpy()
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:MISTAKES]
    title = "Most confident mistakes"
    if not len(worst):
        return [Section(title, [Text("There was none: every case was decided rightly.")], personal=True)]
    blocks: list[Block] = [
        Text(
            f"{len(wrong)} of {len(judged.data)} cases were decided wrongly. These are the ones that the model was "
            "surest of: look here first for wrong labels, artefacts, and kinds of case that it does not know."
        )
    ]
    captions = [
        f"{judged.data.cases.ids[row]}: {names[judged.data.targets[row]]}, "
        f"called {judged.answers['prediction'].iloc[row]} ({sure[row]:.2f})"
        for row in worst
    ]
    if isinstance(judged.data.cases, Images):
        blocks += _pictures(judged, judged.data.cases, worst, captions)
    else:
        blocks.append(Bullets(captions))
    return [Section(title, blocks, personal=True)]


def _pictures(judged: Judged, images: Images, rows: npt.NDArray[np.int64], captions: Sequence[str]) -> list[Block]:
    decided = judged.answers["prediction"].iloc[rows]
    targets = np.array([judged.data.classes.index(name) for name in decided], dtype=np.int64)
    heat = judged.explain(rows, targets) if judged.explain else None
    pictures = [
        Picture(
            figures.overlay(as_float(images.pixels(int(row))), heat[i] if heat is not None else None),
            captions[i],
        )
        for i, row in enumerate(rows)
    ]
    blocks: list[Block] = [Row(pictures)]
    if heat is not None:
        blocks.append(Text("Bright areas speak for the class that the model decided on (the model's own explanation)."))
    return blocks


def _label(name: str) -> str:
    return SHORT.get(name, name.replace("_", " ").capitalize())


def _signed(found: Measure | None) -> str:
    if found is None or found.value is None:
        return ""
    if found.low is None or found.high is None:
        return f"{found.value:+.3f}"
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _verdict(gain: Measure | None, name: str) -> str:
    if gain is None or gain.low is None or gain.high is None:
        return f"The {name} of model and baseline cannot be compared on these cases."
    if gain.low > 0:
        return f"The model is better than the baseline: the interval of the difference in {name} lies above 0."
    if gain.high < 0:
        return f"The model is worse than the baseline: the interval of the difference in {name} lies below 0."
    return (
        f"The model cannot be told from the baseline: the interval of the difference in {name} holds 0. "
        "The simpler model may serve as well."
    )
