"""Explaining new cases: a report with pictures, and the values as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtasks import bundle, fields
from medtasks.cases import Images, Molecules, Records, Source
from medtasks.cases.image_files import as_float
from medtasks.model import Context, Progress
from medtasks.occlusion import faithfulness
from medtasks.predictor import Predictor
from medtasks.report import figures, html
from medtasks.report.blocks import Block, Figure, Picture, Row, Section, Table, Text

SHOWN = 200
"""Cases drawn in the report; the file of values holds them all."""
TESTED = 50
"""Cases whose explanations are tested at most: each costs a few answers."""
FILES = ("report.html", "values.npz", "values.csv")
"""What may stand in the folder of an explanation; the first always does."""
_LEGENDS = {
    "images": "Left stands the image, right the same under what spoke for the answer.",
    "molecules": "Atoms in orange raise the prediction, atoms in blue lower it.",
    "records": "Beside each field stands the case's own value, as the data give it; orange speaks for the answer, blue "
    "against it. Cases stand in the order of the input, in each the most telling fields first, at most "
    f"{fields.LARGEST} of them.",
}


def write(
    predictor: Predictor,
    source: Source,
    out: Path,
    *,
    target: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Explain each valid case of an input and write ``report.html`` and the values into ``out``.

    Images leave ``values.npz`` (one array per case, named by its id), records ``values.csv`` with a column per field,
    molecules ``values.csv`` with a row per atom.

    Returns
    -------
    dict
        ``report``, ``values`` (None where nothing was explained), ``explained``, ``invalid``, ``faithfulness`` (see
        `medtasks.occlusion.faithfulness`; None where it could not be tested) as the CLI prints them.
    """
    out = out.expanduser()
    bundle.check_target(out, FILES)
    context = Context(device=device, progress=progress or Progress())
    drawn: list[Figure | Picture] = []
    values: list[tuple[str, str, np.ndarray[Any, Any]]] = []
    invalid: list[tuple[str, str]] = []
    tested: list[float] = []
    parts: tuple[str, ...] = ()
    names = predictor.outputs.classes or predictor.outputs.names
    readings = predictor.task.read_cases(source, predictor.schema)
    for reading in context.progress.track(readings, "explaining"):
        invalid += [(name, error) for name, error in zip(reading.ids, reading.errors, strict=True) if error]
        if reading.cases is None:
            continue
        answers = predictor.answer(reading.cases, context=context)
        decided = predictor.task.explained(answers, predictor.outputs)
        explained: list[tuple[int, str, Any]] = []
        for found in predictor.explain(reading.cases, target, context=context):
            parts = found.parts
            # ids need not differ: which rows an explanation is of is told by what they were decided
            rows = decided == names.index(found.target) if target is None else np.ones(len(answers), dtype=bool)
            places = np.flatnonzero(rows).tolist()
            explained += [(row, found.target, value) for row, value in zip(places, found.values, strict=True)]
            if len(values) < TESTED:
                some = reading.cases.take(np.array(places[:TESTED], dtype=np.int64))
                score = predictor.score_of(names.index(found.target), context)
                share = faithfulness(score, some, found.values[:TESTED], predictor.describer)
                tested += [] if share is None else [share] * len(some)
        for row, about, value in sorted(explained, key=lambda item: item[0]):  # they come class by class
            values.append((str(reading.cases.ids[row]), about, value))
            if len(drawn) < SHOWN:
                drawn.append(_draw(reading.cases, row, about, value, answers.iloc[row]))
    faithful = round(float(np.mean(tested)), 3) if tested else None
    with bundle.replacing(out, FILES) as fresh:
        name = _write_values(fresh, values, parts, predictor.schema["kind"]) if values else None
        (fresh / "report.html").write_text(_page(predictor, drawn, len(values), invalid, faithful), encoding="utf-8")
    return {
        "report": str(out / "report.html"),
        "values": str(out / name) if name else None,
        "explained": len(values),
        "invalid": len(invalid),
        "faithfulness": faithful,
    }


def _draw(cases: Any, row: int, target: str, value: Any, answer: pd.Series[Any]) -> Figure | Picture:
    caption = f"{cases.ids[row]}: what speaks for {target}"
    if f"p_{target}" in answer:
        caption += f" (probability {answer[f'p_{target}']:.2f})"
    elif isinstance(answer.get(target), float):
        caption += f" (predicted {answer[target]:.2f})"
    if isinstance(cases, Molecules):
        return Figure(figures.molecule(cases.mol(row), value.tolist()), caption)
    if isinstance(cases, Images):
        image = as_float(cases.pixels(row))
        return Picture(figures.overlay(image, value), caption, wide=True)
    if isinstance(cases, Records):
        return fields.contributions(cases, row, value, caption)
    order = np.argsort(-np.abs(value), kind="stable")[: fields.LARGEST]  # a kind of cases that a plugin brings
    return Figure(figures.bars({str(i): float(value[i]) for i in order}, "contribution"), caption)


def _write_values(folder: Path, values: list[tuple[str, str, Any]], parts: tuple[str, ...], kind: str) -> str:
    if kind == "molecules":
        atoms = [
            (name, target, atom, weight) for name, target, value in values for atom, weight in enumerate(value.tolist())
        ]
        table = pd.DataFrame(atoms, columns=["id", "explains", "atom", "contribution"])
        table.to_csv(folder / "values.csv", index=False)
        return "values.csv"
    if values and values[0][2].ndim == 1:
        names = parts or tuple(str(i) for i in range(len(values[0][2])))
        table = pd.DataFrame([value for _, _, value in values], columns=list(names))
        table.insert(0, "id", [name for name, _, _ in values])
        table.insert(1, "explains", [target for _, target, _ in values])
        table.to_csv(folder / "values.csv", index=False)
        return "values.csv"
    arrays: dict[str, Any] = {}
    for name, target, value in values:
        twins = sum(key.startswith(f"{name}::{target}") for key in arrays) if f"{name}::{target}" in arrays else 0
        arrays[f"{name}::{target}" + (f"::{twins + 1}" if twins else "")] = value
    np.savez_compressed(folder / "values.npz", allow_pickle=False, **arrays)
    return "values.npz"


def _page(
    predictor: Predictor,
    drawn: list[Figure | Picture],
    count: int,
    invalid: list[tuple[str, str]],
    faithful: float | None,
) -> str:
    kind = predictor.schema["kind"]
    shown: list[Block] = [Figure(figures.heat_scale(), figures.HEAT)] if kind == "images" and drawn else []
    shown.append(Row(drawn, wide=kind != "molecules") if drawn else Text("No case could be explained."))
    sections = [Section("Cases", shown)]
    if invalid:
        sections.append(Section("Rows that could not be used", [Table(["Row", "Reason"], invalid, numeric=False)]))
    lead = [
        f"What in each of {count} cases spoke for the answer of {predictor.model_id}.",
        "It shows what the model used, which need not be the cause. "
        + _LEGENDS.get(kind, "Positive values speak for it, negative ones against it."),
    ]
    if not predictor.model.explains():
        lead.append(
            "The model explains nothing itself: parts of each case were hidden, and what its answer lost is shown."
        )
    lead.append(_tested(faithful))
    if count > len(drawn):
        lead.append(f"The first {len(drawn)} are drawn; the file of values holds all.")
    return html.render(
        f"{predictor.task.title}: explanation",
        lead,
        sections,
        f"Made by medtasks {predictor.facts['versions']['medtasks']}.",
    )


def _tested(faithful: float | None) -> str:
    if faithful is None:
        return "Whether the explanations are faithful to the model could not be tested."
    return (
        f"Faithfulness {faithful:.2f}: so often did hiding the quarter that an explanation names lower the answer more "
        "than hiding as much at random; 0.50 is no better than chance."
    )
