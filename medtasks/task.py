"""The contract of a task: what a case and an answer look like, and how an answer is judged."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydantic

from medtasks import registry
from medtasks.cases import Cases, Reading, Schema, Source
from medtasks.dataset import Dataset
from medtasks.defaults import check_defaults
from medtasks.errors import DataError, PluginError, UsageError, suggest
from medtasks.evaluation.bootstrap import Measure, Resampled
from medtasks.evaluation.calibration import parse_rule
from medtasks.evaluation.directions import LOWER_IS_BETTER
from medtasks.evaluation.shift import Validity
from medtasks.evaluation.splits import Fold, Plan
from medtasks.model import Config, Context
from medtasks.report.blocks import Section

Decision = dict[str, Any]
"""What turns a model's numbers into a decision, as plain JSON (a threshold and the rule that chose it)."""

_SHOWN = 4
"""Measures in an evaluation's `repr`."""


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, (int, float)) else value


Rule = Annotated[
    str, pydantic.BeforeValidator(_as_text), pydantic.AfterValidator(lambda rule: parse_rule(rule) and rule)
]
"""The type of an option that says how a threshold is chosen; see `medtasks.evaluation.calibration.parse_rule`."""


@dataclass(frozen=True)
class Outputs:
    """What a model's columns mean: the targets' names, and the classes where there are classes; see `Dataset`."""

    names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: Dataset) -> Outputs:
        """Read the meaning off a data set."""
        return cls(dataset.names, dataset.classes, dataset.kinds)


@dataclass(frozen=True)
class Quantity:
    """Something that answers say and the truth can be compared with: a class, or a number.

    Attributes
    ----------
    name : of the target, "" where there is one that needs no name
    columns : of the answers: the number, the probability of each class, or of two classes that of the second
    labels : the classes; empty for a number
    target : the column of the targets (n, targets); None where they are class codes (n,)
    """

    name: str
    columns: tuple[str, ...]
    labels: tuple[str, ...] = ()
    target: int | None = None

    def truth(self, data: Dataset) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Return (n,) true values, and which are known exactly."""
        if self.target is None:
            return data.targets, np.ones(len(data), dtype=bool)
        values = data.targets[:, self.target]
        return values, np.isfinite(values) & (data.bounds[:, self.target] == 0)

    def both(self, said: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return (n, classes) probabilities of the (n, columns) that answers hold."""
        return np.column_stack([1 - said[:, 0], said[:, 0]]) if len(self.columns) == 1 else said

    @property
    def set_column(self) -> str:
        """The column of a class's prediction set."""
        return f"set_{self.name}" if self.name else "prediction_set"

    @property
    def low_column(self) -> str:
        """The column of a number's lower bound."""
        return f"low_{self.name}" if self.name else "low"

    @property
    def high_column(self) -> str:
        """The column of a number's upper bound."""
        return f"high_{self.name}" if self.name else "high"


@dataclass(frozen=True)
class Evaluation:
    """Answers judged on cases that the model never saw.

    ``overall`` holds the measures over all targets, ``targets`` those of each target where there are
    several, ``n`` the number of cases.
    """

    n: int
    overall: Resampled
    targets: Mapping[str, Resampled] = field(default_factory=dict)

    def __repr__(self) -> str:
        values = [f"{name} {value:.3g}" for name, value in self.overall.values.items()]
        few = [*values[:_SHOWN], "…"] if len(values) > _SHOWN else values
        about = f" and {len(self.targets)} targets" if self.targets else ""
        return f"<Evaluation of {self.n} cases{about}: {', '.join(few)}>"

    @property
    def metrics(self) -> dict[str, Measure]:
        """Each measure with its 95 % interval."""
        return self.overall.measures()

    def as_json(self) -> dict[str, Any]:
        """Return ``{"n", "metrics", "targets"}`` as plain JSON without NaN."""
        return {
            "n": self.n,
            "metrics": {name: found.as_json() for name, found in self.metrics.items()},
            "targets": {
                target: {name: found.as_json() for name, found in part.measures().items()}
                for target, part in self.targets.items()
            },
        }


@dataclass(frozen=True)
class Judged:
    """What a task's report sections are made of.

    ``data`` are the cases judged, ``answers`` the table of their answers (row by row), ``baseline`` the
    same cases judged for the baseline, ``explain`` explains rows of ``data`` for given classes or targets
    (None where the model cannot), ``learnt`` says for each model that answered which rows of ``data`` those are and
    what it was made from (empty where that is not at hand), ``validity`` whether ``data`` are like the cases that sets
    and intervals were calibrated on, ``subgroups`` the measures of each (`medtasks.subgroups.Subgroup`), ``repeated``
    those of repeated cross-validation (`medtasks.repeated.Repeated`), ``lower_is_better`` is the task's own.
    """

    data: Dataset
    answers: pd.DataFrame
    evaluation: Evaluation
    decision: Decision
    baseline: Evaluation | None = None
    explain: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[Any]] | None = None
    learnt: tuple[tuple[npt.NDArray[np.int64], Dataset], ...] = ()
    validity: Validity | None = None
    subgroups: tuple[Any, ...] = ()
    repeated: tuple[Any, ...] = ()
    lower_is_better: frozenset[str] = LOWER_IS_BETTER


class Task(ABC):
    """A question, and how an answer to it is judged; models are plugins that answer it.

    A task never imports a deep-learning library and knows no model but by name.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    primary: ClassVar[str]
    """The measure that a result is summed up by; see `headline`."""
    lower_is_better: ClassVar[frozenset[str]] = LOWER_IS_BETTER
    """The measures of which less is better: those of errors and losses under their usual names. A task with others adds
    them, as in ``Task.lower_is_better | {"time_to_diagnosis"}``; of all that are not named more is better."""
    cases: ClassVar[tuple[type[Cases], ...]]
    """The kinds of cases it takes."""
    defaults: ClassVar[Mapping[str, str]]
    """The model used where none is named, by what it accepts; see `accepts`."""
    baselines: ClassVar[Mapping[str, str]]
    """The model that every result is printed beside, by what it accepts."""
    demo: ClassVar[str]
    """The data set used where no data are named."""
    demo_config: ClassVar[Mapping[str, Any]] = {}
    """Hyper-parameters with which the default model learns the demo while a person waits."""
    settled: ClassVar[frozenset[str]] = frozenset()
    """Options that a fitted model has settled, so that it cannot be judged by others."""
    forms: ClassVar[tuple[str, ...]] = ()
    """What answers can be written as beside tables; see `export`."""
    not_for: ClassVar[tuple[str, ...]] = ()
    """Sentences that every report ends with: what the answers must not be used for."""
    checks: ClassVar[Mapping[str, Callable[[Any], None]]] = {}
    """What `medtasks.testing` is to check of its models beside: each takes a bench and raises `ValueError`."""

    class Options(Config):
        """How the data are to be read: the task's own options, flags on the command line."""

    @abstractmethod
    def read(self, source: Source, options: Any, *, context: Context, schema: Schema | None = None) -> Dataset:
        """Read cases with their targets; those of a fitted model where its ``schema`` is given.

        Raises
        ------
        DataError
            If the data cannot carry the task; single bad rows are listed in `Origin.invalid` instead.
        """

    def adapt(self, dataset: Dataset, options: Any) -> Dataset:
        """Apply the options to a data set, however it came."""
        return dataset

    def check_trainable(  # noqa: B027 (a task without such a check is complete)
        self, dataset: Dataset
    ) -> None:
        """Refuse data that cannot be split and learnt from.

        Raises
        ------
        DataError
            Saying what is lacking.
        """

    def check_options(  # noqa: B027 (a task whose options always apply is complete)
        self, options: Any, source: Source | Dataset, dataset: Dataset
    ) -> None:
        """Refuse options that say nothing about these data: what is accepted must have an effect.

        Raises
        ------
        UsageError
            Naming the option.
        """

    def align(self, dataset: Dataset, outputs: Outputs) -> Dataset:
        """Bring the targets of new data to the meaning that a fitted model's have.

        Raises
        ------
        DataError
            If a class or target is unknown to the model.
        """
        if len(dataset.names) != len(outputs.names):
            raise DataError(
                f"the data have {len(dataset.names)} targets, the model {len(outputs.names)}",
                hint=f"the model's are {', '.join(outputs.names)}",
            )
        unknown = sorted(set(dataset.classes) - set(outputs.classes))
        if unknown:
            raise DataError(f"the model knows no class {unknown[0]!r}", hint=suggest(unknown[0], outputs.classes))
        if not outputs.classes:
            return dataset
        codes = np.array([outputs.classes.index(name) for name in dataset.classes], dtype=np.int64)
        return replace(dataset, targets=codes[dataset.targets], classes=outputs.classes)

    @abstractmethod
    def strata(self, dataset: Dataset) -> npt.NDArray[np.int64]:
        """Return (n,) codes of what a split must keep in proportion (the class)."""

    @abstractmethod
    def split(self, dataset: Dataset, plan: Plan, options: Any, seed: int) -> list[Fold]:
        """Split without leakage: one fold for a hold-out, several for cross-validation."""

    @abstractmethod
    def check(self, raw: npt.NDArray[Any], outputs: Outputs, n: int) -> None:
        """Check what a model's ``predict`` returned for ``n`` cases.

        Raises
        ------
        ValueError
            Saying how it differs from what the task fixes.
        """

    @abstractmethod
    def decide(self, valid: Dataset, raw: npt.NDArray[Any], options: Any, train: Dataset) -> Decision:
        """Fix on validation cases what turns a model's numbers into a decision.

        Parameters
        ----------
        valid, raw
            Cases with their targets, and what a model that had not learnt them said of each.
        options
            The task's options.
        train
            The cases that the model was fitted on. No row of them may stand in the decision.
        """

    @abstractmethod
    def answer(
        self, raw: npt.NDArray[Any], outputs: Outputs, decision: Decision, cases: Cases | None = None
    ) -> pd.DataFrame:
        """Turn a model's numbers into the columns a user sees, one row per case (``cases`` are None where none is)."""

    @abstractmethod
    def evaluate(self, data: Dataset, answers: pd.DataFrame, seed: int) -> Evaluation:
        """Judge answers (made by `answer`) against the targets."""

    @abstractmethod
    def sections(self, judged: Judged) -> list[Section]:
        """Write the task's part of the report."""

    def accepts(self, dataset: Dataset) -> str:
        """Return what a model must accept to answer these data: the kind of cases.

        A task that asks several questions of one kind of case adds the question, as in ``patients/arm``.
        """
        return dataset.cases.kind

    def explained(self, answers: pd.DataFrame, outputs: Outputs) -> npt.NDArray[np.int64]:
        """Return (n,) the class or target that an explanation of each answer is about where none is named."""
        if outputs.classes and "prediction" in answers:
            return np.array([outputs.classes.index(name) for name in answers["prediction"]], dtype=np.int64)
        return np.zeros(len(answers), dtype=np.int64)

    def contrasts(self, outputs: Outputs) -> bool:
        """Say whether a target is explained against the others, as one treatment is."""
        return False

    def in_odds(self, outputs: Outputs, target: int) -> bool:
        """Say whether the model's number for a target is a probability, which is explained as log-odds."""
        return bool(outputs.classes) or any(one.labels and one.target == target for one in self.quantities(outputs))

    def quantities(self, outputs: Outputs) -> tuple[Quantity, ...]:
        """Return what sets and intervals are made of; nothing where a task makes its own or none."""
        return ()

    def floor(self, dataset: Dataset) -> str:
        """Say what the baseline is, as in "a linear model"."""
        return "a linear model"

    def lead(self, judged: Judged) -> str:
        """Return what a report must say before anything else; nothing where the headline says it."""
        return ""

    def headline(self, dataset: Dataset) -> str:
        """Return the measure that a result on these data is summed up by."""
        return self.primary

    def counts(self, dataset: Dataset) -> dict[str, int]:
        """Count what a reader wants to know of a part of the data."""
        groups = {} if dataset.groups is None else {"patients or groups": len(set(dataset.groups.tolist()))}
        return {"cases": len(dataset), **groups}

    def schema(self, dataset: Dataset, options: Any) -> Schema:
        """Describe what an input at predict time must look like."""
        return dataset.cases.schema()

    def read_cases(self, source: Source, schema: Schema) -> Iterator[Reading[Cases]]:
        """Read cases without targets that fit the schema of a fitted model."""
        yield from self.kind(schema["kind"]).read(source, schema)

    def toy(self, accepts: str, n: int, seed: int) -> Dataset | None:
        """Draw ``n`` small cases with a planted cause, the same at each call; see `medtasks.testing`."""
        return None

    def export(self, table: pd.DataFrame, form: str, outputs: Outputs) -> list[dict[str, Any]]:
        """Write a table of predictions as one of the task's `forms`: a JSON object for each row, in order.

        Raises
        ------
        UsageError
            If the task knows no such form.
        """
        known = ", ".join(self.forms)
        raise UsageError(
            f"answers of {self.name} cannot be written as {form!r}",
            hint=f"use {known}" if known else "tables and --json are what this task has",
        )

    def kind(self, name: str) -> type[Cases]:
        """Return the class of a kind of cases."""
        for kind in self.cases:
            if kind.kind == name:
                return kind
        raise UsageError(
            f"the task {self.name} has no cases of the kind {name!r}",
            hint=f"it takes {', '.join(kind.kind for kind in self.cases)}",
        )


def load_task(name: str) -> Task:
    """Return the task called ``name``.

    Raises
    ------
    UsageError
        If there is no such task.
    PluginError
        If it cannot be loaded or is no task.
    """
    entry = registry.find("task", name)
    found = entry.load()
    if not (inspect.isclass(found) and issubclass(found, Task) and not inspect.isabstract(found)):
        raise PluginError(
            f"task {name!r} ({entry.origin}) is not a complete subclass of medtasks.task.Task",
            hint=f"{entry.target} must name one",
        )
    check_defaults(found.Options, f"the Options of task {name!r} ({entry.origin})")
    return found()
