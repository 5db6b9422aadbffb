"""What an audit asks of data about treatments: were the arms alike before, and did all have an outcome?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.auditing.findings import Finding, Label, Subject
from medtasks.cases import RecordEncoder, Records, Source
from medtasks.dataset import Dataset
from medtasks.evaluation.probing import LEAST, separable
from medtasks.treatment.options import TreatmentOptions
from medtasks.treatment.sources import lost_outcomes

Values = npt.NDArray[np.float64]

IMBALANCE = 0.25
"""Standardised difference of means from which arms differ (Rubin 2001, doi:10.1023/A:1020363010465)."""
NO_OVERLAP = 0.9
"""AUROC of "who received it" from which hardly any patient could have received either."""
BY_LOT = 4.0
"""Standard errors that a difference between arms drawn by lot should not reach in any of a hundred fields."""


def arms(subject: Subject, records: Records) -> list[Finding]:
    """Tell which fields differ between arms, and whether they tell who received what."""
    if subject.question != "arm":
        return []
    label = subject.labels()[0]
    encoder = RecordEncoder.fit(records)
    columns = encoder.transform(records)[label.rows]
    lot = _by_lot(subject)
    found = _imbalance(label, columns, [records.fields[owner].name for owner in encoder.owners], lot)
    for name, truth in label.against_rest(LEAST):
        told = separable(columns, truth, seed=subject.seed)
        if told.surely(NO_OVERLAP):
            found.append(
                Finding(
                    "warning",
                    "arms",
                    f"The fields together tell who received {name!r} ({told})",
                    "for most patients there is nobody alike who received another treatment: effects for them rest on "
                    "the model alone; restrict the data to patients who could have received either",
                )
            )
            break
    return found


def _by_lot(subject: Subject) -> bool:
    known = subject.dataset.extra.get("propensity")
    return known is not None and bool(np.allclose(known, known[0]))


def _imbalance(label: Label, columns: Values, names: list[str], lot: bool) -> list[Finding]:
    differing: dict[str, float] = {}
    for _, truth in label.against_rest(LEAST):
        one, other = columns[truth], columns[~truth]
        variance = one.var(axis=0), other.var(axis=0)
        spread = np.sqrt((variance[0] + variance[1]) / 2)
        error = np.sqrt(variance[0] / len(one) + variance[1] / len(other))
        gap = np.abs(one.mean(axis=0) - other.mean(axis=0))
        large = gap > IMBALANCE * spread
        if lot:
            large = gap > np.maximum(BY_LOT * error, 1e-9)
        for column in np.flatnonzero(large & (spread > 0)):
            name = names[column]
            differing[name] = max(differing.get(name, 0.0), float(gap[column] / spread[column]))
    if not differing:
        return []
    ranked = sorted(differing, key=lambda name: -differing[name])
    shown = ", ".join(f"{name!r} ({differing[name]:.2f})" for name in ranked[:5])
    more = f" and {len(ranked) - 5} more" if len(ranked) > 5 else ""
    return [
        Finding(
            "warning" if lot else "note",
            "arms",
            f"The arms differ before the treatment in {shown}{more} (standardised difference)",
            "chance does not make such arms: ask whether the treatments were really drawn by lot, and leave "
            "--randomised out if not"
            if lot
            else "effects are right only if the fields hold everything that drove the choice",
        )
    ]


def lost(source: Source | Dataset, options: Any) -> list[Finding]:
    """Tell whether outcomes are missing more often in one arm of a table than in another.

    A data set lacks these rows, so the source is looked at again; by a chi-squared test at 0.1 %.
    """
    from scipy.stats import chi2_contingency

    if not isinstance(options, TreatmentOptions) or isinstance(source, Dataset):
        return []
    told = lost_outcomes(source, options)
    if told is None:
        return []
    treatment, gone, ids = told
    known = np.array([arm is not None for arm in treatment], dtype=bool)
    names, own = np.unique(treatment[known].astype(str), return_inverse=True)
    counts = np.array([np.bincount(own, weights=gone[known] == side, minlength=len(names)) for side in (False, True)])
    if len(names) < 2 or not counts.sum(axis=1).all():
        return []
    shares = counts[1] / counts.sum(axis=0)
    if chi2_contingency(counts, correction=False).pvalue >= 1e-3:
        return []
    rows = tuple(ids[row] for row in np.flatnonzero(gone & known))
    return [
        Finding(
            "warning",
            "arms",
            f"The outcome is missing in {shares.max():.0%} of the rows of one arm and in {shares.min():.0%} of another",
            "find out why patients were lost: those left in the arms need not be alike any more",
            len(rows),
            rows,
        )
    ]
