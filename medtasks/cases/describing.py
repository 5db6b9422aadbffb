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
from medtasks.cases.images import Images
from medtasks.cases.molecules import Molecules
from medtasks.cases.records import Records

Values = npt.NDArray[np.float64]
SIDE = 32
"""Pixels to which images are shrunk: what tells scanners apart, brightness, contrast and frame, is left in."""
WIDTH = 256
"""Columns that a molecule's substructures are folded to: enough to tell collections apart."""


@dataclass(frozen=True)
class Describer:
    """Describes cases of one kind; ``encoder`` is what records need."""

    encoder: RecordEncoder | None = None

    @classmethod
    def fit(cls, cases: Cases) -> Describer | None:
        """Learn from training cases what describing takes; None for a kind that it does not know."""
        if isinstance(cases, Records):
            return cls(RecordEncoder.fit(cases))
        return cls() if isinstance(cases, (Images, Molecules)) else None

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
        return {} if self.encoder is None else self.encoder.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], schema: Mapping[str, Any]) -> Describer:
        """Rebuild it from `to_arrays`, and the schema of the cases."""
        from medtasks.cases.records import fields_of

        return cls(RecordEncoder.from_arrays(fields_of(dict(schema)), dict(arrays)) if arrays else None)


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
