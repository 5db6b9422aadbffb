"""What an audit finds, and what it looks at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.causal import received
from medtasks.dataset import SPLITS, Dataset
from medtasks.evaluation.splits import Fold

Codes = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

SEVERITIES = ("severe", "warning", "note")
"""From what makes a result worthless, over what makes it doubtful, to what is good to know."""
CHECKS = (
    "duplicates",
    "near-duplicates",
    "contradictions",
    "groups",
    "leaks",
    "names",
    "shift",
    "classes",
    "missing",
    "values",
    "arms",
    "cliffs",
    "unusable",
)
"""What is looked for, in the order in which it is told within one severity."""
MOST_LABELS = 12
"""Targets, and classes of each, that are looked at one by one: the most common; each costs a fit of every probe."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with the data, or deserves a look.

    Attributes
    ----------
    severity : one of `SEVERITIES`
    check : one of `CHECKS`
    title : a sentence without any value of a case
    advice : what to do about it
    count : how many rows it is about, 0 where it is about a column or the whole
    rows : the ids of those rows
    together : where rows belong together (copies of each other), the ids of each such set
    parts : the sides of the split that it is about
    """

    severity: str
    check: str
    title: str
    advice: str
    count: int = 0
    rows: tuple[str, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    parts: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the finding as plain JSON."""
        return {
            "severity": self.severity,
            "check": self.check,
            "title": self.title,
            "advice": self.advice,
            "count": self.count,
            "rows": list(self.rows),
            "together": [list(ids) for ids in self.together],
            "parts": list(self.parts),
        }


@dataclass(frozen=True)
class Label:
    """A question with classes, as the probes ask it: ``rows`` (k,) that have an answer, and ``codes`` (k,) of it."""

    what: str
    """What is told, as in "the class"."""
    rows: Codes
    codes: Codes
    classes: tuple[str, ...]

    def against_rest(self, least: int) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
        """Yield each class with (k,) whether a row is of it; of two classes the second only.

        Classes with fewer than ``least`` rows, or nearly all, are passed over: nothing can be told about them.
        """
        counts = np.bincount(self.codes, minlength=len(self.classes))
        wanted = [1] if len(self.classes) == 2 else np.argsort(-counts, kind="stable")[:MOST_LABELS].tolist()
        for code in wanted:
            if min(counts[code], len(self.codes) - counts[code]) >= least:
                yield self.classes[code], self.codes == code


@dataclass(frozen=True)
class Amount:
    """A question whose answer is a number, of the ``rows`` (k,) that have one: ``values`` (k,)."""

    what: str
    rows: Codes
    values: Values


@dataclass(frozen=True)
class Subject:
    """A data set with the sides of its split.

    ``parts`` (n,) names the side of each row, or is None where nothing is split yet; ``own`` says that the split came
    with the data.
    """

    dataset: Dataset
    parts: npt.NDArray[Any] | None
    own: bool
    seed: int = 0

    @classmethod
    def of(cls, dataset: Dataset, folds: Sequence[Fold] = (), seed: int = 0) -> Subject:
        """Look at a data set: by its own split, else by the one hold-out or the folds that were made of it."""
        if dataset.split is not None and len(folds) <= 1:
            return cls(dataset, dataset.split, True, seed)
        if not folds:
            return cls(dataset, None, False, seed)
        parts = np.full(len(dataset), "", dtype=object)
        if len(folds) == 1:
            for name in SPLITS:
                parts[getattr(folds[0], name)] = name
        else:
            for i, fold in enumerate(folds):
                parts[fold.test] = f"fold {i + 1}"
        return cls(dataset, parts, False, seed)

    def __len__(self) -> int:
        return len(self.dataset)

    def ids(self, rows: Sequence[int] | Codes) -> tuple[str, ...]:
        """Return the ids of rows."""
        return tuple(str(self.dataset.cases.ids[row]) for row in rows)

    @property
    def question(self) -> str:
        """``arm``, ``set`` or ``dose`` of data about treatments, else nothing."""
        word = (self.dataset.kinds or ("",))[0].partition(":")[0]
        return word if word in ("arm", "set", "dose") else ""

    def labels(self) -> list[Label]:
        """Return the questions with classes that the data answer."""
        data, everything = self.dataset, np.arange(len(self.dataset))
        if data.classes:
            return [Label("the class", everything, np.asarray(data.targets, dtype=np.int64), data.classes)]
        if self.question == "arm":
            arms, outcomes = _received(data)
            found = [Label("the treatment", np.flatnonzero(arms >= 0), arms[arms >= 0], data.names)]
            known = np.flatnonzero(np.isfinite(outcomes))
            if len(known) and set(np.unique(outcomes[known])) == {0.0, 1.0}:
                found.append(Label("the outcome", known, outcomes[known].astype(np.int64), ("0", "1")))
            return found
        found = []
        for t, kind in enumerate(data.kinds):
            if kind == "binary" and len(found) < MOST_LABELS:
                known = np.flatnonzero(np.isfinite(data.targets[:, t]))
                codes = data.targets[known, t].astype(np.int64)
                found.append(Label(f"the target {data.names[t]!r}", known, codes, ("0", "1")))
        return found

    def amounts(self) -> list[Amount]:
        """Return the questions that the data answer with a number."""
        data = self.dataset
        if data.classes:
            return []
        if self.question == "arm":
            _, outcomes = _received(data)
            known = np.flatnonzero(np.isfinite(outcomes))
            binary = set(np.unique(outcomes[known])) <= {0.0, 1.0}
            return [] if binary else [Amount("the outcome", known, outcomes[known])]
        found = []
        for t, kind in enumerate(data.kinds):
            if kind == "number" or self.question == "dose":
                known = np.flatnonzero(np.isfinite(data.targets[:, t]))
                found.append(Amount(f"the target {data.names[t]!r}", known, data.targets[known, t]))
        return found[:MOST_LABELS]

    def differ(self, rows: Codes) -> bool:
        """Say whether rows are answered differently: by class, or in a target of 0 and 1 (arms and numbers never)."""
        data = self.dataset
        if data.classes:
            return len(set(data.targets[rows].tolist())) > 1
        binary = [t for t, kind in enumerate(data.kinds) if kind == "binary"]
        for t in binary:
            known = data.targets[rows, t]
            if len(np.unique(known[np.isfinite(known)])) > 1:
                return True
        return False


def _received(data: Dataset) -> tuple[Codes, Values]:
    """Return the arm of each row, -1 where it shows none, and its outcome; see `medtasks.causal.received`."""
    arms, outcomes = received(data)
    return np.where(np.isfinite(data.targets).any(axis=1), arms, -1), outcomes
