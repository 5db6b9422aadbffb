"""Cases as columns of numbers, for models that know nothing of records or molecules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import Cases, Molecules, Records
from medtasks.cases.fingerprints import count_substructures
from medtasks.cases.standardised import Standardised
from medtasks.stored import Arrays, Values

WIDTH = 2048
"""Columns that a molecule's substructures are folded to, as in the linear baseline."""


@dataclass(frozen=True)
class Features:
    """Records and patients as standardised columns, molecules as log(1 + counts) of substructures (Morgan, radius 2).

    Attributes
    ----------
    columns : Standardised, or None for molecules
    """

    columns: Standardised | None

    @classmethod
    def fit(cls, cases: Cases) -> Self:
        """Learn from training cases what `transform` needs.

        Raises
        ------
        TypeError
            If they are neither records (patients) nor molecules.
        """
        if isinstance(cases, Molecules):
            return cls(None)
        if not isinstance(cases, Records):
            raise TypeError(f"cases of the kind {cases.kind} have no columns")
        return cls(Standardised.fit(cases))

    @property
    def width(self) -> int:
        """The number of columns."""
        return WIDTH if self.columns is None else len(self.columns.mean)

    def transform(self, cases: Cases) -> Values:
        """Return (n, width) numbers.

        Raises
        ------
        ValueError
            If records do not have the fields of the training cases.
        """
        if self.columns is None:
            assert isinstance(cases, Molecules)
            return np.log1p(count_substructures(cases, WIDTH).astype(np.float64))
        assert isinstance(cases, Records)
        return self.columns.transform(cases)

    def save(self, folder: Path) -> dict[str, npt.NDArray[Any]]:
        """Write the fields of records to ``fields.json`` and return the arrays to store beside them."""
        return {} if self.columns is None else self.columns.save(folder)

    @classmethod
    def load(cls, folder: Path, arrays: Arrays) -> Self:
        """Rebuild from what `save` wrote and returned; raises `BundleError` if it does not fit."""
        if not (folder / "fields.json").is_file():
            return cls(None)
        return cls(Standardised.load(folder, arrays))
