"""The three questions of the task: which arm, which set, which dose; data say which they answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Cases
from medtasks.dataset import Dataset
from medtasks.errors import DataError
from medtasks.evaluation.splits import Plan
from medtasks.report.blocks import Section
from medtasks.task import Decision, Evaluation, Judged, Outputs

ARM, SET, DOSE = "arm", "set", "dose"
LEAST = 20
"""Patients of an arm below which nothing can be said about it; the same for a dose."""


@dataclass(frozen=True)
class Asked:
    """What a data set asks, as its `Dataset.kinds` say: ``arm``, ``arm:binary,minimise``, ``set``, ``dose``."""

    question: str
    binary: bool = False
    minimise: bool = False

    @classmethod
    def of(cls, kinds: Sequence[str]) -> Asked:
        """Read it off the kinds of a data set or of a model's outputs.

        Raises
        ------
        DataError
            If they are none of the task's.
        """
        question, _, flags = (kinds[0] if kinds else "").partition(":")
        if question not in (ARM, SET, DOSE):
            raise DataError(
                "the data set does not say whether it is about arms, sets or doses",
                hint="set Dataset.kinds to 'arm', 'set' or 'dose' for each of its targets",
            )
        return cls(question, "binary" in flags, "minimise" in flags)

    def kinds(self, count: int) -> tuple[str, ...]:
        """Write it as the kinds of ``count`` targets."""
        flags = ",".join(name for name in ("binary", "minimise") if getattr(self, name))
        return (f"{self.question}:{flags}" if flags else self.question,) * count

    @property
    def sign(self) -> float:
        """1 where more of the outcome is better, -1 where less is."""
        return -1.0 if self.minimise else 1.0


class Question(ABC):
    """How one of the questions is split, answered and judged; the methods are those of `medtasks.task.Task`."""

    headline: ClassVar[str]
    folds: ClassVar[int]
    """Folds that tables with fewer than `small` rows are judged by."""
    small: ClassVar[int]

    @abstractmethod
    def check_trainable(self, dataset: Dataset) -> None:
        """Refuse data that cannot carry the question."""

    @abstractmethod
    def strata(self, dataset: Dataset) -> npt.NDArray[np.int64]:
        """Return what a split must keep in proportion."""

    @abstractmethod
    def check(self, raw: npt.NDArray[Any], outputs: Outputs, n: int) -> None:
        """Check what a model returned."""

    @abstractmethod
    def decide(self, valid: Dataset, raw: npt.NDArray[Any], options: Any, train: Dataset) -> Decision:
        """Fix what turns numbers into a recommendation."""

    @abstractmethod
    def answer(self, raw: npt.NDArray[Any], outputs: Outputs, decision: Decision, cases: Cases | None) -> pd.DataFrame:
        """Turn numbers into the columns a user sees."""

    @abstractmethod
    def evaluate(self, data: Dataset, answers: pd.DataFrame, seed: int) -> Evaluation:
        """Judge the answers."""

    @abstractmethod
    def sections(self, judged: Judged) -> list[Section]:
        """Write the question's part of the report."""

    @abstractmethod
    def lead(self, judged: Judged) -> str:
        """Say what a reader must know first."""

    @abstractmethod
    def counts(self, dataset: Dataset) -> dict[str, int]:
        """Count what a reader wants to know of a part of the data."""

    def explained(self, answers: pd.DataFrame, outputs: Outputs) -> npt.NDArray[np.int64]:
        """Return the target that an explanation is about: the best one, or the first."""
        if "best" not in answers:
            return np.zeros(len(answers), dtype=np.int64)
        place = {name: i for i, name in enumerate(outputs.names)}
        return np.array([place.get(name, 0) for name in answers["best"]], dtype=np.int64)

    def plan(self, dataset: Dataset, plan: Plan) -> int:
        """Return the number of folds where the user names none."""
        return 1 if dataset.split is not None or len(dataset) >= self.small else self.folds


def pair_column(names: tuple[str, ...], a: int, b: int) -> str:
    """Name the column with the effect of one arm minus another.

    >>> pair_column(("aspirin", "placebo"), 0, 1)
    'aspirin vs placebo'
    """
    return f"{names[a]} vs {names[b]}"
