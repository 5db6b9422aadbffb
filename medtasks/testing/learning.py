"""Checks of what a model learns: each says what holds and how to mend it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.dataset import Dataset
from medtasks.evaluation.bootstrap import Measure
from medtasks.model import Model
from medtasks.predictor import Predictor
from medtasks.task import Evaluation
from medtasks.testing.bench import SEED, Bench
from medtasks.testing.report import Absent, Broken, Skipped

WIDE = 2.5
"""Half-widths of guessing's 95 % interval by which a model taught at random may beat it: five standard errors, which
chance reaches once in more than a million."""
TELLING = 1.25
"""How much more an explanation must lie on the cause than beside it, on average: coarse maps of images reach 1.4, and
one drawn by chance 1.05 on 40 toy images."""


def learns(bench: Bench) -> None:
    """On toy data whose cause is plain, the answers beat guessing (the same answers dealt to other cases).

    To mend: check that features and targets stay in step; if the model needs more cases or epochs than the toy
    data allow, give it a `toy_config`. If less of the measure is better, `Task.lower_is_better` has to name it.
    """
    beats_guessing(bench, bench.predictor)


def beats_guessing(bench: Bench, predictor: Predictor) -> None:
    """Raise `Broken` unless the answers to the toy test cases are better than those dealt to other cases."""
    for name, found, guess in _scores(bench, predictor, bench.test):
        if found.value is None or guess.value is None:
            raise Broken(f"{name} of the answers is not defined")
        low, high = (found.value if end is None else end for end in (found.low, found.high))
        if _gain(bench, name, low, high, guess.value) <= 0:
            raise Broken(f"{name} is {found}, no better than {guess.value:.3f} by guessing")


def shuffled_labels(bench: Bench) -> None:
    """Taught labels that were dealt at random, it cannot tell new ones, nor those of validation cases (`left_out`).

    To mend: `left_out` must hold answers given while the case was left out, by all that was fitted or chosen; and
    `fit` must learn from nothing but what it is given.
    """
    _ = bench.answers  # where there are none to judge, this check is skipped
    train, valid, test = (_shuffled(data, place) for place, data in enumerate((bench.train, bench.valid, bench.test)))
    model = bench.fit(train, valid)
    predictor = bench.decided(model, train, valid)
    judged: list[tuple[str, Dataset, npt.NDArray[Any] | None]] = [("new cases", test, None)]
    if (left_out := bench.left_out(model, len(valid))) is not None:
        judged.append(("validation cases", valid, left_out))
    for what, data, raw in judged:
        for name, found, guess in _scores(bench, predictor, data, raw):
            if found.value is None or guess.value is None or guess.low is None or guess.high is None:
                continue
            room = WIDE * (guess.high - guess.low) / 2
            if _gain(bench, name, found.value, found.value, guess.value) > room:
                raise Broken(f"{name} of random labels of {what} is {found}; guessing has {guess.value:.3f}")


def explains_cause(bench: Bench) -> None:
    """`explain`, where the model brings it, has one array per case in input units and lies mostly on the cause.

    To mend: compare the shapes with `Model.explain`; check that contributions are those of the class or target asked
    for, mapped back to the fields, pixels or atoms that the user knows.
    """
    if not bench.model.explains():
        raise Absent("the model has no explain")
    if bench.cause is None:
        raise Skipped(f"the toy data of the task {bench.task.name} mark no cause (extra['cause'])")
    shown = np.array([i for i, mark in enumerate(bench.cause) if np.any(mark)])
    target = len(bench.outputs.classes or bench.outputs.names) - 1
    values = _explained(bench, bench.fitted, shown, target)
    on, beside = [], []
    for row, found in zip(shown, values, strict=True):
        mark = _fitting(np.asarray(bench.cause[row], dtype=bool), found.shape)
        on.append(np.abs(found[mark]).mean())
        beside.append(np.abs(found[~mark]).mean() if (~mark).any() else 0.0)
    if np.mean(on) <= TELLING * np.mean(beside):
        raise Broken(f"on average it lies on the cause with {np.mean(on):.3g} and beside it with {np.mean(beside):.3g}")


def embeds(bench: Bench) -> None:
    """`embed`, where the model brings it, is a finite array (cases, dimensions).

    To mend: return one row of numbers per case, flattened.
    """
    if bench.model.embed is Model.embed:
        raise Absent("the model has no embed")
    found = np.asarray(bench.fitted.embed(bench.test.cases, context=bench.context))
    if found.ndim != 2 or len(found) != len(bench.test):
        raise Broken(f"embed returned {found.shape} for {len(bench.test)} cases, not (cases, dimensions)")
    if found.dtype.kind not in "fiub" or not np.isfinite(found).all():
        raise Broken("embed returned values that are not finite numbers")


def of_the_task(bench: Bench) -> None:
    """What the task asks of its models beside all this (`Task.checks`) holds.

    To mend: see the documentation of the task's class.
    """
    if not bench.task.checks:
        raise Absent(f"the task {bench.task.name} asks nothing beside")
    _ = bench.answers  # fitted and asked by now
    for name, hold in bench.task.checks.items():
        try:
            hold(bench)
        except ValueError as error:
            raise Broken(f"{name}: {error}") from None


def _explained(bench: Bench, model: Model, rows: npt.NDArray[np.int64], target: int) -> list[npt.NDArray[Any]]:
    found = model.explain(bench.test.cases.take(rows), target, context=bench.context)
    if len(found) != len(rows):
        raise Broken(f"explain returned {len(found)} arrays for {len(rows)} cases")
    values = [np.asarray(value, dtype=np.float64) for value in found]
    if not all(np.isfinite(value).all() for value in values):
        raise Broken("explain returned values that are not finite")
    return values


def _fitting(mark: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Bring the mark of a cause to the shape of an explanation: images are explained at any resolution."""
    if mark.shape == shape:
        return mark
    if mark.ndim != 2 or len(shape) != 2 or 0 in shape:
        raise Broken(f"explain returned an array of the shape {shape} for a case of {mark.shape}")
    rows, columns = (np.arange(new) * old // new for new, old in zip(shape, mark.shape, strict=True))
    return mark[np.ix_(rows, columns)]


def _shuffled(data: Dataset, place: int) -> Dataset:
    """Deal the targets, with all that belongs to them, to other cases."""
    order = np.random.default_rng([SEED, place]).permutation(len(data))
    return replace(data, cases=data.cases.take(order))


def _scores(
    bench: Bench, predictor: Predictor, data: Dataset, raw: npt.NDArray[Any] | None = None
) -> list[tuple[str, Measure, Measure]]:
    """Judge answers to ``data``: each measure, and the same had the answers been dealt to other cases."""
    said = bench.predict(data.cases, predictor.model) if raw is None else raw
    answers = predictor.answered(predictor.checked(said, len(data)), data.cases)
    order = np.random.default_rng(SEED).permutation(len(data))
    dealt = answers.iloc[order].reset_index(drop=True)
    found, guess = (_judged(bench, data, table) for table in (answers, dealt))
    return [(name, found[name], guess[name]) for name in found if name in guess]


def _judged(bench: Bench, data: Dataset, answers: pd.DataFrame) -> dict[str, Measure]:
    evaluation: Evaluation = bench.task.evaluate(data, answers, SEED)
    headline = bench.task.headline(data)
    found = {headline: evaluation.metrics[headline]}
    for target, part in evaluation.targets.items():
        measures = part.measures()
        name = headline if headline in measures else "auroc"
        if name in measures:
            found[f"{name} of {target}"] = measures[name]
    return found


def _gain(bench: Bench, name: str, low: float, high: float, guess: float) -> float:
    """Return by how much the worse end of a measure's interval is better than guessing."""
    return guess - high if name.partition(" ")[0] in bench.task.lower_is_better else low - guess
