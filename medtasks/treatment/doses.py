"""The question ``dose``: how much, with an interval that holds the right dose for most patients of every group."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks import trust
from medtasks.cases import Cases
from medtasks.dataset import Dataset
from medtasks.errors import DataError, UsageError
from medtasks.evaluation.bootstrap import Weights, resample
from medtasks.evaluation.conformal import quantile
from medtasks.report.blocks import Section
from medtasks.shapes import check_numbers
from medtasks.task import Decision, Evaluation, Judged, Outputs
from medtasks.treatment.effects import INSUFFICIENT, RECOMMEND
from medtasks.treatment.questions import LEAST, Question
from medtasks.trust import group_of

Values = npt.NDArray[np.float64]
NEAR = 0.2
"""A dose within a fifth of the right one: how dosing equations are judged (IWPC 2009, doi:10.1056/NEJMoa0809329)."""
COLUMNS = ("decision", "reason", "estimand", "low", "high", "group")
"""The columns of an answer beside the dose, which is called as the data call it; the core adds `trust.COLUMNS`."""


class Dose(Question):
    """How much of one medicine; answers predict the dose that proved right (estimand ``dose``)."""

    headline: ClassVar[str] = "mae"
    folds: ClassVar[int] = 5
    small: ClassVar[int] = 5000

    def check_trainable(self, dataset: Dataset) -> None:
        """Refuse too few doses, doses that are not above 0, one dose for all, and a name that answers use otherwise."""
        if dataset.names[0] in {*COLUMNS, *trust.COLUMNS}:
            raise UsageError(
                f"the dose is called {dataset.names[0]!r}, as is a column of the answers",
                hint="rename the column to what it holds, such as mg_per_week",
            )
        values = dataset.targets[:, 0]
        if len(values) < LEAST:
            raise DataError(f"{len(values)} patients have a dose; at least {LEAST} are needed", hint="add patients")
        if not (values > 0).all():
            raise DataError("doses must be above 0", hint="mend them, or leave these rows out")
        if np.ptp(values) == 0:
            raise DataError("every patient has the same dose", hint="there is nothing to learn; name another --dose")

    def strata(self, dataset: Dataset) -> npt.NDArray[np.int64]:
        """Doses are not stratified."""
        return np.zeros(len(dataset), dtype=np.int64)

    def check(self, raw: npt.NDArray[Any], outputs: Outputs, n: int) -> None:
        """Check doses (n, 1), or doses with their spread (n, 1, 2)."""
        check_numbers(raw, [(n, 1), (n, 1, 2)], "the dose of each patient")
        if raw.ndim == 3 and n and raw[:, 0, 1].min() <= 0:
            raise ValueError("predict returned a spread that is not above 0")

    def decide(self, valid: Dataset, raw: npt.NDArray[Any], options: Any, train: Dataset) -> Decision:
        """Calibrate conformal intervals, within each group where the user names one; see `Trust.calibrate`.

        Unlike there a group with too few patients borrows no interval from the others: a dose may be dangerous.
        """
        dose, spread = _parts(raw)
        errors = np.abs(valid.targets[:, 0] - dose) / spread
        decision: Decision = {"question": "dose", "level": options.level, "within": options.within, "cases": len(valid)}
        groups = group_of(valid.cases, options.within)
        found = {name: quantile(errors[groups == name], options.level) for name in sorted(set(groups.tolist()))}
        # A group of one patient may be named by what names the patient: of groups too small not even the name is kept.
        decision["quantiles"] = {name: value for name, value in found.items() if value is not None}
        return decision

    def answer(self, raw: npt.NDArray[Any], outputs: Outputs, decision: Decision, cases: Cases | None) -> pd.DataFrame:
        """Return the dose with the interval that holds the right one with the probability ``level``."""
        dose, spread = _parts(raw)
        groups = group_of(cases, decision["within"]) if cases is not None else np.zeros(0, dtype=object)
        found = [decision["quantiles"].get(name) for name in groups]  # bundles of before hold None for small groups
        reach = np.array([np.nan if value is None else value for value in found], dtype=np.float64) * spread
        known = np.isfinite(reach)
        return pd.DataFrame(
            {
                "decision": np.where(known, RECOMMEND, INSUFFICIENT).astype(object),
                "reason": [
                    (
                        f"the interval holds the right dose for {decision['level']:.0%} of patients"
                        if fine
                        else "too few patients were there to calibrate an interval"
                    )
                    + (f" of this group ({decision['within']}: {name})" if decision["within"] else "")
                    for fine, name in zip(known, groups, strict=True)
                ],
                "estimand": np.full(len(dose), "dose", dtype=object),
                outputs.names[0]: dose,
                "low": np.maximum(dose - reach, 0.0),
                "high": dose + reach,
                "group": groups if decision["within"] else np.full(len(dose), "", dtype=object),
            }
        )

    def evaluate(self, data: Dataset, answers: pd.DataFrame, seed: int) -> Evaluation:
        """Measure errors, doses within 20 % and the coverage of the intervals, over patients."""
        true, said = data.targets[:, 0], answers[data.names[0]].to_numpy(dtype=np.float64)
        low, high = (answers[name].to_numpy(dtype=np.float64) for name in ("low", "high"))
        bounded = np.isfinite(high)
        held = ((low <= true) & (true <= high))[bounded].astype(np.float64)

        def statistic(weights: Weights) -> dict[str, Values]:
            total, mine = weights.sum(axis=1), weights[:, bounded]
            return {
                "mae": weights @ np.abs(said - true) / total,
                "within_20pct": weights @ (np.abs(said - true) <= NEAR * true) / total,
                "rmse": np.sqrt(weights @ (said - true) ** 2 / total),
                "bias": weights @ (said - true) / total,
                "coverage": _ratio(mine @ held, mine.sum(axis=1)),
                "interval_width": _ratio(mine @ (high - low)[bounded], mine.sum(axis=1)),
            }

        return Evaluation(len(data), resample(statistic, len(data), data.groups, seed))

    def sections(self, judged: Judged) -> list[Section]:
        """Write the dose part of a report."""
        from medtasks.treatment import dose_sections

        return dose_sections.write(judged)

    def lead(self, judged: Judged) -> str:
        """Say how often the dose is near the right one."""
        found = judged.evaluation.metrics
        near = _percent(found["within_20pct"].value)
        text = f"{near} of patients are given a dose within 20 % of the one that proved right"
        if judged.baseline is not None:
            text += f" (a linear model: {_percent(judged.baseline.metrics['within_20pct'].value)})"
        return (
            f"{text}; the intervals, made to hold {judged.decision['level']:.0%}, hold "
            f"{_percent(found['coverage'].value)}."
        )

    def counts(self, dataset: Dataset) -> dict[str, int]:
        """Count patients."""
        return {"patients": len(dataset)}


def _parts(raw: npt.NDArray[Any]) -> tuple[Values, Values]:
    dose = np.asarray(raw[:, 0] if raw.ndim == 2 else raw[:, 0, 0], dtype=np.float64)
    return dose, np.ones(len(dose)) if raw.ndim == 2 else np.asarray(raw[:, 0, 1], dtype=np.float64)


def _ratio(above: Values, below: Values) -> Values:
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0))


def _percent(value: float | None) -> str:
    return "an unknown share" if value is None else f"{value:.1%}"
