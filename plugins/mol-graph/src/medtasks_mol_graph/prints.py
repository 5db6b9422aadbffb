"""Molecules as counts of circular substructures, folded to a fixed width: what the graph network is shown beside."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Prints = npt.NDArray[np.float32]

WIDTH = 1024
"""Columns: at 1024 about 5 % of a drug's substructures share one with another of it."""


def prints(mols: Iterable[Any]) -> Prints:
    """Return (n, `WIDTH`) log(1 + count) of Morgan substructures with radius 2 (doi:10.1021/ci100050t)."""
    make = _generator().GetCountFingerprintAsNumPy
    found = [make(mol) for mol in mols]
    return np.log1p(np.array(found, dtype=np.float32).reshape(-1, WIDTH), dtype=np.float32)


def without_each_atom(mol: Any) -> Prints:
    """Return (atoms, `WIDTH`): the print without the substructures that hold the atom."""
    from rdkit import Chem
    from rdkit.Chem import rdFingerprintGenerator

    output = rdFingerprintGenerator.AdditionalOutput()
    output.AllocateBitInfoMap()
    whole = _generator().GetCountFingerprintAsNumPy(mol, additionalOutput=output).astype(np.float32)
    left = np.tile(whole, (mol.GetNumAtoms(), 1))
    for column, places in output.GetBitInfoMap().items():
        for centre, radius in places:
            bonds = map(mol.GetBondWithIdx, Chem.FindAtomEnvironmentOfRadiusN(mol, radius, centre) if radius else ())
            held = {centre} | {atom for bond in bonds for atom in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())}
            left[list(held), column] -= 1
    return np.asarray(np.log1p(np.maximum(left, 0)))


@functools.cache
def _generator() -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=WIDTH)
