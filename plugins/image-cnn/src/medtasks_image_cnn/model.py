"""The models: an ensemble of small residual networks, and what it shares with any network of images."""

from __future__ import annotations

import functools
import json
import math
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import Cases, Images
from medtasks.dataset import Dataset
from medtasks.errors import BundleError
from medtasks.model import Context, Model
from medtasks_image_cnn.config import ImageCNNConfig
from medtasks_image_cnn.training import PREDICT_BATCH, Fit, Pixels, answering, fit, steps_of
from medtasks_keras import Device, choose, load_keras, read_weights, write_weights

Array = npt.NDArray[Any]
LEAST_SIZE, MOST_SIZE = 28, 64
"""Bounds of the automatic size: below, three stages leave nothing; above, training on two cores takes hours."""


class KerasImages(Model):
    """A model made of one or several Keras networks that see square images of one size."""

    task: ClassVar[str] = "diagnosis"
    accepts: ClassVar[str] = "images"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "gpu")
    unsaid: ClassVar[Mapping[str, Any]] = {}
    """Of settings that came later, what networks stored before were built with."""

    size: int
    channels: int
    classes: int

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.weights: list[list[Array]] = []
        self._networks: list[Any] = []
        self._device: Device | None = None
        self._taps: dict[tuple[int, str], Any] = {}

    @abstractmethod
    def build(self, member: int) -> Any:
        """Return an untrained Keras network whose last layer gives class probabilities."""

    @abstractmethod
    def plan(self, member: int, train: Dataset, context: Context) -> Fit:
        """Say how a member is to be fitted."""

    @abstractmethod
    def choose_input(self, images: Images) -> tuple[int, int]:
        """Return the size (pixels a side) and the number of channels that training images call for."""

    @property
    def members(self) -> int:
        """The number of networks."""
        return 1

    def views(self, images: Array) -> list[Array]:
        """Return the versions of images whose answers are averaged."""
        return [images]

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Train every member; see `medtasks_image_cnn.training.fit`."""
        device = choose(context, self.config.precision)
        assert isinstance(train.cases, Images)
        assert isinstance(valid.cases, Images)
        self.classes = len(train.classes)
        self.size, self.channels = self.choose_input(train.cases)
        pixels = Pixels(train.cases, self.size, self.channels)
        valid_pixels = Pixels(valid.cases, self.size, self.channels)
        self.weights, self._networks = [], []
        for member in context.progress.track(range(self.members), "networks"):
            how = self.plan(member, train, context)
            self.weights.append(
                fit(
                    functools.partial(self.build, member),
                    how,
                    train,
                    pixels,
                    valid,
                    valid_pixels,
                    device,
                    context,
                    f"network-{member + 1}",
                )
            )

    def predict(self, cases: Cases, *, context: Context) -> Array:
        """Return class probabilities (n, classes): the mean over members and views."""
        return self._over_batches(cases, context, self._probabilities) if len(cases) else np.zeros((0, self.classes))

    def embed(self, cases: Cases, *, context: Context) -> Array:
        """Return (n, d): the members' embeddings side by side."""

        def embedding(images: Array) -> Array:
            parts = [self.tap(member, "embedding", images) for member in range(self.members)]
            return np.concatenate(parts, axis=1)

        return self._over_batches(cases, context, embedding)

    def explain(self, cases: Cases, target: int, *, context: Context) -> Array:
        """Return (n, h, w) maps of what speaks for class ``target``: Grad-CAM, the mean over members.

        Selvaraju et al. 2017 (doi:10.1109/ICCV.2017.74), with signs kept, of the logit of ``target`` against
        the mean of the others. The gradients are written out (`attention`), so that any backend will do.
        """

        def maps(images: Array) -> Array:
            found = [self.attention(member, images, target) for member in range(self.members)]
            return np.asarray(np.mean(found, axis=0))

        return self._over_batches(cases, context, maps)

    @abstractmethod
    def attention(self, member: int, images: Array, target: int) -> Array:
        """Return the Grad-CAM (n, h, w) of one network."""

    def save(self, folder: Path) -> None:
        """Write the networks' parameters as JSON and their weights as ``.npz``: no code, no pickle."""
        about = {
            "size": self.size,
            "channels": self.channels,
            "classes": self.classes,
            "config": self.config.model_dump(mode="json"),
        }
        (folder / "network.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
        write_weights(folder, self.weights)

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Rebuild the networks by this package's own code and give them the stored weights."""
        about = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        model = cls(cls.Config.model_validate({**cls.unsaid, **about["config"]}))
        model.size, model.channels, model.classes = about["size"], about["channels"], about["classes"]
        model.weights = read_weights(folder, model.members)
        return model

    def _ready(self, context: Context) -> Device:
        """Build the networks when they are first asked for something."""
        if self._device is None or not self._networks:
            self._device = choose(context, "float32")
            with self._device.scope():
                self._networks = [answering(self.build(i)) for i in range(self.members)]
                for network, weights in zip(self._networks, self.weights, strict=True):
                    self._fill(network, weights)
        return self._device

    def _fill(self, network: Any, weights: list[Array]) -> None:
        shapes = [tuple(weight.shape) for weight in network.get_weights()]
        if shapes != [weight.shape for weight in weights]:
            raise BundleError("the stored weights do not fit the stored network", hint="train again")
        network.set_weights(weights)

    def _over_batches(self, cases: Cases, context: Context, work: Any) -> Array:
        assert isinstance(cases, Images)
        with self._ready(context).scope():
            parts = []
            for start in range(0, len(cases), PREDICT_BATCH):
                rows = np.arange(start, min(start + PREDICT_BATCH, len(cases)))
                parts.append(work(cases.load((self.size, self.size), self.channels, rows)))
        return np.asarray(np.concatenate(parts))

    def _probabilities(self, images: Array) -> Array:
        seen = self.views(images)
        found = [network.predict_on_batch(view) for network in self._networks for view in seen]
        total = np.asarray(np.sum(found, axis=0, dtype=np.float64))
        return np.asarray(total / total.sum(axis=1, keepdims=True))

    def tap(self, member: int, layer: str, images: Array) -> Array:
        """Return the output of a named layer of one network."""
        keras = load_keras()
        if (member, layer) not in self._taps:
            network = self._networks[member]
            self._taps[member, layer] = answering(keras.Model(network.inputs, network.get_layer(layer).output))
        return np.asarray(self._taps[member, layer].predict_on_batch(images), dtype=np.float32)

    def head(self, member: int, layer: str, target: int) -> Array:
        """Return the weights of a dense layer for ``target`` against the mean of the other columns."""
        kernel = np.asarray(self._networks[member].get_layer(layer).get_weights()[0], dtype=np.float32)
        against: Array = kernel[:, target] - np.delete(kernel, target, axis=1).mean(axis=1)
        return against


class ImageCNN(KerasImages):
    """An ensemble of small residual networks, trained to withstand a change of scanner or hospital.

    Pre-activation residual blocks (He et al. 2016, arXiv:1603.05027), global average pooling, strong changes
    of intensity and geometry in training, class weights, the mean over members and views in prediction.
    """

    toy_config: ClassVar[Mapping[str, Any]] = {
        "members": 1,
        "epochs": 8,
        "batch": 16,
        "least_steps": 0,
        "width": 8,
        "blocks": (1, 1),
    }

    unsaid: ClassVar[Mapping[str, Any]] = {"intensities": ("standardised", "plain")}

    class Config(ImageCNNConfig):
        """Hyper-parameters of the residual network."""

    @property
    def members(self) -> int:
        """The number of networks."""
        return int(self.config.members)

    def choose_input(self, images: Images) -> tuple[int, int]:
        """Take the images' own size within bounds, and colour only where there is some."""
        schema = images.schema()
        own = min(schema["height"], schema["width"])
        return self.config.size or int(np.clip(own, LEAST_SIZE, MOST_SIZE)), schema["channels"]

    def build(self, member: int) -> Any:
        """Return a residual network; the members see intensities in different ways, in turn.

        These fail under different shifts, which is what makes averaging help.
        """
        from medtasks_image_cnn.network import residual

        return residual(
            self.size,
            self.channels,
            self.classes,
            width=self.config.width,
            blocks=self.config.blocks,
            dropout=self.config.dropout,
            intensities=self.config.intensities[member % len(self.config.intensities)],
        )

    def plan(self, member: int, train: Dataset, context: Context) -> Fit:
        """Fit with AdamW on a warmed-up cosine schedule and with strong changes of the images."""
        from medtasks_image_cnn.augment import augment
        from medtasks_image_cnn.network import adamw

        config, strength = self.config, self._strength()
        steps = steps_of(len(train), config.batch)
        return Fit(
            config,
            seed=context.seed * 1000 + member,
            optimiser=lambda total: adamw(config.rate, config.decay, total),
            change=lambda images, rng: augment(images, strength, rng),
            smoothing=config.smoothing,
            epochs=max(config.epochs, math.ceil(config.least_steps / steps)),
        )

    def views(self, images: Array) -> list[Array]:
        """Return the images and fixed mild changes of them."""
        from medtasks_image_cnn.augment import views

        return views(images, self.config.views, self._strength())

    def attention(self, member: int, images: Array, target: int) -> Array:
        """Return the Grad-CAM: behind global average pooling and one dense layer the gradient is its weights."""
        features = self.tap(member, "features", images)
        maps: Array = features @ self.head(member, "probabilities", target)
        return maps

    def _strength(self) -> Any:
        from medtasks_image_cnn.augment import Strength

        config = self.config
        return Strength(
            rotation=config.rotation, zoom=config.zoom, shift=config.shift, flip=0.5 * config.flip, keep=config.keep
        ).intensified(config.intensity)
