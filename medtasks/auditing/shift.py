"""Shift: whether the sides of a split come from one source.

A classifier that tells validation from test cases better than chance is a two-sample test (Lopez-Paz & Oquab 2017,
arXiv:1610.06545). Where it does, a threshold, a calibration or an interval made on one side need not hold on the other.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from medtasks.auditing.findings import Finding, Subject
from medtasks.dataset import SPLITS
from medtasks.evaluation.probing import LEAST, Told, separable

SHIFTED = 0.6
"""AUROC that is told of: a shift of half a standard deviation in one direction gives .64."""
ERRORS = 3.0
"""Standard errors above `SHIFTED`: a data set is asked about a dozen times."""
FEW = 2 * LEAST


def shifts(subject: Subject, columns: npt.NDArray[np.float64]) -> list[Finding]:
    """Tell which sides of the data's own split can be told apart, as a whole and within each class.

    Parameters
    ----------
    columns : (n, d) what is looked at, finite
    """
    if not subject.own or subject.parts is None:
        return []
    found = []
    for one, other in combinations(SPLITS, 2):
        rows = np.flatnonzero(np.isin(subject.parts, (one, other)))
        told = {"as a whole": _apart(subject, columns, rows, other)}
        for label in subject.labels()[:1]:
            for code, name in enumerate(label.classes):
                mine = np.intersect1d(rows, label.rows[label.codes == code])
                told[f"within {name!r}"] = _apart(subject, columns, mine, other)
        clear = {where: value for where, value in told.items() if value.surely(SHIFTED, ERRORS)}
        if clear:
            whole = ", ".join(f"{where} {value}" for where, value in clear.items())
            found.append(
                Finding(
                    "warning",
                    "shift",
                    f"The {one} and {other} parts can be told apart: {whole}",
                    f"expect what is fixed on {one} (a threshold, probabilities, intervals) to hold less well on "
                    f"{other}; ask how the parts were collected, or leave the split out and let medtasks split"
                    if one == "valid" or other == "test"
                    else "ask how the parts were collected, or let medtasks take the validation part from training",
                    parts=(one, other),
                )
            )
    return found


def _apart(subject: Subject, columns: npt.NDArray[np.float64], rows: npt.NDArray[np.int64], other: str) -> Told:
    assert subject.parts is not None
    truth = subject.parts[rows] == other
    if min(truth.sum(), (~truth).sum()) < FEW:
        return Told(0.5, 0.5)
    groups = subject.dataset.groups
    return separable(columns[rows], truth, None if groups is None else groups[rows], subject.seed)
