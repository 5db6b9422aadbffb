"""Explaining new cases: a report with pictures, and the values as a file."""

from __future__ import annotations

import contextlib
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks import bundle, fields
from medtasks.cases import Images, Molecules, Records, Source
from medtasks.cases.image_files import as_float
from medtasks.cases.structures import written
from medtasks.cases.taking import taken
from medtasks.model import Context, Progress
from medtasks.occlusion import faithfulness
from medtasks.predictor import Predictor
from medtasks.report import figures, html
from medtasks.report.blocks import Block, Figure, Picture, Row, Section, Table, Text
from medtasks.stored import add_array

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
    molecules ``values.csv`` with a row per atom, numbered as in the SMILES beside it.

    Returns
    -------
    dict
        ``report``, ``values`` (None where nothing was explained), ``explained``, ``invalid``, ``faithfulness`` (see
        `medtasks.occlusion.faithfulness`; None where it could not be tested) as the CLI prints them.
    """
    out = out.expanduser()
    bundle.check_target(out, FILES)
    context = Context(device=device, progress=progress or Progress())
    code, names = predictor.code_of(target), predictor.outputs.classes or predictor.outputs.names
    drawn: list[Figure | Picture] = []
    invalid: list[tuple[str, str]] = []
    tested: list[float | None] = []
    readings = predictor.task.read_cases(taken(source), predictor.schema)
    with bundle.replacing(out, FILES) as fresh, _Values(fresh, predictor) as values:
        for reading in context.progress.track(readings, "explaining"):
            invalid += [(name, error) for name, error in zip(reading.ids, reading.errors, strict=True) if error]
            if reading.cases is None:
                continue
            cases, answers = reading.cases, predictor.answer(reading.cases, context=context)
            if code is None:
                targets = predictor.task.explained(answers, predictor.outputs)
            else:
                targets = np.full(len(cases), code)
            found = predictor.explain_rows(cases, targets, context=context)
            tested += _test(predictor, cases, targets, found, TESTED - len(tested), context)
            about = [names[number] for number in targets]
            values.add(cases, about, list(found))
            for row in range(min(len(cases), SHOWN - len(drawn))):
                drawn.append(_draw(cases, row, about[row], found[row], answers.iloc[row]))
        shares = [share for share in tested if share is not None]
        faithful = round(float(np.mean(shares)), 3) if shares else None
        (fresh / "report.html").write_text(_page(predictor, drawn, values.count, invalid, faithful), encoding="utf-8")
    return {
        "report": str(out / "report.html"),
        "values": str(out / values.name) if values.count else None,
        "explained": values.count,
        "invalid": len(invalid),
        "faithfulness": faithful,
    }


def _test(
    predictor: Predictor, cases: Any, targets: npt.NDArray[np.int64], found: Any, most: int, context: Context
) -> list[float | None]:
    """Test the explanations of the first cases, ``most`` of them; return for each the share of its class or target."""
    shares: list[float | None] = [None] * max(0, min(most, len(cases)))
    asked = targets[: len(shares)]
    for code in np.unique(asked):
        rows = np.flatnonzero(asked == code)
        score = predictor.score_of(int(code), context)
        share = faithfulness(score, cases.take(rows), [found[row] for row in rows], predictor.describer)
        for row in rows:
            shares[row] = share
    return shares


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


def _by_atom(molecules: Molecules, about: Sequence[str], values: Sequence[Any]) -> pd.DataFrame:
    """Return a row per atom, numbered as in the SMILES beside it: that of the standard form, whose atoms these are."""
    found = []
    for name, mol, target, value in zip(molecules.ids, molecules.mols(), about, values, strict=True):
        smiles, order = written(mol)
        for atom, place in enumerate(order):
            found.append((name, target, smiles, atom, mol.GetAtomWithIdx(place).GetSymbol(), float(value[place])))
    return pd.DataFrame(found, columns=["id", "explains", "smiles", "atom", "element", "contribution"])


class _Values:
    """The file of values, written as they come, so that those of many images are not held.

    Attributes
    ----------
    name : of the file, once there is one
    count : of the cases written
    """

    def __init__(self, folder: Path, predictor: Predictor) -> None:
        self.folder, self.parts, self.name, self.count = folder, predictor.parts, "", 0
        self._seen: Counter[str] = Counter()
        self._open = contextlib.ExitStack()
        self._file: Any = None

    def __enter__(self) -> _Values:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def add(self, cases: Any, about: Sequence[str], values: Sequence[Any]) -> None:
        """Write what was found in some cases: what each explanation is about, and its values."""
        ids = cases.ids.tolist()
        self.count += len(ids)
        if isinstance(cases, Molecules):
            self._write_table(_by_atom(cases, about, values))
        elif np.ndim(values[0]) == 1:
            table = pd.DataFrame(values, columns=list(self.parts or map(str, range(len(values[0])))))
            table.insert(0, "id", list(ids))
            table.insert(1, "explains", list(about))
            self._write_table(table)
        else:
            self._write_arrays(ids, about, values)

    def _write_table(self, table: pd.DataFrame) -> None:
        first = self._file is None
        if first:
            self.name = "values.csv"
            self._file = self._open.enter_context((self.folder / self.name).open("w", encoding="utf-8", newline=""))
        table.to_csv(self._file, index=False, header=first)

    def _write_arrays(self, ids: Sequence[str], about: Sequence[str], values: Sequence[Any]) -> None:
        if self._file is None:
            self.name = "values.npz"
            packed = zipfile.ZipFile(self.folder / self.name, "w", zipfile.ZIP_DEFLATED)
            self._file = self._open.enter_context(packed)
        for name, target, value in zip(ids, about, values, strict=True):
            key = f"{name}::{target}"
            self._seen[key] += 1
            twin = f"::{self._seen[key]}" if self._seen[key] > 1 else ""
            add_array(self._file, key + twin, value)


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
