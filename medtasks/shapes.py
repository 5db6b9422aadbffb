"""Whether what a model returned has the shape that its task fixes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def check_numbers(raw: object, shapes: Sequence[tuple[int, ...]], meaning: str) -> None:
    """Refuse what is no array of finite numbers of one of the shapes.

    Parameters
    ----------
    meaning
        What the numbers are, as in "probabilities of (cases, classes)".

    Raises
    ------
    ValueError
        Saying how it differs.
    """
    wanted = f"{meaning}: a numpy array of numbers of the shape {' or '.join(map(str, shapes))}"
    if not isinstance(raw, np.ndarray):
        raise ValueError(f"predict returned a {type(raw).__name__}, not {wanted}")
    if raw.dtype.kind not in "fiub":
        raise ValueError(f"predict returned an array of the type {raw.dtype}, not {wanted}")
    if raw.shape not in shapes:
        raise ValueError(f"predict returned the shape {raw.shape}, not {wanted}")
    if not np.isfinite(raw).all():
        raise ValueError("predict returned values that are not finite")


def check_explanations(found: Any, shapes: Sequence[tuple[int | None, ...] | None]) -> None:
    """Refuse what is not, for each case, an array of numbers of its shape.

    Parameters
    ----------
    shapes
        For each case the length of each dimension, None where any will do; None for a case of a kind not known here.

    Raises
    ------
    ValueError
        Saying how it differs.
    """
    if not isinstance(found, Sequence | np.ndarray) or np.ndim(getattr(found, "shape", (0,))) == 0:
        raise ValueError(f"explain returned a {type(found).__name__}, not an array for each case")
    if len(found) != len(shapes):
        raise ValueError(f"explain returned {len(found)} arrays for {len(shapes)} cases")
    for value, wanted in zip(found, shapes, strict=True):
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise ValueError(f"explain returned an array of the type {array.dtype}, not numbers")
        if wanted is None:
            continue
        if array.ndim != len(wanted) or any(w not in (None, n) for w, n in zip(wanted, array.shape, strict=True)):
            needed = str(wanted).replace("None", "any")
            raise ValueError(f"explain returned an array of the shape {array.shape} for a case that needs {needed}")
