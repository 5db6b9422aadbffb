"""The network that medtasks began with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from medtasks.cases import Images
from medtasks.dataset import Dataset
from medtasks.model import Context
from medtasks_image_cnn.config import SeedCNNConfig
from medtasks_image_cnn.model import KerasImages
from medtasks_image_cnn.training import Fit

Array = npt.NDArray[Any]


class SeedCNN(KerasImages):
    """The founding article's network: one convolution, max pooling, two dense layers, at 224 x 224 x 3.

    50 million weights in one dense layer: kept as the point of departure, not as advice.
    """

    toy_config: ClassVar[Mapping[str, Any]] = {"size": 16, "channels": 1, "filters": 8, "dense": 16, "epochs": 16}

    class Config(SeedCNNConfig):
        """Hyper-parameters of the founding article's network."""

    def choose_input(self, images: Images) -> tuple[int, int]:
        """Take the size and the channels of the configuration, whatever the images have."""
        return self.config.size, self.config.channels

    def build(self, member: int) -> Any:
        """Return the network."""
        from medtasks_image_cnn.network import plain

        return plain(self.size, self.channels, self.classes, filters=self.config.filters, dense=self.config.dense)

    def plan(self, member: int, train: Dataset, context: Context) -> Fit:
        """Fit with Adam and categorical cross-entropy, the images as they are."""
        from medtasks_image_cnn.network import adam

        return Fit(
            self.config, seed=context.seed, optimiser=lambda steps: adam(self.config.rate), epochs=self.config.epochs
        )

    def attention(self, member: int, images: Array, target: int) -> Array:
        """Return the Grad-CAM: the gradient passes the dense layer where its units are active."""
        features, dense = self.tap(member, "features", images), self.tap(member, "embedding", images)
        kernel = np.asarray(self._networks[member].get_layer("embedding").get_weights()[0])
        slope = ((dense > 0) * self.head(member, "probabilities", target)) @ kernel.T
        # Grad-CAM weighs each filter by the mean of its gradient over positions.
        weights = slope.reshape(features.shape).mean(axis=(1, 2))
        maps: Array = np.einsum("nhwc,nc->nhw", features, weights)
        return maps
