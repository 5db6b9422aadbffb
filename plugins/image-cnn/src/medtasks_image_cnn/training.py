"""Fitting one network: batches, schedule, class weights, early stopping, checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases import Images
from medtasks.cases.images import parallel
from medtasks.dataset import Dataset
from medtasks.model import Context
from medtasks_image_cnn.config import TrainingConfig
from medtasks_keras import Device, TrainingState, load_keras

Array = npt.NDArray[Any]
Change = Callable[[Array, np.random.Generator], Array]

HELD_BYTES = 2 * 2**30
"""Training images are held in memory up to this size; larger sets are decoded anew in each epoch."""
PREDICT_BATCH = 256
XLA_STEPS = 200
"""XLA compiles for 5 s on two cores, then saves 45 of 155 ms a step (64 px, batch 32): short trainings go without."""


class Pixels:
    """Images at the network's size: held in memory if they fit, else decoded when asked for."""

    def __init__(self, images: Images, size: int, channels: int) -> None:
        self.images, self.size, self.channels = images, (size, size), channels
        fits = 4 * len(images) * size * size * channels <= HELD_BYTES
        self.held = images.load(self.size, channels) if fits else None

    def take(self, rows: Array) -> Array:
        """Return (rows, size, size, channels) in [0, 1]."""
        if self.held is not None:
            found: Array = self.held[rows]
            return found
        return self.images.load(self.size, self.channels, rows)


@dataclass(frozen=True)
class Fit:
    """How one network is fitted: its hyper-parameters, seed, change of images, label smoothing and optimiser.

    ``optimiser`` takes the number of steps and returns a Keras optimiser.
    """

    config: TrainingConfig
    seed: int
    optimiser: Callable[[int], Any]
    change: Change | None = None
    smoothing: float = 0.0
    epochs: int = 1


def fit(
    build: Callable[[], Any],
    how: Fit,
    train: Dataset,
    pixels: Pixels,
    valid: Dataset,
    valid_pixels: Pixels,
    device: Device,
    context: Context,
    place: str,
) -> list[Array]:
    """Train one network and return its weights.

    The seed of each epoch is its own, so that a training that goes on from a checkpoint ends with the very
    weights of one that was never interrupted (on one CPU).
    """
    keras = load_keras()
    keras.utils.set_random_seed(how.seed)
    epochs, steps = how.epochs, steps_of(len(train), how.config.batch)
    with device.scope():
        model = build()
        model.compile(
            optimizer=how.optimiser(steps * epochs),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=how.smoothing),
            jit_compile=_jit(device, steps * epochs),
        )
        model.optimizer.build(model.trainable_variables)
        reader = answering(model)
        state = TrainingState(model, context.checkpoint / place if context.checkpoint else None)
        for epoch in context.progress.track(range(state.epoch, epochs), place, epochs - state.epoch):
            _learn(model, Batches(train, pixels, how, epoch), device)
            loss = _log_loss(reader, valid_pixels, valid)
            state.after(epoch, loss)
            if epoch - state.best_epoch >= how.config.patience or context.late():
                state.restore_best()
                break
        weights: list[Array] = [np.asarray(weight) for weight in model.get_weights()]
        return weights


def class_weights(targets: Array, classes: int) -> npt.NDArray[np.float32]:
    """Return n / (classes x count) for each class: each weighs the same, the mean over cases is 1."""
    counts = np.maximum(np.bincount(targets, minlength=classes), 1)
    return (len(targets) / (classes * counts)).astype(np.float32)


class Batches:
    """One epoch's batches of one size, shuffled and changed by the epoch's own seed.

    Each is drawn with a seed of its own, whatever the order they are asked for in. The cases that fill no whole
    batch are left out of this epoch: another shape would be compiled anew, and a batch of two upsets batch
    normalisation.
    """

    def __init__(self, train: Dataset, pixels: Pixels, how: Fit, epoch: int) -> None:
        self.pixels, self.how, self.epoch = pixels, how, epoch
        self.size = min(how.config.batch, len(train))
        self.truth = np.eye(len(train.classes), dtype=np.float32)[train.targets]
        weights = class_weights(train.targets, len(train.classes)) if how.config.balanced else None
        self.weights = np.ones(len(train), dtype=np.float32) if weights is None else weights[train.targets]
        self.order = np.random.default_rng([how.seed, epoch]).permutation(len(train))

    def __len__(self) -> int:
        return steps_of(len(self.order), self.size)

    def __getitem__(self, index: int) -> tuple[Array, Array, Array]:
        rows = self.order[index * self.size : (index + 1) * self.size]
        images = self.pixels.take(rows)
        if self.how.change is not None:
            images = self.how.change(images, np.random.default_rng([self.how.seed, self.epoch, index]))
        return images, self.truth[rows], self.weights[rows]


def steps_of(cases: int, batch: int) -> int:
    """Return the number of whole batches; small data are one batch."""
    return max(1, cases // batch)


def answering(model: Any) -> Any:
    """Return the same network (the same weights) for answering batches of any size, without XLA on TensorFlow.

    `predict_on_batch` of it, and not `predict`, which sets up a pipeline at each call: seconds, for a few images.
    """
    keras = load_keras()
    reader = keras.Model(model.inputs, model.outputs)
    reader.compile(jit_compile=False if keras.backend.backend() == "tensorflow" else "auto")
    return reader


def _jit(device: Device, steps: int) -> bool | str:
    if load_keras().backend.backend() != "tensorflow":
        return "auto"
    return device.kind == "cpu" and steps >= XLA_STEPS


def _learn(model: Any, batches: Batches, device: Device) -> None:
    """Make one step for each batch, the next ones being drawn meanwhile."""
    if len(device.names) > 1:  # only `fit` divides a batch among GPUs
        model.fit(_as_dataset(batches), verbose=0, shuffle=False)
        return
    for batch in parallel(batches.__getitem__, range(len(batches))):
        model.train_on_batch(*batch)


def _as_dataset(batches: Batches) -> Any:
    class Wrapped(load_keras().utils.PyDataset):  # type: ignore[misc]  # Keras has no types
        """The batches, as `fit` takes them."""

        def __len__(self) -> int:
            return len(batches)

        def __getitem__(self, index: int) -> tuple[Array, Array, Array]:
            return batches[index]

    return Wrapped()


def _log_loss(model: Any, pixels: Pixels, valid: Dataset) -> float:
    total = 0.0
    for start in range(0, len(valid), PREDICT_BATCH):
        rows = np.arange(start, min(start + PREDICT_BATCH, len(valid)))
        found = np.asarray(model.predict_on_batch(pixels.take(rows)))
        own = found[np.arange(len(rows)), valid.targets[rows]]
        total -= float(np.log(np.clip(own.astype(np.float64), 1e-7, 1)).sum())
    return total / len(valid)
