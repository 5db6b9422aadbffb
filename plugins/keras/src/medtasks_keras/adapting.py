"""A model made of a Keras architecture: `from_keras`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from medtasks.adapting import Goal, Network, NetworkConfig, NetworkModel, blank, fitting
from medtasks.adapting.learning import ASKED
from medtasks.adapting.network import Inputs
from medtasks.errors import PluginError
from medtasks.model import Context, Model
from medtasks_keras.backend import Device, choose, load_keras
from medtasks_keras.checkpoint import Variables

Array = npt.NDArray[Any]
KerasConfig = NetworkConfig
"""Hyper-parameters of a model made by `from_keras`."""


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
        Hyper-parameters (`medtasks.adapting.NetworkConfig`) for the toy cases of `medtasks.testing`.
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
    if not callable(build) or (hasattr(build, "get_weights") and not isinstance(build, type)):
        raise PluginError(
            "from_keras takes a function that returns a new Keras model, not a model",
            hint="give build(inputs, outputs): each fit starts from a model of its own",
        )
    return KerasModel.adapted(build, task, accepts, size=size, channels=channels, toy_config=toy_config, about=about)


class KerasModel(NetworkModel):
    """The base of the classes that `from_keras` makes."""

    framework: ClassVar[str] = "Keras"

    def network(self, inputs: Inputs, seed: int | None, context: Context) -> Network:
        """Call the author's ``build`` and see that what it returns fits; see `NetworkModel.network`."""
        device = _one(choose(context, "float32"))
        with device.scope():
            if seed is not None:
                load_keras().utils.set_random_seed(seed)
            network = self.build(inputs, self.goal.outputs)
            if not isinstance(network, load_keras().Model):
                raise PluginError(f"build returned a {type(network).__name__}", hint="it must return a Keras model")
            # This makes the weights of a model that has no Input yet.
            fitting(tuple(network(blank(inputs)).shape), inputs, self.goal.outputs)
            # XLA takes seconds for each shape of a batch, which a prediction never earns back.
            network.compile(jit_compile=_jit())
        return KerasNetwork(network, device)


class KerasNetwork(Variables, Network):
    """A Keras model on a device, as `medtasks.adapting` trains it and asks it."""

    def __init__(self, model: Any, device: Device) -> None:
        super().__init__(model)
        self.device = device

    def scope(self) -> AbstractContextManager[None]:
        """Let the block run on the network's device."""
        return self.device.scope()

    def start(self, goal: Goal, rate: float) -> None:
        """Make Adam and the loss; see `loss`."""
        self.model.compile(load_keras().optimizers.Adam(rate), loss(goal), jit_compile=_jit())
        self.model.optimizer.build(self.model.trainable_variables)

    def seed(self, seed: int) -> None:
        """Seed what Keras, numpy and Python draw."""
        load_keras().utils.set_random_seed(seed)

    def step(self, x: Array, y: Array) -> None:
        """Learn from one batch."""
        self.model.train_on_batch(x, y)

    def answer(self, x: Array) -> Array:
        """Return what the last layer says; the batch is filled up, so that there is one shape to compile."""
        whole = np.zeros((ASKED, *x.shape[1:]), dtype=x.dtype)
        whole[: len(x)] = x
        return np.asarray(self.model.predict_on_batch(whole), dtype=np.float64)[: len(x)]


def loss(goal: Goal) -> Callable[[Any, Any], Any]:
    """Return the loss of (n, 2 x outputs), what is wanted beside what is known, and of (n, outputs) logits."""
    ops = load_keras().ops
    classes, count = np.array(goal.binary, dtype=np.float32), goal.outputs

    def exclusive(wanted: Any, raw: Any) -> Any:
        return -ops.mean(ops.sum(wanted[:, :count] * ops.log_softmax(raw, axis=1), axis=1))

    def columns(wanted: Any, raw: Any) -> Any:
        value, known = wanted[:, :count], wanted[:, count:]
        each = classes * (ops.softplus(raw) - value * raw) + (1 - classes) * ops.square(raw - value)
        return ops.sum(each * known) / ops.maximum(ops.sum(known), 1.0)

    return exclusive if goal.exclusive else columns


def _jit() -> Any:
    return False if load_keras().backend.backend() == "tensorflow" else "auto"


def _one(device: Device) -> Device:
    """Take the first of several GPUs: these networks are small."""
    return Device(device.kind, device.names[:1], device.policy)
