"""Which molecules belong together when data are split, so that the test asks what the user will ask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Molecules
from medtasks.cases.structures import scaffold
from medtasks.errors import DataError
from medtasks.evaluation.splits import Fold, Plan

Groups = npt.NDArray[Any]
CLUSTER_SIMILARITY = 0.6
"""Molecules at least this similar (Tanimoto, Morgan counts, radius 2) to a cluster's centre belong to it."""
MOST_CLUSTERED = 20_000
"""Butina's clustering compares all pairs: above this it would take hours, and more than 1.5 GiB."""

_FIGURES = r"^(?P<first>\d{1,2})(?P<mark>[./-])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})(?P<time>[ T].*)?$"
"""Dates of day, month and year, or month, day and year, in figures alone."""


def groups(molecules: Molecules, how: str) -> Groups:
    """Return (n,) names of the groups that a split must not cut.

    Parameters
    ----------
    how
        ``scaffold`` (Bemis & Murcko 1996, doi:10.1021/jm9602928; molecules without rings by their own structure),
        ``cluster`` (Butina 1999, doi:10.1021/ci9803381), or ``random`` (only the very same molecule).

    Raises
    ------
    DataError
        If there are too many molecules to cluster.
    """
    if how == "scaffold":
        return np.array([scaffold(mol) for mol in molecules.mols()], dtype=object)
    if how == "cluster":
        return _clusters(molecules)
    return np.array(molecules.smiles(), dtype=object)


def read_times(values: pd.Series, where: str) -> npt.NDArray[np.float64]:
    """Read a column of years, numbers or dates, indexed by row, into (n,) numbers that rise with time.

    Of dates in figures alone (``25.06.2019``, ``6/25/19``) the whole column says whether the day or the month stands
    first: points between them mean the day.

    Raises
    ------
    DataError
        If a row has none, or the column does not say which figure is the month.
    """
    times = pd.to_numeric(values, errors="coerce")
    if times.isna().any():
        dates = pd.to_datetime(_year_first(values, where), errors="coerce", format="mixed", utc=True)
        times = dates.map(pd.Timestamp.timestamp, na_action="ignore")
    lacking = np.flatnonzero(times.isna().to_numpy())
    if len(lacking):
        raise DataError(
            f"{where}, row {int(values.index[lacking[0]]) + 1}: the column {values.name!r} holds no time",
            hint="give a year, a number or a date in every row",
        )
    return np.asarray(times, dtype=np.float64)


def _year_first(values: pd.Series, where: str) -> pd.Series:
    """Write dates in figures with the year first, and leave all others as they are."""
    text = values.astype("string").str.strip()
    parts = text.str.extract(_FIGURES)
    known = parts["year"].notna()
    if not known.any():
        return values
    first, second, year = (pd.to_numeric(parts[name]).fillna(0) for name in ("first", "second", "year"))
    day_first = bool((first > 12).any() or (parts["mark"] == ".").any())
    if day_first == bool((second > 12).any()):
        raise DataError(
            f"{where}: the column {values.name!r} does not tell whether the day or the month of its dates stands first",
            hint="write dates as 2019-06-25",
        )
    day, month = (first, second) if day_first else (second, first)
    year += np.where(year >= 100, 0, np.where(year < 69, 2000, 1900))  # two figures as POSIX reads them
    whole = [f"{y:04.0f}-{m:02.0f}-{d:02.0f}" for y, m, d in zip(year, month, day, strict=True)]
    return text.mask(known, pd.Series(whole, text.index, dtype="string") + parts["time"].fillna(""))


def by_time(times: npt.NDArray[np.float64], plan: Plan) -> Fold:
    """Make the last molecules the test and those before them validation; those of one time stay together.

    Raises
    ------
    DataError
        If a part would be empty.
    """
    share = pd.Series(times).rank(method="max").to_numpy() / len(times)
    late = share > 1 - plan.test
    valid = (share > 1 - plan.test - plan.valid) & ~late
    fold = Fold(np.flatnonzero(~late & ~valid), np.flatnonzero(valid), np.flatnonzero(late))
    if not all(map(len, (fold.train, fold.valid, fold.test))):
        raise DataError(
            "the times are too few or too much alike to split by",
            hint="give finer times, other shares (--test, --valid), or another --split-by",
        )
    return fold


def _clusters(molecules: Molecules) -> Groups:
    from rdkit import DataStructs
    from rdkit.Chem import rdFingerprintGenerator
    from rdkit.ML.Cluster import Butina

    if len(molecules) > MOST_CLUSTERED:
        raise DataError(
            f"{len(molecules)} molecules are too many to cluster (at most {MOST_CLUSTERED})",
            hint="use --split-by scaffold",
        )
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2)
    prints = [generator.GetSparseCountFingerprint(mol) for mol in molecules.mols()]
    distances = np.zeros((len(prints), len(prints)), dtype=np.float32)  # at the most 1.5 GiB
    for i in range(1, len(prints)):
        distances[i, :i] = 1 - np.asarray(DataStructs.BulkTanimotoSimilarity(prints[i], prints[:i]))
        distances[:i, i] = distances[i, :i]
    found = Butina.ClusterData(distances, len(prints), 1 - CLUSTER_SIMILARITY + 1e-6, isDistData=True, reordering=True)
    out = np.zeros(len(prints), dtype=object)
    for number, members in enumerate(found):
        out[list(members)] = str(number)
    return out
