"""The question ``arm``: which of several alternatives is best for this patient."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks import causal
from medtasks.cases import Cases, Patients
from medtasks.cases.standardised import Standardised
from medtasks.dataset import Dataset
from medtasks.errors import DataError
from medtasks.report.blocks import Section
from medtasks.shapes import check_numbers
from medtasks.task import Decision, Evaluation, Judged, Outputs
from medtasks.treatment import policies
from medtasks.treatment.effects import (
    ABSTAIN,
    INSUFFICIENT,
    RECOMMEND,
    TIED,
    Z,
    calibrate,
    choose,
    critical,
    effects,
    errors_of_differences,
    modified,
)
from medtasks.treatment.questions import LEAST, Asked, Question, pair_column
from medtasks.treatment.safety import ALLERGIC, SEPARATOR, allergens
from medtasks.treatment.support import Support, supported
from medtasks.words import joined, plural

LEAK = 0.95
"""Share of the outcome's spread that an arm or a field may tell: more is no effect but the outcome itself."""
TOGETHER = " | "
"""What stands between arms that cannot be told apart, in a cell of a table."""
COVERED = 0.1
"""Share of patients for whom at least two arms must be comparable."""
GROUPS = 4
"""Groups (patients with several rows, or sites) in which an arm must be given: one to test and one to validate on, and
two to train on, of which one is left out in turn."""
CHANCE = 0.005
"""How often, in data without any effect, chance may say that arms differ on average, and between patients: that as the
model says on validation, or along any field on all known patients, half as often each. Together they let chance alone
recommend anything in at most 1 of 100 data sets."""


class Arm(Question):
    """Which of K arms is best; answers estimate effects (estimand ``effect``)."""

    headline: ClassVar[str] = "gain_over_best_arm"
    folds: ClassVar[int] = 5
    small: ClassVar[int] = 5000

    def check_trainable(self, dataset: Dataset) -> None:
        """Refuse one arm, small arms, an outcome that never differs, leaks, and arms that no two patients share."""
        treatment, outcome = causal.received(dataset)
        given = np.bincount(treatment, minlength=len(dataset.names))
        if (given > 0).sum() < 2:
            raise DataError(
                f"every patient received {dataset.names[int(given.argmax())]!r}",
                hint="to compare, give patients of at least two treatments",
            )
        small = int(np.argmin(given))
        if given[small] < LEAST:
            raise DataError(
                f"treatment {dataset.names[small]!r} was given to {given[small]} patients; at least {LEAST} are needed",
                hint="add patients, join treatments, or leave these rows out",
            )
        _check_groups(dataset, treatment)
        if np.ptp(outcome) == 0:
            raise DataError("the outcome is the same for every patient", hint="name another --outcome")
        _check_leaks(dataset, treatment, outcome)
        assert isinstance(dataset.cases, Patients)
        by_lot = "propensity" in dataset.extra
        support = Support.fit(dataset.cases, treatment, len(given), by_lot=by_lot, groups=dataset.groups)
        counts = support.of(dataset.cases)
        share = float((supported(counts).sum(axis=1) >= 2).mean())
        if share < COVERED:
            raise DataError(
                f"no overlap: for {1 - share:.0%} of patients only one treatment was given to patients like them",
                hint="leave out fields that only say which treatment was given (--ignore), or compare within patients "
                "who could have received either",
            )

    def strata(self, dataset: Dataset) -> npt.NDArray[np.int64]:
        """Return the arm received."""
        return causal.received(dataset)[0]

    def check(self, raw: npt.NDArray[Any], outputs: Outputs, n: int) -> None:
        """Check expected outcomes (n, arms), or with their covariance (n, arms, 1 + arms)."""
        arms = len(outputs.names)
        check_numbers(raw, [(n, arms), (n, arms, 1 + arms)], "the expected outcome under each arm")
        if raw.ndim == 3 and n and np.diagonal(raw[:, :, 1:], axis1=1, axis2=2).min() < 0:
            raise ValueError("predict returned a covariance with a negative variance")

    def decide(self, valid: Dataset, raw: npt.NDArray[Any], options: Any, train: Dataset) -> Decision:
        """Find the best arm for everybody, whether arms differ at all, and where the data can speak of an arm."""
        asked = Asked.of(valid.kinds)
        known = train if valid is train else train.join(valid)
        assert isinstance(known.cases, Patients)
        arms, treatment = len(known.names), causal.received(known)[0]
        whole = causal.score(known).values
        scores = whole[-len(valid) :]
        mean = whole.mean(axis=0)
        expected, told = raw if raw.ndim == 2 else raw[:, :, 0], causal.Scores(scores, np.ones_like(scores), scores)
        lines = calibrate(expected, told, valid.groups)
        differs = _greatest(whole, known.groups) > critical(arms, 1 - CHANCE, _freedom(known))
        ranks = max(pair["z"] for pair in lines) > _corrected(len(lines), _freedom(valid))
        ranks |= modified(whole, Standardised.fit(known.cases).transform(known.cases), known.groups) < CHANCE / 2
        support = Support.fit(known.cases, treatment, arms, by_lot="propensity" in known.extra, groups=known.groups)
        return {
            "question": "arm",
            "minimise": asked.minimise,
            "standard": int(np.argmax(asked.sign * mean)),
            "lead": critical(arms),
            "differs": bool(differs),
            "individual": bool(ranks),
            "lines": lines if raw.ndim == 2 else None,
            "support": support.as_json(),
        }

    def answer(self, raw: npt.NDArray[Any], outputs: Outputs, decision: Decision, cases: Cases | None) -> pd.DataFrame:
        """Return status, reason, what is recommended, the benefit expected and every pair's effect with interval."""
        names, n = outputs.names, len(raw)
        counts = np.zeros((n, len(names)), dtype=np.int64)
        if isinstance(cases, Patients) and n:
            counts = Support.read(decision["support"], cases).of(cases)
        allergic = allergens(cases, names, ()) if n else np.zeros(counts.shape, dtype=bool)
        able = supported(counts) & ~allergic
        found = effects(np.asarray(raw, dtype=np.float64), decision["lines"])
        sign, standard = -1.0 if decision["minimise"] else 1.0, decision["standard"]
        evident = decision["differs"] or decision["individual"]
        choice = choose(found, able, standard, sign, decision["lead"], evident)
        against = _against(found, able, choice.best, standard, sign)
        rows, usable = np.arange(n), choice.best >= 0
        best, other = np.maximum(choice.best, 0), np.maximum(against, 0)
        benefit = np.where(usable, sign * found.difference[rows, best, other], np.nan)
        error = np.where(usable, found.error[rows, best, other], np.nan)
        labels = np.array([*names, ""], dtype=object)
        table: dict[str, Any] = {
            "decision": choice.status,
            "reason": _reasons(choice.status, choice.tied, supported(counts), counts, names, evident),
            "estimand": np.full(n, "effect", dtype=object),
            "recommended": [
                joined(labels[np.flatnonzero(tied)], TOGETHER) if status in (RECOMMEND, TIED) else ""
                for status, tied in zip(choice.status, choice.tied, strict=True)
            ],
            "blocked": [joined((f"{name}: {ALLERGIC}" for name in labels[:-1][row]), SEPARATOR) for row in allergic],
            "best": labels[choice.best],
            "against": labels[against],
            "benefit": benefit,
            "benefit_low": benefit - Z * error,
            "benefit_high": benefit + Z * error,
            "standard": np.full(n, names[standard], dtype=object),
            "similar": counts.sum(axis=1).astype(np.float64),
            "overlap": np.where(able, counts, np.nan).min(axis=1, initial=np.inf, where=able)
            / np.maximum(counts.sum(axis=1), 1),
        }
        table["overlap"] = np.where(able.any(axis=1), table["overlap"], 0.0)
        expected = raw if raw.ndim == 2 else raw[:, :, 0]
        for a, name in enumerate(names):
            table[f"expected_{name}"] = np.where(able[:, a], expected[:, a], np.nan).astype(np.float64)
        for a in range(len(names)):
            for b in range(a + 1, len(names)):
                both = able[:, a] & able[:, b]
                value, spread = found.difference[:, a, b], Z * found.error[:, a, b]
                for part, shown in (("", value), ("_low", value - spread), ("_high", value + spread)):
                    table[pair_column(names, a, b) + part] = np.where(both, shown, np.nan)
        return pd.DataFrame(table)

    def evaluate(self, data: Dataset, answers: pd.DataFrame, seed: int) -> Evaluation:
        """Measure what the choices are worth against the best single arm; see `medtasks.treatment.policies`."""
        return policies.evaluate(data, answers, seed)

    def sections(self, judged: Judged) -> list[Section]:
        """Write the arm part of a report."""
        from medtasks.treatment import arm_sections

        return arm_sections.write(judged)

    def lead(self, judged: Judged) -> str:
        """Say whether individualising helps at all."""
        return policies.verdict(judged.evaluation.metrics[self.headline], judged)

    def counts(self, dataset: Dataset) -> dict[str, int]:
        """Count patients and those of each arm."""
        given = np.bincount(causal.received(dataset)[0], minlength=len(dataset.names))
        return {"patients": len(dataset), **{name: int(n) for name, n in zip(dataset.names, given, strict=True)}}


def _against(
    found: Any, able: npt.NDArray[np.bool_], best: npt.NDArray[np.int64], standard: int, sign: float
) -> npt.NDArray[np.int64]:
    """Return whom the benefit is told against: the best arm for everybody, or for its own patients the runner-up."""
    others = able.copy()
    rows = np.arange(len(best))
    others[rows, np.maximum(best, 0)] = False
    value = np.where(others, sign * found.difference[:, :, standard], -np.inf)
    fits = others[:, standard] if len(others) else np.zeros(0, dtype=bool)
    return np.where(best < 0, -1, np.where(fits, standard, value.argmax(axis=1)))


def _reasons(
    status: npt.NDArray[Any],
    tied: npt.NDArray[np.bool_],
    able: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.int64],
    names: tuple[str, ...],
    evident: bool,
) -> list[str]:
    labels, told = np.array(names, dtype=object), []
    for state, equal, can, seen in zip(status, tied, able, counts, strict=True):
        lacking = ", ".join(labels[~can])
        left = f"; of {seen.sum()} similar patients fewer than 5 received {lacking}" if lacking else ""
        if state == INSUFFICIENT and lacking:
            told.append(f"nothing to compare: of {seen.sum()} similar patients fewer than 5 received {lacking}")
        elif state == INSUFFICIENT:
            told.append("nothing to compare: all treatments but one are ruled out (see the column blocked)")
        elif state == RECOMMEND:
            told.append(f"better than each other comparable treatment at 95 %{left}")
        elif state == TIED:
            told.append(f"{', '.join(labels[equal])} cannot be told apart, the others are worse{left}")
        elif state == ABSTAIN and not evident:
            told.append(f"these data hold no evidence that the treatments differ for anybody{left}")
        else:
            told.append(f"for this patient no treatment can be told from another{left}")
    return told


def _greatest(scores: npt.NDArray[np.float64], groups: npt.NDArray[Any] | None) -> float:
    """Return the largest z of the average effects over all pairs of arms."""
    mean, error = scores.mean(axis=0), errors_of_differences(causal.mean_covariance(scores, groups))
    apart = np.abs(mean[:, None] - mean)
    return float(np.divide(apart, error, out=np.zeros_like(apart), where=error > 0).max())


def _freedom(data: Dataset) -> int:
    """Return the degrees of freedom of means over patients (groups); few leave the error itself uncertain."""
    return max(1, (len(data) if data.groups is None else len(set(data.groups.tolist()))) - 1)


def _corrected(tests: int, freedom: int) -> float:
    """Return the z that a one-sided test among several must reach (Bonferroni; see `CHANCE`)."""
    from scipy.stats import t

    return float(t.isf(CHANCE / 2 / tests, freedom))


def _check_groups(dataset: Dataset, treatment: npt.NDArray[np.int64]) -> None:
    """Refuse arms that too few patients (groups) received, or none of those that the data's own split trains on."""
    for arm, name in enumerate(dataset.names):
        mine = treatment == arm
        if dataset.groups is not None and (count := len(set(dataset.groups[mine].tolist()))) < GROUPS:
            raise DataError(
                f"treatment {name!r} was given in {plural(count, 'group')} of rows that belong together; at least "
                f"{GROUPS} are needed to train, validate and test",
                hint="add patients, join treatments, or name as --group the patient and not what many share",
            )
        if dataset.split is not None and not (mine & (dataset.split == "train")).any():
            raise DataError(
                f"treatment {name!r} was given to nobody in the training part of the data's own split",
                hint="mend the split, or leave it out and let medtasks split",
            )


def _check_leaks(dataset: Dataset, treatment: npt.NDArray[np.int64], outcome: npt.NDArray[np.float64]) -> None:
    total = float(((outcome - outcome.mean()) ** 2).sum())
    means = np.array([outcome[treatment == arm].mean() if (treatment == arm).any() else 0.0
                      for arm in range(len(dataset.names))])  # fmt: skip
    if 1 - float(((outcome - means[treatment]) ** 2).sum()) / total > LEAK:
        raise DataError(
            "the treatment all but tells the outcome: a leak is suspected",
            hint="was one column made from the other? Name others with --treatment and --outcome",
        )
    assert isinstance(dataset.cases, Patients)
    for field in dataset.cases.fields:
        values = dataset.cases.frame[field.name]
        if field.type == "category":
            continue
        known = values.notna().to_numpy()
        if known.sum() <= LEAST or np.ptp(values[known]) == 0 or np.ptp(outcome[known]) == 0:
            continue
        told = float(np.corrcoef(values[known].to_numpy(dtype=np.float64), outcome[known])[0, 1]) ** 2
        if told > LEAK:
            raise DataError(
                f"the field {field.name!r} all but tells the outcome (R2 {told:.2f}): a leak is suspected",
                hint=f"if it was measured after the treatment, leave it out: --ignore {field.name!r}",
            )
