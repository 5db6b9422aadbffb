"""What each atom of a molecule adds to a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases.fingerprints import Substructures, atoms_within
from medtasks.cases.hiding import hide_each_atom
from medtasks.cases.properties import measure_properties
from medtasks_mol_fingerprint.properties import Profiles
from medtasks_mol_fingerprint.ridge import MIXTURES, Ridge
from medtasks_mol_fingerprint.views import Landmarks, generators

Values = npt.NDArray[np.float64]


def contributions(mol: Any, landmarks: Mapping[str, Landmarks], profiles: Profiles, ridge: Ridge) -> Values:
    """Return (atoms,) what the substructures that hold an atom add to the score, and what properties lose without it.

    A substructure's part is by `Landmarks.added`; an atom gets the parts of all that hold it, as Rodríguez-Pérez &
    Bajorath 2020 (doi:10.1021/acs.jmedchem.9b01101) sum them. Properties are taken of the molecule with the atom
    hidden.
    """
    views = MIXTURES[ridge.mixture]
    found = np.zeros(mol.GetNumAtoms())
    for view in dict.fromkeys(views):
        share = views.count(view) / len(views)
        if view in landmarks:
            found += share * _by_substructures(mol, view, landmarks[view], ridge.weights)
        else:
            scores = profiles.compare(measure_properties([mol, *hide_each_atom(mol)])) @ ridge.weights
            found += share * (scores[0] - scores[1:])
    return found


def _by_substructures(mol: Any, view: str, landmarks: Landmarks, weights: Values) -> Values:
    holders = _holders(mol, view)
    keys, place, times = np.unique(
        np.array([key for key, _ in holders], dtype=np.int64), return_inverse=True, return_counts=True
    )
    counts = Substructures(1, np.zeros(len(keys), dtype=np.int64), keys, times.astype(np.int64))
    each = (landmarks.added(counts, weights) / times)[place]
    found = np.zeros(mol.GetNumAtoms())
    for (_, held), value in zip(holders, each.tolist(), strict=True):
        found[held] += value
    return found


def _holders(mol: Any, view: str) -> list[tuple[int, list[int]]]:
    """Return the key of each occurrence of a substructure, and the atoms it holds."""
    from rdkit.Chem import rdFingerprintGenerator

    output = rdFingerprintGenerator.AdditionalOutput()
    output.AllocateBitInfoMap()
    generators()[view].GetSparseCountFingerprint(mol, additionalOutput=output)
    found = []
    for key, places in output.GetBitInfoMap().items():
        for first, second in places:
            held = [first, second] if view == "pairs" else atoms_within(mol, first, second)
            found.append((int(key), held))
    return found
