"""Making a run ready: everything is checked and read, nothing is trained."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import platformdirs

from medtasks import registry, subgroups
from medtasks.cases import Schema, Source
from medtasks.cases.taking import Tabular, check_source, taken
from medtasks.dataset import SPLITS, Dataset, NamedDataset
from medtasks.errors import DataError, PluginError, UsageError, suggest
from medtasks.evaluation.splits import Fold, Plan
from medtasks.guarding import calling
from medtasks.model import Context, Model, Progress, check_device, checked, configure, model_class
from medtasks.settings import Settings
from medtasks.signatures import check_calls, required
from medtasks.task import Outputs, Task, load_task
from medtasks.trust import COLUMNS
from medtasks.workspace import fresh_name

Data = Source | Dataset | Tabular | Sequence[Mapping[str, Any]]
"""What can be learnt from or judged on: a path, the name of a data set, a table (of pandas, polars or Arrow, or a list
with a dictionary for each row), or a Dataset."""


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

    @functools.cached_property
    def folder(self) -> Path:
        """Where the result goes: the one asked for, or one of its own."""
        return Path(self.settings.out or fresh_name(self.settings.task)).expanduser()

    @property
    def parts(self) -> dict[str, dict[str, int]]:
        """What each part of the (first) split counts."""
        fold = self.folds[0]
        parts = {name: getattr(fold, name) for name in SPLITS}
        return {name: self.task.counts(self.dataset.take(rows)) for name, rows in parts.items() if len(rows)}


def prepare(settings: Settings, data: Data | None = None, *, progress: Progress | None = None) -> Prepared:
    """Check everything a run needs, read the data and split them; nothing is trained.

    Raises
    ------
    UsageError, DataError, PluginError
        Whatever would make the run fail later.
    """
    task, options, dataset, source = gather(settings, data, [settings.model], progress=progress)
    model_id, model = answering(task, task.accepts(dataset), settings.model)
    check_device(model, model_id, settings.device)
    if data is None and settings.data is None and settings.model is None:
        settings = settings.model_copy(update={"set": {**task.demo_config, **settings.set}})
    config = configure(model, settings.set, model_id)
    plan = Plan(settings.test, settings.valid, settings.folds)
    folds = tuple(task.split(dataset, plan, options, settings.seed))
    if settings.repeats > 1 and len(folds) == 1:
        raise UsageError(
            "one hold-out is not repeated: its test part says what it can",
            hint=f"ask for cross-validation too, as in --folds 5 --repeats {settings.repeats}",
        )
    settings = settings.model_copy(update={"model": model_id, "data": settings.data or source})
    return Prepared(settings, task, options, dataset, folds, model, model_id, config)


def gather(
    settings: Settings,
    data: Data | None,
    models: Sequence[str | None],
    *,
    progress: Progress | None = None,
) -> tuple[Task, Any, Dataset, str]:
    """Load the task, read the data and check both; see `prepare`.

    Parameters
    ----------
    models
        Those that will be asked for: a wrong name is told before a large folder is read.

    Returns
    -------
    task, its options, the data, and the name of where they came from
    """
    task = load_task(settings.task)
    options = checked(task.Options, settings.options, f"option of {task.name}")
    for name in models:
        if name is not None:
            model_class(choose_model(task, "", name))
    source = data_of(data if data is not None else settings.data or task.demo)
    dataset = read(task, source, options, seed=settings.seed, progress=progress)
    task.check_options(options, source, dataset)
    task.check_trainable(dataset)
    check_names(task, dataset)
    subgroups.check(dataset, getattr(options, "subgroups", ()))
    return task, options, dataset, name_of(source)


def check_names(task: Task, dataset: Dataset) -> None:
    """Refuse targets of which a column of answers would be called as another one.

    Raises
    ------
    UsageError
        If there is one.
    """
    taken = dict.fromkeys(COLUMNS, "one that all answers have")
    for one in task.quantities(Outputs.of(dataset)):
        spread = {one.set_column} if one.labels else {one.low_column, one.high_column}
        for column in {*one.columns, *spread, *({one.name, f"target_{one.name}"} if one.name else ())}:
            if column in taken:
                raise UsageError(
                    f"answers would have two columns {column!r}: {taken[column]}, and one of the target {one.name!r}",
                    hint=f"rename the target's column, as in {one.name}_measured",
                )
            taken[column] = f"one of the target {one.name!r}"


def answering(task: Task, kind: str, name: str | None) -> tuple[str, type[Model]]:
    """Return the full name and the class of a model that takes ``kind`` of cases; the default where None is named.

    Raises
    ------
    UsageError, PluginError
        If there is no such model, or it does not fit.
    """
    model_id = choose_model(task, kind, name)
    model = model_class(model_id)
    if model.task != task.name or model.accepts != kind:
        raise UsageError(
            f"the model {model_id} takes {model.accepts} for {model.task}, not {kind} for {task.name}",
            hint="`medtasks models` tells which model takes what",
        )
    return model_id, model


def data_of(data: Any) -> Source | Dataset:
    """Return data as tasks read them: a path, the name of a data set, a table of pandas' or a Dataset.

    Raises
    ------
    UsageError
        If they are none of these, nor what such a table can be made of.
    """
    found = taken(data)
    if not isinstance(found, Dataset):
        hint = "give a path, a table or the name of a data set" if found is None else None
        check_source(found, "data are given as a path, a table, the name of a data set or a Dataset", hint)
    source: Source | Dataset = found
    return source


def read(
    task: Task,
    source: Data,
    options: Any,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    schema: Schema | None = None,
) -> Dataset:
    """Read a data set: a path, a table, the name of a data set, or one that is in memory already."""
    source = data_of(source)
    if isinstance(source, Dataset):
        return task.adapt(source, options)
    known = {
        entry.name.partition(".")[2]: entry.name for entry in registry.entries("dataset") if entry.task == task.name
    }
    name, _, variant = source.partition("/") if isinstance(source, str) else ("", "", "")
    if isinstance(source, pd.DataFrame) or _is_place(source, name in known):
        context = Context(progress=progress or Progress())
        try:
            return task.adapt(task.read(source, options, context=context, schema=schema), options)
        except DataError as error:
            if name not in known:
                raise
            also = f"the data set {known[name]} is taken where no file or folder is called {str(source)!r}"
            raise DataError(error.message, hint=f"{error.hint}; {also}" if error.hint else also) from error
    if name not in known:
        raise DataError(
            f"there is no file or folder {str(source)!r}, and no data set of {task.name} of this name",
            hint=suggest(str(source), known),
        )
    loader = named_dataset(known[name])
    cache = Path(platformdirs.user_cache_dir("medtasks"))
    with calling(f"the data set {known[name]}", loader):
        data = loader().load(variant or None, cache=cache, seed=seed)
    return task.adapt(data, options)


def _is_place(source: str | Path, named: bool) -> bool:
    """Say whether data are read from a file or folder of this name, although a data set may be ``named`` so too.

    A folder that is a Python project is none: `medtasks plugins new` makes one that is called as its data set.
    """
    path = Path(source).expanduser()
    return path.exists() and not (named and (path / "pyproject.toml").is_file())


def named_dataset(name: str) -> type[NamedDataset]:
    """Load the class of the data set called ``task.name``.

    Raises
    ------
    PluginError
        If it cannot be loaded or is no data set.
    """
    found = registry.find("dataset", name).load()
    if not (isinstance(found, type) and issubclass(found, NamedDataset)):
        raise PluginError(f"data set {name!r} is no subclass of medtasks.dataset.NamedDataset", hint="tell its author")
    check_calls(found, {"load": required("variant", keywords=["cache", "seed"])}, f"data set {name!r}")
    return found


def name_of(source: Source | Dataset) -> str:
    """Name a source for a record or a message."""
    if isinstance(source, Dataset):
        return source.origin.source
    return "a table in memory" if isinstance(source, pd.DataFrame) else str(source)


def choose_model(task: Task, kind: str, name: str | None) -> str:
    """Return the full name of the model to use for a kind of cases: the one named, or the default.

    A name may leave out the task: ``image-cnn`` is ``diagnosis.image-cnn``.

    Raises
    ------
    UsageError
        If there is no such model.
    PluginError
        If the default model's plugin is not installed.
    """
    known = {entry.name for entry in registry.entries("model")}
    if name is None:
        chosen = task.defaults.get(kind)
        if chosen is None:
            raise UsageError(f"the task {task.name} has no default model for {kind}", hint="name one with --model")
        if chosen not in known:
            raise PluginError(
                f"the default model {chosen!r} is not installed",
                hint=f"pip install medtasks-{chosen.partition('.')[2]}, or name another by --model",
            )
        return chosen
    distribution, _, plain = name.rpartition(":")
    full = plain if plain in known or "." in plain else f"{task.name}.{plain}"
    return f"{distribution}:{full}" if distribution else full
