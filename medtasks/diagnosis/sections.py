"""The diagnosis part of a report: what a physician needs to judge a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medtasks import fields, outcome
from medtasks.cases import Images, Records
from medtasks.cases.image_files import as_float
from medtasks.evaluation.calibration import reliability
from medtasks.evaluation.metrics import confusion
from medtasks.report import figures
from medtasks.report.blocks import Block, Bullets, Figure, Picture, Row, Section, Table, Text
from medtasks.task import Judged

MISTAKES = 12


def write(judged: Judged) -> list[Section]:
    """Write every section on the result."""
    return [
        Section("Result", _result(judged)),
        Section("Curves", _curves(judged)),
        Section("Decisions", _decisions(judged)),
        *_mistakes(judged),
    ]


def _result(judged: Judged) -> list[Block]:
    several = len(judged.data.classes) > 2
    blocks = outcome.blocks(
        judged,
        "auroc",
        "patients" if judged.data.groups is not None else "cases",
        "With more than two classes, averages of one class against the rest." if several else "",
    )
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
    from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

    classes, table = judged.data.classes, judged.answers
    found = {}
    for code in [1] if len(classes) == 2 else range(len(classes)):
        truth, scores = judged.data.targets == code, table[f"p_{classes[code]}"].to_numpy()
        if truth.any() and not truth.all():
            found[code] = (truth, scores)
    if not found:
        return [Text("The cases judged hold one class only: no curve can be drawn.")]
    worst = sorted(found, key=lambda code: float(roc_auc_score(*found[code])))[: len(figures.COLOURS)]
    few = f" The {len(worst)} classes of {len(found)} that are told apart worst." if len(worst) < len(found) else ""
    roc, precision = {}, {}
    for code in sorted(worst):
        truth, scores = found[code]
        false, true, _ = roc_curve(truth, scores)
        roc[classes[code]] = (false, true)
        exact, reached, _ = precision_recall_curve(truth, scores)
        precision[classes[code]] = (reached, exact)
    if len(classes) == 2:
        stated = table[f"p_{classes[1]}"].to_numpy()
        curve = reliability(judged.data.targets == 1, stated)
        about = f"probability of {classes[1]}"
    else:
        stated = table["probability"].to_numpy()
        hit = (table["prediction"] == np.array(classes, dtype=object)[judged.data.targets]).to_numpy()
        curve = reliability(hit, stated)
        about = "probability of the decided class"
    choices = [
        Figure(
            figures.curves(roc, "1 - specificity", "sensitivity", diagonal=True),
            f"ROC: how many false alarms each gain in sensitivity costs. The dotted line is guessing.{few}",
        ),
        Figure(
            figures.curves(precision, "sensitivity (recall)", "PPV (precision)"),
            f"Precision-recall: the same choice seen by those who are called positive.{few}",
        ),
    ]
    stated_and_seen = Figure(
        figures.reliability(curve.stated, curve.observed, curve.low, curve.high, curve.count),
        f"Reliability: among cases given a {about}, the share in which it held (95 % Wilson intervals, "
        "dots sized by number of cases). On the dotted line stated and observed agree.",
    )
    return [Row([*choices, stated_and_seen], wide=len(worst) > figures.WITHIN)]  # legends that stand beside take room


def _decisions(judged: Judged) -> list[Block]:
    classes, decided = judged.data.classes, _decided(judged)
    if "threshold" in judged.decision:
        cut, how = f"{judged.decision['threshold']:.3f}", f"by the rule '{judged.decision['rule']}'"
        name, cases = judged.decision["positive"], judged.decision["cases"]
        rule = (
            f"A case counts as {name} from a probability of {cut} on, chosen {how} on {cases} cases kept from training."
        )
        if judged.decision.get("folds", 1) > 1:
            rule = (
                f"In each fold a threshold was chosen {how} on cases of the fold that were neither trained on nor "
                f"judged. The model that is saved counts a case as {name} from {cut} on, chosen on the answers to all "
                f"{cases} cases."
            )
    else:
        rule = "The most probable class is the decision."
    return [
        Text(rule),
        Figure(
            figures.matrix(confusion(judged.data.targets, decided, len(classes)), classes),
            "Confusion matrix: the true class in rows, the decision in columns.",
        ),
    ]


def _decided(judged: Judged) -> npt.NDArray[np.int64]:
    """Return the code of the class that each case was given."""
    place = {name: i for i, name in enumerate(judged.data.classes)}
    return np.asarray(judged.answers["prediction"].map(place), dtype=np.int64)


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
    elif isinstance(judged.data.cases, Records) and judged.explain:
        blocks += _bars(judged, judged.data.cases, worst, captions)
    else:
        blocks.append(Bullets(captions))
    return [Section(title, blocks, personal=True)]


def _bars(judged: Judged, records: Records, rows: npt.NDArray[np.int64], captions: Sequence[str]) -> list[Block]:
    assert judged.explain is not None
    values = judged.explain(rows, _decided(judged)[rows])
    return [
        Text(
            "Beside each field stands the case's own value, as the data give it. Orange speaks for the class that the "
            f"model decided on, blue against it; the most telling fields come first, at most {fields.LARGEST} of them."
        ),
        Row(
            [
                fields.contributions(records, int(row), value, caption)
                for row, value, caption in zip(rows, values, captions, strict=True)
            ],
            wide=True,
        ),
    ]


def _pictures(judged: Judged, images: Images, rows: npt.NDArray[np.int64], captions: Sequence[str]) -> list[Block]:
    heat = judged.explain(rows, _decided(judged)[rows]) if judged.explain else None
    drawn = [as_float(images.pixels(int(row))) for row in rows]
    if heat is None:
        return [Row([Picture(figures.overlay(image), text) for image, text in zip(drawn, captions, strict=True)])]
    return [
        Text("Left the image, right the same under the model's own explanation of the class that it decided on."),
        Figure(figures.heat_scale(), figures.HEAT),
        Row(
            [
                Picture(figures.overlay(image, one), text, wide=True)
                for image, one, text in zip(drawn, heat, captions, strict=True)
            ]
        ),
    ]
