"""How alike molecules are: what a test asks of a model, and where it is hardest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from medtasks.cases import Molecules
from medtasks.cases.neighbours import Neighbours, fingerprints
from medtasks.cases.structures import scaffold
from medtasks.dataset import Dataset

Values = npt.NDArray[np.float64]

CLIFF_SIMILARITY = 0.9
"""Molecules at least this alike, or with scaffolds at least this alike, may form a cliff (van Tilborg et al. 2022)."""
MOST_PAIRED = 10_000
"""All pairs are compared for cliffs: above this number of molecules that would take minutes."""


@dataclass(frozen=True)
class Nearest:
    """The training molecule that each molecule is most like.

    Attributes
    ----------
    similarity : (n,) Tanimoto, ECFP4 (2048 bits)
    place : (n,) its row among the training molecules
    """

    similarity: Values
    place: npt.NDArray[np.int64]


def nearest(molecules: Molecules, known: Molecules) -> Nearest:
    """Find for each molecule the most similar of those ``known``, of which there is at least one."""
    similarity, place = Neighbours.of(known, known.smiles()).nearest(molecules)
    return Nearest(similarity, place)


def with_cliffs(data: Dataset, difference: float) -> Dataset:
    """Mark the molecules on an activity cliff, as ``extra["cliff"]`` (n, targets).

    A molecule is on a cliff of a target where another of the data is nearly the same (`CLIFF_SIMILARITY` by ECFP4, of
    the whole or of the scaffold) and measures at least ``difference`` more or less: van Tilborg, Alenicheva & Grisoni
    2022, doi:10.1021/acs.jcim.2c01073, without their third criterion (the edit distance of SMILES). Bounds are not
    looked at.

    Parameters
    ----------
    difference
        1 is ten-fold in log units, as the paper has it; 0 marks nothing.
    """
    assert isinstance(data.cases, Molecules)
    if difference <= 0 or "number" not in data.kinds or len(data) > MOST_PAIRED:
        return data
    values = np.where(data.bounds == 0, data.targets, np.nan)
    steep = np.zeros(data.targets.shape, dtype=bool)
    for row, others in enumerate(_alike(data.cases)):
        if len(others):
            with np.errstate(invalid="ignore"):
                steep[row] = (np.abs(values[others] - values[row]) >= difference).any(axis=0)
    steep[:, [kind != "number" for kind in data.kinds]] = False
    return replace(data, extra={**data.extra, "cliff": steep})


def _alike(molecules: Molecules) -> list[npt.NDArray[np.int64]]:
    """Return for each molecule the places of those that are nearly the same."""
    from rdkit import Chem
    from rdkit.DataStructs import BulkTanimotoSimilarity

    mols = list(molecules.mols())
    whole = fingerprints(mols)
    names, own = np.unique([scaffold(mol) for mol in mols], return_inverse=True)
    cores = fingerprints([Chem.MolFromSmiles(str(name)) for name in names])  # one that cannot be read is like none
    ringed = np.array([mol.GetRingInfo().NumRings() > 0 for mol in mols])
    near = [np.flatnonzero(np.array(BulkTanimotoSimilarity(core, cores)) >= CLIFF_SIMILARITY) for core in cores]
    members = [np.flatnonzero((own == i) & ringed) for i in range(len(names))]
    found = []
    for row, one in enumerate(whole):
        same = np.array(BulkTanimotoSimilarity(one, whole)) >= CLIFF_SIMILARITY
        for core in near[own[row]] if ringed[row] else ():
            same[members[core]] = True
        same[row] = False
        found.append(np.flatnonzero(same))
    return found
