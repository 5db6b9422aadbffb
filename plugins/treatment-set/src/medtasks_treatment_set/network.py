"""The network: hidden layers that all medicines share, in ``keras.ops`` alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks_keras import load_keras

keras = load_keras()
ops, layers = keras.ops, keras.layers


@dataclass(frozen=True)
class Shape:
    """What a network is built from; ``structures`` is the number of columns that describe a medicine, or 0."""

    columns: int
    medicines: int
    hidden: int
    layers: int
    dropout: float
    structures: int


class MedicationNet(keras.Model):  # type: ignore[misc, name-defined]  # Keras has no types
    """Log-odds of each medicine from a patient's features.

    A medicine's weights on the hidden layer are the sum of a part of its own and a projection of its structure, so
    that what is learnt of one medicine serves those alike; the own part carries what structure does not tell.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.hidden_layers = [layers.Dense(shape.hidden, activation="relu") for _ in range(shape.layers)]
        self.drop = layers.Dropout(shape.dropout)
        own = keras.initializers.RandomNormal(stddev=0.01 if shape.structures else shape.hidden**-0.5)
        self.own = self.add_weight(name="own_kernel", shape=(shape.hidden, shape.medicines), initializer=own)
        self.base = self.add_weight(name="base_bias", shape=(shape.medicines,), initializer="zeros")
        if shape.structures:
            size = (shape.structures, shape.medicines)
            self.described = self.add_weight(name="structures", shape=size, initializer="zeros", trainable=False)
            self.projection = self.add_weight(
                name="projection_kernel", shape=(shape.hidden, shape.structures), initializer="glorot_uniform"
            )

    def call(self, x: Any, training: bool = False) -> Any:
        """Return (n, medicines) log-odds."""
        for layer in self.hidden_layers:
            x = self.drop(layer(x), training=training)
        return ops.matmul(x, self.kernel()) + self.base

    def kernel(self) -> Any:
        """Return (hidden, medicines): each medicine's weights on the last hidden layer."""
        if not self.shape.structures:
            return self.own
        return self.own + ops.matmul(self.projection, self.described)

    def parts(self) -> tuple[list[tuple[npt.NDArray[Any], npt.NDArray[Any]]], npt.NDArray[Any], npt.NDArray[Any]]:
        """Return kernel and bias of each hidden layer, the medicines' kernel and their base log-odds, as arrays."""
        hidden = [
            (ops.convert_to_numpy(layer.kernel), ops.convert_to_numpy(layer.bias)) for layer in self.hidden_layers
        ]
        return hidden, np.asarray(ops.convert_to_numpy(self.kernel())), np.asarray(ops.convert_to_numpy(self.base))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the mean log-loss over the medicines that are known; ``y`` is 0 or 1, and -1 where not known."""
        known = ops.cast(y >= 0, y_pred.dtype)
        # log-loss from logits: log(1 + e^z) - y z
        loss = known * (ops.softplus(y_pred) - ops.maximum(y, 0.0) * y_pred)
        return ops.sum(loss) / ops.maximum(ops.sum(known), 1.0)


def build(shape: Shape) -> Any:
    """Return an untrained network whose weights exist."""
    network = MedicationNet(shape)
    network(np.zeros((1, shape.columns), dtype=np.float32))
    return network


def optimiser(rate: float, decay: float, steps: int) -> Any:
    """Return AdamW (Loshchilov & Hutter 2019) with cosine decay of the rate."""
    schedule = keras.optimizers.schedules.CosineDecay(rate, max(steps, 1), alpha=0.02)
    found = keras.optimizers.AdamW(schedule, weight_decay=decay, global_clipnorm=5.0)
    found.exclude_from_weight_decay(var_names=["bias"])
    return found
