"""Molecules as counts of their substructures: sparse as RDKit finds them, or folded to a fixed number of columns."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases.molecules import Molecules

Counts = npt.NDArray[np.float32]
Keys = npt.NDArray[np.int64]

RADIUS = 2
"""Bonds around each atom: ECFP4 (Rogers & Hahn 2010, doi:10.1021/ci100050t)."""
STEP = 2048
"""Molecules folded at a time."""


@dataclass(frozen=True)
class Substructures:
    """Substructures of molecules: the (row, key, count) of each that occurs, sorted by row.

    Attributes
    ----------
    n : number of molecules
    rows, keys, counts : (occurring,) each; keys are RDKit's hashes
    """

    n: int
    rows: Keys
    keys: Keys
    counts: Keys

    @classmethod
    def of(cls, mols: Iterable[Any], generator: Any) -> Substructures:
        """Count the substructures of RDKit molecules by a generator of RDKit's."""
        keys: list[int] = []
        counts: list[int] = []
        sizes: list[int] = []
        for mol in mols:
            found = generator.GetSparseCountFingerprint(mol).GetNonzeroElements()
            keys += found.keys()
            counts += found.values()
            sizes.append(len(found))
        rows = np.repeat(np.arange(len(sizes)), np.array(sizes, dtype=np.int64))
        return cls(len(sizes), rows, np.array(keys, dtype=np.int64), np.array(counts, dtype=np.int64))

    def take(self, rows: Keys) -> Substructures:
        """Return the given molecules, in the given order."""
        starts = np.searchsorted(self.rows, np.arange(self.n + 1))
        sizes = (starts[1:] - starts[:-1])[rows]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        places = np.repeat(starts[rows], sizes) + within
        return Substructures(len(rows), np.repeat(np.arange(len(rows)), sizes), self.keys[places], self.counts[places])

    def folded(self, width: int) -> Counts:
        """Return (n, width): as RDKit folds them, each key to the column of its rest."""
        cells = self.rows * width + self.keys % width
        return np.bincount(cells, self.counts, self.n * width).reshape(self.n, width).astype(np.float32)


def circular_substructures(mols: Molecules | Iterable[Any], radius: int = RADIUS) -> Substructures:
    """Count the circular substructures (Morgan) of molecules or RDKit molecules; of a chunk once for all who ask."""
    if isinstance(mols, Molecules):
        return mols.once(_circular, radius)
    return Substructures.of(mols, _generator(radius))


def count_substructures(mols: Molecules | Iterable[Any], width: int) -> Counts:
    """Return (n, width): how often each circular substructure (Morgan, radius 2) occurs, by RDKit.

    Parameters
    ----------
    mols
        Molecules, whose substructures are found once for all who ask, or RDKit molecules.
    width
        Columns that the substructures are folded to: at 1024 about 5 % of a drug's share one with another.

    Examples
    --------
    >>> from rdkit import Chem
    >>> float(count_substructures([Chem.MolFromSmiles("CCO")], 64).sum())  # three atoms, and what surrounds them
    6.0
    """
    parts: Sequence[Molecules | list[Any]]
    if isinstance(mols, Molecules):
        parts = list(mols.chunks(STEP))
    else:
        kept = list(mols)
        parts = [kept[start : start + STEP] for start in range(0, len(kept), STEP)]
    nothing = np.zeros((0, width), dtype=np.float32)
    return np.concatenate([nothing, *(circular_substructures(part).folded(width) for part in parts)])


def atoms_within(mol: Any, centre: int, radius: int) -> list[int]:
    """Return the atoms of a circular substructure, sorted: the centre, and the ends of all bonds up to a radius."""
    from rdkit import Chem

    bonds = map(mol.GetBondWithIdx, Chem.FindAtomEnvironmentOfRadiusN(mol, radius, centre) if radius else ())
    return sorted({centre} | {atom for bond in bonds for atom in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())})


def without_atoms(mol: Any, masks: npt.NDArray[np.bool_], width: int) -> Counts:
    """Return (n, width): the counts without the substructures that hold a hidden atom (Riniker & Landrum 2013,
    doi:10.1186/1758-2946-5-43).

    Parameters
    ----------
    masks : (n, atoms) which are hidden
    """
    from rdkit.Chem import rdFingerprintGenerator

    output = rdFingerprintGenerator.AdditionalOutput()
    output.AllocateBitInfoMap()
    # folded by RDKit itself, which is what tells the places of what shares a column
    folding = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=width)
    whole = folding.GetCountFingerprintAsNumPy(mol, additionalOutput=output).astype(np.float32)
    left = np.tile(whole, (len(masks), 1))
    for column, places in output.GetBitInfoMap().items():
        for centre, radius in places:
            left[masks[:, atoms_within(mol, centre, radius)].any(axis=1), column] -= 1
    return left


def without_each_atom(mol: Any, width: int) -> Counts:
    """Return (atoms, width): the counts without the substructures that hold the atom; see `without_atoms`."""
    return without_atoms(mol, np.eye(mol.GetNumAtoms(), dtype=bool), width)


def _circular(molecules: Molecules, radius: int) -> Substructures:
    return Substructures.of(molecules.mols(), _generator(radius))


@functools.cache
def _generator(radius: int) -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=radius)
