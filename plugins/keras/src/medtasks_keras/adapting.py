"""A model made of a Keras architecture: `from_keras`."""

from __future__ import annotations

import json
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from medtasks.adapting import Features, Goal
from medtasks.adapting.goal import accepted
from medtasks.cases import Cases, Images
from medtasks.dataset import Dataset
from medtasks.errors import BundleError, PluginError
from medtasks.model import Config as BaseConfig
from medtasks.model import Context, Model
from medtasks.stored import Arrays, read_arrays, read_json, refuse, require
from medtasks_keras.backend import Device, choose, load_keras
from medtasks_keras.learning import answer, learn
from medtasks_keras.weights import Weights, read_weights, write_weights

Array = npt.NDArray[Any]
KINDS = ("records", "images", "molecules", "patients/arm", "patients/set", "patients/dose")
"""Kinds of cases that can be turned into tensors."""
STEP = 2048
"""Cases turned into tensors at a time."""


class KerasConfig(BaseConfig):
    """Hyper-parameters of a model made by `from_keras`."""

    epochs: int = Field(default=100, ge=1)
    """Passes over the training cases, at most."""
    patience: int = Field(default=15, ge=1)
    """Epochs without a lower loss on validation after which training stops; the best epoch's weights are taken."""
    batch: int = Field(default=32, ge=1)
    """Cases per step."""
    rate: float = Field(default=1e-3, gt=0)
    """Learning rate of Adam."""


def from_keras(
    build: Callable[..., Any],
    task: str = "diagnosis",
    accepts: str | None = None,
    *,
    size: tuple[int, int] = (28, 28),
    channels: int = 1,
    toy_config: Mapping[str, Any] | None = None,
    about: str = "",
) -> type[Model]:
    """Make a model of a Keras architecture, to be named by an entry point.

    Its last layer is linear: softmax, sigmoid and the loss are the adapter's, as the task asks (cross-entropy for
    classes, squared error for standardised numbers, nothing where a value is not known). Records and patients become
    standardised columns, molecules counts of substructures (`medtasks.adapting.Features`), images pixels in [0, 1].
    Adam trains it on one device in float32; validation says when to stop. A bundle holds its weights alone: `load`
    calls ``build`` again, so that an architecture that was changed since refuses older bundles.

    Parameters
    ----------
    build
        ``build(inputs, outputs)`` returns a new Keras model from (n, inputs) to (n, outputs); for images ``inputs`` is
        (height, width, channels).
    task, accepts
        What the model answers; without ``accepts`` the first kind of cases that there is for the task.
    size, channels
        Of images: height and width in pixels, and 1 for grey or 3 for colour.
    toy_config
        Hyper-parameters (`KerasConfig`) for the toy cases of `medtasks.testing`.
    about
        A sentence for `medtasks models`.

    Raises
    ------
    PluginError
        If there is no such pair of task and cases, or ``build`` cannot be called.

    Examples
    --------
    >>> def build(inputs, outputs):
    ...     from keras import Sequential, layers
    ...     return Sequential([layers.Input((inputs,)), layers.Dense(16, "relu"), layers.Dense(outputs)])
    >>> Mine = from_keras(build, task="treatment", accepts="patients/dose")
    >>> Mine.devices
    ('cpu', 'gpu')
    """
    kind = accepted(task, accepts, kinds=KINDS)
    if not callable(build) or (hasattr(build, "get_weights") and not isinstance(build, type)):
        raise PluginError(
            "from_keras takes a function that returns a new Keras model, not a model",
            hint="give build(inputs, outputs): each fit starts from a model of its own",
        )
    content = {
        "__doc__": about or f"A Keras network on {kind}.",
        "__module__": __name__,
        "task": task,
        "accepts": kind,
        "toy_config": dict(toy_config or {}),
        "build": staticmethod(build),
        "size": tuple(size),
        "channels": channels,
    }
    return type("KerasModel", (KerasModel,), content)


class KerasModel(Model):
    """The base of the classes that `from_keras` makes."""

    devices: ClassVar[tuple[str, ...]] = ("cpu", "gpu")
    size: ClassVar[tuple[int, int]]
    channels: ClassVar[int]
    goal: Goal
    features: Features | None
    weights: Weights

    class Config(KerasConfig):
        """Hyper-parameters of the training."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._network: Any = None
        self._device: Device | None = None

    @staticmethod
    @abstractmethod
    def build(inputs: Any, outputs: int) -> Any:
        """Return a new Keras model: what the author gave to `from_keras`."""

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Train the network; ``valid`` says when to stop."""
        self.goal = Goal.fit(train, self.accepts)
        self.features = None if isinstance(train.cases, Images) else Features.fit(train.cases)
        self._device = _one(choose(context, "float32"))
        with self._device.scope():
            load_keras().utils.set_random_seed(context.seed)
            self._network = self._built()
            parts = [(self._inputs(data.cases), self.goal.wanted(data)) for data in (train, valid)]
            learn(self._network, self.config, self.goal, parts[0], parts[1], context)
            self.weights = [np.asarray(weight) for weight in self._network.get_weights()]

    def predict(self, cases: Cases, *, context: Context) -> Array:
        """Return what the task asks for: probabilities (n, classes), numbers (n, targets), ..."""
        network, raw = self._ready(context), [np.zeros((0, self.goal.outputs))]
        assert self._device is not None
        with self._device.scope():
            for start in range(0, len(cases), STEP):
                part = cases.take(np.arange(start, min(start + STEP, len(cases))))
                raw.append(answer(network, self._inputs(part), self.goal.outputs))
        return self.goal.from_logits(np.concatenate(raw))

    def save(self, folder: Path) -> None:
        """Write weights and features as arrays, and as JSON what they mean: no code, no pickle."""
        arrays = {} if self.features is None else self.features.save(folder)
        if arrays:  # images and molecules have nothing to store, and an empty archive is no archive to its readers
            np.savez(folder / "features.npz", allow_pickle=False, **arrays)
        shape = [*self.size, self.channels] if self.features is None else [self.features.width]
        about = {"goal": self.goal.as_json(), "inputs": shape}
        (folder / "network.json").write_text(json.dumps(about), encoding="utf-8")
        write_weights(folder, [self.weights])

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
        shape = [*cls.size, cls.channels] if model.features is None else [model.features.width]
        require(about.get("inputs") == shape, "its inputs have another shape than the model's")
        try:
            (model.weights,) = read_weights(folder, 1)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            refuse(f"its weights cannot be read ({type(error).__name__})")
        return model

    def _inputs(self, cases: Cases) -> Array:
        if self.features is not None:
            return self.features.transform(cases).astype(np.float32)
        assert isinstance(cases, Images)
        return cases.load(self.size, self.channels)

    def _built(self) -> Any:
        """Call the author's ``build`` and see that what it returns fits."""
        inputs = (*self.size, self.channels) if self.features is None else self.features.width
        network = self.build(inputs, self.goal.outputs)
        if not isinstance(network, load_keras().Model):
            raise PluginError(f"build returned a {type(network).__name__}", hint="it must return a Keras model")
        blank = np.zeros((1, *inputs) if isinstance(inputs, tuple) else (1, inputs), dtype=np.float32)
        found = tuple(network(blank).shape)  # makes the weights of a model that has no Input yet
        if found != (1, self.goal.outputs):
            raise PluginError(
                f"the network of build({inputs}, {self.goal.outputs}) answers {found} to one case",
                hint=f"its last layer must have {self.goal.outputs} units and no activation",
            )
        return network

    def _ready(self, context: Context) -> Any:
        if self._network is None or self._device is None:
            self._device = _one(choose(context, "float32"))
            with self._device.scope():
                network = self._built()
                if [tuple(weight.shape) for weight in network.get_weights()] != [w.shape for w in self.weights]:
                    raise BundleError("the stored weights do not fit the network that build makes", hint="train again")
                network.set_weights(self.weights)
                # XLA takes seconds for each shape of a batch, which a prediction never earns back.
                network.compile(jit_compile=False if load_keras().backend.backend() == "tensorflow" else "auto")
            self._network = network
        return self._network


def _one(device: Device) -> Device:
    """Take the first of several GPUs: these networks are small."""
    return Device(device.kind, device.names[:1], device.policy)
