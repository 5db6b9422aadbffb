"""The one way through the house: read, split, fit, judge, report, save."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import platformdirs

from medtasks import bundle, document, registry
from medtasks.cases import Schema, Source
from medtasks.dataset import SPLITS, Dataset, NamedDataset
from medtasks.errors import DataError, PluginError, UsageError, suggest
from medtasks.evaluation.splits import Fold, Plan
from medtasks.model import Context, Model, Progress, checked, configure, model_class
from medtasks.predictor import Predictor
from medtasks.settings import Settings, write_settings
from medtasks.task import Evaluation, Judged, Outputs, Task, choose_model, load_task

RECORD = "run.json"


@dataclass(frozen=True)
class Prepared:
    """A run made ready: everything checked, nothing trained."""

    settings: Settings
    task: Task
    options: Any
    dataset: Dataset
    folds: tuple[Fold, ...]
    model: type[Model]
    model_id: str
    config: Any

    @property
    def parts(self) -> dict[str, dict[str, int]]:
        """What each part of the (first) split counts."""
        fold = self.folds[0]
        parts = {name: getattr(fold, name) for name in SPLITS}
        return {name: self.task.counts(self.dataset.take(rows)) for name, rows in parts.items()}


@dataclass(frozen=True)
class Run:
    """What a run leaves.

    ``folder`` holds ``bundle/``, ``report.html``, ``metrics.json``, ``predictions.csv``, ``config.toml`` and
    ``run.json``. ``summary`` is the object that ``--json`` prints.
    """

    folder: Path
    predictor: Predictor
    evaluation: Evaluation
    baseline: Evaluation
    summary: dict[str, Any]

    @property
    def report(self) -> Path:
        """The report for a reader."""
        return self.folder / "report.html"

    @property
    def bundle(self) -> Path:
        """The folder to deploy."""
        return self.folder / "bundle"


@dataclass(frozen=True)
class Answered:
    """Answers to cases that the answering model did not see, with the model that was fitted last."""

    data: Dataset
    raw: npt.NDArray[Any]
    answers: pd.DataFrame
    fold_of: npt.NDArray[np.int64]
    predictor: Predictor


def prepare(settings: Settings, data: Source | Dataset | None = None, *,
            progress: Progress | None = None) -> Prepared:
    """Check everything a run needs, read the data and split them; nothing is trained.

    Raises
    ------
    UsageError, DataError, PluginError
        Whatever would make the run fail later.
    """
    task = load_task(settings.task)
    options = checked(task.Options, settings.options, f"option of {task.name}")
    if settings.model is not None:  # a wrong name is told before a large folder is read
        model_class(choose_model(task, "", settings.model))
    source = data if data is not None else settings.data or task.demo
    dataset = read(task, source, options, seed=settings.seed, progress=progress)
    task.check_trainable(dataset)
    kind = dataset.cases.kind
    model_id = choose_model(task, kind, settings.model)
    model = model_class(model_id)
    if model.task != task.name or model.accepts != kind:
        raise UsageError(f"the model {model_id} takes {model.accepts} for {model.task}, not {kind} for {task.name}",
                         hint="`medtasks models` tells which model takes what")
    if settings.device == "gpu" and "gpu" not in model.devices:
        raise UsageError(f"the model {model_id} does not run on a GPU", hint="use --device cpu or auto")
    config = configure(model, settings.set, model_id)
    plan = Plan(settings.test, settings.valid, settings.folds)
    folds = tuple(task.split(dataset, plan, settings.seed))
    settings = settings.model_copy(update={"model": model_id, "data": settings.data or name_of(source)})
    return Prepared(settings, task, options, dataset, folds, model, model_id, config)


def read(task: Task, source: Source | Dataset, options: Any, *, seed: int = 0, progress: Progress | None = None,
         schema: Schema | None = None) -> Dataset:
    """Read a data set: a path, a table, the name of a data set, or one that is in memory already."""
    if isinstance(source, Dataset):
        return task.adapt(source, options)
    if isinstance(source, pd.DataFrame) or Path(source).expanduser().exists():
        context = Context(progress=progress or Progress())
        return task.adapt(task.read(source, options, context=context, schema=schema), options)
    name, _, variant = str(source).partition("/")
    known = {entry.name.partition(".")[2]: entry.name for entry in registry.entries("dataset")
             if entry.task == task.name}
    if name not in known:
        raise DataError(f"there is no file or folder {str(source)!r}, and no data set of {task.name} of this name",
                        hint=suggest(name, known))
    loader = registry.find("dataset", known[name]).load()
    if not (isinstance(loader, type) and issubclass(loader, NamedDataset)):
        raise PluginError(f"data set {name!r} is no subclass of medtasks.dataset.NamedDataset",
                          hint="tell its author")
    cache = Path(platformdirs.user_cache_dir("medtasks"))
    return task.adapt(loader().load(variant or None, cache=cache, seed=seed), options)


def fit(prepared: Prepared, train: Dataset, valid: Dataset, context: Context) -> Predictor:
    """Fit the model and fix its decision on validation."""
    task, model = prepared.task, prepared.model(prepared.config)
    model.fit(train, valid, context=context)
    blank = Predictor(task, model, prepared.model_id, Outputs.of(train), task.schema(train, prepared.options))
    decision = task.decide(valid, blank.scores(valid.cases, context=context), prepared.options)
    return replace(blank, decision=decision)


def cross_fit(prepared: Prepared, context: Context) -> Answered:
    """Fit on every fold and answer its test part, whose cases the fitted model never saw."""
    raw, answers = [], []
    several = len(prepared.folds) > 1
    data = prepared.dataset
    for i, fold in enumerate(context.progress.track(prepared.folds, "folds") if several else prepared.folds):
        inner = _inside(context, f"fold-{i}")
        predictor = fit(prepared, data.take(fold.train), data.take(fold.valid), inner)
        raw.append(predictor.scores(data.cases.take(fold.test), context=inner))
        answers.append(prepared.task.answer(raw[-1], predictor.outputs, predictor.decision))
    rows = np.concatenate([fold.test for fold in prepared.folds])
    numbers = np.repeat(np.arange(len(prepared.folds)), [len(fold.test) for fold in prepared.folds])
    return Answered(data.take(rows), np.concatenate(raw), pd.concat(answers, ignore_index=True), numbers, predictor)


def deploy(prepared: Prepared, answered: Answered, context: Context) -> Predictor:
    """Return the predictor to deploy: the judged one, or after cross-validation one fitted on all cases.

    After cross-validation the decision is fixed on the out-of-fold answers to all cases.
    """
    if len(prepared.folds) == 1:
        return answered.predictor
    valid = prepared.folds[-1].valid  # goes on guarding against overfitting; no case is kept for a test
    train = np.setdiff1d(np.arange(len(prepared.dataset)), valid)
    predictor = fit(prepared, prepared.dataset.take(train), prepared.dataset.take(valid),
                    _inside(context, "final"))
    decision = prepared.task.decide(answered.data, answered.raw, prepared.options)
    return replace(predictor, decision={**decision, "folds": len(prepared.folds)})


def run(prepared: Prepared, *, out: Path | None = None, resume: bool = False,
        progress: Progress | None = None) -> Run:
    """Train, judge beside the baseline, report and save.

    Parameters
    ----------
    out
        The folder of the result; an earlier result there is replaced when the new one is whole.
    resume
        Go on with an interrupted run that had the same settings, data and ``out``.

    Raises
    ------
    MedtasksError
        If anything expected goes wrong; ``out`` is then as it was.
    """
    start, settings = time.time(), prepared.settings
    folder = out or Path(settings.out or _fresh_name(settings.task)).expanduser()
    bundle.check_target(folder, RECORD)
    with _workspace(folder, prepared, resume) as (scratch, checkpoint):
        context = Context(settings.seed, settings.device, progress or Progress(), scratch, checkpoint,
                          start + 60 * settings.minutes if settings.minutes else None)
        context.progress.note(f"fitting the baseline and {prepared.model_id}")
        floor, quiet = _baseline(prepared), Context(settings.seed, "cpu")
        base = cross_fit(floor, quiet)
        answered = cross_fit(prepared, context)
        predictor = replace(deploy(prepared, answered, context), baseline=deploy(floor, base, quiet))
        context.progress.note("judging and writing the report")
        task = prepared.task
        evaluation = task.evaluate(answered.data, answered.answers, settings.seed)
        baseline = task.evaluate(base.data, base.answers, settings.seed)
        seconds = time.time() - start
        predictor = replace(predictor, facts=_facts(prepared, context, evaluation, baseline, seconds))
        judged = Judged(answered.data, answered.answers, evaluation, predictor.decision, baseline,
                        _explainer(prepared, answered, context))
        summary = _summary(prepared, folder, evaluation, baseline, predictor.facts, seconds)
        _write(folder, prepared, predictor, answered, judged, summary)
    return Run(folder, predictor, evaluation, baseline, summary)


def _write(folder: Path, prepared: Prepared, predictor: Predictor, answered: Answered, judged: Judged,
           summary: dict[str, Any]) -> None:
    """Write everything into a fresh folder that takes the place of ``folder`` at the end."""
    page = document.Page(prepared.task, predictor, prepared.dataset, prepared.parts, len(prepared.folds), judged)
    with bundle.replacing(folder, RECORD) as fresh:
        (fresh / "report.html").write_text(document.render(page), encoding="utf-8")
        bundle.save(predictor, fresh / "bundle", report=document.render(page, public=True))
        metrics = {key: summary[key] for key in ("n", "metrics", "targets", "baseline")}
        bundle.write_json(fresh / "metrics.json", metrics)
        bundle.write_json(fresh / RECORD, {**summary, "facts": dict(predictor.facts)})
        write_settings(prepared.settings, fresh / "config.toml")
        _predictions(prepared, answered).to_csv(fresh / "predictions.csv", index=False)
        if prepared.dataset.origin.invalid:
            pd.DataFrame(prepared.dataset.origin.invalid, columns=["row", "reason"]).to_csv(
                fresh / "invalid.csv", index=False)


def answers_table(data: Dataset, answers: pd.DataFrame) -> pd.DataFrame:
    """Return the answers with the id and the true target of each case beside them."""
    table = answers.copy()
    table.insert(0, "id", data.cases.ids)
    if data.classes:
        table.insert(1, "target", np.array(data.classes, dtype=object)[data.targets])
        return table
    for i, (name, column) in enumerate(zip(data.names, data.targets.reshape(len(table), -1).T, strict=True)):
        table.insert(1 + i, f"target_{name}", column)
    return table


def _predictions(prepared: Prepared, answered: Answered) -> pd.DataFrame:
    table = answers_table(answered.data, answered.answers)
    if len(prepared.folds) > 1:
        table.insert(1, "fold", answered.fold_of)
    return table


def _baseline(prepared: Prepared) -> Prepared:
    name = prepared.task.baselines[prepared.dataset.cases.kind]
    model = model_class(name)
    return replace(prepared, model=model, model_id=name, config=model.Config())


def _explainer(prepared: Prepared, answered: Answered, context: Context) -> Any:
    """Explain judged cases; only where one model answered them all, and brings an explanation."""
    if len(prepared.folds) > 1 or not prepared.model.explains():
        return None

    def explain(rows: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return answered.predictor.explain_rows(answered.data.cases.take(rows), targets, context=context)

    return explain


def _facts(prepared: Prepared, context: Context, evaluation: Evaluation, baseline: Evaluation,
           seconds: float) -> dict[str, Any]:
    origin = prepared.dataset.origin
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {"source": Path(origin.source).name or origin.source, "title": origin.title,
                 "licence": origin.licence, "citation": origin.citation, "synthetic": origin.synthetic,
                 "cases": len(prepared.dataset), "invalid": len(origin.invalid),
                 "sha256": prepared.dataset.digest()},
        "split": {"folds": len(prepared.folds), "parts": prepared.parts},
        "options": prepared.options.model_dump(mode="json", exclude_none=True),
        "seed": prepared.settings.seed,
        "used": {"device": "cpu", **context.used},
        "seconds": round(seconds, 1),
        "versions": _versions(prepared.model_id),
        "judged": {**evaluation.as_json(), "baseline": baseline.as_json()["metrics"]},
    }


def _versions(model_id: str) -> dict[str, str]:
    """The versions of Python, medtasks, the plugin, and what both depend on."""
    from packaging.requirements import Requirement

    found = {"python": platform.python_version(), "platform": platform.platform()}
    names = ["medtasks", registry.find("model", model_id).distribution]
    for name in list(names):
        needs = (Requirement(line) for line in metadata.requires(name) or ())
        names += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    for name in dict.fromkeys(names):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _summary(prepared: Prepared, folder: Path, evaluation: Evaluation, baseline: Evaluation,
             facts: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    return {
        "task": prepared.task.name, "model": prepared.model_id, "data": prepared.settings.data,
        **evaluation.as_json(), "baseline": baseline.as_json()["metrics"],
        "bundle": str(folder / "bundle"), "report": str(folder / "report.html"),
        "device": facts["used"]["device"], "seconds": round(seconds, 1), "seed": prepared.settings.seed,
    }


@contextlib.contextmanager
def _workspace(folder: Path, prepared: Prepared, resume: bool) -> Iterator[tuple[Path, Path]]:
    """Give a scratch folder, removed at the end, and a checkpoint folder, kept until the run succeeds."""
    place = folder.absolute()
    checkpoint = place.with_name(f".{place.name}.checkpoint")
    key = {"settings": prepared.settings.model_dump(mode="json", exclude={"out"}),
           "data": prepared.dataset.digest(), "versions": _versions(prepared.model_id)}
    if resume and not (checkpoint / "for.json").is_file():
        raise UsageError(f"there is no interrupted run to resume for {folder}",
                         hint="give the --out of the interrupted run, or leave --resume out")
    if resume and json.loads((checkpoint / "for.json").read_text(encoding="utf-8")) != key:
        raise UsageError("the interrupted run had other settings, data or versions",
                         hint="repeat its command word for word with --resume, or leave --resume out")
    if not resume:
        shutil.rmtree(checkpoint, ignore_errors=True)
        checkpoint.mkdir(parents=True)
        bundle.write_json(checkpoint / "for.json", key)
    with tempfile.TemporaryDirectory(prefix="medtasks-") as scratch:
        try:
            yield Path(scratch), checkpoint
        except BaseException:
            if len(list(checkpoint.iterdir())) == 1:  # nothing that could be resumed
                shutil.rmtree(checkpoint, ignore_errors=True)
            raise
    shutil.rmtree(checkpoint, ignore_errors=True)


def _inside(context: Context, name: str) -> Context:
    return replace(context, checkpoint=context.checkpoint / name if context.checkpoint else None)


def _fresh_name(task: str) -> str:
    return f"medtasks-runs/{task}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"


def name_of(source: Source | Dataset) -> str:
    """Name a source for a record or a message."""
    if isinstance(source, Dataset):
        return source.origin.source
    return "a table in memory" if isinstance(source, pd.DataFrame) else str(source)
