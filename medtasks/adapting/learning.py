"""Training a network of any framework on a goal of several columns, keeping how far it is, and asking it."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from medtasks.adapting.goal import Goal
from medtasks.errors import PluginError
from medtasks.model import Context
from medtasks.stored import Arrays, write_arrays

Array = npt.NDArray[Any]
Part = tuple[Array, Array]
"""Inputs (n, ...) and what is wanted (n, outputs), NaN where it is not known."""
ASKED = 256
"""Cases that are answered in one batch."""


class Trained(Protocol):
    """What `TrainingState` needs of a network: its arrays by name."""

    def weights(self) -> Arrays:
        """Return copies of what answering needs."""

    def set_weights(self, weights: Arrays) -> None:
        """Take up what `weights` returned."""

    def state(self) -> Arrays:
        """Return what going on with the training needs: the weights and those of the optimiser."""

    def set_state(self, state: Arrays) -> None:
        """Take up what `state` returned; raises `ValueError`, `KeyError` or `RuntimeError` where it does not fit."""


class Network(ABC):
    """A network of some framework on some device; arrays go in, arrays come out. What an adapter writes."""

    @abstractmethod
    def scope(self) -> AbstractContextManager[None]:
        """Let the block run on the network's device."""

    @abstractmethod
    def start(self, goal: Goal, rate: float) -> None:
        """Make Adam with this learning rate, and the loss.

        It is the cross-entropy of the columns together where they are exclusive classes, else the mean over what is
        known of each class's cross-entropy and each number's squared error.
        """

    @abstractmethod
    def seed(self, seed: int) -> None:
        """Seed whatever the training draws: dropout and the like."""

    @abstractmethod
    def step(self, x: Array, y: Array) -> None:
        """Learn from one batch: inputs (b, ...), and (b, 2 x outputs): what is wanted beside whether it is known."""

    @abstractmethod
    def answer(self, x: Array) -> Array:
        """Return (b, outputs), what the last, linear layer says of at most `ASKED` inputs."""

    @abstractmethod
    def weights(self) -> Arrays:
        """Return copies of the arrays that answering needs, by name."""

    @abstractmethod
    def set_weights(self, weights: Arrays) -> None:
        """Take up what `weights` returned."""

    @abstractmethod
    def state(self) -> Arrays:
        """Return the arrays that going on with the training needs, by name: the weights and those of the optimiser."""

    @abstractmethod
    def set_state(self, state: Arrays) -> None:
        """Take up what `state` returned; raises `ValueError`, `KeyError` or `RuntimeError` where it does not fit."""


class TrainingState:
    """A network in training with its optimiser, the best weights so far, and a folder that outlives a crash.

    Parameters
    ----------
    network
        Its weights, and its optimiser's, exist already.
    folder
        Where to keep them (`Context.checkpoint`), or None. What lies there is taken up at once.

    Raises
    ------
    PluginError
        If what lies there is of another network.
    """

    def __init__(self, network: Trained, folder: Path | None) -> None:
        self.network, self.folder = network, folder
        self.epoch, self.best_epoch, self.best_loss = 0, 0, math.inf
        self.best: Mapping[str, Array] = {}
        if folder is not None and (folder / "state.json").is_file():
            self._resume(folder)

    def after(self, epoch: int, loss: float) -> None:
        """Note that an epoch is done, with its loss on validation; the lowest is the best."""
        self.epoch = epoch + 1
        if loss < self.best_loss:
            self.best_epoch, self.best_loss = epoch, loss
            self.best = self.network.weights()
        if self.folder is not None:
            self._keep(self.folder)

    def restore_best(self) -> None:
        """Go back to the epoch with the lowest loss on validation."""
        if self.best:
            self.network.set_weights(self.best)

    def _keep(self, folder: Path) -> None:
        """Write arrays first and the small file that makes them count last, so that a crash cannot mix epochs."""
        folder.mkdir(parents=True, exist_ok=True)
        name = f"epoch-{self.epoch}.npz"
        arrays: dict[str, Any] = {f"v{key}": value for key, value in self.network.state().items()}
        arrays |= {f"b{key}": value for key, value in self.best.items()}
        write_arrays(folder / name, arrays)
        note = {"epoch": self.epoch, "best_epoch": self.best_epoch, "best_loss": self.best_loss, "arrays": name}
        fresh = folder / "state.json.writing"
        fresh.write_text(json.dumps(note), encoding="utf-8")
        fresh.replace(folder / "state.json")
        for old in folder.glob("epoch-*.npz"):
            if old.name != name:
                old.unlink()

    def _resume(self, folder: Path) -> None:
        note = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        with np.load(folder / note["arrays"], allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        try:
            self.network.set_state(_marked("v", arrays))
        except (KeyError, ValueError, RuntimeError):
            raise PluginError(
                f"the training kept in {folder} is one of another network", hint="repeat the command without --resume"
            ) from None
        self.best = _marked("b", arrays)
        self.epoch, self.best_epoch, self.best_loss = note["epoch"], note["best_epoch"], note["best_loss"]


def learn(network: Network, config: Any, goal: Goal, train: Part, valid: Part, context: Context) -> None:
    """Train by Adam until validation has not improved for ``config.patience`` epochs; keep the best epoch's weights.

    The order of each epoch has a seed of its own, so that a training goes on from ``context.checkpoint`` in step.
    """
    network.start(goal, config.rate)
    state = TrainingState(network, context.checkpoint / "network" if context.checkpoint else None)
    x, y = train[0], with_known(train[1])
    batch, left = min(config.batch, len(x)), range(state.epoch, config.epochs)
    for epoch in context.progress.track(left, "epochs", len(left)):
        network.seed(_seed(context.seed, epoch))
        order = np.random.default_rng([context.seed, epoch]).permutation(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            rows = order[start : start + batch]
            network.step(x[rows], y[rows])
        if len(valid[0]):
            state.after(epoch, badness(ask(network, valid[0], goal.outputs), valid[1], goal))
        else:
            state.after(epoch, -epoch)  # nothing to choose by: the last is taken
        if epoch - state.best_epoch >= config.patience or context.late():
            break
    state.restore_best()


def ask(network: Network, x: Array, outputs: int) -> npt.NDArray[np.float64]:
    """Return (n, outputs): what the last, linear layer says of each input."""
    starts = range(0, len(x), ASKED)
    return np.concatenate([np.zeros((0, outputs)), *(network.answer(x[start : start + ASKED]) for start in starts)])


def badness(raw: Array, wanted: Array, goal: Goal) -> float:
    """Return the loss of `Network.start` of answers to validation cases, by numpy."""
    if goal.exclusive:
        top = raw.max(axis=1, keepdims=True)
        each = -(raw - top - np.log(np.exp(raw - top).sum(axis=1, keepdims=True))) * wanted
        return float(each.sum() / len(raw))
    known = np.isfinite(wanted)
    value = np.where(known, wanted, 0.0)
    each = np.where(goal.binary, np.logaddexp(0, raw) - value * raw, (raw - value) ** 2)
    return float(each[known].mean()) if known.any() else 0.0


def with_known(wanted: Array) -> npt.NDArray[np.float32]:
    """Return (n, 2 x outputs): what is wanted, 0 where it is not known, beside whether it is (0 or 1)."""
    known = np.isfinite(wanted)
    return np.concatenate([np.where(known, wanted, 0.0), known], axis=1).astype(np.float32)


def _marked(mark: str, arrays: Arrays) -> dict[str, Array]:
    return {name.removeprefix(mark): values for name, values in arrays.items() if name.startswith(mark)}


def _seed(seed: int, epoch: int) -> int:
    return int(np.random.default_rng([seed, epoch, 1]).integers(2**31))
