"""Molecules by their bulk properties: lipophilicity, size, polarity, flexibility."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases.molecules import Molecules

Values = npt.NDArray[np.float64]

PROPERTIES = (
    "CrippenLogP", "CrippenMR", "TPSA", "LabuteASA", "ExactMolWt", "HeavyAtoms", "HBD", "HBA", "RotatableBonds",
    "Rings", "AromaticRings", "FractionCSP3", "Heteroatoms", "AmideBonds", "Halogens", "FormalCharge",
)  # fmt: skip
"""Those that drive solubility, permeability and distribution and take RDKit well below a millisecond together."""

QUANTUM_NUMBERS = 42
ROTATABLE, HALOGENS = 18, slice(1, 5)
"""Where among the quantum numbers rotatable bonds are, as ``CalcNumRotatableBonds`` counts them, and F, Cl, Br, I."""


def measure_properties(mols: Molecules | Iterable[Any]) -> Values:
    """Return (n, 16): `PROPERTIES` of molecules, by RDKit; of a chunk once for all who ask.

    Parameters
    ----------
    mols
        Molecules, or RDKit molecules.

    Examples
    --------
    >>> properties = measure_properties(Molecules.from_smiles(["CCO"]))
    >>> properties[0, PROPERTIES.index("HeavyAtoms")]
    np.float64(3.0)
    """
    if isinstance(mols, Molecules):
        return mols.once(_measured)[0]
    return _measure(mols)[0]


def quantum_numbers(molecules: Molecules) -> Values:
    """Return (n, 42): counts of atoms, bonds, polar groups and rings (MQN; Nguyen et al. 2009,
    doi:10.1002/cmdc.200900317), by RDKit; of a chunk once for all who ask."""
    return molecules.once(_measured)[1]


def crippen_shares(molecules: Molecules) -> list[Values]:
    """Return (atoms, 2) of each molecule: what its atoms have of its CrippenLogP and CrippenMR, hydrogens apart."""
    return molecules.once(_measured)[2]


def _measured(molecules: Molecules) -> tuple[Values, Values, list[Values]]:
    return _measure(molecules.mols())


def _measure(mols: Iterable[Any]) -> tuple[Values, Values, list[Values]]:
    """Return `PROPERTIES`, quantum numbers, which count rotatable bonds and halogens for both, and Crippen's shares.

    Wildman & Crippen's types of atoms (1999, doi:10.1021/ci990307l) cost as much as all else together: they are looked
    for once, in the molecule with its hydrogens, where RDKit's functions look twice.
    """
    from rdkit.Chem import AddHs, GetFormalCharge, rdMolDescriptors

    d = rdMolDescriptors
    found, numbers, shares = [], [], []
    for mol in mols:
        counted = d.MQNs_(mol)
        numbers.append(list(counted))
        each = np.array(d._CalcCrippenContribs(AddHs(mol)))
        shares.append(each[: mol.GetNumAtoms()])
        found.append(
            (
                *each.sum(axis=0),
                d.CalcTPSA(mol),
                d.CalcLabuteASA(mol),
                d.CalcExactMolWt(mol),
                mol.GetNumHeavyAtoms(),
                d.CalcNumHBD(mol),
                d.CalcNumHBA(mol),
                counted[ROTATABLE],
                d.CalcNumRings(mol),
                d.CalcNumAromaticRings(mol),
                d.CalcFractionCSP3(mol),
                d.CalcNumHeteroatoms(mol),
                d.CalcNumAmideBonds(mol),
                sum(counted[HALOGENS]),
                GetFormalCharge(mol),
            )
        )
    return _table(found, len(PROPERTIES)), _table(numbers, QUANTUM_NUMBERS), shares


def _table(rows: list[Any], width: int) -> Values:
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)
