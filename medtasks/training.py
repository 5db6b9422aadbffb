"""Fitting a prepared model: on one split, or on every fold."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Cases
from medtasks.dataset import Dataset
from medtasks.evaluation.bootstrap import points_only
from medtasks.evaluation.splits import Plan
from medtasks.guarding import calling, own_seeds
from medtasks.model import Context, Model
from medtasks.predictor import Predictor, stacked
from medtasks.preparing import Prepared
from medtasks.saving import read_model, save_model
from medtasks.task import Outputs
from medtasks.trust import Trust

FITTED = "fitted"
"""The folder of a checkpoint that holds a fitted model, beside what the model itself left there."""


@dataclass(frozen=True)
class Answered:
    """Answers to cases that the answering model did not see, with the model of each fold."""

    data: Dataset
    raw: npt.NDArray[Any]
    answers: pd.DataFrame
    fold_of: npt.NDArray[np.int64]
    predictors: tuple[Predictor, ...]

    def explain(
        self, rows: npt.NDArray[np.int64], targets: npt.NDArray[np.int64], *, context: Context
    ) -> npt.NDArray[Any]:
        """Explain answers, each by the model that gave it; see `Predictor.explain_rows`."""
        found: list[Any] = [None] * len(rows)
        for fold, predictor in enumerate(self.predictors):
            own = np.flatnonzero(self.fold_of[rows] == fold)
            if len(own):
                cases = self.data.cases.take(rows[own])
                for place, value in zip(own, predictor.explain_rows(cases, targets[own], context=context), strict=True):
                    found[place] = value
        return stacked(found)


def fit(prepared: Prepared, train: Dataset, valid: Dataset, context: Context, *, trust: bool = True) -> Predictor:
    """Fit the model, fix its decision on validation, and learn there how far its answers can be trusted.

    Where the context has a checkpoint, the fitted model is kept there and read back instead of being fitted again.
    """
    task, kept = prepared.task, context.checkpoint / FITTED if context.checkpoint else None
    if kept is not None and kept.is_dir():
        model = _read(prepared, kept, context)
    else:
        with calling(f"the model {prepared.model_id}", prepared.model), own_seeds():
            model = prepared.model(prepared.config)
            model.fit(train, valid, context=context)
        if kept is not None:
            _keep(model, prepared.model_id, kept, valid.cases, context)
    blank = Predictor(task, model, prepared.model_id, Outputs.of(train), task.schema(train, prepared.options))
    if model.left_out is None:
        raw = blank.scores(valid.cases, context=context)
    else:
        raw = blank.checked(model.left_out, len(valid))
    decision = task.decide(valid, raw, prepared.options, train)
    predictor = replace(blank, decision=decision)
    return predictor if not trust else _with_trust(predictor, prepared, train, valid, raw, context)


def _with_trust(
    predictor: Predictor, prepared: Prepared, train: Dataset, valid: Dataset, raw: npt.NDArray[Any], context: Context
) -> Predictor:
    with calling(f"the model {predictor.model_id}", type(predictor.model)):
        found = Trust.fit(predictor.model, train, valid, prepared.options, context)
    answers = replace(predictor, trust=found).answered(raw, valid.cases, context=context)
    quantities = prepared.task.quantities(predictor.outputs)
    return replace(predictor, trust=found.calibrate(quantities, valid, answers, prepared.options))


def fitted(checkpoint: Path) -> int:
    """Count the models that an interrupted run has kept whole."""
    return sum(len(list(checkpoint.glob(f"{depth}{FITTED}"))) for depth in ("*/", "repeat-*/*/"))


def _keep(model: Model, name: str, place: Path, cases: Cases, context: Context) -> None:
    """Write a fitted model; the folder appears when it is whole.

    One that does not come back is told here, before the other folds are fitted, and nothing is kept of it.
    """
    fresh = place.with_name(f"{place.name}.writing")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        save_model(model, name, fresh / "model", cases=cases, context=context)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if model.left_out is not None:
        np.save(fresh / "left_out.npy", model.left_out, allow_pickle=False)
    (fresh / "used.json").write_text(json.dumps(context.used), encoding="utf-8")
    fresh.rename(place)


def _read(prepared: Prepared, place: Path, context: Context) -> Model:
    model = read_model(prepared.model, prepared.model_id, place / "model", prepared.config, context)
    if (place / "left_out.npy").is_file():
        model.left_out = np.load(place / "left_out.npy", allow_pickle=False)
    context.used.update(json.loads((place / "used.json").read_text(encoding="utf-8")))
    return model


def cross_fit(prepared: Prepared, context: Context, *, trust: bool = True) -> Answered:
    """Fit on every fold and answer its test part, whose cases the fitted model never saw."""
    raw, answers, predictors = [], [], []
    several = len(prepared.folds) > 1
    data = prepared.dataset
    for i, fold in enumerate(context.progress.track(prepared.folds, "folds") if several else prepared.folds):
        inner = _inside(context, f"fold-{i}")
        predictor = fit(prepared, data.take(fold.train), data.take(fold.valid), inner, trust=trust)
        predictors.append(predictor)
        cases = data.cases.take(fold.test)
        raw.append(predictor.scores(cases, context=inner))
        answers.append(predictor.answered(raw[-1], cases, context=inner))
    rows = np.concatenate([fold.test for fold in prepared.folds])
    numbers = np.repeat(np.arange(len(prepared.folds)), [len(fold.test) for fold in prepared.folds])
    return Answered(
        data.take(rows), np.concatenate(raw), pd.concat(answers, ignore_index=True), numbers, tuple(predictors)
    )


def repeat(
    prepared: Prepared, first: Answered, context: Context, *, trust: bool = True
) -> list[list[dict[str, float]]]:
    """Deal the cases into folds anew as often as the settings say, and fit on each.

    Parameters
    ----------
    first
        The answers of the first repeat, which `prepared` holds the folds of.

    Returns
    -------
    list
        For each repeat the measures of each fold, on its test part alone.
    """
    settings, task = prepared.settings, prepared.task
    plan = Plan(settings.test, settings.valid, len(prepared.folds))
    found = [_points_of_folds(prepared, first)]
    for number in context.progress.track(range(1, settings.repeats), "repeats", settings.repeats - 1):
        folds = task.split(prepared.dataset, plan, prepared.options, settings.seed + number)
        again = replace(prepared, folds=tuple(folds))
        inner = replace(_inside(context, f"repeat-{number}"), seed=context.seed + number)
        found.append(_points_of_folds(again, cross_fit(again, inner, trust=trust)))
    return found


def points(prepared: Prepared, data: Dataset, answers: pd.DataFrame) -> dict[str, float]:
    """Return the measures of answers without intervals, NaN where one is not defined."""
    with points_only():
        found = prepared.task.evaluate(data, answers, prepared.settings.seed).overall.values
    return {name: float(value) for name, value in found.items()}


def _points_of_folds(prepared: Prepared, answered: Answered) -> list[dict[str, float]]:
    rows = [np.flatnonzero(answered.fold_of == number) for number in range(len(prepared.folds))]
    return [
        points(prepared, answered.data.take(own), answered.answers.iloc[own].reset_index(drop=True)) for own in rows
    ]


def deploy(prepared: Prepared, answered: Answered, context: Context, *, trust: bool = True) -> Predictor:
    """Return the predictor to deploy: the judged one, or after cross-validation one fitted on all cases.

    After cross-validation the decision, the sets and the intervals are fixed on the out-of-fold answers to all cases.
    """
    if len(prepared.folds) == 1:
        return answered.predictors[0]
    valid = prepared.folds[-1].valid  # goes on guarding against overfitting; no case is kept for a test
    train = np.setdiff1d(np.arange(len(prepared.dataset)), valid)
    inner = _inside(context, "final")
    predictor = fit(prepared, prepared.dataset.take(train), prepared.dataset.take(valid), inner, trust=trust)
    decision = prepared.task.decide(answered.data, answered.raw, prepared.options, answered.data)
    predictor = replace(predictor, decision={**decision, "folds": len(prepared.folds)})
    if predictor.trust is None:
        return predictor
    quantities = prepared.task.quantities(predictor.outputs)
    found = predictor.trust.calibrate(quantities, answered.data, answered.answers, prepared.options)
    return replace(predictor, trust=found)


def _inside(context: Context, name: str) -> Context:
    return replace(context, checkpoint=context.checkpoint / name if context.checkpoint else None)
