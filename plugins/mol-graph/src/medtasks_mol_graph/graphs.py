"""Many molecules as one flat graph without connections between them, and batches of it in few padded shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import Molecules
from medtasks_mol_graph.binary import read
from medtasks_mol_graph.codes import ATOM, BOND, Features, features

Whole = npt.NDArray[np.int32]
Batch = dict[str, npt.NDArray[Any]]

ATOMS_STEP, BONDS_STEP = 256, 288
"""Batches are padded to whole multiples of so many atoms and bonds: a few shapes, which are compiled once each. Drugs
have 1.08 bonds an atom."""
TABLE_STEP = 64
"""Tables of features are padded to whole multiples of so many rows: a few dozen different atoms occur."""


@dataclass(frozen=True)
class Graphs:
    """The graphs of molecules, one behind the other.

    Attributes
    ----------
    atoms : (all atoms,) row of each atom in ``atom_table``
    ends : (all bonds, 2) the atoms of each bond, counted within its molecule
    bonds : (all bonds,) row of each bond in ``bond_table``
    atom_start, bond_start : (n + 1,) where the atoms and bonds of each molecule start
    atom_table, bond_table : features of the different atoms and bonds that occur, padded with zeros
    """

    atoms: Whole
    ends: Whole
    bonds: Whole
    atom_start: Whole
    bond_start: Whole
    atom_table: Features
    bond_table: Features

    @classmethod
    def of(cls, molecules: Molecules) -> Self:
        """Make the graphs of molecules; of a chunk once for all who ask."""
        return molecules.once(cls._read)

    @classmethod
    def _read(cls, molecules: Molecules) -> Self:
        atoms: list[int] = []
        ends: list[int] = []
        bonds: list[int] = []
        atom_start, bond_start = [0], [0]
        for mine, between, kinds in read(molecules.binaries):
            atoms += mine
            ends += between
            bonds += kinds
            atom_start.append(len(atoms))
            bond_start.append(len(bonds))
        atom_kinds, atom_rows = np.unique(np.array(atoms, dtype=np.int64), return_inverse=True)
        bond_kinds, bond_rows = np.unique(np.array(bonds, dtype=np.int64), return_inverse=True)
        return cls(
            atom_rows.astype(np.int32),
            np.array(ends, dtype=np.int32).reshape(-1, 2),
            bond_rows.astype(np.int32),
            np.array(atom_start, dtype=np.int32),
            np.array(bond_start, dtype=np.int32),
            _padded(features(atom_kinds, ATOM), _round_up(len(atom_kinds), TABLE_STEP)),
            _padded(features(bond_kinds, BOND), _round_up(len(bond_kinds), TABLE_STEP)),
        )

    def __len__(self) -> int:
        return len(self.atom_start) - 1

    @property
    def sizes(self) -> Whole:
        """(n,) number of atoms of each molecule."""
        return np.diff(self.atom_start)

    def batch(self, rows: npt.NDArray[np.int64], places: int) -> Batch:
        """Return the given molecules as one graph, padded: what the network takes.

        Every bond is two directed edges, 2k and 2k + 1, so that the reverse of an edge is its neighbour. Padding
        atoms belong to the last of ``places`` + 1 molecules, padding bonds join the last of them with itself.
        """
        atoms, atom_owner = _ranges(self.atom_start, rows)
        bonds, bond_owner = _ranges(self.bond_start, rows)
        sizes = self.sizes[rows]
        offset = np.cumsum(sizes) - sizes
        ends = self.ends[bonds] + offset[bond_owner][:, None]
        steps = max((len(atoms) + ATOMS_STEP) // ATOMS_STEP, _round_up(len(bonds), BONDS_STEP) // BONDS_STEP)
        width, pairs = steps * ATOMS_STEP, steps * BONDS_STEP
        both = np.full((pairs, 2), width - 1, dtype=np.int32)
        both[: len(ends)] = ends
        counted = np.ones((places + 1, 1), dtype=np.float32)
        counted[: len(rows), 0] = sizes
        return {
            "atom_table": self.atom_table,
            "bond_table": self.bond_table,
            "atoms": _padded(self.atoms[atoms], width),
            "bonds": _padded(self.bonds[bonds], pairs),
            "source": both.ravel(),
            "target": both[:, ::-1].ravel(),
            "owner": _padded(atom_owner.astype(np.int32), width, places),
            "sizes": counted,
        }


def _ranges(start: Whole, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the places of some molecules' atoms or bonds, and the number in the batch of each one's molecule."""
    sizes = (start[1:] - start[:-1])[rows].astype(np.int64)
    owner = np.repeat(np.arange(len(rows)), sizes)
    first = np.cumsum(sizes) - sizes
    return np.arange(sizes.sum()) + (start[rows] - first)[owner], owner


def _round_up(n: int, step: int) -> int:
    return max(step, -(-n // step) * step)


def _padded(values: npt.NDArray[Any], rows: int, fill: int = 0) -> npt.NDArray[Any]:
    out = np.full((rows, *values.shape[1:]), fill, dtype=values.dtype)
    out[: len(values)] = values
    return out
