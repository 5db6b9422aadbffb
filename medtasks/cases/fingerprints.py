"""Molecules as counts of their circular substructures, folded to a fixed number of columns."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float32]

RADIUS = 2
"""Bonds around each atom: ECFP4 (Rogers & Hahn 2010, doi:10.1021/ci100050t)."""


def count_substructures(mols: Iterable[Any], width: int) -> Counts:
    """Return (n, width): how often each circular substructure (Morgan, radius 2) occurs, by RDKit.

    Parameters
    ----------
    mols
        RDKit molecules.
    width
        Columns that the substructures are folded to: at 1024 about 5 % of a drug's share one with another.

    Examples
    --------
    >>> from rdkit import Chem
    >>> float(count_substructures([Chem.MolFromSmiles("CCO")], 64).sum())  # three atoms, and what surrounds them
    6.0
    """
    make = _generator(width).GetCountFingerprintAsNumPy
    return np.array([make(mol) for mol in mols], dtype=np.float32).reshape(-1, width)


def without_each_atom(mol: Any, width: int) -> Counts:
    """Return (atoms, width): the counts without the substructures that hold the atom (Riniker & Landrum 2013,
    doi:10.1186/1758-2946-5-43)."""
    from rdkit import Chem
    from rdkit.Chem import rdFingerprintGenerator

    output = rdFingerprintGenerator.AdditionalOutput()
    output.AllocateBitInfoMap()
    whole = _generator(width).GetCountFingerprintAsNumPy(mol, additionalOutput=output).astype(np.float32)
    left = np.tile(whole, (mol.GetNumAtoms(), 1))
    for column, places in output.GetBitInfoMap().items():
        for centre, radius in places:
            bonds = map(mol.GetBondWithIdx, Chem.FindAtomEnvironmentOfRadiusN(mol, radius, centre) if radius else ())
            held = {centre} | {atom for bond in bonds for atom in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())}
            left[list(held), column] -= 1
    return left


@functools.cache
def _generator(width: int) -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=width)
