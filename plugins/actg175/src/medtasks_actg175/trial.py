"""ACTG 175: four treatments of HIV, drawn by lot."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from medtasks.cases import Patients
from medtasks.dataset import Dataset, NamedDataset, Origin
from medtasks.errors import DataError

ARMS = ("zidovudine", "zidovudine + didanosine", "zidovudine + zalcitabine", "didanosine")
"""The meaning of the codes 0 to 3 in the column ``arms``."""
FIELDS = {
    "age": "age (years)",
    "wtkg": "weight (kg)",
    "hemo": "haemophilia",
    "homo": "homosexual activity",
    "drugs": "history of intravenous drugs",
    "karnof": "Karnofsky score",
    "oprior": "antiretrovirals before other than zidovudine",
    "z30": "zidovudine in the 30 days before",
    "preanti": "days of antiretrovirals before",
    "race": "not white",
    "gender": "male",
    "str2": "antiretrovirals before",
    "symptom": "symptoms of HIV",
    "cd40": "CD4 count at the start (per mm3)",
    "cd80": "CD8 count at the start (per mm3)",
}
"""What was known of a patient before the treatment, and how it is called here; the other columns came later."""
YES_NO = ("hemo", "homo", "drugs", "oprior", "z30", "race", "gender", "str2", "symptom")


class ACTG175(NamedDataset):
    """2,139 patients with HIV, one of four treatments by lot, the CD4 count at 20 weeks."""

    title: ClassVar[str] = "ACTG 175: four HIV treatments by lot, CD4 count at 20 weeks, 2,139 patients"

    def load(self, variant: str | None, *, cache: Path, seed: int) -> Dataset:
        """Read the table that lifelines carries, without importing lifelines."""
        if variant is not None:
            raise DataError(f"the data set 'actg175' has no variant {variant!r}", hint="write actg175 alone")
        path = Path(str(metadata.distribution("lifelines").locate_file("lifelines/datasets/ACTG175.csv")))
        if not path.is_file():
            raise DataError(
                f"lifelines {metadata.version('lifelines')} does not carry ACTG175.csv",
                hint="pip install 'lifelines>=0.30.3'",
            )
        table = pd.read_csv(path)
        frame = table[list(FIELDS)].copy()
        for name in YES_NO:
            frame[name] = frame[name].map({0: "no", 1: "yes"})
        treatment = table["arms"].to_numpy(dtype=np.int64)
        targets = np.full((len(table), len(ARMS)), np.nan)
        targets[np.arange(len(table)), treatment] = table["cd420"].to_numpy(dtype=np.float64)
        return Dataset(
            Patients.from_table(frame.rename(columns=FIELDS)),
            targets,
            names=ARMS,
            kinds=("arm",) * len(ARMS),
            extra={"propensity": np.full(targets.shape, 1 / len(ARMS))},
            origin=Origin(
                "actg175",
                self.title,
                "MIT (lifelines)",
                "Hammer et al. 1996, doi:10.1056/NEJM199610103351501",
                notes=("The treatments were drawn by lot, each with the probability 1/4.",),
            ),
        )
