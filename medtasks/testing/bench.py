"""The bench a model is checked on: toy data, and one fitted model that the checks share."""

from __future__ import annotations

import copy
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pydantic

from medtasks import registry
from medtasks.cases import Cases, Images
from medtasks.dataset import Dataset
from medtasks.machine import PYTHON
from medtasks.model import Config, Context, Model, configure, model_class
from medtasks.predictor import Predictor
from medtasks.task import Outputs, load_task
from medtasks.testing.report import Broken, Skipped
from medtasks.testing.watching import Seen, watched

T = TypeVar("T")
TRAIN, VALID, TEST = 160, 60, 80
"""Toy cases of each part: a planted cause shows in so few, and any model learns them within seconds."""
SEED = 20


class Bench:
    """One model with toy data; what is costly is made once, when a check first needs it.

    Parameters
    ----------
    name
        The model, as `medtasks models` lists it.
    config
        Hyper-parameters that replace those of `Model.toy_config`.
    """

    def __init__(self, name: str, config: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.entry = registry.find("model", name)
        self.model: type[Model] = model_class(name)
        self.task = load_task(self.entry.task)
        self.settings = {**self.model.toy_config, **(config or {})}
        self.config: Config = configure(self.model, self.settings, name)
        self.options = self.task.Options()
        self.seen = Seen()
        self.folder = Path(tempfile.mkdtemp(prefix="medtasks-check-"))
        self.failures: list[BaseException] = []
        self._remembered: dict[str, tuple[bool, Any]] = {}
        weakref.finalize(self, shutil.rmtree, self.folder, True)

    @property
    def context(self) -> Context:
        """A context such as a run gives."""
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        return Context(SEED, "cpu", scratch=scratch)

    @property
    def toy(self) -> Dataset:
        """The task's toy data, with ``extra["cause"]`` where it marks one.

        Raises
        ------
        Skipped
            If the task has none.
        """
        return self.once("Task.toy", lambda: toy_data(self.task.name, self.model.accepts))

    @property
    def train(self) -> Dataset:
        """The training part, without the cause."""
        return self._part(0, TRAIN)

    @property
    def valid(self) -> Dataset:
        """The validation part, without the cause."""
        return self._part(TRAIN, TRAIN + VALID)

    @property
    def test(self) -> Dataset:
        """The test part, without the cause."""
        return self._part(TRAIN + VALID, len(self.toy))

    @property
    def cause(self) -> npt.NDArray[Any] | None:
        """What in each test case is the planted cause: boolean, in the units of `Model.explain`."""
        found = self.toy.extra.get("cause")
        return None if found is None else found[TRAIN + VALID :]

    @property
    def outputs(self) -> Outputs:
        """The meaning of the model's columns."""
        return Outputs.of(self.train)

    @property
    def fitted(self) -> Model:
        """The model fitted on the toy data."""
        train, valid = self.train, self.valid
        return self.once("fit", lambda: self.fit(train, valid))

    @property
    def raw(self) -> npt.NDArray[Any]:
        """What it says of the test part, which may be of any form; see `answers`."""
        model = self.fitted
        return self.once("predict", lambda: self.predict(self.test.cases, model))

    @property
    def answers(self) -> npt.NDArray[Any]:
        """What it says of the test part, for checks that make sense only of answers that are well-shaped.

        Raises
        ------
        Skipped
            If they are not: the check `well-shaped` tells how.
        """
        try:
            self.task.check(self.raw, self.outputs, len(self.test))
        except ValueError as error:
            raise Skipped(f"not made: answers are not well-shaped ({error})") from None
        return self.raw

    @property
    def saved(self) -> Path:
        """The folder that it was saved to."""
        model = self.fitted
        return self.once("save", lambda: self._save(model))

    @property
    def predictor(self) -> Predictor:
        """The fitted model with its decision."""
        _ = self.answers  # of others there is no decision
        return self.once("decide", lambda: self.decided(self.fitted, self.train, self.valid))

    def fit(self, train: Dataset, valid: Dataset, config: pydantic.BaseModel | None = None) -> Model:
        """Return a new model, fitted, watched; with its settings where no other ``config`` is given."""
        given = {"train": train, "valid": valid}
        before = {name: _state(data) for name, data in given.items()}
        with watched("fit", self.seen):
            model = self.model(config or self.config)
            model.fit(train, valid, context=self.context)
        self.seen.changed += [("fit", name) for name, data in given.items() if _state(data) != before[name]]
        return model

    def predict(self, cases: Cases, model: Model | None = None) -> npt.NDArray[Any]:
        """Ask the fitted model, or ``model``, watched."""
        asked, before = model or self.fitted, fingerprint(cases)
        with watched("predict", self.seen):
            raw = asked.predict(cases, context=self.context)
        if fingerprint(cases) != before:
            self.seen.changed.append(("predict", "the cases"))
        return raw

    def decided(self, model: Model, train: Dataset, valid: Dataset) -> Predictor:
        """Give a fitted model its decision, as a run does."""
        schema = self.task.schema(train, self.options)
        blank = Predictor(self.task, model, self.name, self.outputs, schema)
        raw = self.left_out(model, len(valid))
        raw = self.predict(valid.cases, model) if raw is None else raw
        return replace(blank, decision=self.task.decide(valid, blank.checked(raw, len(valid)), self.options, train))

    def left_out(self, model: Model, n: int) -> npt.NDArray[Any] | None:
        """Return what a model says of validation cases left out, if it says it in the right shape."""
        try:
            self.task.check(model.left_out, self.outputs, n)  # type: ignore[arg-type]  # None is refused, as others are
        except (ValueError, TypeError):
            return None
        return model.left_out

    def _save(self, model: Model) -> Path:
        place = self.folder / "saved"
        place.mkdir()
        with watched("save", self.seen):
            model.save(place)
        return place

    def _part(self, start: int, stop: int) -> Dataset:
        return part(self.toy, start, stop)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Make something, or fail, once: a fit that raises is told by the check that needed it first, and by no other.

        ``name`` says what failed to those behind it, which are skipped.
        """
        if name not in self._remembered:
            try:
                self._remembered[name] = True, make()
            except Skipped as error:
                self._remembered[name] = False, str(error)
                raise
            except (Exception, SystemExit) as error:
                self._remembered[name] = False, f"not made: {name} failed"
                self.failures.append(error)
                raise
        good, found = self._remembered[name]
        if not good:
            raise Skipped(found)
        made: T = found
        return made


def toy_data(task: str, accepts: str) -> Dataset:
    """Draw a task's toy data; the same at each call and in each process.

    Raises
    ------
    Skipped
        If the task has none for this kind of cases.
    Broken
        If it is not as long as asked for.
    """
    data = load_task(task).toy(accepts, TRAIN + VALID + TEST, SEED)
    if data is None:
        raise Skipped(f"the task {task} has no toy data for {accepts!r}: its Task.toy returns None")
    if len(data) != TRAIN + VALID + TEST:
        raise Broken(
            f"the toy data of the task {task} have {len(data)} cases, not the {TRAIN + VALID + TEST} asked for"
        )
    return data


def part(toy: Dataset, start: int, stop: int) -> Dataset:
    """Return some of the toy data, without the cause."""
    data = toy.take(np.arange(start, stop))
    return replace(data, extra={name: values for name, values in data.extra.items() if name != "cause"})


def renamed(cases: Cases, ids: list[str]) -> Cases:
    """Return the same cases under other ids."""
    other = copy.copy(cases)
    other.ids = np.array(ids, dtype=object)
    return other


def fingerprint(cases: Cases, *arrays: npt.NDArray[Any]) -> str:
    """Return a hash of what cases and arrays hold now; images are read again, for they remember theirs."""
    whole = hashlib.sha256(repr(list(cases.ids)).encode())
    if isinstance(cases, Images):
        for row in range(len(cases)):
            whole.update(np.ascontiguousarray(cases.pixels(row)).tobytes())
    else:
        whole.update(cases.digest().encode())
    for array in arrays:
        whole.update(repr(array.tolist()).encode() if array.dtype == object else np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()


def _state(data: Dataset) -> str:
    return fingerprint(data.cases, data.targets, *data.extra.values())


def run_child(code: str, argument: str, patience: float, environment: dict[str, str]) -> Any:
    """Let a fresh Python run ``code``; return the `subprocess.CompletedProcess`.

    Raises
    ------
    subprocess.TimeoutExpired
        If it takes longer than ``patience`` seconds.
    """
    return subprocess.run(
        [*PYTHON, "-c", code, argument],
        capture_output=True,
        text=True,
        check=False,
        timeout=patience,
        env=environment,
        stdin=subprocess.DEVNULL,
    )


def child_environment() -> dict[str, str]:
    """Return the environment of a fresh process that finds the same packages as this one."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
