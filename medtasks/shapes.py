"""Whether what a model returned has the shape that its task fixes."""

from __future__ import annotations

from collections.abc import Sequence

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
