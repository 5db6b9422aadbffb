"""Toy cases of the task ``diagnosis``, whose cause is known; see `medtasks.testing`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from medtasks.cases import Images, Records
from medtasks.dataset import Dataset, Origin

SIDE = 16
SPOT = 5
"""Pixels of an image's side, and of the bright spot that is the illness."""
CLASSES = ("healthy", "ill")


def draw(accepts: str, n: int, seed: int) -> Dataset | None:
    """Draw ``n`` cases, half of them ill, with ``extra["cause"]``: the field, or the pixels, that show it."""
    rng = np.random.default_rng(seed)
    ill = rng.permutation(np.arange(n) % 2 == 1)
    ids = [f"TOYCASE-{seed}-{i:05d}" for i in range(n)]
    if accepts == "records":
        # Ill and healthy lie 3 standard deviations apart in one field; values of full precision mark their row.
        table = pd.DataFrame(
            {
                "marker": rng.normal(1.5 * (2 * ill - 1), 1.0),
                "sodium": rng.normal(140, 4, n),
                "fever": np.where(rng.random(n) < 0.4, "yes", "no"),
                "ward": rng.choice(["north", "south", "west"], n),
            }
        )
        cases: Images | Records = Records.from_table(table, ids)
        cause = np.tile([True, False, False, False], (n, 1))
    elif accepts == "images":
        pixels = rng.normal(90, 25, (n, SIDE, SIDE))
        cause = np.zeros(pixels.shape, dtype=bool)
        for i in np.flatnonzero(ill):
            top, left = rng.integers(4, 7, 2)
            cause[i, top : top + SPOT, left : left + SPOT] = True
        pixels[cause] += 90
        cases = Images(ids, pixels.clip(0, 255).astype(np.uint8))
    else:
        return None
    origin = Origin("toy", synthetic=True)
    return Dataset(cases, ill.astype(np.int64), classes=CLASSES, extra={"cause": cause}, origin=origin)
