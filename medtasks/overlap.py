"""Molecules judged that the model was made from: a measure over them is partly one of its memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from medtasks import outcome
from medtasks.cases import Molecules
from medtasks.report.blocks import Section, Text
from medtasks.task import Judged, Task
from medtasks.trust import NAMED, Trust


@dataclass(frozen=True)
class Overlap:
    """How many molecules judged stand in training, and how the others were answered.

    Attributes
    ----------
    count : of the molecules judged, those known to stand in training
    whole : whether all training molecules are known, and not a sample of them only
    rest : the others, judged by themselves; None where there are none, or all are others
    """

    count: int
    whole: bool
    rest: Judged | None = None

    def as_json(self) -> dict[str, Any]:
        """Return ``n``, and ``without``: ``n``, ``metrics``, ``targets`` and ``baseline`` of the others, or None."""
        without = None
        if self.rest is not None:
            baseline = self.rest.baseline.as_json()["metrics"] if self.rest.baseline else {}
            without = {**self.rest.evaluation.as_json(), "baseline": baseline}
        return {"n": self.count, "whole": self.whole, "without": without}


def find(task: Task, trust: Trust | None, judged: Judged, floor: pd.DataFrame | None, seed: int) -> Overlap | None:
    """Find the molecules judged whose standard form is that of one trained on, and judge the others by themselves.

    Parameters
    ----------
    floor
        The baseline's answers.

    Returns
    -------
    Overlap or None
        None where nothing is known: other kinds of cases, and bundles that name no training molecule.
    """
    cases = judged.data.cases
    if trust is None or trust.known is None or not trust.known.names or not isinstance(cases, Molecules):
        return None
    known = set(trust.known.names)
    rows = np.flatnonzero([text not in known for text in cases.smiles()])
    found = Overlap(len(cases) - len(rows), len(trust.known.names) < NAMED)
    if not found.count or not len(rows):
        return found
    data, answers = judged.data.take(rows), judged.answers.iloc[rows].reset_index(drop=True)
    base = None if floor is None else task.evaluate(data, floor.iloc[rows].reset_index(drop=True), seed)
    return replace(
        found,
        rest=Judged(
            data,
            answers,
            task.evaluate(data, answers, seed),
            judged.decision,
            base,
            lower_is_better=judged.lower_is_better,
        ),
    )


def told(count: int, n: int, whole: bool) -> str:
    """Say how many of the cases judged are none that are new.

    >>> told(3, 20, True)
    '3 of 20 molecules judged stand in the training data'
    """
    return f"{'' if whole else 'at least '}{count} of {n} molecules judged stand in the training data"


def section(found: Overlap | None, judged: Judged, headline: str) -> list[Section]:
    """Write the measures without the molecules trained on; nothing where there are none."""
    if found is None or not found.count:
        return []
    text = told(found.count, len(judged.data), found.whole)
    text = f"{text[0].upper()}{text[1:]}. What a model says of these it partly remembers."
    if found.rest is None:
        return [Section("Molecules trained on", [Text(f"{text} These measures say nothing of new molecules.")])]
    unit = "groups" if judged.data.groups is not None else "molecules"
    return [
        Section("Molecules trained on", [Text(f"{text} Without them:"), *outcome.blocks(found.rest, headline, unit)])
    ]
