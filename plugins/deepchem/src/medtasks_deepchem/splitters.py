"""DeepChem's splitters, asked in the child process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

CLASSES = {"fingerprint": "FingerprintSplitter", "maxmin": "MaxMinSplitter", "butina": "ButinaSplitter"}
"""DeepChem's class behind each name."""


def parts(mols: Sequence[Any], name: str, seed: int, shares: Sequence[float]) -> npt.NDArray[np.int8]:
    """Return (n, 3), 1 where a splitter puts a molecule into train, valid or test; nothing is checked here."""
    import deepchem
    from rdkit import Chem

    texts = [Chem.MolToSmiles(mol) for mol in mols]
    data = deepchem.data.NumpyDataset(np.zeros(len(texts)), ids=np.array(texts, dtype=object))
    splitter = getattr(deepchem.splits, CLASSES[name])()
    train, valid, test = shares
    found = splitter.split(data, frac_train=train, frac_valid=valid, frac_test=test, seed=seed)
    counts = np.zeros((len(texts), 3), dtype=np.int8)
    for part, rows in enumerate(found):
        np.add.at(counts[:, part], np.asarray(rows, dtype=np.int64), 1)
    return counts
