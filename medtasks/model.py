"""The contract of a model: what a plugin author writes, and what it may rely on."""

from __future__ import annotations

import csv
import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pydantic

from medtasks import registry
from medtasks.cases import Cases
from medtasks.dataset import Dataset
from medtasks.defaults import check_defaults
from medtasks.errors import PluginError, UsageError, suggest
from medtasks.signatures import check_calls, required

T = TypeVar("T")
_DEVICES = ("auto", "cpu", "gpu")
"""Where a model can be asked to compute."""


class Progress:
    """Tells the user how far the work is. This one is silent; the CLI's draws bars on stderr."""

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items, telling after each how many of ``total`` are done."""
        yield from items

    def note(self, text: str) -> None:
        """Say a sentence."""


@dataclass(frozen=True)
class Context:
    """What surrounds a call of a model; it can grow without breaking plugins.

    Attributes
    ----------
    seed : for everything that is drawn by chance
    device : ``auto``, ``cpu`` or ``gpu``; on ``gpu`` without one a model raises, it never falls back
    progress : where to tell how far the work is
    scratch : a folder for large temporary files, removed after the run, or None
    checkpoint : a folder that outlives a crash: a long `Model.fit` leaves there what it needs to go on and
        looks there when it starts; None where nothing is to be kept
    deadline : the time (`time.time`) by which `Model.fit` should return with the best it has, or None
    used : what the model tells about its run: ``device``, ``precision``, ``backend`` ...
    """

    seed: int = 0
    device: str = "auto"
    progress: Progress = field(default_factory=Progress)
    scratch: Path | None = None
    checkpoint: Path | None = None
    deadline: float | None = None
    used: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.device not in _DEVICES:
            raise UsageError(f"no device is called {self.device!r}", hint=f"use {', '.join(_DEVICES)}")
        if not isinstance(self.progress, Progress):
            raise UsageError(
                f"progress is told to an object of medtasks.model.Progress, not to a {type(self.progress).__name__}",
                hint="derive a class from it that shows what `track` and `note` are given; leave it out for silence",
            )

    @property
    def rng(self) -> np.random.Generator:
        """A new generator, seeded with ``seed``: the same one at each call."""
        return np.random.default_rng(self.seed)

    def late(self) -> bool:
        """Say whether the deadline has passed."""
        return self.deadline is not None and time.time() > self.deadline


class Config(pydantic.BaseModel):
    """The base of a model's hyper-parameters: typed, documented, frozen; an unknown key is an error.

    Defaults are checked as what is given is: one that does not fit its type is the author's error.
    """

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True
    )


def _names(value: object) -> object:
    """Read ``a,b,c`` as a list of names; one that holds a comma stands in quotation marks, as in CSV."""
    if isinstance(value, str):
        parts = [part for row in csv.reader(value.splitlines(), skipinitialspace=True) for part in row]
        return tuple(part.strip() for part in parts if part.strip())
    return value


Names = Annotated[tuple[str, ...], pydantic.BeforeValidator(_names)]
"""The type of an option or hyper-parameter that takes several names, comma-separated."""


class Model(ABC):
    """One way to answer a task. A plugin author subclasses this and writes ``fit`` and ``predict``.

    A model never reads files, never splits, never sees an invalid row. What `predict` returns is fixed by
    the task: class probabilities (n, classes) for diagnosis, numbers or probabilities (n, targets) for activity.

    Examples
    --------
    >>> class Prevalence(Model):
    ...     task = "diagnosis"
    ...     accepts = "records"
    ...     def fit(self, train, valid, *, context):
    ...         self.share = np.bincount(train.targets, minlength=len(train.classes)) / len(train)
    ...     def predict(self, cases, *, context):
    ...         return np.tile(self.share, (len(cases), 1))
    ...     def save(self, folder):
    ...         np.savez(folder / "model.npz", share=self.share)
    ...     @classmethod
    ...     def load(cls, folder, *, context):
    ...         model = cls(cls.Config())
    ...         model.share = np.load(folder / "model.npz")["share"]
    ...         return model
    """

    task: ClassVar[str]
    """The name of the task that the model answers."""
    accepts: ClassVar[str]
    """The kind of cases it takes: ``images``, ``records``, ``molecules`` ..."""
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    """Where it can run: add ``gpu`` if it can."""
    toy_config: ClassVar[Mapping[str, Any]] = {}
    """Hyper-parameters with which it learns a few toy cases within seconds, for `medtasks.testing`."""

    left_out: npt.NDArray[Any] | None = None
    """Set by the `fit` of a model that learns from ``valid`` too: what it answers to the validation cases (as `predict`
    would), each asked while it was left out. Decisions are then fixed on these; what the model says of cases that it
    has learnt would flatter it."""

    class Config(Config):
        """No hyper-parameters."""

    def __init__(self, config: pydantic.BaseModel) -> None:
        self.config: Any = config

    @abstractmethod
    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Learn from ``train``; ``valid`` is for choices like when to stop.

        A model that makes its choices by cross-validation may learn from ``valid`` too if it then sets `left_out`.
        """

    @abstractmethod
    def predict(self, cases: Cases, *, context: Context) -> npt.NDArray[Any]:
        """Answer, one row per case, in order."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what `load` needs into the empty folder: arrays, JSON, weights; no pickle, no patients."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Rebuild a fitted model from what `save` wrote, running no code from the folder."""

    def explain(self, cases: Cases, target: int, *, context: Context) -> npt.NDArray[Any]:
        """Say what in each case speaks for (positive) or against class or target number ``target``.

        Returns
        -------
        array in input units: (n, height, width) for images at any resolution, (n, fields) for records, n arrays
        (atoms,) for molecules
        """
        raise PluginError(
            f"the model {type(self).__name__} does not explain its answers",
            hint="use a model that does; `medtasks models` tells which",
        )

    def embed(self, cases: Cases, *, context: Context) -> npt.NDArray[Any]:
        """Place each case in the model's own space: (n, d), near cases being alike to the model."""
        raise PluginError(f"the model {type(self).__name__} has no embedding", hint="use a model that has one")

    @classmethod
    def explains(cls) -> bool:
        """Say whether the model brings its own `explain`."""
        return cls.explain is not Model.explain


_CALLS = {
    "__init__": required("config"),
    "fit": required("train", "valid", keywords=["context"]),
    "predict": required("cases", keywords=["context"]),
    "save": required("folder"),
    "load": required("folder", keywords=["context"]),
    "explain": required("cases", "target", keywords=["context"]),
    "embed": required("cases", keywords=["context"]),
}
"""How the methods of a model are called."""


def model_class(name: str) -> type[Model]:
    """Load the class of the model called ``name`` and check that it keeps the contract's form.

    Raises
    ------
    UsageError
        If there is no such model.
    PluginError
        If it cannot be loaded or is no model.
    """
    entry = registry.find("model", name)
    found = entry.load()
    if not (inspect.isclass(found) and issubclass(found, Model)):
        raise PluginError(
            f"model {name!r} ({entry.origin}) is not a subclass of medtasks.model.Model",
            hint=f"{entry.target} must name one",
        )
    if inspect.isabstract(found):
        lacking = ", ".join(sorted(found.__abstractmethods__))
        raise PluginError(
            f"model {name!r} ({entry.origin}) does not define {lacking}",
            hint="a model defines fit, predict, save and load",
        )
    check_calls(found, _CALLS, f"model {name!r} ({entry.origin})", on_class=("load",))
    if getattr(found, "task", None) != entry.task or not isinstance(getattr(found, "accepts", None), str):
        raise PluginError(
            f"model {name!r} ({entry.origin}) lacks task = {entry.task!r} or accepts = ...",
            hint="set both as class attributes",
        )
    if not (inspect.isclass(found.Config) and issubclass(found.Config, pydantic.BaseModel)):
        raise PluginError(
            f"the Config of model {name!r} ({entry.origin}) is no Config",
            hint="derive it from medtasks.model.Config",
        )
    check_defaults(found.Config, f"the Config of model {name!r} ({entry.origin})")
    return found


def check_device(model: type[Model], name: str, device: str) -> None:
    """Raise `UsageError` if a GPU is asked for and the model cannot use one."""
    if device == "gpu" and "gpu" not in model.devices:
        raise UsageError(f"the model {name} does not run on a GPU", hint="use --device cpu or auto")


def configure(model: type[Model], settings: Mapping[str, Any], name: str) -> Config:
    """Make a model's Config from ``settings``, whose values may still be text.

    Raises
    ------
    UsageError
        If a key is unknown or a value does not fit.
    """
    return checked(model.Config, settings, f"setting of {name}")


LISTING = "`medtasks models NAME` and `medtasks tasks NAME` list the values"
"""Where the values of hyper-parameters and of a task's options are told."""
P = TypeVar("P", bound=pydantic.BaseModel)


def checked(schema: type[P], values: Mapping[str, Any], what: str, *, listing: str = LISTING) -> P:
    """Validate ``values`` against a pydantic model, the first fault being a `UsageError` with `listing` as its hint.

    >>> class Sizes(Config):
    ...     width: int = 3
    >>> checked(Sizes, {"widht": "4"}, "setting")
    Traceback (most recent call last):
    ...
    medtasks.errors.UsageError: unknown setting 'widht'
    """
    unknown = [key for key in values if key not in schema.model_fields]
    if unknown:
        raise UsageError(f"unknown {what} {unknown[0]!r}", hint=suggest(unknown[0], schema.model_fields))
    try:
        return schema.model_validate(dict(values))
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        message = first["msg"][0].lower() + first["msg"][1:]
        given = f", not {first['input']!r}" if not isinstance(first["input"], (dict, list)) else ""
        raise UsageError(
            f"{what} {where!r}: {message}{given}",
            hint=listing,
        ) from None
