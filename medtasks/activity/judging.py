"""Judging predicted activities: each target on the molecules that have a measurement of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.dataset import Dataset
from medtasks.evaluation import metrics
from medtasks.evaluation.bootstrap import Resampled, Weights, resample
from medtasks.evaluation.regression import regression, residuals, rmse
from medtasks.evaluation.screening import screening
from medtasks.task import Evaluation, Quantity
from medtasks.trust import held, means

Values = npt.NDArray[np.float64]
LEAST_ON_CLIFFS = 5
"""Fewer molecules on activity cliffs than this are not measured by themselves."""
CLASSES = (
    "auroc", "auprc", "mcc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "brier",
    "log_loss", "ece",
)  # fmt: skip


def headline(data: Dataset) -> str:
    """Return the measure that a result is summed up by: ``auroc`` where every target has classes, else ``rmse``."""
    return "auroc" if set(data.kinds) == {"binary"} else "rmse"


def evaluate(data: Dataset, answers: pd.DataFrame, seed: int) -> Evaluation:
    """Measure each target, and the mean over the targets, with bootstrap intervals over molecules (or groups).

    Parameters
    ----------
    answers
        What `Activity.answer` returned for the molecules of ``data``.
    """
    each = quantities(data.names, data.kinds)
    parts = {name: _one(data, t, answers, seed, each[t]) for t, name in enumerate(data.names)}
    if len(parts) == 1:
        return Evaluation(len(data), next(iter(parts.values())))
    return Evaluation(len(data), _mean(list(parts.values())), parts)


def quantities(names: Sequence[str], kinds: Sequence[str]) -> tuple[Quantity, ...]:
    """Return what sets and intervals are about: each target, a number or a class."""
    return tuple(
        Quantity(name, (f"p_{name}",), ("inactive", "active"), t)
        if kind == "binary"
        else Quantity(name, (name,), (), t)
        for t, (name, kind) in enumerate(zip(names, kinds, strict=True))
    )


def errors(data: Dataset, t: int, answers: pd.DataFrame) -> Values:
    """Return (n,) predicted minus measured numbers of a target, NaN where nothing was measured; see `residuals`."""
    return residuals(data.targets[:, t], answers[data.names[t]].to_numpy(dtype=np.float64), data.bounds[:, t])


def _one(data: Dataset, t: int, answers: pd.DataFrame, seed: int, quantity: Quantity) -> Resampled:
    name, known = data.names[t], np.isfinite(data.targets[:, t])
    targets = data.targets[known, t]
    if data.kinds[t] == "binary":
        scores = answers[f"p_{name}"].to_numpy(dtype=np.float64)[known]
        decided = (answers[name].to_numpy()[known] == "active").astype(np.int64)
        codes = targets.astype(np.int64)

        def statistic(weights: Weights) -> dict[str, Values]:
            return _classes(codes, scores, decided, weights[:, known])
    else:
        predicted = answers[name].to_numpy(dtype=np.float64)[known]
        bounds = data.bounds[known, t] if data.bounds[known, t].any() else None
        steep = data.extra["cliff"][known, t] if "cliff" in data.extra else np.zeros(len(targets), dtype=bool)

        def statistic(weights: Weights) -> dict[str, Values]:
            found = regression(targets, predicted, weights[:, known], bounds)
            if steep.sum() >= LEAST_ON_CLIFFS:
                found["rmse_cliff"] = rmse((predicted - targets)[steep], weights[:, known][:, steep])
            return found

    inside = held(quantity, data, answers)
    return resample(lambda weights: {**statistic(weights), **means(inside, weights)}, len(data), data.groups, seed)


def _classes(
    codes: npt.NDArray[np.int64], scores: Values, decided: npt.NDArray[np.int64], weights: Weights
) -> dict[str, Values]:
    pair = np.column_stack([1 - scores, scores])
    found = metrics.classification(codes, pair, decided, weights)
    found["mcc"] = metrics.matthews(codes == 1, decided == 1, weights)
    return {**{name: found[name] for name in CLASSES}, **screening(codes == 1, scores, weights)}


def _mean(parts: list[Resampled]) -> Resampled:
    """Average each measure over the targets that have it, replicate by replicate."""
    names = list(dict.fromkeys(name for part in parts for name in part.values))
    values, replicates = {}, {}
    for name in names:
        mine = [part for part in parts if name in part.values]
        values[name] = _nanmean(np.array([[part.values[name]] for part in mine]))[0]
        replicates[name] = _nanmean(np.stack([part.replicates[name] for part in mine]))
    return Resampled(values, replicates)


def _nanmean(values: Values) -> Values:
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))
