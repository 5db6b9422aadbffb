"""Named data sets of activities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pandas as pd

from medtasks.activity.options import ActivityOptions
from medtasks.activity.sources import read
from medtasks.dataset import Dataset, NamedDataset, Origin
from medtasks.errors import DataError
from medtasks.model import Context


class ChemblDocument(NamedDataset):
    """CHEMBL2321810: 1,017 molecules of one ChEMBL document with their pActivity, from the installed RDKit."""

    title: ClassVar[str] = "1,017 real molecules with pActivity (ChEMBL document CHEMBL2321810), from RDKit"

    def load(self, variant: str | None, *, cache: Path, seed: int) -> Dataset:
        """Read the two files that RDKit carries."""
        from rdkit import RDConfig

        if variant is not None:
            raise DataError(f"the data set has no variant {variant!r}", hint="write its name alone")
        folder = Path(RDConfig.RDContribDir, "FreeWilson", "data")
        try:
            structures = pd.read_csv(folder / "CHEMBL2321810.smi", sep=" ", names=["smiles", "name"], dtype=str)
            measured = pd.read_csv(folder / "CHEMBL2321810_act.csv", dtype=str)
        except OSError:
            raise DataError(
                "the installed RDKit does not carry its Contrib folder",
                hint="install RDKit by pip, or name your own data with --data",
            ) from None
        table = structures.merge(measured.rename(columns={"Name": "name", "Act": "pActivity"}), on="name")
        dataset = read(table, ActivityOptions(target=("pActivity",)), Context())
        return replace(
            dataset,
            origin=Origin(
                "chembl2321810",
                self.title,
                "CC BY-SA 3.0 (ChEMBL)",
                "Zdrazil et al. 2024, doi:10.1093/nar/gkad1004",
                invalid=dataset.origin.invalid,
                notes=dataset.origin.notes,
            ),
        )
