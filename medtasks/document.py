"""The report of a run: what every task's report says, around the task's own sections."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medtasks import auditing, fields, outcome, overlap, repeated, subgroups, trusting
from medtasks.cases import Records
from medtasks.dataset import Dataset
from medtasks.evaluation.splits import Fold
from medtasks.predictor import Predictor
from medtasks.report import html
from medtasks.report.blocks import Block, Bullets, Section, Table, Text
from medtasks.task import Judged, Outputs, Task
from medtasks.words import plural

INVALID_SHOWN = 20
_REPEAT = "The folder of this run holds config.toml: `medtasks run --config config.toml` repeats it."


@dataclass(frozen=True)
class Page:
    """What a report is made of."""

    task: Task
    predictor: Predictor
    dataset: Dataset
    parts: Mapping[str, Mapping[str, int]]
    folds: int
    judged: Judged
    described: Dataset
    """The cases that the table of fields is about: those trained on, or those judged."""
    splits: Sequence[Fold] = ()
    """How the data were split; none of a judgement on other data, which are not audited."""
    overlap: overlap.Overlap | None = None
    """Of a judgement on other data, the molecules that the model was made from."""

    @functools.cached_property
    def results(self) -> list[Section]:
        """The task's own sections: made once, since they may explain hundreds of cases."""
        return self.task.sections(self.judged)

    @functools.cached_property
    def trust(self) -> list[Section]:
        """How far the answers can be trusted."""
        found = self.predictor.trust
        quantities = self.task.quantities(Outputs.of(self.judged.data))
        return [] if found is None else trusting.section(self.judged, quantities, found.level)

    @functools.cached_property
    def fields(self) -> list[Section]:
        """The description of the fields, with their weight in the model."""
        return _fields(self)

    @functools.cached_property
    def audited(self) -> list[Section]:
        """What the audit of the data found."""
        return [auditing.section(self.dataset, self.splits)] if self.splits else []


def render(page: Page, *, public: bool = False) -> str:
    """Return the report as HTML; ``public`` leaves out what shows single cases."""
    sections = [
        *page.results,
        *overlap.section(page.overlap, page.judged, page.task.headline(page.judged.data)),
        *repeated.section(page.judged.repeated),
        *page.trust,
        *subgroups.section(page.judged.subgroups, page.task.headline(page.judged.data)),
        _data(page, public),
        *page.audited,
        *page.fields,
        _made(page),
        Section("What it is not for", [Bullets(page.task.not_for)]),
    ]
    origin = page.dataset.origin
    warning = (
        (
            "These data are synthetic: nothing here says anything about patients. "
            "The report shows what one on your own data looks like."
        )
        if origin.synthetic
        else ""
    )
    facts = page.predictor.facts
    return html.render(
        f"{page.task.title}: {_title(page)}",
        _lead(page),
        html.public(sections) if public else sections,
        f"Model made by medtasks {facts['versions']['medtasks']} on {facts['created']}.",
        warning,
    )


def _title(page: Page) -> str:
    names = page.dataset.classes or page.dataset.names
    kind = "classes" if page.dataset.classes else "targets"
    return f"{', '.join(names) if len(names) <= 6 else f'{len(names)} {kind}'} ({_source(page)})"


def _source(page: Page) -> str:
    """Name the data, of a file its name alone: its path is nobody's business."""
    origin = page.dataset.origin
    return origin.title or Path(origin.source).name or origin.source


def _lead(page: Page) -> Sequence[str]:
    judged, task = page.judged, page.task
    headline = task.headline(judged.data)
    ours = judged.evaluation.metrics[headline]
    floor = judged.baseline.metrics[headline] if judged.baseline else None
    name = outcome.label(headline)
    spelt = name.isupper()
    name = name if spelt else name[0].lower() + name[1:]
    article = "an" if name[0] in ("AEFHILMNORSX" if spelt else "aeiou") else "a"  # as the letters are spoken
    model = page.predictor.model_id
    text = f"Judged on {judged.evaluation.n} cases {_how(page)}, {model} reached {article} {name} of {ours}."
    if floor is not None:
        text += f" The baseline, {task.floor(judged.data)}, reached {floor} on the same cases."
    return [
        *filter(None, [task.lead(judged)]),
        text,
        "Numbers in brackets are 95 % confidence intervals: of many such intervals, each from other cases of the same "
        "kind, 95 in 100 hold the true value.",
    ]


def _evaluated(page: Page) -> bool:
    """Say whether the report is of a judgement on other data than those of the training run."""
    return "train" not in page.parts


def _how(page: Page) -> str:
    if page.folds > 1:
        return f"in {page.folds}-fold cross-validation, each case answered by a model that had not seen it"
    if not _evaluated(page):
        return "that the model had not seen"
    if page.dataset.digest() == page.predictor.facts["data"]["sha256"]:
        return "that the model was made from, which says nothing about new ones"
    if page.overlap is not None and page.overlap.count:
        return f"of data that hold {plural(page.overlap.count, 'molecule')} it was made from"
    return "of data other than those it was made from"


def _data(page: Page, public: bool) -> Section:
    origin = page.dataset.origin
    keys = list(next(iter(page.parts.values())))
    if page.folds > 1:
        counts = page.task.counts(page.dataset)
        table = Table(
            ["Part", *counts],
            [["all", *map(str, counts.values())]],
            f"Each case was tested once, in one of {page.folds} folds.",
        )
    else:
        table = Table(
            ["Part", *keys],
            [[name, *(str(part.get(key, 0)) for key in keys)] for name, part in page.parts.items()],
            "Training fits the model, validation fixes when to stop and the threshold, test judges."
            if "train" in page.parts
            else "",
        )
    how = (
        "by the data's own split column"
        if page.dataset.split is not None and page.folds == 1
        else "by chance, each class in proportion"
    )
    whole = (
        "no patient (group) stands in two parts"
        if page.dataset.groups is not None
        else "the data name no patients, so that cases of one patient may stand in two parts"
    )
    blocks: list[Block] = [
        Text(
            " ".join(
                filter(
                    None,
                    (
                        _source(page) + ("" if origin.citation else "."),
                        origin.citation and f"({origin.citation}).",
                        origin.licence and f"Licence: {origin.licence}.",
                    ),
                )
            )
        ),
        table,
    ]
    if "train" in page.parts:
        blocks.append(Text(f"The cases were split {how}; {whole}."))
    if origin.notes:
        blocks.append(Bullets(origin.notes))
    if origin.invalid:
        blocks.append(
            Text(
                f"{plural(len(origin.invalid), 'row')} could not be used"
                + ("." if public else "; invalid.csv lists them all. The first:")
            )
        )
        if not public:
            blocks.append(Table(["Row", "Reason"], origin.invalid[:INVALID_SHOWN], numeric=False))
    if origin.remarks and not public:
        blocks.append(Text(f"To look at: {plural(len(origin.remarks), 'row')}, all in remarks.csv. The first:"))
        blocks.append(Table(["Row", "Remark"], origin.remarks[:INVALID_SHOWN], numeric=False))
    return Section("Data and split", blocks)


def _fields(page: Page) -> list[Section]:
    cases = page.described.cases
    if not isinstance(cases, Records):
        return []
    part = "the cases judged" if _evaluated(page) else "the training part" if page.folds == 1 else "the data"
    decided = page.task.explained(page.judged.answers, Outputs.of(page.judged.data))
    return [Section("Fields of the data", fields.section(cases, page.judged, part, decided))]


def _made(page: Page) -> Section:
    facts, predictor = page.predictor.facts, page.predictor
    settings = predictor.model.config.model_dump(mode="json")
    rows = [
        ["Model", predictor.model_id],
        ["Seed", str(facts["seed"])],
        ["Time", f"{facts['seconds']:.0f} s"],
        *[[key.capitalize(), _plain(value)] for key, value in facts["used"].items()],
        *[[f"Option {key}", _plain(value)] for key, value in facts["options"].items() if value not in ((), [])],
        ["SHA-256 of the cases it was made from", facts["data"]["sha256"]],
    ]
    if _evaluated(page):
        rows.append(["SHA-256 of the cases judged", page.dataset.digest()])
    versions = [[name, version] for name, version in facts["versions"].items()]
    return Section(
        "How it was made",
        [
            Table(["", ""], rows, numeric=False),
            Table(
                ["Setting", "Value"],
                [[key, _plain(value)] for key, value in settings.items()],
                "The model's hyper-parameters.",
                numeric=False,
            ),
            Table(["Software", "Version"], versions, numeric=False),
            *([] if _evaluated(page) else [Text(_REPEAT)]),
        ],
    )


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
