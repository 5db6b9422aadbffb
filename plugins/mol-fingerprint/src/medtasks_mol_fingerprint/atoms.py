"""What each atom of a molecule adds to a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases.fingerprints import Substructures
from medtasks.cases.hiding import hide_each_atom
from medtasks.cases.properties import measure_properties
from medtasks_mol_fingerprint.properties import Profiles
from medtasks_mol_fingerprint.ridge import MIXTURES, Ridge
from medtasks_mol_fingerprint.views import Landmarks, generators

Values = npt.NDArray[np.float64]


def contributions(mol: Any, landmarks: Mapping[str, Landmarks], profiles: Profiles, ridge: Ridge) -> Values:
    """Return (atoms,) the score of the whole molecule less that without the substructures that hold the atom.

    Properties are taken of the molecule with the atom hidden: where they count for half of the answer and stayed as
    they are, planted substructures were found less often (AUROC .84 in place of .92).
    """
    views = MIXTURES[ridge.mixture]
    scores = np.zeros(mol.GetNumAtoms() + 1)
    for view in dict.fromkeys(views):
        if view in landmarks:
            kernel = landmarks[view].compare(_without(mol, view))
        else:
            kernel = profiles.compare(measure_properties([mol, *hide_each_atom(mol)]))
        scores += views.count(view) / len(views) * (kernel @ ridge.weights)
    return np.asarray(scores[0] - scores[1:])


def _without(mol: Any, view: str) -> Substructures:
    """Return the molecule's counts, then for each atom those without the substructures that hold it."""
    atoms = mol.GetNumAtoms()
    holders = _holders(mol, view)
    keys = np.array([key for key, _ in holders], dtype=np.int64)
    holds = np.zeros((len(holders), atoms + 1), dtype=bool)
    for i, (_, held) in enumerate(holders):
        holds[i, [atom + 1 for atom in held]] = True
    known, place = np.unique(keys, return_inverse=True)
    counts = np.zeros((atoms + 1, len(known)), dtype=np.int64)
    np.add.at(counts.T, place, ~holds)
    rows, columns = np.nonzero(counts)
    return Substructures(atoms + 1, rows, known[columns], counts[rows, columns])


def _holders(mol: Any, view: str) -> list[tuple[int, list[int]]]:
    """Return the key of each occurrence of a substructure, and the atoms it holds."""
    from rdkit import Chem
    from rdkit.Chem import rdFingerprintGenerator

    output = rdFingerprintGenerator.AdditionalOutput()
    output.AllocateBitInfoMap()
    generators()[view].GetSparseCountFingerprint(mol, additionalOutput=output)
    found = []
    for key, places in output.GetBitInfoMap().items():
        for first, second in places:
            if view == "pairs":
                found.append((int(key), [first, second]))
            elif second == 0:
                found.append((int(key), [first]))
            else:
                bonds = map(mol.GetBondWithIdx, Chem.FindAtomEnvironmentOfRadiusN(mol, second, first))
                held = {atom for bond in bonds for atom in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())}
                found.append((int(key), sorted(held | {first})))
    return found
