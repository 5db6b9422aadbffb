"""Splits of molecules by DeepChem, where medtasks has none of the kind."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from medtasks.cases import Molecules
from medtasks.dataset import SPLITS
from medtasks.errors import DataError, PluginError, UsageError, suggest
from medtasks.model import Context
from medtasks_deepchem.child import OUT, Child, read_arrays, workspace, write_molecules

Splitter = Literal["fingerprint", "maxmin", "butina"]
SEEDED = frozenset({"maxmin"})
"""The splitters whose result depends on a seed; DeepChem accepts and ignores one for the others."""
MOST = 20_000
"""All three compare all pairs of molecules: above this it would take hours."""


def split(
    molecules: Molecules,
    name: Splitter,
    seed: int | None = None,
    *,
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1),
) -> npt.NDArray[Any]:
    """Return the ``split`` column that a splitter of DeepChem gives: (n,) of ``train``, ``valid``, ``test``.

    Parameters
    ----------
    name
        ``fingerprint`` puts molecules into parts that resemble each other as little as possible (the hardest test),
        ``maxmin`` the most diverse molecules into the test (Ashton et al. 2002), ``butina`` keeps clusters whole whose
        members are within a Tanimoto distance of 0.6 of their centre (Butina 1999, doi:10.1021/ci9803381), the largest
        clusters going to train.
    seed
        For ``maxmin``, 0 where not said; the others draw nothing by chance.
    shares
        Of train, valid and test.

    Raises
    ------
    UsageError
        If there is no such splitter, it takes no seed, or the shares do not add to one.
    DataError
        If there are too many or too few molecules, or a part would be empty.
    PluginError
        If DeepChem is not installed, fails, or loses or repeats a molecule.

    Examples
    --------
    >>> from dataclasses import replace
    >>> harder = replace(dataset, split=split(dataset.cases, "fingerprint"))  # doctest: +SKIP
    """
    if name not in get_args(Splitter):
        raise UsageError(f"no splitter is called {name!r}", hint=suggest(name, get_args(Splitter)))
    if seed is not None and name not in SEEDED:
        raise UsageError(f"the splitter {name!r} draws nothing by chance", hint="leave the seed out")
    if len(shares) != 3 or min(shares) <= 0 or not math.isclose(sum(shares), 1):
        raise UsageError("three shares above 0 that add to 1 are needed", hint="as in shares=(0.8, 0.1, 0.1)")
    if not 3 <= len(molecules) <= MOST:
        raise DataError(
            f"{len(molecules)} molecules cannot be split by {name}; 3 to {MOST} can", hint="use --split-by scaffold"
        )
    counts = _ask(molecules, name, seed or 0, shares)
    wrong = int((counts.sum(axis=1) != 1).sum())
    if counts.shape != (len(molecules), 3) or wrong:
        raise PluginError(
            f"DeepChem's {name} splitter lost or repeated {wrong} of {len(molecules)} molecules",
            hint="use another splitter, or --split-by scaffold",
        )
    empty = [part for part, n in zip(SPLITS, counts.sum(axis=0), strict=True) if not n]
    if empty:
        raise DataError(
            f"DeepChem's {name} splitter leaves {' and '.join(empty)} empty",
            hint="use another splitter, or other shares",
        )
    found: npt.NDArray[Any] = np.array(SPLITS, dtype=object)[counts.argmax(axis=1)]
    return found


def _ask(molecules: Molecules, name: str, seed: int, shares: tuple[float, float, float]) -> npt.NDArray[np.int8]:
    child = Child()
    try:
        with workspace(Context()) as folder:
            write_molecules(folder, molecules)
            child.ask("split", folder, {"name": name, "seed": seed, "shares": shares})
            return read_arrays(folder / OUT)["parts"]
    finally:
        child.close()
