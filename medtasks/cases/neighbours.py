"""The most similar of known molecules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
BITS = 2048
RADIUS = 2
"""Bonds around each atom: ECFP4 (Rogers & Hahn 2010, doi:10.1021/ci100050t)."""


@dataclass(frozen=True)
class Neighbours:
    """Known molecules by their fingerprints.

    Attributes
    ----------
    prints : n fingerprints of RDKit
    names : n names, such as SMILES
    """

    prints: Sequence[Any]
    names: tuple[str, ...]

    @classmethod
    def of(cls, mols: Sequence[Any], names: Sequence[str]) -> Neighbours:
        """Make fingerprints of RDKit molecules."""
        return cls(fingerprints(mols), tuple(names))

    def nearest(self, mols: Sequence[Any]) -> tuple[Values, npt.NDArray[np.int64]]:
        """Return (m,) Tanimoto similarities to the most similar of at least one known molecule, and (m,) its places."""
        from rdkit.DataStructs import BulkTanimotoSimilarity

        similarity, place = np.zeros(len(mols)), np.zeros(len(mols), dtype=np.int64)
        for row, one in enumerate(fingerprints(mols)):
            found = np.array(BulkTanimotoSimilarity(one, self.prints))
            place[row] = int(found.argmax())
            similarity[row] = found[place[row]]
        return similarity, place

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return fingerprints (n, 256) and names as arrays for an ``.npz`` file."""
        from rdkit.DataStructs import BitVectToFPSText

        rows = [np.frombuffer(bytes.fromhex(BitVectToFPSText(one)), dtype=np.uint8) for one in self.prints]
        return {"prints": np.array(rows, dtype=np.uint8), "names": np.array(self.names, dtype=np.str_)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Neighbours:
        """Rebuild them from `to_arrays`."""
        from rdkit.DataStructs import CreateFromFPSText

        prints = [CreateFromFPSText(row.tobytes().hex()) for row in arrays["prints"]]
        return cls(prints, tuple(map(str, arrays["names"])))


def fingerprints(mols: Sequence[Any]) -> list[Any]:
    """Return an ECFP4 of `BITS` bits for each RDKit molecule, an empty one for None."""
    from rdkit import DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    make = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    return [make.GetFingerprint(mol) if mol is not None else DataStructs.ExplicitBitVect(BITS) for mol in mols]
