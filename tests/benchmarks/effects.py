"""Effects of treatments: IHDP, where the truth is known, and a trial whose patients hardly differ in theirs."""

from __future__ import annotations

import importlib.metadata
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from common import SHARED, arguments, spread, verdict
from sklearn.linear_model import RidgeCV

from medtasks.cases import Patients
from medtasks.causal import folds
from medtasks.dataset import Dataset
from medtasks.model import Context
from medtasks_treatment_effect import DoublyRobust

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
REPLICATIONS = range(1, 11)
KNOWN_BEFORE = "age wtkg hemo homo drugs karnof oprior z30 preanti race gender str2 symptom cd40 cd80"
SHUFFLES = 5
Z = 1.96


def dataset(table: pd.DataFrame, treatment: Codes, outcome: Values, arms: int) -> Dataset:
    targets = np.full((len(table), arms), np.nan)
    targets[np.arange(len(table)), treatment] = outcome
    names = tuple(f"arm {arm}" for arm in range(arms))
    return Dataset(Patients.from_table(table), targets, names, kinds=("arm",) * arms)


def answers(train: Dataset, test: Dataset, seed: int) -> Values:
    """Fit with a seventh of the training patients as the validation part, as a run of the task does."""
    order = np.random.default_rng(seed).permutation(len(train))
    cut = len(train) // 7
    model, context = DoublyRobust(DoublyRobust.Config()), Context(seed=seed)
    model.fit(train.take(order[cut:]), train.take(order[:cut]), context=context)
    return model.predict(test.cases, context=context)


def effect(answer: Values, a: int, b: int) -> tuple[Values, Values]:
    """Return the effect of arm a over arm b, and its standard error."""
    cov = answer[:, :, 1:]
    return answer[:, a, 0] - answer[:, b, 0], np.sqrt(cov[:, a, a] + cov[:, b, b] - 2 * cov[:, a, b])


def clear(answer: Values) -> Values:
    """Say whose best arm beats every other by an interval above 0."""
    best, found = answer[:, :, 0].argmax(axis=1), np.ones(len(answer), dtype=bool)
    for a in range(answer.shape[1]):
        for b in set(range(answer.shape[1])) - {a}:
            gain, error = effect(answer, a, b)
            found &= (best != a) | (gain > Z * error)
    return found


def ihdp(folder: Path) -> bool:
    """Hill 2011 (doi:10.1198/jcgs.2010.08162), response surface B: 747 children, the effect of every child known."""
    ours, floor, covered, within, seconds = [], [], [], [], []
    print("IHDP, out of sample root PEHE (90/10)\n rep   ours  floor  coverage")
    for number in REPLICATIONS:
        rows = np.loadtxt(folder / f"ihdp_npci_{number}.csv", delimiter=",")
        treatment, outcome, truth = rows[:, 0].astype(np.int64), rows[:, 1], rows[:, 4] - rows[:, 3]
        data = dataset(pd.DataFrame(rows[:, 5:], columns=[f"x{i}" for i in range(1, 26)]), treatment, outcome, 2)
        order = np.random.default_rng(number).permutation(len(rows))
        test, train = order[: len(rows) // 10], order[len(rows) // 10 :]
        start = time.perf_counter()
        gain, error = effect(answers(data.take(train), data.take(test), number), 1, 0)
        seconds.append(time.perf_counter() - start)
        linear = [
            RidgeCV(np.logspace(-2, 4, 13)).fit(rows[mine, 5:], outcome[mine]).predict(rows[test, 5:])
            for mine in (train[treatment[train] == 0], train[treatment[train] == 1])
        ]
        ours.append(float(np.sqrt(np.mean((gain - truth[test]) ** 2))))
        floor.append(float(np.sqrt(np.mean((linear[1] - linear[0] - truth[test]) ** 2))))
        covered.append(float(np.mean(np.abs(gain - truth[test]) <= Z * error)))
        within += (np.abs(gain - truth[test]) <= Z * error).tolist()
        print(f"{number:4d} {ours[-1]:6.3f} {floor[-1]:6.3f} {100 * covered[-1]:8.1f} %")
    print(f"mean {statistics.mean(ours):6.3f} {statistics.mean(floor):6.3f} {100 * np.mean(within):8.1f} %")
    print(f"median {statistics.median(ours):.3f} {statistics.median(floor):.3f}; {spread(seconds, 1)} s a fit")
    good = verdict("IHDP root PEHE, mean", statistics.mean(ours), 1.0, less=True)
    good &= verdict("IHDP root PEHE, median", statistics.median(ours), 0.55, less=True)
    good &= verdict("IHDP coverage of 95 % intervals", float(np.mean(within)), 0.90)
    return good & verdict("IHDP coverage of 95 % intervals", float(np.mean(within)), 0.97, less=True)


def actg() -> bool:
    """ACTG 175 (Hammer et al. 1996, doi:10.1056/NEJM199610103351501): gain of CD4 cells after 20 weeks, four arms."""
    files = importlib.metadata.files("lifelines") or []
    table = pd.read_csv(str(next(file for file in files if file.name == "ACTG175.csv").locate()))
    treatment = table["arms"].to_numpy(np.int64)
    gain = (table["cd420"] - table["cd40"]).to_numpy(np.float64)
    fields = table[KNOWN_BEFORE.split()].astype("float64")
    shares, start = [], time.perf_counter()
    for shuffle in range(SHUFFLES + 1):
        outcome = gain if shuffle == 0 else np.random.default_rng(shuffle).permutation(gain)
        data = dataset(fields, treatment, outcome, 4)
        found = np.zeros((len(data), 4, 5))
        for rest, out in folds(treatment, None, 5, shuffle):
            found[out] = answers(data.take(rest), data.take(out), shuffle)
        shares.append(float(clear(found).mean()))
        if shuffle == 0:
            best = np.bincount(found[:, :, 0].argmax(axis=1), minlength=4) / len(found)
            print(
                "\nACTG 175, 5-fold: best arm", ", ".join(f"{arm}: {100 * one:.1f} %" for arm, one in enumerate(best))
            )
    each = (time.perf_counter() - start) / (5 * (SHUFFLES + 1))
    print(f"clear single winner: {100 * shares[0]:.1f} % of patients; {each:.1f} s a fit")
    print("with shuffled outcomes:", ", ".join(f"{100 * share:.1f} %" for share in shares[1:]))
    good = verdict("ACTG 175, share with a clear winner", shares[0], 0.20, less=True)
    return good & verdict("ACTG 175 shuffled, share with a clear winner", statistics.mean(shares[1:]), 0.05, less=True)


def main() -> None:
    chosen = arguments(__doc__, SHARED / "treatment" / "ihdp").parse_args()
    good = [ihdp(chosen.data), actg()]
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
