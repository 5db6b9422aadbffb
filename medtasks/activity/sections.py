"""The activity part of a report: what a chemist needs to judge a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks import outcome
from medtasks.activity import judging
from medtasks.cases import Molecules
from medtasks.evaluation.calibration import reliability
from medtasks.report import figures
from medtasks.report.blocks import Block, Figure, Row, Section, Table, Text
from medtasks.task import Judged

ERRORS = 12
DRAWN = 6
"""Targets of which figures are drawn; tables hold them all."""


def write(judged: Judged) -> list[Section]:
    """Write every section on the result."""
    return [
        Section("Result", _result(judged)),
        Section("Predicted and measured", _agreement(judged)),
        Section("Largest errors", _errors(judged), personal=True),
    ]


def _result(judged: Judged) -> list[Block]:
    data = judged.data
    several = len(data.names) > 1
    unit = "groups" if data.groups is not None else "molecules"
    blocks = outcome.blocks(judged, judging.headline(data), unit, "Means over the targets." if several else "")
    if several:
        names = ("auroc", "auprc", "rmse", "spearman")
        shown = [name for name in names if name in judged.evaluation.metrics]
        rows = []
        for t, (target, part) in enumerate(judged.evaluation.targets.items()):
            measures = part.measures()
            n = int(np.isfinite(data.targets[:, t]).sum())
            rows.append([target, str(n), *(str(measures.get(name, "")) for name in shown)])
        blocks.append(Table(["Target", "n", *map(outcome.label, shown)], rows, "Each target on its own molecules."))
    return blocks


def _agreement(judged: Judged) -> list[Block]:
    drawn: list[Figure] = []
    for t, (name, kind) in list(enumerate(zip(judged.data.names, judged.data.kinds, strict=True)))[:DRAWN]:
        known = np.isfinite(judged.data.targets[:, t])
        if known.any():
            drawn += _classes(judged, t, known) if kind == "binary" else [_scatter(judged, t, name, known)]
    return [Row(drawn)] if drawn else [Text("Nothing was measured on the molecules judged.")]


def _scatter(judged: Judged, t: int, name: str, known: npt.NDArray[np.bool_]) -> Figure:
    measured = judged.data.targets[known, t]
    predicted = judged.answers[name].to_numpy(dtype=np.float64)[known]
    return Figure(
        figures.scatter(measured, predicted, f"measured {name}", f"predicted {name}"),
        f"{name}: each dot a molecule that the model had not seen; on the dotted line both agree.",
    )


def _classes(judged: Judged, t: int, known: npt.NDArray[np.bool_]) -> list[Figure]:
    from sklearn.metrics import roc_curve

    name = judged.data.names[t]
    active, scores = judged.data.targets[known, t] == 1, judged.answers[f"p_{name}"].to_numpy()[known]
    if active.all() or not active.any():
        return []
    false, true, _ = roc_curve(active, scores)
    curve = reliability(active, scores)
    return [
        Figure(
            figures.curves({name: (false, true)}, "1 - specificity", "sensitivity", diagonal=True),
            f"{name}, ROC: how many inactive molecules each gain in active ones costs. The dotted line is guessing.",
        ),
        Figure(
            figures.reliability(curve.stated, curve.observed, curve.low, curve.high, curve.count),
            f"{name}, reliability: among molecules given a probability, the share that was active (95 % Wilson "
            "intervals, dots sized by number). On the dotted line stated and observed agree.",
        ),
    ]


def _errors(judged: Judged) -> list[Block]:
    assert isinstance(judged.data.cases, Molecules)
    blocks: list[Block] = [
        Text("Look here first for wrong measurements, wrong structures, and chemistry that the model does not know.")
    ]
    for t, (name, kind) in list(enumerate(zip(judged.data.names, judged.data.kinds, strict=True)))[:DRAWN]:
        size = _sizes(judged, t, name, kind)
        order = np.argsort(-np.nan_to_num(size, nan=-1), kind="stable")[:ERRORS]
        worst = [int(row) for row in order if size[row] > 0]
        if worst:
            pictures = [
                Figure(figures.molecule(judged.data.cases.mol(row)), _caption(judged, t, name, kind, row))
                for row in worst
            ]
            blocks.append(Row(pictures))
    return blocks


def _sizes(judged: Judged, t: int, name: str, kind: str) -> npt.NDArray[Any]:
    if kind == "binary":
        stated = judged.answers[f"p_{name}"].to_numpy(dtype=np.float64)
        return np.asarray(np.abs(stated - judged.data.targets[:, t]))
    return np.abs(judging.errors(judged.data, t, judged.answers))


def _caption(judged: Judged, t: int, name: str, kind: str, row: int) -> str:
    measured = judged.data.targets[row, t]
    told = judged.data.cases.ids[row]
    if kind == "binary":
        state = "active" if measured else "inactive"
        return f"{told}: {name} {state}, probability {judged.answers[f'p_{name}'].iloc[row]:.2f}"
    sign = {-1: "≤ ", 1: "≥ "}.get(
        int(judged.data.extra["censoring"][row, t]) if "censoring" in judged.data.extra else 0, ""
    )
    return f"{told}: {name} {sign}{measured:.2f}, predicted {judged.answers[name].iloc[row]:.2f}"
