"""The task ``treatment``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Cases, Patients, Reading, Schema, Source
from medtasks.dataset import Dataset
from medtasks.errors import DataError, UsageError
from medtasks.evaluation.splits import Fold, Plan, check_groups, holdout, kfold, official
from medtasks.model import Context
from medtasks.report.blocks import Section
from medtasks.task import Decision, Evaluation, Judged, Outputs, Task
from medtasks.treatment import exporting, histories, sources
from medtasks.treatment.arms import Arm
from medtasks.treatment.doses import Dose
from medtasks.treatment.options import TreatmentOptions
from medtasks.treatment.questions import ARM, DOSE, SET, Asked, Question
from medtasks.treatment.safety import read_knowledge
from medtasks.treatment.sets import Set

QUESTIONS: Mapping[str, Question] = {ARM: Arm(), SET: Set(), DOSE: Dose()}
ONLY: Mapping[str, tuple[str, ...]] = {
    "treatment": (ARM,),
    "outcome": (ARM,),
    "minimise": (ARM,),
    "randomised": (ARM,),
    "propensity": (ARM,),
    "truth": (ARM,),
    "arms": (ARM,),
    "dose": (DOSE,),
    "within": (DOSE,),
    "level": (DOSE,),
    "at": (SET,),
    "medicines": (SET,),
    "atc_level": (SET,),
    "called": (SET,),
    "least": (SET,),
    "interactions": (SET,),
    "budget": (SET,),
}
"""The questions that an option says something about; the others refuse it."""


class Treatment(Task):
    """Which treatment suits a patient: one of several arms, a set of medicines, or a dose.

    The data say which question they answer. A model returns, for arms, the expected outcome under each (n, arms),
    or with the covariance of its errors (n, arms, 1 + arms); for sets the probability of each medicine (n, medicines);
    for doses the dose (n, 1), or dose and spread (n, 1, 2).
    """

    name: ClassVar[str] = "treatment"
    title: ClassVar[str] = "Treatment"
    summary: ClassVar[str] = "which arm, which set of medicines or which dose suits a patient, or that data cannot tell"
    primary: ClassVar[str] = "gain_over_best_arm"
    cases: ClassVar[tuple[type[Cases], ...]] = (Patients,)
    defaults: ClassVar[Mapping[str, str]] = {
        "patients/arm": "treatment.doubly-robust",
        "patients/dose": "treatment.dose",
        "patients/set": "treatment.linear-set",
    }
    baselines: ClassVar[Mapping[str, str]] = {
        "patients/arm": "treatment.best-arm",
        "patients/dose": "treatment.linear-dose",
        "patients/set": "treatment.linear-set",
    }
    demo: ClassVar[str] = "actg175"
    settled: ClassVar[frozenset[str]] = frozenset(
        {"minimise", "level", "within", "budget", "interactions", "at", "medicines", "atc_level", "called", "least"}
    )
    forms: ClassVar[tuple[str, ...]] = exporting.FORMS
    not_for: ClassVar[tuple[str, ...]] = (
        "It prescribes nothing. It shows a physician what data say about patients like this one, in research.",
        "An effect estimated from records is right only if the fields hold everything that drove both the choice of "
        "treatment and the outcome; no data can show that they do.",
        "Imitating clinicians (estimand `imitation`) says what is usually given, not what helps.",
        "What was measured holds for patients like those judged, treated as they were.",
    )

    class Options(TreatmentOptions):
        """How patients and their treatments are read."""

    def read(self, source: Source, options: Any, *, context: Context, schema: Schema | None = None) -> Dataset:
        """Read patients with what each received; see `medtasks.treatment.sources` and `histories`."""
        if histories.is_history(source):
            assert isinstance(source, (str, Path))
            return histories.read_history(Path(source).expanduser(), options, schema)
        return sources.read(source, options, schema)

    def check_options(self, options: Any, source: Source | Dataset, dataset: Dataset) -> None:
        """Refuse options of another question, and those about a file where the data are in memory."""
        question = self.accepts(dataset).partition("/")[2]
        blank = TreatmentOptions()
        given = [name for name in TreatmentOptions.model_fields if getattr(options, name) != getattr(blank, name)]
        for name in given:
            if question not in ONLY.get(name, (question,)):
                raise UsageError(
                    f"--{name} says nothing about the question {question!r}, which these data ask",
                    hint="leave it out; `medtasks tasks treatment` tells what it is for",
                )
        if isinstance(source, Dataset) or not (isinstance(source, pd.DataFrame) or Path(source).expanduser().exists()):
            columns = [name for name in given if name in ("treatment", "outcome", "dose", "group", "id", "split")]
            if columns:
                raise UsageError(f"--{columns[0]} names a column, and these data are no table", hint="leave it out")

        if options.interactions is not None:  # a wrong table is told before anything is trained
            read_knowledge(Path(options.interactions).expanduser(), dataset.names)

    def check_trainable(self, dataset: Dataset) -> None:
        """Refuse data that cannot carry their question."""
        self._question(dataset.kinds).check_trainable(dataset)

    def align(self, dataset: Dataset, outputs: Outputs) -> Dataset:
        """Bring the arms or medicines of new data into the model's order; unknown ones are refused."""
        mine, theirs = Asked.of(outputs.kinds), Asked.of(dataset.kinds)
        if mine.question != theirs.question:
            raise DataError(
                f"the data ask {theirs.question!r}, the model answers {mine.question!r}",
                hint="give data of the model's question",
            )
        unknown = [name for name in dataset.names if name not in outputs.names]
        if unknown:
            raise DataError(
                f"the model knows no {mine.question} {unknown[0]!r}", hint=f"it knows {', '.join(outputs.names)}"
            )
        blank = 0.0 if mine.question == SET else np.nan
        targets = np.full((len(dataset), len(outputs.names)), blank)
        places = [outputs.names.index(name) for name in dataset.names]
        targets[:, places] = dataset.targets
        extra = dict(dataset.extra)
        if "propensity" in extra:
            known = np.zeros(targets.shape)
            known[:, places] = extra["propensity"]
            extra["propensity"] = known
        if "truth" in extra:
            wide = np.full(targets.shape, np.nan)
            wide[:, places] = extra["truth"]
            extra["truth"] = wide
        return replace(dataset, targets=targets, names=outputs.names, kinds=outputs.kinds, extra=extra)

    def accepts(self, dataset: Dataset) -> str:
        """Return ``patients/arm``, ``patients/set`` or ``patients/dose``."""
        return f"{dataset.cases.kind}/{Asked.of(dataset.kinds).question}"

    def strata(self, dataset: Dataset) -> npt.NDArray[np.int64]:
        """Return what a split keeps in proportion: the arm received."""
        return self._question(dataset.kinds).strata(dataset)

    def split(self, dataset: Dataset, plan: Plan, options: Any, seed: int) -> list[Fold]:
        """Follow the data's own split; else folds for small tables and one hold-out for large ones."""
        strata, groups = self.strata(dataset), dataset.groups
        count = plan.folds or self._question(dataset.kinds).plan(dataset, plan)
        if count > 1:
            found = kfold(strata, groups, replace(plan, folds=count, even=True), seed)
        elif dataset.split is not None:
            found = [official(dataset, strata, plan, seed)]
        else:
            found = [holdout(strata, groups, replace(plan, even=True), seed)]
        for fold in found:
            check_groups(fold, groups)
        return found

    def check(self, raw: npt.NDArray[Any], outputs: Outputs, n: int) -> None:
        """Check what a model returned; the shapes are told above."""
        self._question(outputs.kinds).check(raw, outputs, n)

    def decide(self, valid: Dataset, raw: npt.NDArray[Any], options: Any, train: Dataset) -> Decision:
        """Fix on validation patients what turns numbers into a recommendation."""
        return self._question(valid.kinds).decide(valid, raw, options, train)

    def answer(
        self, raw: npt.NDArray[Any], outputs: Outputs, decision: Decision, cases: Cases | None = None
    ) -> pd.DataFrame:
        """Return ``decision``, ``reason``, ``estimand`` and what the question asks for, one row per patient."""
        return self._question(outputs.kinds).answer(raw, outputs, decision, cases)

    def explained(self, answers: pd.DataFrame, outputs: Outputs) -> npt.NDArray[np.int64]:
        """Return the arm ranked first, or the first target."""
        return self._question(outputs.kinds).explained(answers, outputs)

    def contrasts(self, outputs: Outputs) -> bool:
        """Say so of arms: what speaks for one is what sets it apart from the others."""
        return Asked.of(outputs.kinds).question == ARM

    def in_odds(self, outputs: Outputs, target: int) -> bool:
        """Say so of medicines."""
        return Asked.of(outputs.kinds).question == SET

    def headline(self, dataset: Dataset) -> str:
        """Return the measure that the question is summed up by."""
        return self._question(dataset.kinds).headline

    def floor(self, dataset: Dataset) -> str:
        """Say what the baseline is."""
        return "the best treatment for everybody" if Asked.of(dataset.kinds).question == ARM else "a linear model"

    def lead(self, judged: Judged) -> str:
        """Say whether individualising helps at all."""
        return self._question(judged.data.kinds).lead(judged)

    def evaluate(self, data: Dataset, answers: pd.DataFrame, seed: int) -> Evaluation:
        """Judge the answers, with intervals over patients."""
        return self._question(data.kinds).evaluate(data, answers, seed)

    def sections(self, judged: Judged) -> list[Section]:
        """Write the question's part of the report."""
        return self._question(judged.data.kinds).sections(judged)

    def counts(self, dataset: Dataset) -> dict[str, int]:
        """Count patients, and what the question makes worth counting."""
        return self._question(dataset.kinds).counts(dataset)

    def export(self, table: pd.DataFrame, form: str, outputs: Outputs) -> list[dict[str, Any]]:
        """Write answers as FHIR R4 or as CDS Hooks cards; see `medtasks.treatment.exporting`."""
        return exporting.export(table, form, outputs) if form in self.forms else super().export(table, form, outputs)

    def schema(self, dataset: Dataset, options: Any) -> Schema:
        """Describe the input, with the column that names a patient's row."""
        return {**dataset.cases.schema(), "id": options.id or "id"}

    def read_cases(self, source: Source, schema: Schema) -> Iterator[Reading[Cases]]:
        """Read patients that have the schema's fields from a table, or visits from event tables."""
        if "events" in schema and isinstance(source, (str, Path)) and Path(source).expanduser().is_dir():
            source, schema = histories.visits_of(Path(source).expanduser(), schema), {**schema, "id": histories.ID}
        yield from Patients.read(source, schema)

    def toy(self, accepts: str, n: int, seed: int) -> Dataset | None:
        """Draw toy cases; see `medtasks.treatment.toy`."""
        from medtasks.treatment import toy

        return toy.draw(accepts, n, seed)

    def _question(self, kinds: Sequence[str]) -> Question:
        return QUESTIONS[Asked.of(kinds).question]
