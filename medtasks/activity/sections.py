"""The activity part of a report: what a chemist needs to judge a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks import outcome
from medtasks.activity import judging, novelty
from medtasks.activity.similarity import Nearest
from medtasks.cases import Molecules
from medtasks.dataset import Dataset
from medtasks.evaluation.calibration import reliability
from medtasks.report import figures
from medtasks.report.blocks import Block, Figure, Row, Section, Table, Text
from medtasks.task import Judged

ERRORS = 12
DRAWN = 6
"""Targets of which figures are drawn; tables hold them all."""


def write(judged: Judged) -> list[Section]:
    """Write every section on the result."""
    found = novelty.find(judged)
    new = [Section("How new the test molecules are", novelty.blocks(judged, found[0]))] if found else []
    return [
        Section("Result", _result(judged)),
        *new,
        Section("Predicted and measured", _agreement(judged)),
        Section("Largest errors", _errors(judged, found), personal=True),
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


def _errors(judged: Judged, found: tuple[Nearest, Dataset] | None) -> list[Block]:
    assert isinstance(judged.data.cases, Molecules)
    text = "Look here first for wrong measurements, wrong structures, and chemistry that the model does not know."
    if judged.explain is not None:
        text += " Atoms in orange raised the prediction, atoms in blue lowered it."
    blocks: list[Block] = [Text(text)]
    for t, (name, kind) in list(enumerate(zip(judged.data.names, judged.data.kinds, strict=True)))[:DRAWN]:
        size = _sizes(judged, t, name, kind)
        order = np.argsort(-np.nan_to_num(size, nan=-1), kind="stable")[:ERRORS]
        worst = [int(row) for row in order if size[row] > 0]
        if worst:
            rows = np.array(worst)
            shares = [None] * len(worst) if judged.explain is None else judged.explain(rows, np.full(len(rows), t))
            pictures = [
                Figure(
                    figures.molecule(judged.data.cases.mol(row), None if share is None else list(share)),
                    _caption(judged, t, name, kind, row) + _neighbour(found, t, name, kind, row),
                )
                for row, share in zip(worst, shares, strict=True)
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
    sign = {-1: "≤ ", 1: "≥ "}.get(int(judged.data.bounds[row, t]), "")
    return f"{told}: {name} {sign}{measured:.2f}, predicted {judged.answers[name].iloc[row]:.2f}"


def _neighbour(found: tuple[Nearest, Dataset] | None, t: int, name: str, kind: str, row: int) -> str:
    """Tell the nearest training molecule and what it measures."""
    if found is None:
        return ""
    near, learnt = found
    place = near.place[row]
    value = learnt.targets[place, t]
    told = "not measured" if not np.isfinite(value) else f"{value:.2f}"
    if kind == "binary" and np.isfinite(value):
        told = "active" if value else "inactive"
    return f". Nearest in training: {learnt.cases.ids[place]} (similarity {near.similarity[row]:.2f}), {name} {told}"
