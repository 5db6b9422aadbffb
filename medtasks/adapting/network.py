"""What models made of a network share, whatever the framework; see `medtasks_keras.from_keras` and `from_torch`."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from medtasks.adapting.features import Features
from medtasks.adapting.goal import Goal, accepted
from medtasks.adapting.learning import Network, ask, learn
from medtasks.cases import Cases, Images
from medtasks.dataset import Dataset
from medtasks.errors import BundleError, PluginError
from medtasks.model import Config, Context, Model
from medtasks.stored import Arrays, read_arrays, read_json, require, write_arrays

Inputs = int | tuple[int, int, int]
"""The width of a network's inputs, or the three lengths of an image."""
KINDS = ("records", "images", "molecules", "patients/arm", "patients/set", "patients/dose")
"""Kinds of cases that can be turned into tensors."""
STEP = 2048
"""Cases turned into tensors at a time."""


class NetworkConfig(Config):
    """Hyper-parameters of a model made of a network."""

    epochs: int = Field(default=100, ge=1)
    """Passes over the training cases, at most."""
    patience: int = Field(default=15, ge=1)
    """Epochs without a lower loss on validation after which training stops; the best epoch's weights are taken."""
    batch: int = Field(default=32, ge=1)
    """Cases per step."""
    rate: float = Field(default=1e-3, gt=0)
    """Learning rate of Adam."""


class NetworkModel(Model):
    """The base of models made of a function that builds a network.

    An adapter to a framework derives from it, writes `network`, and makes its models by `adapted`.
    """

    devices: ClassVar[tuple[str, ...]] = ("cpu", "gpu")
    framework: ClassVar[str]
    """What the networks are made with, for `medtasks models`."""
    channels_first: ClassVar[bool] = False
    """Whether the framework has images as (channels, height, width) rather than (height, width, channels)."""
    size: ClassVar[tuple[int, int]]
    channels: ClassVar[int]
    goal: Goal
    features: Features | None
    weights: Arrays

    class Config(NetworkConfig):
        """Hyper-parameters of the training."""

    @classmethod
    def adapted(
        cls,
        build: Callable[..., Any],
        task: str,
        accepts: str | None,
        *,
        size: tuple[int, int],
        channels: int,
        toy_config: Mapping[str, Any] | None,
        about: str,
    ) -> type[Model]:
        """Make a model of the function that builds its network.

        Raises
        ------
        PluginError
            If there is no such pair of task and cases.
        """
        kind = accepted(task, accepts, kinds=KINDS)
        content = {
            "__doc__": about or f"A {cls.framework} network on {kind}.",
            "__module__": cls.__module__,
            "task": task,
            "accepts": kind,
            "toy_config": dict(toy_config or {}),
            "build": staticmethod(build),
            "size": tuple(size),
            "channels": channels,
        }
        return type(cls.__name__, (cls,), content)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._network: Network | None = None
        self._asked_on = ""

    @staticmethod
    @abstractmethod
    def build(inputs: Any, outputs: int) -> Any:
        """Return a new network: what the author gave to the adapter."""

    @abstractmethod
    def network(self, inputs: Inputs, seed: int | None, context: Context) -> Network:
        """Call `build` and put what it returns on the device that ``context`` asks for.

        Parameters
        ----------
        seed
            What its first weights are drawn by; None where they are replaced.

        Raises
        ------
        PluginError
            If it is no network, or `fitting` refuses it.
        UsageError
            If a GPU is asked for and there is none.
        """

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Train the network; ``valid`` says when to stop."""
        self.goal = Goal.fit(train, self.accepts)
        self.features = None if isinstance(train.cases, Images) else Features.fit(train.cases)
        network = self.network(self._shape(), context.seed, context)
        with network.scope():
            parts = [(self._inputs(data.cases), self.goal.wanted(data)) for data in (train, valid)]
            learn(network, self.config, self.goal, parts[0], parts[1], context)
            self.weights = network.weights()
        self._network, self._asked_on = network, context.device

    def predict(self, cases: Cases, *, context: Context) -> npt.NDArray[np.float64]:
        """Return what the task asks for: probabilities (n, classes), numbers (n, targets), ..."""
        network, raw = self._ready(context), [np.zeros((0, self.goal.outputs))]
        with network.scope():
            for part in cases.chunks(STEP):
                raw.append(ask(network, self._inputs(part), self.goal.outputs))
        return self.goal.from_logits(np.concatenate(raw))

    def save(self, folder: Path) -> None:
        """Write weights and features as arrays, and as JSON what they mean: no code, no pickle."""
        arrays = {} if self.features is None else self.features.save(folder)
        if arrays:  # images and molecules have nothing to store, and an empty archive is no archive to its readers
            write_arrays(folder / "features.npz", arrays)
        shape = self._shape()
        about = {"goal": self.goal.as_json(), "inputs": list(shape) if isinstance(shape, tuple) else [shape]}
        (folder / "network.json").write_text(json.dumps(about), encoding="utf-8")
        write_arrays(folder / "network-1.npz", self.weights)

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Read them back; the architecture is made by the author's own code when it is first asked for something."""
        model, about = cls(cls.Config()), read_json(folder / "network.json")
        model.goal = Goal.read(about.get("goal"))
        require(model.goal.accepts == cls.accepts, "it answers another question")
        arrays: Arrays = {}
        if (folder / "fields.json").is_file():
            arrays = read_arrays(folder / "features.npz")
        model.features = None if cls.accepts == "images" else Features.load(folder, arrays)
        shape = model._shape()
        wanted = list(shape) if isinstance(shape, tuple) else [shape]
        require(about.get("inputs") == wanted, "its inputs have another shape than the model's")
        model.weights = read_arrays(folder / "network-1.npz")
        return model

    def _shape(self) -> Inputs:
        if self.features is not None:
            return self.features.width
        high, wide = self.size
        return (self.channels, high, wide) if self.channels_first else (high, wide, self.channels)

    def _inputs(self, cases: Cases) -> npt.NDArray[np.float32]:
        if self.features is not None:
            return self.features.transform(cases).astype(np.float32)
        assert isinstance(cases, Images)
        pixels = cases.load(self.size, self.channels)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)) if self.channels_first else pixels

    def _ready(self, context: Context) -> Network:
        """Return the network with what it has learnt, on the device that is asked for."""
        if self._network is None or self._asked_on != context.device:
            network = self.network(self._shape(), None, context)
            with network.scope():
                if _form(network.weights()) != _form(self.weights):
                    raise BundleError("the stored weights do not fit the network that build makes", hint="train again")
                network.set_weights(self.weights)
            self._network, self._asked_on = network, context.device
        return self._network


def fitting(found: tuple[int, ...], inputs: Inputs, outputs: int) -> None:
    """Refuse a network by the shape of its answer to one case.

    Raises
    ------
    PluginError
        If it is not (1, outputs).
    """
    if found != (1, outputs):
        raise PluginError(
            f"the network of build({inputs}, {outputs}) answers {found} to one case",
            hint=f"its last layer must have {outputs} units and no activation",
        )


def blank(inputs: Inputs) -> npt.NDArray[np.float32]:
    """Return one case of zeros, to see how a network answers."""
    return np.zeros((1, *inputs) if isinstance(inputs, tuple) else (1, inputs), dtype=np.float32)


def _form(arrays: Arrays) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (values.shape, values.dtype.kind) for name, values in arrays.items()}
