"""Molecules as counts of substructures, and how alike two are: the MinMax (count-Tanimoto) kernel."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from medtasks.cases import Molecules
from medtasks.cases.fingerprints import RADIUS, Substructures, circular_substructures

Values = npt.NDArray[np.float64]
Keys = npt.NDArray[np.int64]

VIEWS = ("morgan2", "morgan3", "pairs")
"""Circular substructures up to 2 and 3 bonds around each atom (Rogers & Hahn 2010, doi:10.1021/ci100050t), and pairs of
atoms with their distance (Carhart et al. 1985, doi:10.1021/ci00046a002). The larger substructures tell R from S and Z
from E: mirror images may act differently."""
LEVELS = 32
"""Counts above this count as this."""
COMMON = 0.02
"""A column that more molecules than this share have is multiplied as a dense one, the others as sparse ones."""


@functools.cache
def generators() -> Mapping[str, Any]:
    """Return RDKit's fingerprint generator of each view."""
    from rdkit.Chem import rdFingerprintGenerator

    return {
        "morgan2": rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS),
        "morgan3": rdFingerprintGenerator.GetMorganGenerator(radius=3, includeChirality=True),
        "pairs": rdFingerprintGenerator.GetAtomPairGenerator(),
    }


def count(molecules: Molecules, views: Sequence[str] = VIEWS) -> dict[str, Substructures]:
    """Count the substructures of molecules, for each view; of a chunk once for all who ask."""
    return {view: molecules.once(_count, view) for view in views}


def _count(molecules: Molecules, view: str) -> Substructures:
    if view == "morgan2":  # which others ask for too
        return circular_substructures(molecules)
    return Substructures.of(molecules.mols(), generators()[view])


@dataclass(frozen=True)
class Landmarks:
    """Molecules that others are compared with, in one view.

    With a column for each substructure and level ("occurs at least k times") the sum of the smaller counts of two
    molecules is a product of zeros and ones, which linear algebra does at once for many; what these molecules do not
    have adds to nothing but the larger counts.

    Attributes
    ----------
    columns : (v,) key * LEVELS + level of each column, sorted
    matrix : (m, v) sparse, zeros and ones
    total : (m,) sum of the counts of each molecule
    """

    columns: Keys
    matrix: Any
    total: Values

    @classmethod
    def of(cls, counts: Substructures) -> Self:
        """Make landmarks of molecules."""
        rows, cells = _levels(counts)
        columns = np.unique(cells)
        return cls(columns, _matrix(rows, np.searchsorted(columns, cells), counts.n, len(columns)), _total(counts))

    def compare(self, counts: Substructures) -> npt.NDArray[np.float32]:
        """Return the kernel (n, m) of molecules with the landmarks (Ralaivola et al. 2005,
        doi:10.1016/j.neunet.2005.07.009): the sum of the smaller counts over that of the larger ones."""
        rows, cells = _levels(counts)
        place, known = self._places(cells)
        new = _matrix(rows[known], place[known], counts.n, len(self.columns))
        common = np.asarray(self.matrix.sum(axis=0)).ravel() > max(COMMON * len(self.total), 1)
        shared = new[:, common].toarray() @ self.matrix[:, common].toarray().T
        shared += (new[:, ~common] @ self.matrix[:, ~common].T).toarray()
        larger = _total(counts)[:, None] + self.total - shared
        return np.asarray(shared / np.maximum(larger, 1e-9), dtype=np.float32)

    def added(self, counts: Substructures, weights: Values) -> Values:
        """Return (occurring,) what each substructure of one molecule adds to its weighted sum of kernels.

        Integrated gradients (Sundararajan, Taly & Yan 2017, arXiv:1703.01365) from no substructure to the molecule's:
        with all present in part, what the others tell too does not hide what one tells. The parts sum to the whole.
        With a share t of n levels present, s of them shared with a landmark of T, the kernel is t s / (T + t (n - s)),
        so that the integrals have a closed form.

        Parameters
        ----------
        counts : of one molecule
        weights : (m,) of the landmarks
        """
        times, cells = np.minimum(counts.counts, LEVELS), _levels(counts)[1]
        place, known = self._places(cells)
        shared = self.matrix @ np.bincount(place[known], minlength=len(self.columns)).astype(np.float64)
        lengths = np.maximum(self.total, 1)  # 0 of a landmark without substructures, which shares none
        alone = np.maximum((len(cells) - shared) / lengths, 1e-6)  # far from 0 / 0, and changes no digit that is shown
        first = np.log1p(alone) / alone / lengths  # integral of 1 / (T + t (n - s))
        second = (np.log1p(alone) - alone / (1 + alone)) / (alone * lengths) ** 2  # of t / (T + t (n - s))^2
        gains = self.matrix.T @ (weights * (first + shared * second))
        parts = np.where(known, gains[place], 0.0) - weights @ (shared * second)
        return np.asarray(np.bincount(np.repeat(np.arange(len(times)), times), parts, len(times)), dtype=np.float64)

    def _places(self, cells: Keys) -> tuple[Keys, npt.NDArray[np.bool_]]:
        """Return the column of each cell, and whether there is one."""
        place = np.minimum(np.searchsorted(self.columns, cells), len(self.columns) - 1)
        return place, self.columns[place] == cells


def _levels(counts: Substructures) -> tuple[Keys, Keys]:
    """Return row and cell of each "occurs at least k times" that holds."""
    times = np.minimum(counts.counts, LEVELS)
    level = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    return np.repeat(counts.rows, times), np.repeat(counts.keys, times) * LEVELS + level


def _matrix(rows: Keys, columns: Keys, n: int, width: int) -> Any:
    return sp.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(n, width))


def _total(counts: Substructures) -> Values:
    return np.bincount(counts.rows, np.minimum(counts.counts, LEVELS), counts.n).astype(np.float64)
