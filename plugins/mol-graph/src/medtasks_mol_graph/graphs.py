"""Many molecules as one flat graph without connections between them, and batches of it in few padded shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import Molecules
from medtasks_mol_graph.binary import read
from medtasks_mol_graph.codes import ATOM, BOND, Codes, Features, centres, features, hands
from medtasks_mol_graph.refinement import ranges, refine

Whole = npt.NDArray[np.int32]
Batch = dict[str, npt.NDArray[Any]]

SHARES = {
    "atoms": 256, "owner": 256, "first": 64, "rows_1": 128, "heard_1": 224, "by_1": 224,
    "rows": 256, "heard": 512, "by": 512,
}  # fmt: skip
"""Batches to learn from are padded to one whole multiple of these sizes, which is about what 10 drugs take: a few
shapes, which are compiled once each."""
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
        codes = np.array(atoms, dtype=np.int64)
        _tell_hands(molecules, codes, np.array(atom_start))
        atom_kinds, atom_rows = np.unique(codes, return_inverse=True)
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

    def batch(self, rows: npt.NDArray[np.int64], places: int, depth: int, *, even: bool = False) -> Batch:
        """Return the given molecules as one graph, padded: what a network of ``depth`` steps takes; see `refine`.

        Padding atoms belong to the last of ``places`` + 1 molecules, padding links to the last state of their step.
        With ``even``, all sizes grow together, so that batches of equally many molecules have two or three shapes;
        else each by itself, by less.
        """
        atoms, atom_owner = ranges(self.atom_start, rows)
        bonds, bond_owner = ranges(self.bond_start, rows)
        sizes = self.sizes[rows]
        offset = np.cumsum(sizes) - sizes
        ends = self.ends[bonds].astype(np.int64) + offset[bond_owner][:, None]
        kinds = self.atoms[atoms].astype(np.int64)
        firsts, steps, states = refine(kinds, self.bonds[bonds].astype(np.int64), ends, depth)
        counted = np.ones((places + 1, 1), dtype=np.float32)
        counted[: len(rows), 0] = sizes
        found = {"atoms": states, "owner": atom_owner, "first_atoms": firsts[:, 0], "first_bonds": firsts[:, 1]}
        for number, step in enumerate(steps, 1):
            found |= {f"rows_{number}": step.rows, f"heard_{number}": step.heard, f"by_{number}": step.by}
        room = _even(found) if even else {name: room_for(len(values) + 1) for name, values in found.items()}
        last = {"owner": places} | {f"by_{number}": room[f"rows_{number}"] - 1 for number in range(1, depth + 1)}
        whole = {
            name: _padded(values.astype(np.int32), room[name], last.get(name, 0)) for name, values in found.items()
        }
        return {"atom_table": self.atom_table, "bond_table": self.bond_table, "sizes": counted, **whole}


def room_for(n: int) -> int:
    """Return how many places so many things get: at most a quarter more, so that there are four sizes an octave.

    >>> [room_for(n) for n in (1, 7, 8, 9, 100, 130)]
    [8, 8, 8, 10, 112, 160]
    """
    step = 1 << max((max(n, 8) - 1).bit_length() - 3, 0)
    return _round_up(max(n, 8), step)


def _tell_hands(molecules: Molecules, codes: Codes, start: Codes) -> None:
    """Add R and S to the codes of all molecules' stereo centres, in place."""
    places = centres(codes)
    owner = np.searchsorted(start, places, "right") - 1
    rows, first = np.unique(owner, return_index=True)
    of_row = dict(zip(rows.tolist(), np.split(places, first[1:]), strict=True)) if len(rows) else {}
    for row, mol in enumerate(molecules.mols() if of_row else ()):
        if row in of_row:
            codes[of_row[row]] += hands(mol, (of_row[row] - start[row]).tolist())


def _even(found: Mapping[str, npt.NDArray[Any]]) -> dict[str, int]:
    """Return how many places each gets, all the same multiple of its `SHARES`."""
    shares = {name: SHARES.get(name) or SHARES[name.partition("_")[0]] for name in found}
    steps = max(len(values) // shares[name] + 1 for name, values in found.items())
    steps = _round_up(steps, 1 << max(steps.bit_length() - 4, 0))  # large batches too have few shapes
    return {name: steps * share for name, share in shares.items()}


def _round_up(n: int, step: int) -> int:
    return max(step, -(-n // step) * step)


def _padded(values: npt.NDArray[Any], rows: int, fill: int = 0) -> npt.NDArray[Any]:
    out = np.full((rows, *values.shape[1:]), fill, dtype=values.dtype)
    out[: len(values)] = values
    return out
