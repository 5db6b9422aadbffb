"""The networks and their optimisers, built from plain parameters with Keras alone."""

from __future__ import annotations

from typing import Any

from medtasks_keras import load_keras

keras = load_keras()
layers = keras.layers

# The residual stages start at this side at most: larger images pass average pooling behind the
# stem first, so the costliest stage never sees more than 48 x 48 positions.
_LARGEST_STAGE_SIDE = 48


def _norm(x: Any, name: str) -> Any:
    """Batch normalisation and ReLU; momentum 0.9 because a run has only ~1000 steps."""
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _conv(x: Any, width: int, kernel: int, name: str) -> Any:
    """A convolution without bias (He et al. 2015 initialisation)."""
    return layers.Conv2D(width, kernel, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)(x)


def _block(x: Any, width: int, name: str) -> Any:
    """One pre-activation residual block (He et al. 2016)."""
    out = _norm(x, f"{name}_a")
    short = x if x.shape[-1] == width else _conv(out, width, 1, f"{name}_short")
    out = _conv(out, width, 3, f"{name}_a")
    out = _norm(out, f"{name}_b")
    out = _conv(out, width, 3, f"{name}_b")
    return layers.Add(name=f"{name}_add")([short, out])


def residual(
    size: int,
    channels: int,
    classes: int,
    *,
    width: int = 16,
    blocks: tuple[int, ...] | list[int] = (1, 1, 1),
    dropout: float = 0.2,
    standardise: bool = False,
) -> Any:
    """Build the network: images in [0, 1] of (size, size, channels) in, class probabilities out.

    `blocks` holds the residual blocks of each stage; the width doubles and the side halves from
    stage to stage (average pooling: an anti-aliased step down). With `standardise`, each image is
    brought to mean 0 and variance 1 inside the network. The last feature map is the output of the
    layer "features", its mean the output of "embedding".
    """
    inputs = layers.Input((size, size, channels), name="image")
    if standardise:
        x = layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False, epsilon=1e-4, name="standardise")(
            inputs
        )
    else:  # [0, 1] to about [-2, 2]
        x = layers.Rescaling(4.0, offset=-2.0, name="scale")(inputs)
    x = _conv(x, width, 3, "stem")
    side = size
    while side > _LARGEST_STAGE_SIDE:
        x = layers.AveragePooling2D(2, padding="same", name=f"stem_down_{side}")(x)
        side = -(-side // 2)
    for stage, count in enumerate(blocks):
        if stage:
            x = layers.AveragePooling2D(2, padding="same", name=f"down_{stage}")(x)
        for index in range(count):
            x = _block(x, width * 2**stage, f"stage_{stage}_{index}")
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="last_norm")(x)
    x = layers.Activation("relu", name="features")(x)
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    # float32 even where the rest is computed in half precision: probabilities must sum to one
    outputs = layers.Dense(classes, activation="softmax", name="probabilities", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="small_residual_net")


def plain(size: int, channels: int, classes: int, *, filters: int, dense: int) -> Any:
    """Build the founding article's network: convolution 3 x 3, max pooling 2 x 2, flatten, dense, softmax.

    The pooled feature map is the output of the layer "features", the dense layer's that of "embedding".
    """
    inputs = layers.Input((size, size, channels), name="image")
    x = layers.Conv2D(filters, 3, activation="relu", name="convolution")(inputs)
    x = layers.MaxPooling2D(2, name="features")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(dense, activation="relu", name="embedding")(x)
    outputs = layers.Dense(classes, activation="softmax", name="probabilities", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="plain_net")


def adamw(rate: float, decay: float, steps: int) -> Any:
    """Return AdamW (Loshchilov & Hutter 2019) with a warm-up over a tenth of the steps, then cosine decay to 0."""
    warm = max(1, steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, max(steps - warm, 1), warmup_target=rate, warmup_steps=warm)
    optimiser = keras.optimizers.AdamW(schedule, weight_decay=decay)
    optimiser.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimiser


def adam(rate: float) -> Any:
    """Return Adam with a fixed learning rate."""
    return keras.optimizers.Adam(rate)
