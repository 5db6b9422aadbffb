"""Molecules by their bulk properties: size, polarity, flexibility."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

BULK = (
    "TPSA", "LabuteASA", "ExactMolWt", "HeavyAtoms", "HBD", "HBA", "RotatableBonds", "Rings", "AromaticRings",
    "FractionCSP3", "Heteroatoms", "AmideBonds", "Halogens", "FormalCharge",
)  # fmt: skip
HALOGENS = frozenset({9, 17, 35, 53})


def bulk_properties(mols: Iterable[Any]) -> Values:
    """Return (n, 14): `BULK` of RDKit molecules."""
    return np.array([_bulk(mol) for mol in mols], dtype=np.float64).reshape(-1, len(BULK))


def _bulk(mol: Any) -> tuple[float, ...]:
    from rdkit.Chem import GetFormalCharge, rdMolDescriptors

    d = rdMolDescriptors
    return (
        d.CalcTPSA(mol),
        d.CalcLabuteASA(mol),
        d.CalcExactMolWt(mol),
        mol.GetNumHeavyAtoms(),
        d.CalcNumHBD(mol),
        d.CalcNumHBA(mol),
        d.CalcNumRotatableBonds(mol),
        d.CalcNumRings(mol),
        d.CalcNumAromaticRings(mol),
        d.CalcFractionCSP3(mol),
        d.CalcNumHeteroatoms(mol),
        d.CalcNumAmideBonds(mol),
        sum(atom.GetAtomicNum() in HALOGENS for atom in mol.GetAtoms()),
        GetFormalCharge(mol),
    )
