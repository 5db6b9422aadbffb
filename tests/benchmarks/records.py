"""Three clinical tables in repeated 5-fold cross-validation: the default model beside the floors, on the same folds.

The floors are the linear baseline and, from scikit-learn as they come, logistic regression and extra trees, which learn
from all that is not tested (train and validation). One 5-fold AUROC of 155 rows has a standard error of about .04:
the mean of the repeats is judged, and their spread told.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from common import SHARED, arguments, spread, verdict
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression

from medtasks.adapting import from_sklearn
from medtasks.dataset import Dataset
from medtasks.evaluation.bootstrap import points_only
from medtasks.model import Context, Model, model_class
from medtasks.preparing import Prepared, prepare
from medtasks.settings import Settings
from medtasks.task import Outputs
from medtasks.training import cross_fit

GOALS = (
    ("dermatology.tsv.gz", {}, "accuracy", 0.975),
    ("cleveland.tsv.gz", {"positive": "1,2,3,4"}, "auroc", 0.90),
    ("hepatitis.tsv.gz", {}, "auroc", 0.85),
)
FLOORS: dict[str, type[Model]] = {
    "logistic regression": from_sklearn(LogisticRegression(C=0.1, max_iter=1000)),
    "extra trees": from_sklearn(ExtraTreesClassifier(500, min_samples_leaf=3)),
}
BASELINE = "linear baseline"


def measured(prepared: Prepared, data: Dataset, answers: pd.DataFrame, measure: str) -> float:
    """Return a measure of the pooled answers of all folds."""
    with points_only():
        value = prepared.task.evaluate(data, answers, prepared.settings.seed).metrics[measure].value
    assert value is not None
    return value


def default(prepared: Prepared, measure: str, name: str | None = None) -> float:
    """Cross-validate as `medtasks run` does, with the default model or another."""
    if name is not None:
        model = model_class(name)
        prepared = replace(prepared, model=model, model_id=name, config=model.Config())
    answered = cross_fit(prepared, Context(seed=prepared.settings.seed, device="cpu"), trust=False)
    return measured(prepared, answered.data, answered.answers, measure)


def floor(prepared: Prepared, measure: str, model: type[Model]) -> float:
    """Cross-validate a model that learns from train and validation alike and decides for the most probable class."""
    data, context, said = prepared.dataset, Context(seed=prepared.settings.seed), []
    for fold in prepared.folds:
        known = data.take(np.concatenate([fold.train, fold.valid]))
        one = model(model.Config())
        one.fit(known, known, context=context)
        said.append(one.predict(data.cases.take(fold.test), context=context))
    tested = data.take(np.concatenate([fold.test for fold in prepared.folds]))
    answers = prepared.task.answer(np.concatenate(said), Outputs.of(data), {})
    return measured(prepared, tested, answers, measure)


def told(name: str, values: Sequence[float]) -> None:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    print(
        f"  {name:22s} mean {statistics.mean(values):.4f}, SD of repeats {deviation:.4f}; {spread(values)}", flush=True
    )


def main() -> None:
    parser = arguments(__doc__, SHARED / "diagnosis")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", help="one table, such as hepatitis")
    chosen = parser.parse_args()
    good = True
    for name, options, measure, goal in GOALS:
        if chosen.only and not name.startswith(chosen.only):
            continue
        ours, floors, seconds = [], {key: [] for key in (BASELINE, *FLOORS)}, 0.0
        for seed in range(chosen.repeats):
            asked = {"target": "target", **options}
            settings = Settings(task="diagnosis", data=str(chosen.data / name), seed=seed, folds=5, options=asked)
            prepared = prepare(settings)
            start = time.perf_counter()
            ours.append(default(prepared, measure))
            seconds += time.perf_counter() - start
            floors[BASELINE].append(default(prepared, measure, "diagnosis.linear-record"))
            for key, model in FLOORS.items():
                floors[key].append(floor(prepared, measure, model))
            beside = ", ".join(f"{key} {values[-1]:.4f}" for key, values in floors.items())
            print(f"{name}, repeat {seed}: {measure} {ours[-1]:.4f}; {beside}", flush=True)
        print(f"\n{name}: n = {len(prepared.dataset)}, {measure}, {chosen.repeats} x 5 folds, "
              f"{seconds / chosen.repeats / 5:.1f} s a fit")  # fmt: skip
        told(prepared.model_id, ours)
        for key, values in floors.items():
            told(key, values)
        good &= verdict(f"{name} {measure}, mean", statistics.mean(ours), goal)
    sys.exit(not good)


if __name__ == "__main__":
    main()
