"""Medicine sets of the MIMIC-III demo for patients never seen in training: 5 folds over patients, several seeds."""

from __future__ import annotations

import itertools
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from common import SHARED, arguments, spread, verdict

from medtasks.cases import Patients
from medtasks.cases.events import Events, read_events
from medtasks.cases.records import infer_fields, parse
from medtasks.cases.visits import visits_table
from medtasks.dataset import Dataset
from medtasks.model import Context

Array = npt.NDArray[Any]
THRESHOLDS = np.arange(0.1, 0.6, 0.02)
PENALTIES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.4)
"""How much more probable a medicine must be for each more probable one in the set that it interacts with."""
BUDGET = 0.5
"""Share of the clinicians' interaction rate that the selection may reach."""


def interactions(table: Path, names: tuple[str, ...]) -> Array:
    """Return (medicines, medicines) whether two are known to interact, by name."""
    found = pd.read_csv(table)
    pairs = {
        frozenset(str(name).lower().replace("_", " ") for name in pair)
        for pair in found[["name1", "name2"]].itertuples(index=False)
    }
    known = {name for pair in pairs for name in pair}
    print(f"  {sum(name in known for name in names)} of {len(names)} medicines are in the interaction table")
    return np.array([[frozenset((a, b)) in pairs and a != b for b in names] for a in names])


def select(told: Array, threshold: float, clash: Array | None = None, penalty: float = 0.0) -> Array:
    """Return (n, medicines) 0/1: the more probable first, each interaction with one chosen raising what it needs."""
    if clash is None or penalty == 0:
        return np.asarray(told >= threshold).astype(np.uint8)
    chosen = np.zeros(told.shape, dtype=np.uint8)
    for row, order in enumerate(np.argsort(-told, axis=1)):
        for medicine in order:
            if told[row, medicine] < threshold:
                break
            harm = penalty * (clash[medicine] & (chosen[row] > 0)).sum()
            chosen[row, medicine] = told[row, medicine] >= threshold + harm
    return chosen


def jaccard(given: Array, chosen: Array) -> Array:
    either = np.maximum(given, chosen).sum(axis=1)
    return np.asarray(np.where(either > 0, (given * chosen).sum(axis=1) / np.maximum(either, 1), 1.0))


def rates(chosen: Array, clash: Array) -> tuple[float, float]:
    """Return the share of interacting pairs among all pairs of a set: pooled, and the mean over patients."""
    sets = chosen.astype(float)
    size = sets.sum(axis=1)
    pairs = size * (size - 1) / 2
    bad = np.einsum("ni,ij,nj->n", sets, clash.astype(float), sets) / 2
    some = pairs > 0
    if not some.any():
        return 0.0, 0.0
    return float(bad.sum() / pairs.sum()), float((bad[some] / pairs[some]).mean())


def measures(given: Array, told: Array, chosen: Array, clash: Array) -> dict[str, float]:
    from sklearn.metrics import average_precision_score

    both, total = (given * chosen).sum(axis=1), given.sum(axis=1) + chosen.sum(axis=1)
    pooled, mean = rates(chosen, clash)
    return {
        "jaccard": float(jaccard(given, chosen).mean()),
        "f1": float((2 * both / np.maximum(total, 1)).mean()),
        "prauc": statistics.mean(average_precision_score(y, p) for y, p in zip(given, told, strict=True)),
        "size": float(chosen.sum(axis=1).mean()),
        "ddi_pooled": pooled,
        "ddi_patient": mean,
    }


def folds(subjects: Array, seed: int, count: int = 5) -> Iterator[tuple[Array, Array]]:
    """Yield the rows of training and of test, patients whole."""
    people = np.random.default_rng(seed).permutation(np.unique(subjects))
    for part in np.array_split(people, count):
        out = np.isin(subjects, part)
        yield np.flatnonzero(~out), np.flatnonzero(out)


def logistic(train: Dataset, cases: Patients) -> Array:
    """Return what per-medicine L2 logistic regression says, the penalty chosen in training (the plain baseline)."""
    from medtasks_treatment_set.features import Features
    from medtasks_treatment_set.linear import choose_penalty, deal, expit, fit_linear

    features = Features.fit(train.cases)
    X = features.transform(train.cases)
    parts = deal(len(X), train.groups, 5, np.random.default_rng(0))
    penalty = choose_penalty(X, train.targets, parts, (1.0, 3.0, 10.0, 30.0, 100.0, 300.0))
    return expit(fit_linear(X, train.targets, penalty).logits(features.transform(cases)))


def popularity(train: Dataset, cases: Patients) -> Array:
    return np.tile(train.targets.mean(axis=0), (len(cases), 1))


def unseen(method: Callable[[Dataset, Patients], Array], train: Dataset) -> Array:
    """Return what a method says of training patients left out of it."""
    found = np.zeros(train.targets.shape)
    for rest, part in folds(np.asarray(train.groups), 1):
        found[part] = method(train.take(rest), train.cases.take(part))
    return found


def network(train: Dataset, cases: Patients, seed: int) -> tuple[Array, Array, Array]:
    """Return what the plugin says of ``cases``, and of most training patients left out, with their rows."""
    from medtasks_treatment_set import MedicationSet

    first = np.isin(train.groups, np.unique(train.groups)[:10])
    rows = np.flatnonzero(~first)
    model = MedicationSet(MedicationSet.Config())
    model.fit(train.take(np.flatnonzero(first)), train.take(rows), context=Context(seed=seed, device="cpu"))
    assert model.left_out is not None
    return model.predict(cases, context=Context(device="cpu")), model.left_out, rows


def tuned(given: Array, told: Array) -> float:
    """Return the threshold with the best Jaccard in training."""
    return float(max(THRESHOLDS, key=lambda t: jaccard(given, select(told, t)).mean()))


def careful(given: Array, told: Array, clash: Array) -> tuple[float, float]:
    """Return threshold and penalty with the best Jaccard in training among those within the budget, or the safest."""
    goal = BUDGET * rates(given, clash)[0]
    found = []
    for threshold, penalty in itertools.product(THRESHOLDS, PENALTIES):
        chosen = select(told, threshold, clash, penalty)
        rate = rates(chosen, clash)[0]
        found.append((rate <= goal, -rate if rate > goal else jaccard(given, chosen).mean(), threshold, penalty))
    _, _, threshold, penalty = max(found)
    return float(threshold), float(penalty)


def evaluate(events: Events, at: str, seed: int, clash: Array, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Return the measures of each method over all patients, each in test once."""
    kept: dict[str, list[tuple[Array, Array]]] = {}
    given = []
    whole = visits_table(events, at=at, level="ingredient", keep_empty=False, medicines=names)
    for train_rows, test_rows in folds(whole.subjects, seed):
        visits = visits_table(
            events,
            at=at,
            level="ingredient",
            keep_empty=False,
            medicines=names,
            subjects=set(whole.subjects[train_rows]),
        )
        fields, _ = infer_fields(visits.table)
        cases = Patients(visits.ids, parse(visits.table, fields)[0], fields)
        data = Dataset(
            cases,
            visits.given.astype(float),
            names=names,
            kinds=("set",) * len(names),
            groups=visits.subjects.astype(str),
        )
        train, test = data.take(train_rows), data.take(test_rows)
        truth, known = train.targets.astype(np.uint8), test.targets.astype(np.uint8)
        given.append(known)
        popular = popularity(train, test.cases)
        before = np.where(visits.returning[test_rows][:, None], visits.previous[test_rows], popular)
        line, inside = logistic(train, test.cases), unseen(logistic, train)
        said, left, rows = network(train, test.cases, seed)
        pop_at, line_at, net_at = (
            tuned(truth, unseen(popularity, train)),
            tuned(truth, inside),
            tuned(truth[rows], left),
        )
        methods = {
            "popularity": (popular, select(popular, pop_at)),
            "previous visit": (before, select(before, pop_at)),
            "logistic regression": (line, select(line, line_at)),
            "medication-set": (said, select(said, net_at)),
            "medication-set, careful": (said, select(said, *_order(careful(truth[rows], left, clash), clash))),
        }
        for name, answers in methods.items():
            kept.setdefault(name, []).append(answers)
    answer = np.concatenate(given)
    found = {
        name: measures(answer, *(np.concatenate(parts) for parts in zip(*answers, strict=True)), clash)
        for name, answers in kept.items()
    }
    pooled, mean = rates(answer, clash)
    found["clinicians"] = {"size": float(answer.sum(axis=1).mean()), "ddi_pooled": pooled, "ddi_patient": mean}
    return found


def _order(chosen: tuple[float, float], clash: Array) -> tuple[float, Array, float]:
    return chosen[0], clash, chosen[1]


def main() -> None:
    parser = arguments(__doc__, SHARED / "treatment")
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    if not (chosen.data / "mimic3demo").is_dir():
        sys.exit(f"no {chosen.data / 'mimic3demo'}: name the data with --data")
    events, good = read_events(chosen.data / "mimic3demo"), True
    for at in ("admission", "discharge"):
        names = visits_table(events, at=at, level="ingredient", keep_empty=False).medicines
        print(f"\n{at}: {len(names)} medicines")
        clash = interactions(chosen.data / "drugsafety" / "ddi_drugbank_us_public.csv", names)
        runs = [evaluate(events, at, seed, clash, names) for seed in range(chosen.seeds)]
        for method in runs[0]:
            told = [f"{key} {spread([run[method][key] for run in runs])}" for key in runs[0][method]]
            print(f"  {method:26}" + "  ".join(told))
        mean = {m: {k: statistics.mean(run[m][k] for run in runs) for k in runs[0][m]} for m in runs[0]}
        ours, line, safe = mean["medication-set"], mean["logistic regression"], mean["medication-set, careful"]
        good &= verdict(f"{at} Jaccard", ours["jaccard"], line["jaccard"] - 0.005)
        good &= verdict(f"{at} careful: Jaccard", safe["jaccard"], line["jaccard"] - 0.02)
        half = BUDGET * mean["clinicians"]["ddi_pooled"]
        good &= verdict(f"{at} careful: interaction rate", safe["ddi_pooled"], half, less=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
