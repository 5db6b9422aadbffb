"""How far two arrays of answers may lie apart and count as one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

TOLERANCE = 1e-5
"""Relative difference up to which two answers count as one: float32 sums in another order differ by about 1e-6."""
ROOM = 0.02
"""Difference, as a share of the range of all answers, up to which two devices agree. Networks run on GPUs with factors
of 11 bits (TF32) or 8 (bfloat16, which rounds by 2**-9 = 0.002 at each step); what is no rounding is far larger."""


def same(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Say whether two arrays of answers are alike, within `TOLERANCE` of their size."""
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return False
    size = float(np.abs(one).max()) if one.size and one.dtype.kind in "fiub" else 0.0
    return one.dtype.kind in "fiub" and bool(np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE * size))


def apart(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> str:
    """Say how two arrays of answers differ."""
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return f"shapes {one.shape} and {other.shape}"
    if one.dtype.kind not in "fiub" or other.dtype.kind not in "fiub":
        return "they are no numbers"
    gap = np.abs(np.subtract(one, other, dtype=np.float64))
    return f"by up to {gap.max():.3g}" if np.isfinite(gap).all() else "some are not finite"
