"""The task ``activity``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.activity import judging, sources, splitting
from medtasks.activity.options import ActivityOptions
from medtasks.activity.similarity import with_cliffs
from medtasks.cases import Cases, Molecules, Reading, Schema, Source
from medtasks.cases.columns import COHORT
from medtasks.dataset import Dataset
from medtasks.errors import DataError, UsageError
from medtasks.evaluation import calibrators
from medtasks.evaluation.calibration import threshold
from medtasks.evaluation.calibrators import Calibrator
from medtasks.evaluation.splits import Fold, Plan, check_groups, holdout, kfold, official
from medtasks.model import Context
from medtasks.report.blocks import Section
from medtasks.shapes import check_numbers
from medtasks.task import Decision, Evaluation, Judged, Outputs, Quantity, Task
from medtasks.words import plural

LEAST = 20
"""Fewer measured molecules of a target than this cannot be split and learnt from."""


class Activity(Task):
    """What a molecule does, from its structure: numbers (a pIC50, a solubility) or classes (active or not).

    A model returns (n, targets): the number, or the probability of being active. Missing measurements are missing:
    masked in every loss and every measure, never zero.
    """

    name: ClassVar[str] = "activity"
    title: ClassVar[str] = "Molecular activity"
    summary: ClassVar[str] = "what a molecule does (affinity, solubility, toxicity) from its structure"
    primary: ClassVar[str] = "rmse"
    cases: ClassVar[tuple[type[Cases], ...]] = (Molecules,)
    defaults: ClassVar[Mapping[str, str]] = {"molecules": "activity.mol-blend"}
    baselines: ClassVar[Mapping[str, str]] = {"molecules": "activity.linear-fingerprint"}
    demo: ClassVar[str] = "chembl2321810"
    demo_config: ClassVar[Mapping[str, Any]] = {"folds": 3, "graph_steps": 200}
    settled: ClassVar[frozenset[str]] = frozenset(
        {"threshold", "calibration", "level", "within", "per_class", "name_nearest"}
    )
    not_for: ClassVar[tuple[str, ...]] = (
        "It ranks molecules for the next experiment; it does not replace the experiment.",
        "The less a new molecule resembles those it was trained on, the less its prediction is worth.",
        "It says nothing about safety in patients.",
    )

    class Options(ActivityOptions):
        """How molecules and measurements are read."""

    def read(self, source: Source, options: Any, *, context: Context, schema: Schema | None = None) -> Dataset:
        """Read molecules with their measurements; see `medtasks.activity.sources`."""
        known = schema or {}
        return sources.read(source, options, context, known.get("kinds", ()), known.get("with_units", False))

    def adapt(self, dataset: Dataset, options: Any) -> Dataset:
        """Mark the molecules on activity cliffs; see `medtasks.activity.similarity`."""
        return with_cliffs(dataset, options.cliff)

    def check_options(self, options: Any, source: Source | Dataset, dataset: Dataset) -> None:
        """Refuse groups to calibrate within where molecules carry none."""
        if options.within is not None and dataset.cases.cohorts is None:
            raise UsageError(
                f"--within: {dataset.origin.source} has no column {options.within!r}",
                hint="give a table, or molecules with their `cohorts`",
            )

    def check_trainable(self, dataset: Dataset) -> None:
        """Refuse targets with too few measurements, or with one value only."""
        for t, name in enumerate(dataset.names):
            known = dataset.targets[:, t][np.isfinite(dataset.targets[:, t])]
            if len(known) < LEAST:
                lost = dataset.origin.invalid
                first = f" ({plural(len(lost), 'row')} cannot be used; {lost[0][0]}: {lost[0][1]})" if lost else ""
                raise DataError(
                    f"target {name!r} has {len(known)} measured molecules; at least {LEAST} are needed{first}",
                    hint="add measurements, mend rows that cannot be read, or leave the target out",
                )
            if np.ptp(known) == 0:
                raise DataError(
                    f"target {name!r} has one value only", hint="there is nothing to learn; name another --target"
                )

    def align(self, dataset: Dataset, outputs: Outputs) -> Dataset:
        """Refuse data that measure something else than the model predicts."""
        aligned = super().align(dataset, outputs)
        if dataset.names != outputs.names:
            raise DataError(
                f"the data measure {', '.join(dataset.names)}, the model predicts {', '.join(outputs.names)}",
                hint="name the same columns with --target, and the same --unit",
            )
        return aligned

    def strata(self, dataset: Dataset) -> npt.NDArray[np.int64]:
        """Return the classes where there is one target with classes; numbers are not stratified."""
        if dataset.kinds == ("binary",):
            return np.asarray(np.nan_to_num(dataset.targets[:, 0]).astype(np.int64))
        return np.zeros(len(dataset), dtype=np.int64)

    def split(self, dataset: Dataset, plan: Plan, options: Any, seed: int) -> list[Fold]:
        """Follow the data's own split; else keep scaffolds, clusters or the user's groups whole."""
        assert isinstance(dataset.cases, Molecules)
        if dataset.split is not None and plan.folds <= 1:
            return [official(dataset, self.strata(dataset), plan, seed)]
        if options.split_by == "time":
            if plan.folds > 1:
                raise UsageError("time makes one split, not several folds", hint="leave out --folds")
            return [splitting.by_time(dataset.extra["time"], plan)]
        groups = dataset.groups if dataset.groups is not None else splitting.groups(dataset.cases, options.split_by)
        strata = self.strata(dataset)
        folds = kfold(strata, groups, plan, seed) if plan.folds > 1 else [holdout(strata, groups, plan, seed)]
        for fold in folds:
            check_groups(fold, groups)
        return folds

    def check(self, raw: npt.NDArray[Any], outputs: Outputs, n: int) -> None:
        """Check that predictions are (n, targets), finite, and probabilities within [0, 1]."""
        check_numbers(raw, [(n, len(outputs.names))], "predictions of (molecules, targets)")
        binary = raw[:, [kind == "binary" for kind in outputs.kinds]]
        if binary.size and (binary.min() < 0 or binary.max() > 1):
            raise ValueError("predict returned probabilities of being active outside of 0 to 1")

    def decide(self, valid: Dataset, raw: npt.NDArray[Any], options: Any, train: Dataset) -> Decision:
        """Calibrate each target with classes on validation, and choose its threshold there."""
        cuts, fitted = {}, {}
        for t, (name, kind) in enumerate(zip(valid.names, valid.kinds, strict=True)):
            if kind == "binary":
                known = np.isfinite(valid.targets[:, t])
                codes = (valid.targets[known, t] == 1).astype(np.int64)
                said = _both(raw[known, t].astype(np.float64))
                calibrator = calibrators.fit(said, codes, options.calibration)
                fitted[name] = calibrator.as_json()
                cuts[name] = threshold(codes == 1, calibrator(said)[:, 1], options.threshold)
        return {"rule": options.threshold, "thresholds": cuts, "calibration": fitted} if cuts else {}

    def answer(
        self, raw: npt.NDArray[Any], outputs: Outputs, decision: Decision, cases: Cases | None = None
    ) -> pd.DataFrame:
        """Return a column per target: the number, or ``active``/``inactive`` with ``p_TARGET`` beside it."""
        table: dict[str, Any] = {}
        for t, (name, kind) in enumerate(zip(outputs.names, outputs.kinds, strict=True)):
            values = raw[:, t].astype(np.float64)
            if kind == "binary":
                values = Calibrator(**decision.get("calibration", {}).get(name, {}))(_both(values))[:, 1]
                table[name] = np.where(values >= decision["thresholds"][name], "active", "inactive").astype(object)
                table[f"p_{name}"] = values
            else:
                table[name] = values
        return pd.DataFrame(table)

    def quantities(self, outputs: Outputs) -> tuple[Quantity, ...]:
        """Return each target, a number or a class."""
        return judging.quantities(outputs.names, outputs.kinds)

    def headline(self, dataset: Dataset) -> str:
        """Return ``auroc`` where every target has classes, else ``rmse``."""
        return judging.headline(dataset)

    def evaluate(self, data: Dataset, answers: pd.DataFrame, seed: int) -> Evaluation:
        """Measure each target on its own molecules, and the mean over the targets, with intervals."""
        return judging.evaluate(data, answers, seed)

    def sections(self, judged: Judged) -> list[Section]:
        """Write the result, the agreement of predicted and measured, and the largest errors."""
        from medtasks.activity import sections

        return sections.write(judged)

    def counts(self, dataset: Dataset) -> dict[str, int]:
        """Count molecules and the measurements of each target."""
        found = {"molecules": len(dataset)}
        for t, (name, kind) in enumerate(zip(dataset.names, dataset.kinds, strict=True)):
            found[name] = int(np.isfinite(dataset.targets[:, t]).sum())
            if kind == "binary":
                found[f"{name} active"] = int((dataset.targets[:, t] == 1).sum())
        return found

    def schema(self, dataset: Dataset, options: Any) -> Schema:
        """Describe the input, with the columns that hold the structure and name the molecule."""
        columns = {"smiles": options.smiles, "id": options.id, COHORT: options.within}
        read = {"kinds": list(dataset.kinds), "with_units": "with_unit" in dataset.extra}
        return {**dataset.cases.schema(), **columns, **read}

    def read_cases(self, source: Any, schema: Schema) -> Iterator[Reading[Cases]]:
        """Read molecules from a file, a table, or a list of SMILES or RDKit molecules."""
        yield from Molecules.read(source, schema)

    def toy(self, accepts: str, n: int, seed: int) -> Dataset | None:
        """Draw toy cases; see `medtasks.activity.toy`."""
        from medtasks.activity import toy

        return toy.draw(accepts, n, seed)


def _both(second: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (n, 2) probabilities of inactive and active."""
    return np.column_stack([1 - second, second])
