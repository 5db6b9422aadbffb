"""Measures by subgroup: whether a model serves women and men, the young and the old, this site and that, alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks import outcome
from medtasks.cases import Records
from medtasks.dataset import Dataset
from medtasks.errors import DataError, UsageError, suggest
from medtasks.evaluation.bootstrap import Measure
from medtasks.report.blocks import Section, Table, Text
from medtasks.task import Task
from medtasks.trust import group_of, largest_first
from medtasks.words import plural

LEAST = 20
"""Cases of a subgroup below which nothing is measured: its interval would hold everything."""
MOST = 12
"""Values of a field beyond which it makes no subgroups."""


@dataclass(frozen=True)
class Subgroup:
    """A subgroup with its number of cases and, where these are enough and defined, its measures by name."""

    field: str
    name: str
    cases: int
    measures: dict[str, Measure]


def check(data: Dataset, asked: Sequence[str]) -> None:
    """Refuse, before anything is trained, subgroups that the data cannot make.

    Raises
    ------
    UsageError
        Naming the field.
    """
    for text in asked:
        list(_masks(data, text))


def measure(task: Task, data: Dataset, answers: pd.DataFrame, options: Any, seed: int) -> list[Subgroup]:
    """Judge each subgroup by itself: those that the options ask for, and the groups that were calibrated within.

    Parameters
    ----------
    options
        The task's: ``subgroups`` names fields, numbers cut as in ``age:18-40-65``; ``within`` names groups of any kind
        of cases.
    """
    asked, within, found = getattr(options, "subgroups", ()), getattr(options, "within", None), []
    masks = [(text, _masks(data, text)) for text in asked]
    if within is not None and within not in asked:
        masks.append((within, _cohorts(data, within)))
    for text, parts in masks:
        field, small = text.partition(":")[0], []
        for name, mask in parts:
            rows = np.flatnonzero(mask)
            if len(rows) < LEAST:
                small.append(len(rows))
                continue
            try:
                part = task.evaluate(data.take(rows), answers.iloc[rows].reset_index(drop=True), seed)
                measures = part.metrics
            except (DataError, ValueError):  # a subgroup may hold one class, or one arm
                measures = {}
            found.append(Subgroup(field, name, len(rows), measures))
        if small:  # what so few have in common may name them
            found.append(Subgroup(field, plural(len(small), "smaller group"), sum(small), {}))
    return found


def section(found: Sequence[Subgroup], headline: str) -> list[Section]:
    """Write the measures by subgroup; nothing where none was asked for."""
    if not found:
        return []
    told = [name for one in found for name in one.measures]
    # coverage before others: whether sets and intervals hold in every group is what one asks by group
    names = list(dict.fromkeys([headline, *(["coverage"] if "coverage" in told else []), *told]))[:5]
    rows = [
        [f"{one.field}: {one.name}", str(one.cases), *(str(one.measures.get(name, "too few")) for name in names)]
        for one in found
    ]
    header = ["Subgroup", "Cases", *map(outcome.label, names)]
    return [
        Section(
            "Subgroups",
            [
                Table(header, rows, "Each judged by itself, with 95 % intervals over patients."),
                Text(
                    "Intervals that overlap do not show that subgroups are served alike: small ones can hide large "
                    f"differences. Fewer than {LEAST} cases are not measured."
                ),
            ],
        )
    ]


def _masks(data: Dataset, text: str) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    name, _, edges = text.partition(":")
    if not isinstance(data.cases, Records):
        raise UsageError("--subgroups names fields, and these cases have none", hint="give a table of records")
    known = [field.name for field in data.cases.fields]
    if name not in known:
        raise UsageError(f"--subgroups: no field is called {name!r}", hint=suggest(name, known))
    values = data.cases.frame[name]
    if edges:
        yield from _cut(values, name, edges)
        return
    levels = sorted(values.dropna().unique().tolist(), key=str)
    if len(levels) > MOST:
        raise UsageError(
            f"--subgroups: the field {name!r} has {len(levels)} values", hint=f"cut it, as in {name}:18-40-65"
        )
    boolean = next(field.type for field in data.cases.fields if field.name == name) == "boolean"
    for level in levels:
        shown = ("yes" if level else "no") if boolean else f"{level:g}" if isinstance(level, float) else str(level)
        yield shown, (values == level).to_numpy()
    if values.isna().any():
        yield "not known", values.isna().to_numpy()


def _cohorts(data: Dataset, within: str) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Yield the groups calibrated within, the largest first; those beyond `MOST` together."""
    groups = group_of(data.cases, within)
    order = largest_first(groups)
    for name in order[:MOST]:
        yield name, groups == name
    if len(order) > MOST:
        yield f"{len(order) - MOST} smaller groups", np.isin(groups, order[MOST:])


def _cut(values: pd.Series, name: str, text: str) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    try:
        edges = [float(part) for part in text.split("-")]
    except ValueError:
        edges = []
    if not edges or edges != sorted(set(edges)) or not pd.api.types.is_numeric_dtype(values):
        raise UsageError(f"--subgroups: {name}:{text} is no rising list of numbers", hint="as in age:18-40-65")
    bounds = [-np.inf, *edges, np.inf]
    for low, high in itertools.pairwise(bounds):
        mask = ((values >= low) & (values < high)).to_numpy()
        shown = f"{low:g} and above" if high == np.inf else f"{low:g} to {high:g}"
        shown = f"below {high:g}" if low == -np.inf else shown
        if mask.any():
            yield shown, mask
    if values.isna().any():
        yield "not known", values.isna().to_numpy()
