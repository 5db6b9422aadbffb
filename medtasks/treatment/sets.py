"""The question ``set``: which medicines clinicians would give together, kept within a budget of interactions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Cases
from medtasks.dataset import Dataset
from medtasks.errors import DataError
from medtasks.evaluation.bootstrap import Weights, resample
from medtasks.report.blocks import Section
from medtasks.shapes import check_numbers
from medtasks.task import Decision, Evaluation, Judged, Outputs
from medtasks.treatment import selection
from medtasks.treatment.effects import ABSTAIN, RECOMMEND
from medtasks.treatment.questions import LEAST, Question
from medtasks.treatment.safety import SEPARATOR, UNTOLD, Knowledge, Rule, allergens, read_knowledge
from medtasks.words import joined, parted, plural

Values = npt.NDArray[np.float64]


class Set(Question):
    """Which of D medicines together; answers imitate clinicians (estimand ``imitation``) and promise no benefit."""

    headline: ClassVar[str] = "jaccard"
    folds: ClassVar[int] = 5
    small: ClassVar[int] = 1000

    def check_trainable(self, dataset: Dataset) -> None:
        """Refuse too few visits, one medicine only, and medicines that nobody received."""
        if len(dataset) < LEAST:
            raise DataError(f"{len(dataset)} visits are too few; at least {LEAST} are needed", hint="add visits")
        if len(dataset.names) < 2:
            raise DataError(
                "there are fewer than two medicines to choose from",
                hint="lower --least, add visits, or call medicines otherwise (--called, --medicines)",
            )
        if not dataset.targets.any():
            raise DataError("nobody received any of the medicines", hint="check the medicines' names and times")

    def strata(self, dataset: Dataset) -> npt.NDArray[np.int64]:
        """Sets are not stratified."""
        return np.zeros(len(dataset), dtype=np.int64)

    def check(self, raw: npt.NDArray[Any], outputs: Outputs, n: int) -> None:
        """Check that there is a probability (n, medicines) of each."""
        check_numbers(raw, [(n, len(outputs.names))], "the probability of each medicine")
        if n and (raw.min() < 0 or raw.max() > 1):
            raise ValueError("predict returned probabilities outside of 0 to 1")

    def decide(self, valid: Dataset, raw: npt.NDArray[Any], options: Any, train: Dataset) -> Decision:
        """Choose on validation visits from which probability on a medicine is given, and what an interaction costs."""
        classes = tuple(valid.extra["classes"][0]) if "classes" in valid.extra and len(valid) else ()
        knowledge = Knowledge(classes=classes)
        if options.interactions is not None:
            knowledge = read_knowledge(Path(options.interactions).expanduser(), valid.names, classes)
        conflicts = knowledge.matrix(len(valid.names))
        known = valid if train is valid else train.join(valid)
        clinicians = selection.pooled_rate(known.targets > 0, conflicts)
        budget = clinicians / 2 if options.budget is None else options.budget
        tuned = selection.tune(np.asarray(raw, dtype=np.float64), valid.targets > 0, conflicts, budget)
        return {
            "question": "set",
            "cutoff": tuned.cutoff,
            "plain_cutoff": tuned.plain_cutoff,
            "penalty": tuned.penalty,
            "budget": budget,
            "clinicians": clinicians,
            "knowledge": knowledge.as_json(),
            "share": (known.targets > 0).mean(axis=0).tolist(),
        }

    def answer(self, raw: npt.NDArray[Any], outputs: Outputs, decision: Decision, cases: Cases | None) -> pd.DataFrame:
        """Return the medicines recommended, those blocked with the reason, warnings, and every probability.

        ``blocked_severity`` and ``warnings_severity`` list how severe each of them is, as the table of interactions
        calls it.
        """
        knowledge = Knowledge.of_json(decision["knowledge"])
        chance = np.asarray(raw, dtype=np.float64)
        allergic = allergens(cases, outputs.names, knowledge.classes)
        found = selection.select(
            chance, knowledge, decision["cutoff"], decision["penalty"], allergic if len(chance) else None
        )
        names = np.array(outputs.names, dtype=object)
        warned = [_warnings(mask, knowledge) for mask in found.given]
        given = [joined(names[_ranked(row, mask)], SEPARATOR) for row, mask in zip(chance, found.given, strict=True)]
        table: dict[str, Any] = {
            "decision": np.where(found.given.any(axis=1), RECOMMEND, ABSTAIN).astype(object),
            "reason": [_reason(mask, decision) for mask in found.given],
            "estimand": np.full(len(chance), "imitation", dtype=object),
            "recommended": given,
            # Where no pair is known, none was looked for.
            "interacting_pairs": selection.pair_counts(found.given, knowledge.matrix(len(names)))
            if knowledge.pairs
            else np.full(len(chance), np.nan),
            "blocked": [
                joined((f"{names[one.medicine]}: {one.reason}" for one in blocked), SEPARATOR)
                for blocked in found.blocked
            ],
            "blocked_severity": [_severities(one.severity for one in blocked) for blocked in found.blocked],
            "warnings": [
                joined((f"{names[i]} with {names[j]} interact{rule}" for (i, j), rule in pairs), SEPARATOR)
                for pairs in warned
            ],
            "warnings_severity": [_severities(rule.severity for _, rule in pairs) for pairs in warned],
            "unrestricted": [joined(names[_ranked(row, row >= decision["plain_cutoff"])], SEPARATOR) for row in chance],
        }
        for i, name in enumerate(outputs.names):
            table[f"p_{name}"] = chance[:, i]
        return pd.DataFrame(table)

    def evaluate(self, data: Dataset, answers: pd.DataFrame, seed: int) -> Evaluation:
        """Measure agreement with clinicians, each visit weighing the same, with intervals over patients."""
        true, said = data.targets > 0, given_sets(answers["recommended"], data.names)
        chance = answers[[f"p_{name}" for name in data.names]].to_numpy(dtype=np.float64)
        jaccard, f1 = selection.overlap(said, true)
        precision = selection.average_precision(chance, true)
        free = selection.overlap(given_sets(answers["unrestricted"], data.names), true)[0]
        ranked = np.isfinite(precision)
        sizes = said.sum(axis=1)
        pairs, interacting = sizes * (sizes - 1) / 2, answers["interacting_pairs"].to_numpy(dtype=np.float64)
        rate = np.divide(interacting, pairs, out=np.zeros(len(pairs)), where=pairs > 0)

        def statistic(weights: Weights) -> dict[str, Values]:
            total, mine = weights.sum(axis=1), weights[:, ranked]
            return {
                "jaccard": weights @ jaccard / total,
                "f1": weights @ f1 / total,
                "prauc": mine @ precision[ranked] / np.maximum(mine.sum(axis=1), 1e-12),
                "jaccard_unrestricted": weights @ free / total,
                "ddi_rate": weights @ interacting / np.maximum(weights @ pairs, 1e-12),
                "ddi_rate_per_patient": weights @ rate / total,
                "medicines": weights @ sizes / total,
                "medicines_given": weights @ true.sum(axis=1) / total,
            }

        return Evaluation(len(data), resample(statistic, len(data), data.groups, seed))

    def sections(self, judged: Judged) -> list[Section]:
        """Write the set part of a report."""
        from medtasks.treatment import set_sections

        return set_sections.write(judged)

    def lead(self, judged: Judged) -> str:
        """Say that this imitates, and what was checked."""
        origin = judged.decision["knowledge"]["origin"]
        checked = "No table of interactions was given: sets were NOT checked for interactions (--interactions)."
        if origin:
            checked = (
                f"{origin['file']} names {origin['known']} of the {len(judged.data.names)} medicines and "
                f"{plural(origin['pairs'], 'interacting pair')} of them"
            )
            kept = "sets were kept from these; of other pairs it says nothing."
            checked += f": {kept if origin['pairs'] else 'sets were NOT checked for interactions.'}"
        return f"The model imitates what clinicians gave; it does not say what helps. {checked}"

    def counts(self, dataset: Dataset) -> dict[str, int]:
        """Count visits, patients and medicines given."""
        patients = len(dataset) if dataset.groups is None else len(set(dataset.groups.tolist()))
        return {"visits": len(dataset), "patients": patients, "medicines given": int((dataset.targets > 0).sum())}


def given_sets(texts: pd.Series, names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return (n, D): which medicines each answer lists."""
    place = {name: i for i, name in enumerate(names)}
    found = np.zeros((len(texts), len(names)), dtype=bool)
    for row, text in enumerate(texts):
        for name in parted(str(text), SEPARATOR):
            found[row, place[name]] = True
    return found


def _ranked(chance: Values, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the marked medicines, the most probable first."""
    marked = np.flatnonzero(mask)
    return marked[np.argsort(-chance[marked], kind="stable")]


def _reason(mask: npt.NDArray[np.bool_], decision: Decision) -> str:
    if not mask.any():
        return f"no medicine reaches the probability of {decision['cutoff']:.2f}"
    checked = decision["knowledge"]["origin"]
    return "clinicians gave these to patients like this one" + ("" if checked else "; interactions were not checked")


def _warnings(mask: npt.NDArray[np.bool_], knowledge: Knowledge) -> list[tuple[tuple[int, int], Rule]]:
    """Return the pairs given together although they interact."""
    chosen = set(np.flatnonzero(mask).tolist())
    return [(pair, rule) for pair, rule in knowledge.pairs.items() if chosen >= set(pair)]


def _severities(found: Iterable[str]) -> str:
    """Write how severe each entry of another cell is, in its order."""
    return joined((severity or UNTOLD for severity in found), SEPARATOR)
