"""Plain numbers that tell cases apart without any model: what a domain and a test of shift look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases.base import Cases
from medtasks.cases.encoding import RecordEncoder
from medtasks.cases.fingerprints import count_substructures
from medtasks.cases.image_files import resize
from medtasks.cases.images import Images
from medtasks.cases.molecules import Molecules
from medtasks.cases.records import Records

Values = npt.NDArray[np.float64]
SIDE = 32
"""Pixels to which images are shrunk: what tells scanners apart, brightness, contrast and frame, is left in."""
WIDTH = 256
"""Columns that a molecule's substructures are folded to: enough to tell collections apart."""

COARSE = 64
"""Side in pixels of the mean image: it is smooth, and holds no case's details."""
AVERAGED = 200
"""Patients, at most, whose first training image the mean image is of: one more would not be seen in it."""
FEWEST = 20
"""Of fewer patients there is no mean image: one could be seen in it."""
ALIGNED = 0.25
"""Share of an image's variance that the mean image must explain in the median (r of one half): else images show their
parts in places of their own, and it says nothing of what is usual in a place."""
STRONGEST = 2.0
"""Times the mean image's contrast that an image may have: the mean of images that are not aligned is faint by chance,
and would else be stretched to fit anything."""


@dataclass(frozen=True)
class Describer:
    """Describes cases of one kind.

    Attributes
    ----------
    encoder : what records need
    usual : (64, 64, 1 or 3) the mean of training images that are aligned, as films of one view are; else None
    """

    encoder: RecordEncoder | None = None
    usual: npt.NDArray[np.float32] | None = None

    @classmethod
    def fit(cls, cases: Cases, groups: npt.NDArray[Any] | None = None) -> Describer | None:
        """Learn from training cases what describing takes; None for a kind that it does not know.

        ``groups`` (n,) names the patient of each case; without it every case is one of its own.
        """
        if isinstance(cases, Records):
            return cls(RecordEncoder.fit(cases))
        if isinstance(cases, Images):
            return cls(usual=_usual(cases, groups))
        return cls() if isinstance(cases, Molecules) else None

    def __call__(self, cases: Cases) -> Values:
        """Return (n, d) numbers."""
        if isinstance(cases, Records):
            assert self.encoder is not None
            return self.encoder.transform(cases)
        if isinstance(cases, Molecules):
            return count_substructures(cases, WIDTH).astype(np.float64)
        assert isinstance(cases, Images)
        return np.concatenate([_pictures(part.load((SIDE, SIDE), 1)[..., 0]) for part in cases.chunks()])

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learnt, as arrays for an ``.npz`` file."""
        if self.usual is not None:
            return {"usual": self.usual}
        return {} if self.encoder is None else self.encoder.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], schema: Mapping[str, Any]) -> Describer:
        """Rebuild it from `to_arrays`, and the schema of the cases."""
        from medtasks.cases.records import fields_of

        if "usual" in arrays:
            return cls(usual=arrays["usual"])
        return cls(RecordEncoder.from_arrays(fields_of(dict(schema)), dict(arrays)) if arrays else None)


def shaped_like(usual: npt.NDArray[np.float32], image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean image (h, w, 1 or 3) at the size, and with the channels, of another (height, width, c)."""
    like = resize(usual, *image.shape[:2])
    if like.shape[2] == image.shape[2]:
        return like
    return np.repeat(like.mean(axis=2, keepdims=True), image.shape[2], axis=2)


def brought_to(
    usual: npt.NDArray[np.float32], image: npt.NDArray[np.float32], seen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Return the mean image at the brightness and contrast of another: least squares on what is seen of it.

    Parameters
    ----------
    usual, image : (h, w, c)
    seen : (h, w) where the two are compared; somewhere

    Returns
    -------
    (h, w, c)
    """
    x, y = usual[seen], image[seen]
    middle = x.mean(axis=0)
    slope = ((x - middle) * (y - y.mean(axis=0))).sum(axis=0) / np.maximum(((x - middle) ** 2).sum(axis=0), 1e-9)
    return np.asarray(y.mean(axis=0) + slope.clip(0, STRONGEST) * (usual - middle), dtype=np.float32)


def _usual(cases: Images, groups: npt.NDArray[Any] | None) -> npt.NDArray[np.float32] | None:
    owners = np.arange(len(cases)) if groups is None else groups
    firsts = np.sort(np.unique(owners, return_index=True)[1])  # one image of each patient
    if len(firsts) < FEWEST:
        return None
    rows = firsts[np.unique(np.linspace(0, len(firsts) - 1, min(AVERAGED, len(firsts))).astype(np.int64))]
    images = cases.load((COARSE, COARSE), 3, rows)
    if np.allclose(images, images[..., :1]):
        images = images[..., :1]
    usual = np.asarray(images.mean(axis=0), dtype=np.float32)
    everywhere = np.ones((COARSE, COARSE), dtype=bool)
    missed = [float(((brought_to(usual, one, everywhere) - one) ** 2).sum()) for one in images]
    spread = ((images - images.mean(axis=(1, 2), keepdims=True)) ** 2).sum(axis=(1, 2, 3))
    explained = 1 - np.array(missed) / np.maximum(spread, 1e-9)
    return usual if float(np.median(explained)) >= ALIGNED else None


def _pictures(pixels: npt.NDArray[Any]) -> Values:
    """Return brightness, contrast, quantiles, edges and the frame's brightness of (n, h, w) grey images."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float64)
    across, down = (np.abs(np.diff(pixels, axis=axis)).reshape(len(pixels), -1) for axis in (2, 1))
    frame = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    return np.column_stack(
        [
            flat.mean(axis=1),
            flat.std(axis=1),
            *np.quantile(flat, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1),
            across.mean(axis=1),
            down.mean(axis=1),
            np.quantile(across, 0.95, axis=1),
            frame.mean(axis=1),
            frame.std(axis=1),
        ]
    )
