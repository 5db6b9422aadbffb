"""Atoms and bonds as small integer codes, and the rows of features that the codes stand for.

A code packs a few small numbers into one integer. A molecule takes about 200 bytes so; the network gathers the rows of
features from one small table per batch instead of receiving them by the atom.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
Features = npt.NDArray[np.float32]
Read = tuple[list[int], list[int], list[int]]
"""Of one molecule: a code per atom, the two atoms of each bond in turn, a code per bond."""

ELEMENTS = (
    1, 3, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 20, 25, 26, 27, 28, 29, 30, 33, 34, 35, 44, 46, 50, 51, 52,
    53, 77, 78, 79, 80, 83,
)  # fmt: skip
"""Atomic numbers with a feature of their own: those of drugs, counter-ions and metal complexes; the rest share one."""
HYBRIDISATIONS = 8
"""RDKit's: unspecified, s, sp, sp2, sp3, sp2d, sp3d, sp3d2; whatever else counts as unspecified."""
ORDERS = (1, 2, 3, 12)
"""RDKit's numbers of the single, double, triple and aromatic bond; dative and the like count as other."""


@dataclass(frozen=True)
class Block:
    """One field of a code: how many values it has. Each becomes one column of zeros and ones."""

    name: str
    values: int


ATOM = (
    Block("element", len(ELEMENTS) + 1),
    Block("charge", 5),  # -2 or less, -1, 0, 1, 2 or more
    Block("hydrogens", 5),  # 4 or more together
    Block("hybridisation", HYBRIDISATIONS),
    Block("aromatic", 2),
    Block("centre", 4),  # none, a stereo centre that is specified but has no hand by itself, R, S
    Block("radical", 2),
    Block("ring", 2),
    Block("degree", 7),  # 6 or more together
)
BOND = (
    Block("order", len(ORDERS) + 1),
    Block("conjugated", 2),
    Block("stereo", 4),  # none, any, Z, E
    Block("ring", 2),
)


def strides(blocks: Sequence[Block]) -> Codes:
    """Return what one step of each field adds to a code.

    >>> strides(BOND).tolist()
    [1, 5, 10, 40]
    """
    return np.cumprod([1, *(block.values for block in blocks[:-1])]).astype(np.int64)


def features(codes: Codes, blocks: Sequence[Block]) -> Features:
    """Return (n, columns) zeros and ones: what codes stand for. Of the last field, values beyond count as its last."""
    parts, rest = [], codes
    for i, block in enumerate(blocks):
        last = i == len(blocks) - 1
        rest, value = (rest, np.minimum(rest, block.values - 1)) if last else np.divmod(rest, block.values)
        parts.append(np.eye(block.values, dtype=np.float32)[value])
    return np.concatenate(parts, axis=1)


def width(blocks: Sequence[Block]) -> int:
    """Return the number of columns of `features`."""
    return sum(block.values for block in blocks)


_ELEMENT = {number: place for place, number in enumerate(ELEMENTS)}
_ORDER = {number: place for place, number in enumerate(ORDERS)}
_SIDES = (0, 1, 2, 3, 1, 1)
_ATOM_STRIDES = tuple(strides(ATOM).tolist())
_BOND_STRIDES = tuple(strides(BOND).tolist())
CENTRE, RING, DEGREE = _ATOM_STRIDES[5], _ATOM_STRIDES[7], _ATOM_STRIDES[8]
BOND_RING = _BOND_STRIDES[3]
"""What the hand of a centre, a ring, and each bond of an atom add to a code: they come from the whole molecule."""
_HANDS = {"R": 1, "S": 2}


def atom_code(
    *, number: int, charge: int, hydrogens: int, hybridisation: int, aromatic: bool, centre: bool, radical: bool
) -> int:
    """Return the code of an atom by itself: without hand, degree and ring."""
    fields = (
        _ELEMENT.get(number, len(ELEMENTS)),
        min(max(charge, -2), 2) + 2,
        min(hydrogens, 4),
        hybridisation if hybridisation < HYBRIDISATIONS else 0,
        int(aromatic),
        int(centre),
        int(radical),
    )
    return sum(value * stride for value, stride in zip(fields, _ATOM_STRIDES, strict=False))


def bond_code(*, order: int, conjugated: bool, stereo: int) -> int:
    """Return the code of a bond without its ring."""
    side = _SIDES[stereo] if stereo < len(_SIDES) else 1
    fields = (_ORDER.get(order, len(ORDERS)), int(conjugated), side)
    return sum(value * stride for value, stride in zip(fields, _BOND_STRIDES, strict=False))


def centres(codes: Codes) -> Codes:
    """Return the places of stereo centres among the codes of atoms."""
    return np.flatnonzero(codes // CENTRE % ATOM[5].values)


def hands(mol: Any, atoms: Iterable[int]) -> list[int]:
    """Return what the hand of each of some stereo centres adds to its code: R or S (Cahn, Ingold & Prelog 1966,
    doi:10.1002/anie.196603851), as RDKit finds them.

    RDKit's tag of an atom, which its binary form holds, tells how the neighbours turn in the order that the molecule
    is written in; R and S do not depend on that order.
    """
    from rdkit import Chem

    if not mol.HasProp("_StereochemDone"):  # as it is when it was just read from its binary form
        mol = Chem.Mol(mol)
        Chem.AssignStereochemistry(mol, cleanIt=False, force=True)
    found = map(mol.GetAtomWithIdx, atoms)
    return [CENTRE * _HANDS.get(atom.GetProp("_CIPCode"), 0) if atom.HasProp("_CIPCode") else 0 for atom in found]


def by_getters(mol: Any) -> Read:
    """Read one molecule by RDKit's public functions, without the `hands`: the reference."""
    atoms = []
    for atom in mol.GetAtoms():
        code = atom_code(
            number=atom.GetAtomicNum(),
            charge=atom.GetFormalCharge(),
            hydrogens=atom.GetTotalNumHs(),
            hybridisation=int(atom.GetHybridization()),
            aromatic=atom.GetIsAromatic(),
            centre=int(atom.GetChiralTag()) != 0,
            radical=atom.GetNumRadicalElectrons() > 0,
        )
        atoms.append(code + DEGREE * atom.GetDegree() + RING * atom.IsInRing())
    ends, bonds = [], []
    for bond in mol.GetBonds():
        ends += [bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]
        code = bond_code(order=int(bond.GetBondType()), conjugated=bond.GetIsConjugated(), stereo=int(bond.GetStereo()))
        bonds.append(code + BOND_RING * bond.IsInRing())
    return atoms, ends, bonds
