"""The most similar of known molecules."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases.fingerprints import RADIUS, circular_substructures
from medtasks.cases.molecules import Molecules

Values = npt.NDArray[np.float64]
BITS = 2048
AT_ONCE = 2_000_000
"""Pairs of molecules compared at a time: 16 MB of similarities."""


@dataclass(frozen=True)
class Neighbours:
    """Known molecules by their fingerprints.

    Attributes
    ----------
    prints : (n, 256) the bits of each, packed
    names : n names, such as SMILES
    """

    prints: npt.NDArray[np.uint8]
    names: tuple[str, ...]

    @classmethod
    def of(cls, molecules: Molecules, names: Sequence[str]) -> Neighbours:
        """Make fingerprints of molecules."""
        bits = np.zeros((len(molecules), BITS), dtype=bool)
        bits[_bits(molecules).nonzero()] = True
        return cls(np.packbits(bits, axis=1, bitorder="little"), tuple(names))

    def nearest(self, molecules: Molecules) -> tuple[Values, npt.NDArray[np.int64]]:
        """Return (m,) Tanimoto similarities to the most similar of at least one known molecule, and (m,) its places.

        Of equally similar ones the first. The bits that two molecules share are counted by a product of sparse
        matrices, which looks at no pair of molecules that share none.
        """
        new, (known, sizes) = _bits(molecules), self._known
        similarity, place = np.zeros(len(molecules)), np.zeros(len(molecules), dtype=np.int64)
        step = max(1, AT_ONCE // len(sizes))
        for start in range(0, len(molecules), step):
            some = new[start : start + step]
            shared = (some @ known).toarray()
            found = shared / (np.diff(some.indptr)[:, None] + sizes - shared)
            place[start : start + step] = best = found.argmax(axis=1)
            similarity[start : start + step] = found[np.arange(len(best)), best]
        return similarity, place

    @functools.cached_property
    def _known(self) -> tuple[Any, npt.NDArray[np.int64]]:
        """The bits as a sparse matrix (2048, n), and the number of each molecule's."""
        from scipy.sparse import csr_matrix

        row, bit = np.nonzero(np.unpackbits(self.prints, axis=1, bitorder="little"))
        shape = (BITS, len(self.prints))
        return csr_matrix((np.ones(len(row)), (bit, row)), shape=shape), np.bincount(row, minlength=shape[1])

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return fingerprints (n, 256) and names as arrays for an ``.npz`` file."""
        return {"prints": self.prints, "names": np.array(self.names, dtype=np.str_)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Neighbours:
        """Rebuild them from `to_arrays`."""
        return cls(arrays["prints"], tuple(map(str, arrays["names"])))


def _bits(molecules: Molecules) -> Any:
    """Return (n, 2048) ECFP4 as a sparse matrix of zeros and ones."""
    from scipy.sparse import csr_matrix

    found = circular_substructures(molecules)
    cells = np.unique(found.rows * BITS + found.keys % BITS)
    shape = (len(molecules), BITS)
    return csr_matrix((np.ones(len(cells)), (cells // BITS, cells % BITS)), shape=shape)


def fingerprints(mols: Sequence[Any]) -> list[Any]:
    """Return an ECFP4 of `BITS` bits for each RDKit molecule, an empty one for None."""
    from rdkit import DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    make = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    return [make.GetFingerprint(mol) if mol is not None else DataStructs.ExplicitBitVect(BITS) for mol in mols]
