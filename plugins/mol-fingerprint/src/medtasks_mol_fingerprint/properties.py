"""Molecules by their bulk properties: lipophilicity, size, polarity, flexibility."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

NAMES = (
    "CrippenLogP", "CrippenMR", "TPSA", "LabuteASA", "ExactMolWt", "HeavyAtoms", "HBD", "HBA", "RotatableBonds",
    "Rings", "AromaticRings", "FractionCSP3", "Heteroatoms", "AmideBonds", "Halogens", "FormalCharge",
)  # fmt: skip
"""Those that drive solubility, permeability and distribution and take RDKit well below a millisecond together."""
HALOGENS = frozenset({9, 17, 35, 53})
FARTHEST = 5.0
"""Standardised values beyond this count as this: one odd molecule must not be unlike everything."""


def measure(mols: Iterable[Any]) -> Values:
    """Return (n, 16) properties, in the order of `NAMES`."""
    return np.array([_of(mol) for mol in mols], dtype=np.float64).reshape(-1, len(NAMES))


def _of(mol: Any) -> tuple[float, ...]:
    from rdkit.Chem import rdMolDescriptors

    d = rdMolDescriptors
    logp, refraction = d.CalcCrippenDescriptors(mol)
    return (
        logp,
        refraction,
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
        sum(atom.GetFormalCharge() for atom in mol.GetAtoms()),
    )


@dataclass(frozen=True)
class Profiles:
    """Molecules that others are compared with by their properties.

    Attributes
    ----------
    mean, scale : (16,) of the training molecules
    standard : (m, 16) standardised properties of the landmarks
    """

    mean: Values
    scale: Values
    standard: Values

    @classmethod
    def of(cls, values: Values, landmarks: npt.NDArray[np.int64]) -> Self:
        """Make profiles of the training molecules' (n, 16) properties and the places of the landmarks."""
        mean, spread = values.mean(axis=0), values.std(axis=0)
        scale = np.where(spread > 1e-9, spread, 1.0)
        return cls(mean, scale, _standardise(values[landmarks], mean, scale))

    def compare(self, values: Values) -> npt.NDArray[np.float32]:
        """Return the Gaussian kernel (n, m), as wide as the number of properties: 1 for equals, near 0 for far ones."""
        new = _standardise(values, self.mean, self.scale)
        squares = (new**2).sum(axis=1)[:, None] + (self.standard**2).sum(axis=1) - 2 * new @ self.standard.T
        return np.asarray(np.exp(-np.maximum(squares, 0) / (2 * len(NAMES))), dtype=np.float32)


def _standardise(values: Values, mean: Values, scale: Values) -> Values:
    return np.clip((values - mean) / scale, -FARTHEST, FARTHEST)
