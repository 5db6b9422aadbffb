"""The functions that Python users call; each command of the CLI calls one of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtasks import auditing, bundle, document, overlap, pipeline, record, registry, subgroups
from medtasks.cases import Cases
from medtasks.cases.taking import Given
from medtasks.comparing import compare as compare  # a public function of its own module
from medtasks.dataset import Dataset
from medtasks.errors import DataError, UsageError
from medtasks.evaluation.shift import Validity, drifted
from medtasks.evaluation.splits import Fold
from medtasks.model import Context, Progress, check_device, checked
from medtasks.pipeline import Run
from medtasks.predictor import Explanation, Predictor
from medtasks.preparing import Data, data_of, name_of, prepare, read
from medtasks.report import html
from medtasks.rerunning import rerun as rerun  # likewise
from medtasks.settings import resolve
from medtasks.task import Evaluation, Judged, Task, load_task
from medtasks.training import fit
from medtasks.words import plural

AnyBundle = Predictor | str | Path
_EVALUATION = ("metrics.json", "report.html", "predictions.csv")  # what `evaluate` may write


@dataclass(frozen=True)
class Evaluated:
    """A predictor judged on data that are new to it; ``summary`` is the object that ``--json`` prints."""

    evaluation: Evaluation
    baseline: Evaluation | None
    answers: pd.DataFrame
    summary: dict[str, Any]

    def __repr__(self) -> str:  # its answers and its summary fill a screen
        return f"<Evaluated {self.summary['model']}: {self.evaluation!r}>"


def run(
    task: str,
    data: Data | None = None,
    *,
    out: str | Path | None = None,
    model: str | None = None,
    config: dict[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    test: float = 0.2,
    valid: float = 0.15,
    folds: int = 0,
    repeats: int = 1,
    minutes: float | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Run:
    """Train a model, judge it beside a baseline, report, and save all that in a folder.

    Parameters
    ----------
    task
        As `tasks` lists it.
    data
        A path, a table (of pandas, polars or Arrow, or a list with a dictionary for each row), a Dataset, or the name
        of a data set; the task's demo where None.
    out
        The folder of the result; one below ``medtasks-runs`` where None.
    model
        As `models` lists it; the task's default for the kind of cases where None.
    config
        The model's hyper-parameters.
    seed, device, test, valid, folds, repeats, minutes
        See `medtasks.settings.Settings`.
    resume
        Go on with an interrupted run of the same settings, data and ``out``.
    progress
        Where to tell how far the work is; silent where None.
    options
        The task's own options, such as ``target="sick"``.

    Raises
    ------
    MedtasksError
        With what happened, where, and how to mend it; ``out`` is then as it was.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> result = run("diagnosis", "breast-cancer", model="linear-record", out=folder)
    >>> bool(result.evaluation.metrics["auroc"].value > 0.98)
    True
    """
    values = {
        "task": task,
        "data": data if isinstance(data, str) else str(data) if isinstance(data, Path) else None,
        "model": model,
        "set": config or {},
        "options": options,
        "seed": seed,
        "device": device,
        "test": test,
        "valid": valid,
        "folds": folds,
        "repeats": repeats,
        "minutes": minutes,
        "out": None if out is None else str(out),
    }
    prepared = prepare(resolve(values), data, progress=progress)
    return pipeline.run(prepared, resume=resume, progress=progress)


def train(
    task: str,
    data: Data | None = None,
    *,
    model: str | None = None,
    config: dict[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    valid: float = 0.15,
    progress: Progress | None = None,
    **options: Any,
) -> Predictor:
    """Fit a predictor on all cases but a validation part (and the data's own test part), without judging it.

    The parameters are those of `run`.

    Examples
    --------
    >>> predictor = train("diagnosis", "breast-cancer", model="linear-record")
    >>> predictor.outputs.classes
    ('benign', 'malignant')
    """
    values = {
        "task": task,
        "model": model,
        "set": config or {},
        "options": options,
        "seed": seed,
        "device": device,
        "valid": valid,
        "folds": 1,
    }
    prepared = prepare(resolve(values), data, progress=progress)
    fold, dataset = prepared.folds[0], prepared.dataset
    if dataset.split is None:  # nobody judges it here: what a run would hold out is learnt too
        rest = np.setdiff1d(np.arange(len(dataset)), fold.valid)
        fold = Fold(rest, fold.valid, rest[:0])
        prepared = replace(prepared, folds=(fold,))
    context, start = Context(seed, device, progress or Progress()), time.time()
    predictor = fit(prepared, dataset.take(fold.train), dataset.take(fold.valid), context)
    return replace(predictor, facts=record.facts(prepared, context, time.time() - start))


def load(folder: str | Path, *, device: str = "auto") -> Predictor:
    """Read a predictor back from a bundle, or from the folder of a run; see `medtasks.bundle.load`."""
    return _on(bundle.load(Path(folder).expanduser(), context=Context(device=device)), device)


def predict(
    predictor: AnyBundle, source: Given, *, device: str = "auto", progress: Progress | None = None
) -> pd.DataFrame:
    """Answer every row of an input: exactly its rows, in order; see `Predictor.predict`."""
    context = Context(device=device, progress=progress or Progress())
    return _loaded(predictor, device).predict(source, context=context)


def explain(
    predictor: AnyBundle, source: Given, target: str | None = None, *, device: str = "auto"
) -> list[Explanation]:
    """Say what in each case speaks for a class or target; see `Predictor.explain`."""
    return list(_loaded(predictor, device).explain(source, target, context=Context(device=device)))


def evaluate(
    predictor: AnyBundle,
    data: Data,
    *,
    out: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    **options: Any,
) -> Evaluated:
    """Judge a predictor, and the baseline of its bundle, on data that are new to them.

    Of data with a split of their own the test part is used. Molecules that stand in the training data, where the bundle
    names these, are counted, and the others judged by themselves too: ``summary["in_training"]``.

    Parameters
    ----------
    out
        A folder for a report, the measures and the answers; nothing is written where None.
    options
        The task's own options, as in `run`; those of the training where not given.

    Raises
    ------
    DataError
        If the data cannot be read, or hold classes that the model does not know.
    """
    start, data = time.time(), data_of(data)
    folder = None if out is None else Path(out).expanduser()
    if folder is not None:
        bundle.check_target(folder, _EVALUATION)
    place = None if isinstance(predictor, Predictor) else str(predictor)
    predictor = _loaded(predictor, device)
    task = predictor.task
    trained = predictor.facts.get("options", {})
    chosen = checked(task.Options, {**trained, **options}, f"option of {task.name}")
    _refuse_settled(task, checked(task.Options, trained, f"option of {task.name}"), chosen)
    dataset = task.align(read(task, data, chosen, progress=progress, schema=predictor.schema), predictor.outputs)
    if dataset.split is not None and (dataset.split == "test").any():
        dataset = dataset.take(np.flatnonzero(dataset.split == "test"))
    context = Context(seed, device, progress or Progress())
    answers = predictor.answer(dataset.cases, context=context)
    evaluation = task.evaluate(dataset, answers, seed)
    floor = predictor.baseline.answer(dataset.cases, context=context) if predictor.baseline else None
    baseline = task.evaluate(dataset, floor, seed) if floor is not None else None
    judged = Judged(
        dataset,
        answers,
        evaluation,
        predictor.decision,
        baseline,
        _explainer(predictor, dataset.cases, context),
        validity=_drift(predictor, answers, dataset),
        subgroups=tuple(subgroups.measure(task, dataset, answers, chosen, seed)),
        lower_is_better=task.lower_is_better,
    )
    found = overlap.find(task, predictor.trust, judged, floor, seed)
    summary = {
        "task": task.name,
        "model": predictor.model_id,
        "data": name_of(data),
        **evaluation.as_json(),
        "baseline": baseline.as_json()["metrics"] if baseline else {},
        "in_training": found.as_json() if found else None,
        "notes": list(dataset.origin.notes),
        "validity": judged.validity.as_json() if judged.validity else None,
        "bundle": place,
        "report": None,
        "device": context.used.get("device", "cpu"),
        "seconds": round(time.time() - start, 1),
        "seed": seed,
    }
    if folder is not None:
        summary["report"] = str(_write(folder, predictor, judged, found, summary))
    return Evaluated(evaluation, baseline, answers, summary)


@dataclass(frozen=True)
class Audit:
    """What an audit of a data set found; ``summary`` is the object that ``--json`` prints."""

    findings: tuple[auditing.Finding, ...]
    summary: dict[str, Any]

    def __repr__(self) -> str:
        return f"<Audit of {plural(self.summary['n'], 'case')}: {auditing.summed(self.summary['counts'])}>"

    @property
    def severe(self) -> tuple[auditing.Finding, ...]:
        """Those that make a result on these data worthless."""
        return tuple(one for one in self.findings if one.severity == "severe")


def audit(
    task: str,
    data: Data,
    *,
    out: str | Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> Audit:
    """Look for what would make a result on data too good or wrong, before anything is learnt from them.

    Parameters
    ----------
    task, data, options
        As in `run`. A split of the data's own is looked at; no other is made.
    out
        An HTML file that names the rows by their ids; nothing is written where None.
    seed
        For the probes' folds and samples.

    Raises
    ------
    DataError
        If the data cannot be read.
    UsageError
        If ``out`` is a folder, or a file that is no HTML, such as the data themselves.

    Examples
    --------
    >>> audit("diagnosis", "breast-cancer").severe
    ()
    """
    start, data = time.time(), data_of(data)
    asked = load_task(task)
    chosen = checked(asked.Options, options, f"option of {asked.name}")
    place = None if out is None else Path(out).expanduser()
    if place is not None:
        html.check_target(place)
    dataset = read(asked, data, chosen, seed=seed, progress=progress)
    asked.check_options(chosen, data, dataset)
    found = [*auditing.audit(dataset, seed=seed), *auditing.lost(data, chosen)]
    found += auditing.ungrouped(data, dataset, chosen)
    try:
        asked.check_trainable(dataset)
    except DataError as error:
        advice = error.hint or "give more data"
        found.append(auditing.Finding("severe", "unusable", f"Nothing can be learnt: {error.message}", advice))
    findings = auditing.ordered(found)
    summary = {
        "task": asked.name,
        "data": name_of(data),
        "n": len(dataset),
        "counts": auditing.counted(findings),
        "findings": [one.as_json() for one in findings],
        "report": None if place is None else str(place),
        "seconds": round(time.time() - start, 1),
        "seed": seed,
    }
    if place is not None:
        name = dataset.origin.title or Path(dataset.origin.source).name or dataset.origin.source
        text = auditing.page(asked.title, name, findings, f"Made by medtasks {registry.version()}.")
        html.write(place, text)
    return Audit(findings, summary)


def tasks() -> list[registry.Entry]:
    """List the tasks that are installed, without importing any."""
    return registry.entries("task")


def models() -> list[registry.Entry]:
    """List the models that are installed, without importing any."""
    return registry.entries("model")


def datasets() -> list[registry.Entry]:
    """List the data sets that can be asked for by name, without importing any."""
    return registry.entries("dataset")


def _drift(predictor: Predictor, answers: pd.DataFrame, data: Dataset) -> Validity | None:
    if predictor.trust is None or predictor.trust.scale is None:
        return None
    return drifted(answers["distance"].to_numpy(dtype=np.float64), predictor.trust.scale.count, data.groups)


def _refuse_settled(task: Task, trained: Any, chosen: Any) -> None:
    for name in sorted(task.settled):
        if getattr(chosen, name) != getattr(trained, name):
            raise UsageError(
                f"--{name.replace('_', '-')} was settled when the model was trained",
                hint="train again with it; a model is judged as it decides",
            )


def _loaded(predictor: AnyBundle, device: str) -> Predictor:
    return _on(predictor, device) if isinstance(predictor, Predictor) else load(predictor, device=device)


def _on(predictor: Predictor, device: str) -> Predictor:
    check_device(type(predictor.model), predictor.model_id, device)
    return predictor


def _explainer(predictor: Predictor, cases: Cases, context: Context) -> Any:
    if not predictor.model.explains():
        return None
    return lambda rows, targets: predictor.explain_rows(cases.take(rows), targets, context=context)


def _write(
    folder: Path, predictor: Predictor, judged: Judged, found: overlap.Overlap | None, summary: dict[str, Any]
) -> Path:
    parts = {"evaluated": predictor.task.counts(judged.data)}
    page = document.Page(predictor.task, predictor, judged.data, parts, 1, judged, judged.data, overlap=found)
    with bundle.replacing(folder, _EVALUATION) as fresh:
        (fresh / "report.html").write_text(document.render(page), encoding="utf-8")
        bundle.write_json(fresh / "metrics.json", {**summary, "report": str(folder / "report.html")})
        record.answers_table(judged.data, judged.answers).to_csv(fresh / "predictions.csv", index=False)
    return folder / "report.html"
