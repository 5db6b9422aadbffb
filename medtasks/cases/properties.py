"""Molecules by their bulk properties: lipophilicity, size, polarity, flexibility."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases.molecules import Molecules

Values = npt.NDArray[np.float64]

BULK = (
    "TPSA", "LabuteASA", "ExactMolWt", "HeavyAtoms", "HBD", "LipinskiHBA", "RotatableBonds", "Rings", "AromaticRings",
    "FractionCSP3", "Heteroatoms", "AmideBonds", "Halogens", "FormalCharge",
)  # fmt: skip
"""Those that drive solubility, permeability and distribution and take RDKit half the time of reading the molecule.

Acceptors are nitrogens and oxygens (Lipinski), and rotatable bonds RDKit's non-strict ones: its stricter counts of both
take as long as all of these together."""
PROPERTIES = ("CrippenLogP", "CrippenMR", *BULK)
"""With lipophilicity and refraction, which cost more than all else together."""

QUANTUM_NUMBERS = 42
HALOGEN = "[F,Cl,Br,I]"

FARTHEST = 5.0
"""Standardised values beyond this count as this: one odd molecule must not be unlike everything."""


@dataclass(frozen=True)
class Scaling:
    """How properties are brought to mean 0 and variance 1, and kept within `FARTHEST`.

    Attributes
    ----------
    mean, spread : (d,) of the training molecules
    """

    mean: Values
    spread: Values

    @classmethod
    def of(cls, values: Values) -> Self:
        """Read it off the (n, d) properties of training molecules; what does not vary is left as wide as it is."""
        spread = values.std(axis=0)
        return cls(values.mean(axis=0), np.where(spread > 1e-9, spread, 1.0))

    def apply(self, values: Values) -> Values:
        """Return (n, d) standardised properties."""
        return np.clip((values - self.mean) / self.spread, -FARTHEST, FARTHEST)


def bulk_properties(mols: Molecules | Iterable[Any]) -> Values:
    """Return (n, 14): `BULK` of molecules or RDKit molecules, by RDKit; of a chunk once for all who ask."""
    return mols.once(_bulk_of) if isinstance(mols, Molecules) else _bulk(mols)


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
    kept = mols if isinstance(mols, Molecules) else list(mols)
    crippen = kept.once(_crippen_of)[0] if isinstance(kept, Molecules) else _crippen(kept)[0]
    return np.concatenate([crippen, bulk_properties(kept)], axis=1)


def quantum_numbers(molecules: Molecules) -> Values:
    """Return (n, 42): counts of atoms, bonds, polar groups and rings (MQN; Nguyen et al. 2009,
    doi:10.1002/cmdc.200900317), by RDKit; of a chunk once for all who ask."""
    return molecules.once(_quantum)


def crippen_shares(molecules: Molecules) -> list[Values]:
    """Return (atoms, 2) of each molecule: what its atoms have of its CrippenLogP and CrippenMR, hydrogens apart."""
    return molecules.once(_crippen_of)[1]


def _bulk_of(molecules: Molecules) -> Values:
    return _bulk(molecules.mols())


def _quantum(molecules: Molecules) -> Values:
    from rdkit.Chem import rdMolDescriptors

    return _table([list(rdMolDescriptors.MQNs_(mol)) for mol in molecules.mols()], QUANTUM_NUMBERS)


def _crippen_of(molecules: Molecules) -> tuple[Values, list[Values]]:
    return _crippen(molecules.mols())


def _crippen(mols: Iterable[Any]) -> tuple[Values, list[Values]]:
    """Return (n, 2) lipophilicity and refraction, and each atom's share of them.

    Wildman & Crippen's types of atoms (1999, doi:10.1021/ci990307l) are looked for once, in the molecule with its
    hydrogens, where RDKit's functions for the one and the other look twice.
    """
    from rdkit.Chem import AddHs, rdMolDescriptors

    sums, shares = [], []
    for mol in mols:
        each = np.array(rdMolDescriptors._CalcCrippenContribs(AddHs(mol)))
        sums.append(each.sum(axis=0))
        shares.append(each[: mol.GetNumAtoms()])
    return _table(sums, 2), shares


def _bulk(mols: Iterable[Any]) -> Values:
    """Return `BULK`."""
    from rdkit import Chem
    from rdkit.Chem import rdMolDescriptors

    d = rdMolDescriptors
    halogen, rotating = Chem.MolFromSmarts(HALOGEN), d.NumRotatableBondsOptions.NonStrict
    found = [
        (
            d.CalcTPSA(mol),
            d.CalcLabuteASA(mol),
            d.CalcExactMolWt(mol),
            mol.GetNumHeavyAtoms(),
            d.CalcNumHBD(mol),
            d.CalcNumLipinskiHBA(mol),
            d.CalcNumRotatableBonds(mol, rotating),
            d.CalcNumRings(mol),
            d.CalcNumAromaticRings(mol),
            d.CalcFractionCSP3(mol),
            d.CalcNumHeteroatoms(mol),
            d.CalcNumAmideBonds(mol),
            len(mol.GetSubstructMatches(halogen)),
            Chem.GetFormalCharge(mol),
        )
        for mol in mols
    ]
    return _table(found, len(BULK))


def _table(rows: list[Any], width: int) -> Values:
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)
