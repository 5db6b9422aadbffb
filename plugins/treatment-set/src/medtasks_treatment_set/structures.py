"""Medicines by their structure: the activity task's counts of substructures, brought to few columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases import Molecules
from medtasks.cases.fingerprints import count_substructures
from medtasks.cases.tables import read_table
from medtasks.errors import DataError
from medtasks.words import plain

Array = npt.NDArray[Any]
WIDTH = 1024
"""Columns of the counts, as the activity task's models take."""
RANK = 64
"""Directions in which medicines are told apart: so many hold nearly all of what a few hundred differ in."""


def read_structures(path: str | Path, names: Sequence[str]) -> tuple[Array, int]:
    """Return (medicines, WIDTH) counts of substructures, and for how many medicines a structure was found.

    Names are compared in lower case, with underscores as blanks; a medicine without a structure has only zeros.

    Raises
    ------
    DataError
        If the table lacks ``name`` or ``smiles``, a structure cannot be read, or no medicine is in it.
    """
    table = read_table(Path(path)).rename(columns=str.lower)
    if not {"name", "smiles"} <= set(table.columns):
        raise DataError(f"{path} lacks the columns name and smiles", hint="write one line per medicine: name,smiles")
    smiles = dict(zip(map(plain, table["name"].astype(str)), table["smiles"], strict=True))
    found = [i for i, name in enumerate(names) if plain(name) in smiles]
    if not found:
        raise DataError(
            f"{path} has no structure of any of the {len(names)} medicines",
            hint=f"its names must be those of the data, such as {names[0]!r}" if names else None,
        )
    counts = np.zeros((len(names), WIDTH), dtype=np.float32)
    molecules = Molecules.from_smiles([str(smiles[plain(names[i])]).strip() for i in found])
    counts[found] = count_substructures(molecules, WIDTH)
    return counts, len(found)


def describe(counts: Array) -> Array:
    """Return (r, medicines), r at most `RANK`: counts on a log scale, each medicine of length 1, in principal axes.

    The inner products of columns are those of the counts, so that likeness is kept while the projection that a network
    learns stays small.
    """
    logs = np.log1p(counts.astype(np.float64))
    length = np.linalg.norm(logs, axis=1, keepdims=True)
    scaled = np.divide(logs, length, out=np.zeros_like(logs), where=length > 0)
    left, size, _ = np.linalg.svd(scaled, full_matrices=False)
    rank = max(1, min(RANK, int((size > 1e-6 * size.max(initial=1e-12)).sum())))
    # A medicine's column has length 1; the projection's start is scaled for that of sqrt(rank).
    return np.asarray((left[:, :rank] * size[:rank]).T * np.sqrt(rank), dtype=np.float32)
