"""The networks and their optimisers, built from plain parameters with Keras alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from medtasks_image_cnn.config import Intensities
from medtasks_keras import load_keras

keras = load_keras()
layers = keras.layers

# The residual stages start at this side at most: larger images pass average pooling behind the
# stem first, so the costliest stage never sees more than 48 x 48 positions.
_LARGEST_STAGE_SIDE = 48
_STEPS = 32  # of equalisation: an image of 28 x 28 has about 25 pixels in each
_NEIGHBOURHOOD = 7  # sides of neighbourhoods' standard deviation: a lung's width holds two or three
_FLOOR = 0.02  # of local contrast, 5 of 255 levels: what is fainter is noise, not to be blown up


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


class Equalise(load_keras().layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Brings each image to evenly spread intensities with mean 0 and variance 1.

    Histogram equalisation: a pixel becomes the share of the image's pixels that are darker. What a monotone curve
    did to the intensities (exposure, windowing, film) is gone; colours have one curve, so that they keep their order.
    Between `_STEPS` levels the share is interpolated.
    """

    def call(self, images: Any) -> Any:
        """Return images of the same shape."""
        ops = keras.ops
        shares, width = 0.0, 1 / _STEPS
        below = ops.mean(ops.cast(images <= 0, images.dtype), axis=(1, 2, 3), keepdims=True)
        for step in range(_STEPS):
            within = ops.clip((images - step * width) / width, 0, 1)
            upto = ops.mean(ops.cast(images <= (step + 1) * width, images.dtype), axis=(1, 2, 3), keepdims=True)
            shares, below = shares + (upto - below) * within, upto
        return (shares - 0.5) * 12**0.5  # an even spread over [0, 1] has the variance 1/12


class LocalContrast(load_keras().layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Brings each neighbourhood of an image to mean 0 and, if it has any contrast, variance 1.

    Local contrast normalisation with Gaussian neighbourhoods (Pinto et al. 2008, doi:10.1371/journal.pcbi.0040027;
    Jarrett et al. 2009, doi:10.1109/ICCV.2009.5459469): shading, haze and local exposure are gone. Colours share one
    mean and one contrast, so that they keep their differences. Edges are continued.
    """

    def build(self, input_shape: Any) -> None:
        """Make the matrices that blur along either axis: no weights, so a bundle stores none."""
        from scipy.ndimage import gaussian_filter1d

        self._blurs = [
            gaussian_filter1d(np.eye(side, dtype=np.float32), side / _NEIGHBOURHOOD, axis=0, mode="nearest")
            for side in input_shape[1:3]
        ]

    def call(self, images: Any) -> Any:
        """Return images of the same shape."""
        ops = keras.ops
        from_mean = images - self._blur(ops.mean(images, axis=-1, keepdims=True))
        contrast = ops.sqrt(self._blur(ops.mean(ops.square(from_mean), axis=-1, keepdims=True)))
        return from_mean / (contrast + _FLOOR)

    def _blur(self, images: Any) -> Any:
        down, across = self._blurs
        return keras.ops.einsum("yi,xj,nijc->nyxc", down, across, images)


def residual(
    size: int,
    channels: int,
    classes: int,
    *,
    width: int = 16,
    blocks: tuple[int, ...] | list[int] = (1, 1, 1),
    dropout: float = 0.2,
    intensities: Intensities = "plain",
) -> Any:
    """Build the network: images in [0, 1] of (size, size, channels) in, class probabilities out.

    `blocks` holds the residual blocks of each stage; the width doubles and the side halves from
    stage to stage (average pooling: an anti-aliased step down). `intensities` is how the network sees
    them: as they are, each image brought to mean 0 and variance 1, equalised (`Equalise`), or by their
    local contrast (`LocalContrast`). The last feature map is the output of the layer "features", its mean
    the output of "embedding".
    """
    inputs = layers.Input((size, size, channels), name="image")
    if intensities == "equalised":
        x = Equalise(name="equalise", dtype="float32")(inputs)  # half precision has too few steps between 0 and 1
    elif intensities == "local":
        x = LocalContrast(name="local_contrast", dtype="float32")(inputs)
    elif intensities == "standardised":
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
