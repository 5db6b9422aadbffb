"""Networks' weights as plain arrays: ``network-1.npz``, ``network-2.npz`` ... in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.stored import write_arrays

Weights = list[npt.NDArray[Any]]


def write_weights(folder: Path, networks: Sequence[Weights]) -> None:
    """Write the weights of each network, in Keras' order, without pickle."""
    for i, weights in enumerate(networks):
        arrays = {f"w{j:04d}": weight for j, weight in enumerate(weights)}
        write_arrays(folder / f"network-{i + 1}.npz", arrays)


def read_weights(folder: Path, networks: int) -> list[Weights]:
    """Read back what `write_weights` wrote of so many networks."""
    found = []
    for i in range(networks):
        with np.load(folder / f"network-{i + 1}.npz", allow_pickle=False) as file:
            found.append([file[name] for name in sorted(file.files)])
    return found
