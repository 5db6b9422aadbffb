"""Hyper-parameters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from medtasks.model import Config

Intensities = Literal["equalised", "local", "standardised", "plain"]
"""How a network sees the intensities of an image: evenly spread, against those around, with mean 0 and variance 1, or
as they are."""


def _several(value: object) -> object:
    """Read ``equalised,plain`` as two."""
    return tuple(value.split(",")) if isinstance(value, str) else value


class TrainingConfig(Config):
    """What every network here is trained with."""

    epochs: int = Field(16, ge=1)
    """Passes over the training images."""
    batch: int = Field(64, ge=1)
    """Images per step."""
    balanced: bool = True
    """Weigh classes so that each counts the same, however rare."""
    patience: int = Field(10, ge=1)
    """Stop when the validation log-loss has not improved for this many epochs, and take the best ones' weights;
    training that comes to its end keeps the last ones, at which the learning rate has come to rest."""
    precision: Literal["auto", "float32", "mixed"] = "auto"
    """`mixed` computes in bfloat16 where that is safe; `auto` does so on a GPU."""


class ImageCNNConfig(TrainingConfig):
    """Hyper-parameters of `diagnosis.image-cnn`.

    Chosen inside PneumoniaMNIST's training part alone: its images were clustered by what films look like whatever they
    show, and settings compared on clusters left out of training, each at the threshold of its own validation cases.
    16 epochs helped most over 8, 40 no more; `keep` of 0.7 more than 0.3; averaging views did not, nor did a width of
    20 or 24 over 16, which takes 0.6 of the time of 24. On the darkest films, the softest, and the bright ones of
    little contrast (three clusters, the mean of one or two networks) a network was right in .971 if it sees equalised
    intensities, in .973 if local contrast, in .958 if intensities as they are; two of each of the first two in .978
    (AUROC .9974, log-loss .067), two equalised and one as they are in .975 (.9969, .073), two equalised and one of
    local contrast in .975 (.9971, .067): the fourth network raised the accuracy, local contrast the rest. The mean of
    the last epochs' weights gained too little to tell (.0004), amplitudes exchanged between images (Xu et al. 2021,
    doi:10.1109/CVPR46437.2021.01415; two clusters) nothing.
    """

    size: int = Field(0, ge=0, le=512)
    """Side of the square that images are brought to, in pixels; 0 takes the images' own, within 28 and 64."""
    width: int = Field(16, ge=4)
    """Channels of the first stage; they double from stage to stage."""
    blocks: tuple[int, ...] = Field((1, 1, 1), min_length=1, max_length=5)
    """Residual blocks of each stage."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of the embedding that is dropped in training."""
    members: int = Field(4, ge=1, le=20)
    """Networks in the ensemble."""
    intensities: Annotated[tuple[Intensities, ...], BeforeValidator(_several)] = Field(
        ("equalised", "local"), min_length=1
    )
    """How the members, in turn, see an image's intensities: `equalised` (what exposure, windowing or film did to them
    all is gone), `local` (each against those around: what shading or haze did is gone), `standardised` (mean 0,
    variance 1), `plain`."""
    views: int = Field(1, ge=1, le=64)
    """Versions of each image that are averaged when predicting; 1 takes the image alone, which the explanation
    then shows exactly. More cost as many times the work, and gained nothing on training images left out."""
    least_steps: int = Field(600, ge=0)
    """Small data get more epochs until training has this many steps; 0 keeps to `epochs`."""
    rate: float = Field(4e-3, gt=0)
    """Peak learning rate of AdamW."""
    decay: float = Field(0.02, ge=0)
    """Weight decay of AdamW, on kernels alone."""
    smoothing: float = Field(0.05, ge=0, lt=1)
    """Label smoothing."""
    flip: bool = False
    """Whether a mirrored image may occur: not in the chest, where left is not right."""
    rotation: float = Field(15.0, ge=0, le=180)
    """Degrees to either side by which images are turned."""
    zoom: float = Field(0.2, ge=0, le=1)
    """Log of the largest change of scale."""
    shift: float = Field(0.1, ge=0, le=0.5)
    """Largest shift, as a share of the side."""
    intensity: float = Field(1.0, ge=0, le=2)
    """Strength of the changes of contrast, brightness, gamma, sharpness and shading; 0 switches them off."""
    keep: float = Field(0.7, ge=0, le=1)
    """Share of the images left as they are."""


class SeedCNNConfig(TrainingConfig):
    """Hyper-parameters of `diagnosis.seed-cnn`; the defaults are the founding article's choices."""

    epochs: int = Field(10, ge=1)
    """Passes over the training images."""
    batch: int = Field(32, ge=1)
    """Images per step."""
    balanced: bool = False
    """Weigh classes so that each counts the same, however rare."""
    size: int = Field(224, ge=8, le=512)
    """Side of the square that images are brought to, in pixels."""
    channels: Literal[1, 3] = 3
    """1 for grey, 3 for colour (grey images are repeated)."""
    filters: int = Field(32, ge=1)
    """Filters of the convolution."""
    dense: int = Field(128, ge=1)
    """Units of the dense layer."""
    rate: float = Field(1e-3, gt=0)
    """Learning rate of Adam."""
