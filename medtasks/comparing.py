"""Comparing models: all fitted and judged on the same repeated folds."""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtasks import bundle, outcome, record, registry
from medtasks.compared import FILES, Compared, Failure
from medtasks.errors import MedtasksError, UsageError, suggest
from medtasks.evaluation import compare as statistics
from medtasks.evaluation.bootstrap import Measure
from medtasks.evaluation.splits import Fold, Plan
from medtasks.journal import Done, Journal
from medtasks.model import Context, Model, Progress, check_device, configure, model_class
from medtasks.preparing import Data, Prepared, answering, choose_model, gather
from medtasks.settings import Settings, resolve
from medtasks.task import Task
from medtasks.training import fit, points

MOST_REPEATS = 100
"""More repeats are a mistake: past ten, the overlap of training sets leaves nothing to gain."""


@dataclass(frozen=True)
class Entrants:
    """Models made ready to be compared on the same folds.

    Attributes
    ----------
    ready : each model with the data; the folds in it are those of the first repeat
    folds : of each repeat
    baseline : the name of the task's baseline, which is among the models
    notes : sentences that a reader should see
    """

    ready: tuple[Prepared, ...]
    folds: tuple[tuple[Fold, ...], ...]
    baseline: str
    notes: tuple[str, ...]

    @property
    def fits(self) -> list[tuple[int, int, Prepared]]:
        """Every fit to be made: fold by fold, so that what an interruption leaves can be compared."""
        return [
            (repeat, number, prepared)
            for repeat, folds in enumerate(self.folds)
            for number in range(len(folds))
            for prepared in self.ready
        ]


def compare(
    task: str,
    data: Data | None = None,
    *,
    models: Sequence[str],
    repeats: int = 5,
    folds: int = 5,
    config: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    device: str = "auto",
    out: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Compared:
    """Compare models on the same repeated folds, by the task's headline measure; see `medtasks.evaluation.compare`.

    Parameters
    ----------
    task, data
        As in `run`; a split that the data have is not used.
    models
        As `models` lists them. The task's baseline is compared too.
    repeats, folds
        How often the data are dealt anew (with ``seed``, ``seed + 1`` ...), and into how many folds.
    config
        Hyper-parameters by model, as in ``{"linear-record": {"strengths": (0.1,)}}``.
    out
        A folder for a report, the scores and a record; nothing is written where None.
    resume
        Use the fits of an interrupted comparison with the same settings, data and ``out``.
    options
        The task's own options, as in `run`.

    Returns
    -------
    Compared
        With ``failures`` where a model failed; such a model is not in the comparison.

    Raises
    ------
    MedtasksError
        If a model does not fit the data, or every model failed.

    Examples
    --------
    >>> found = compare("diagnosis", "breast-cancer", models=["linear-record"], repeats=1, folds=3)
    >>> found.comparison.leaders
    ('diagnosis.linear-record',)
    """
    place = None if out is None else Path(out).expanduser()
    if place is not None:
        bundle.check_target(place, FILES)
    values = {"task": task, "options": options, "seed": seed, "device": device, "folds": folds}
    entrants = enter(resolve(values), data, models, repeats, config or {}, progress=progress)
    return run(entrants, out=place, resume=resume, progress=progress)


def enter(
    settings: Settings,
    data: Data | None,
    models: Sequence[str],
    repeats: int,
    config: Mapping[str, Mapping[str, Any]],
    *,
    progress: Progress | None = None,
) -> Entrants:
    """Check everything a comparison needs, read the data and split them; nothing is trained.

    Parameters
    ----------
    settings
        Their ``folds`` are those of each repeat; their ``model``, ``set``, ``test`` and ``out`` say nothing here.
    models
        The baseline is added where it is not among them.
    config
        Hyper-parameters by model; defaults for what is not said.

    Raises
    ------
    UsageError, DataError, PluginError
        Whatever would make the comparison fail later, a model that does not fit the data among it.
    """
    if not 1 <= repeats <= MOST_REPEATS or settings.folds < 2:
        raise UsageError(
            f"{repeats} repeats of {settings.folds} folds cannot be compared on",
            hint=f"at least 2 --folds, and 1 to {MOST_REPEATS} --repeats",
        )
    if not models:
        raise UsageError("no models are named", hint="as in --models a,b; `medtasks models` lists them")
    task, options, dataset, source = gather(settings, data, models, progress=progress)
    kind = task.accepts(dataset)
    baseline = registry.own_model(type(task), task.baselines[kind])
    names = _names(task, kind, models, baseline, settings.device)
    chosen = _configs(task, names, config)
    notes = list(dataset.origin.notes)
    if dataset.split is not None:
        notes.append("The data's own split was not used: each repeat tests every case once.")
        dataset = replace(dataset, split=None)
    plan = Plan(settings.test, settings.valid, settings.folds)
    folds = tuple(tuple(task.split(dataset, plan, options, settings.seed + repeat)) for repeat in range(repeats))
    settings = settings.model_copy(update={"data": settings.data or source})
    ready = tuple(
        Prepared(
            settings.model_copy(update={"model": name}), task, options, dataset, folds[0], cls, name,
            configure(cls, chosen.get(name, {}), name),
        )
        for name, cls in names.items()
    )  # fmt: skip
    return Entrants(ready, folds, baseline, tuple(notes))


def run(
    entrants: Entrants, *, out: Path | None = None, resume: bool = False, progress: Progress | None = None
) -> Compared:
    """Fit every model on every fold, compare them, and write the result into a folder where one is named.

    A model that fails is fitted no further and left out of the comparison; `Compared.failures` tells of it. Where a
    folder is named, fits that had ended outlive an interruption, in a hidden file beside it.

    Raises
    ------
    MedtasksError
        If every model failed, or there is nothing to resume.
    """
    start = time.time()
    first = entrants.ready[0]
    if out is not None:
        bundle.check_target(out, FILES)
    journal = Journal(out, {} if out is None else _key(entrants), resume)
    try:
        done, failures = _fit_all(entrants, journal, progress or Progress())
    finally:
        journal.tidy()
    names = [prepared.model_id for prepared in entrants.ready]
    left = [name for name in names if name not in {failure.model for failure in failures}]
    if not left:
        raise failures[0].error()
    found = _compared(entrants, done, tuple(failures), left, start)
    if out is not None:
        found.write(out, first.dataset.origin, first.task.not_for)
    if not failures:
        journal.end()
    return found


def _names(task: Task, kind: str, models: Sequence[str], baseline: str, device: str) -> dict[str, type[Model]]:
    """Return the class of each model by its full name, the baseline last where it was not named."""
    own, found = model_class(baseline), dict[str, type[Model]]()
    for name in models:
        full, cls = answering(task, kind, name)
        if _same(full, cls, baseline, own):
            full = baseline  # which computes on the CPU, wherever the others do
        else:
            check_device(cls, full, device)
        if any(_same(full, cls, *other) for other in found.items()):
            raise UsageError(f"the model {_plain(full)} is named twice", hint="name each model once")
        found[full] = cls
    return {**found, baseline: own} if baseline not in found else found


def _same(one: str, cls: type[Model], other: str, theirs: type[Model]) -> bool:
    """Say whether two names, of which one may say the distribution, are of one model."""
    return cls is theirs and _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return name.rpartition(":")[2]


def _configs(
    task: Task, names: Mapping[str, Any], config: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Return the hyper-parameters by the full names of the models compared."""
    found = {}
    for name, values in config.items():
        full = choose_model(task, "", name)
        if full not in names:
            raise UsageError(
                f"settings are given for {name!r}, which is not compared",
                hint=suggest(full, names) if name else "as in --set MODEL.KEY=VALUE",
            )
        found[full] = values
    return found


def _fit_all(entrants: Entrants, journal: Journal, progress: Progress) -> tuple[Done, list[Failure]]:
    done, failures = journal.done, dict[str, Failure]()
    with tempfile.TemporaryDirectory(prefix="medtasks-") as scratch:
        for repeat, number, prepared in progress.track(entrants.fits, "fits"):
            name = prepared.model_id
            if name in failures or (name, repeat, number) in done:
                continue
            device = "cpu" if name == entrants.baseline else prepared.settings.device
            context = Context(prepared.settings.seed + repeat, device, progress, Path(scratch))
            try:
                found = _fit_one(prepared, entrants.folds[repeat][number], context)
            except Exception as error:  # a plugin raises what it likes; the other models go on
                failures[name] = _failure(name, repeat, number, error)
                progress.note(f"{failures[name].error().message}; the other models go on")
                continue
            done[name, repeat, number] = found
            journal.add(name, repeat, number, found)
    return done, list(failures.values())


def _fit_one(prepared: Prepared, fold: Fold, context: Context) -> dict[str, Any]:
    """Return the measures on the test part of a fold, and the seconds that fitting and answering took."""
    start, data = time.time(), prepared.dataset
    predictor = fit(prepared, data.take(fold.train), data.take(fold.valid), context, trust=False)
    test = data.take(fold.test)
    answers = predictor.answer(test.cases, context=context)
    seconds = time.time() - start
    found = points(prepared, test, answers)
    values = {name: value if np.isfinite(value) else None for name, value in found.items()}
    return {"values": values, "seconds": seconds, "device": context.used.get("device", "cpu")}


def _failure(name: str, repeat: int, number: int, error: Exception) -> Failure:
    """Tell of a failure: an expected error in its own words, of another its place only, since it may quote data."""
    if isinstance(error, MedtasksError):
        reason, hint, code = error.message, error.hint, error.exit_code
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason, hint, code = f"{type(error).__name__} in {place.filename}:{place.lineno}", None, 1
    hint = hint or "tell its author, or leave it out of --models"
    return Failure(name, repeat + 1, number + 1, reason, hint, code)


def _compared(
    entrants: Entrants, done: Done, failures: tuple[Failure, ...], names: list[str], start: float
) -> Compared:
    first = entrants.ready[0]
    headline = first.task.headline(first.dataset)
    less = headline in first.task.lower_is_better
    folds = [fold for repeat in entrants.folds for fold in repeat]
    ratio = float(np.mean([len(fold.test) / (len(fold.train) + len(fold.valid)) for fold in folds]))
    places = [(repeat, number) for repeat, part in enumerate(entrants.folds) for number in range(len(part))]

    def values(measure: str) -> dict[str, Any]:
        """Return (folds,) values of each model, NaN where one has none."""
        found = {name: [done[name, *place]["values"].get(measure) for place in places] for name in names}
        return {name: np.array(column, dtype=np.float64) for name, column in found.items()}  # None becomes NaN

    comparison = statistics.compare(values(headline), ratio, lower_is_better=less, limits=outcome.limits(headline))
    others = dict.fromkeys(key for one in done.values() for key in one["values"] if key != headline)
    notes = entrants.notes
    if comparison.undefined:
        left_out = f"{comparison.undefined} of {len(folds)} folds were left out"
        notes = (*notes, f"{left_out}: {outcome.label(headline)} is not defined on them for some model.")
    facts = {
        "task": first.task.name,
        "data": first.settings.data,
        "n": len(first.dataset),
        "groups": None if first.dataset.groups is None else len(set(first.dataset.groups.tolist())),
        "sha256": first.dataset.digest(),
        "lower_is_better": less,
        "baseline": entrants.baseline,
        "repeats": len(entrants.folds),
        "folds": len(entrants.folds[0]),
        "seed": first.settings.seed,
        "options": first.options.model_dump(mode="json", exclude_none=True),
        "settings": {one.model_id: one.config.model_dump(mode="json") for one in entrants.ready},
        "fit_seconds": {name: float(np.mean([done[name, *place]["seconds"] for place in places])) for name in names},
        "device": " and ".join(sorted({one["device"] for one in done.values()})),
        "seconds": round(time.time() - start, 1),
        "notes": list(notes),
    }
    further = {measure: _means(values(measure), ratio, outcome.limits(measure)) for measure in others}
    return Compared(headline, comparison, further, _table(done), failures, facts)


def _means(values: Mapping[str, Any], ratio: float, limits: tuple[float, float]) -> dict[str, Measure]:
    """Return the mean of each model over the folds on which it is defined; nothing for a model with fewer than two."""
    known = {name: column[np.isfinite(column)] for name, column in values.items()}
    return {
        name: statistics.compare({name: column}, ratio, limits=limits).means[name]
        for name, column in known.items()
        if len(column) > 1
    }


def _table(done: Done) -> pd.DataFrame:
    rows = [
        (name, repeat + 1, number + 1, measure, value)
        for (name, repeat, number), found in sorted(done.items(), key=lambda item: item[0])
        for measure, value in found["values"].items()
    ]
    table = pd.DataFrame(rows, columns=["model", "repeat", "fold", "measure", "value"])
    return table.astype({"value": np.float64})


def _key(entrants: Entrants) -> dict[str, Any]:
    """Return what must be the same for a fit to be used again."""
    first = entrants.ready[0]
    return {
        "settings": first.settings.model_dump(mode="json", exclude={"model", "set", "out"}),
        "repeats": len(entrants.folds),
        "data": first.dataset.digest(),
        "models": {one.model_id: one.config.model_dump(mode="json") for one in entrants.ready},
        "versions": {one.model_id: record.versions(one.model_id) for one in entrants.ready},
    }
