"""Named real data sets for diagnosis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from medtasks.cases import Records
from medtasks.dataset import Dataset, NamedDataset, Origin
from medtasks.diagnosis.options import DiagnosisOptions
from medtasks.diagnosis.sources import read_npz
from medtasks.errors import DataError


class BreastCancer(NamedDataset):
    """Wisconsin diagnostic breast cancer: 569 patients, 30 measurements of cell nuclei."""

    title: ClassVar[str] = "569 real patients, malignant or benign, from scikit-learn"

    def load(self, variant: str | None, *, cache: Path, seed: int) -> Dataset:
        """Read the table that scikit-learn carries."""
        from sklearn.datasets import load_breast_cancer

        no_variant("breast-cancer", variant)
        data = load_breast_cancer()
        table = pd.DataFrame(data.data, columns=[str(name) for name in data.feature_names])
        targets = 1 - np.asarray(data.target, dtype=np.int64)  # scikit-learn has 0 for malignant
        return Dataset(
            Records.from_table(table),
            targets,
            names=("diagnosis",),
            classes=("benign", "malignant"),
            origin=Origin(
                "breast-cancer",
                self.title,
                "CC BY 4.0",
                "Wolberg, Mangasarian, Street & Street 1995, doi:10.24432/C5DW2B",
            ),
        )


class PneumoniaMNIST(NamedDataset):
    """PneumoniaMNIST: 5,856 chest X-rays of children at 28 x 28, with an official split."""

    title: ClassVar[str] = "5,856 chest X-rays of children, normal or pneumonia, 28 px (download, 4 MB)"
    downloads: ClassVar[bool] = True
    url = "https://zenodo.org/records/10519652/files/pneumoniamnist.npz?download=1"
    md5 = "28209eda62fecd6e6a2d98b1501bb15f"

    def load(self, variant: str | None, *, cache: Path, seed: int) -> Dataset:
        """Download the archive once, check it, read it."""
        no_variant("pneumoniamnist", variant)
        dataset = read_npz(self._fetch(cache), DiagnosisOptions())
        return replace(
            dataset,
            classes=("normal", "pneumonia"),
            origin=Origin(
                "pneumoniamnist",
                "PneumoniaMNIST 28 px (MedMNIST v2)",
                "CC BY 4.0",
                "Yang et al. 2023, doi:10.1038/s41597-022-01721-8; Kermany et al. 2018, doi:10.1016/j.cell.2018.02.010",
                notes=(
                    "The official test part differs from the training and validation parts: expect a threshold "
                    "and probabilities chosen on validation to hold less well on it.",
                ),
            ),
        )

    def _fetch(self, cache: Path) -> Path:
        import pooch

        try:
            found = pooch.retrieve(
                self.url,
                known_hash=f"md5:{self.md5}",
                fname="pneumoniamnist.npz",
                path=cache,
                progressbar=False,
            )
        except OSError as error:  # requests' errors are OSErrors too
            raise DataError(
                f"pneumoniamnist cannot be downloaded ({type(error).__name__})",
                hint=f"fetch {self.url} on a machine with a network and give the file: --data pneumoniamnist.npz",
            ) from None
        except ValueError:
            raise DataError(
                "the download of pneumoniamnist does not have the published checksum",
                hint="try again later; the damaged file was not kept",
            ) from None
        return Path(found)


def no_variant(name: str, variant: str | None) -> None:
    """Refuse a variant of a data set that has none."""
    if variant is not None:
        raise DataError(f"the data set {name!r} has no variant {variant!r}", hint=f"write {name} alone")
