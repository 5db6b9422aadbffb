"""Whether two samples come from one source: the condition under which a promise made on one holds on the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.evaluation.probing import units

Values = npt.NDArray[np.float64]
EXCHANGEABLE, SHIFTED, UNTESTED = "exchangeable", "shifted", "untested"
LEAST = 30
"""Cases of each sample, or patients where a patient can have several, below which no test is made."""
MOST = 1000
"""Cases of each sample that are compared at most: more find shifts that no promise would notice."""
SIGNIFICANT = 2.58
"""Standard errors above one half: a two-sided test at 1 %, since a run makes several."""
NOTABLE = 0.6
"""An AUROC below this is no shift that matters, however sure."""


@dataclass(frozen=True)
class Validity:
    """Whether calibration cases and new ones are alike.

    Attributes
    ----------
    status : exchangeable, shifted or untested
    auroc : of a classifier that tells one from the other, cross-validated (0.5: it cannot); None if untested
    where : the class within which the shift shows most, "" if over all cases
    """

    status: str
    auroc: float | None = None
    where: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"status": self.status, "auroc": self.auroc, "where": self.where}


def two_sample(
    features: Values, new: npt.NDArray[np.bool_], seed: int = 0, groups: npt.NDArray[Any] | None = None
) -> tuple[float, float] | None:
    """Return the cross-validated AUROC of a classifier that tells two samples apart, and its standard error.

    A classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545) with logistic regression on few directions;
    the standard error is that of chance (Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747, at an area of one
    half). It is too small an error for `medtasks.evaluation.probing.separable`, which sees all directions: over all
    cases and four classes that found a shift in 5 to 9 of 100 pairs of samples of one population, and this in 1 to 3.

    Parameters
    ----------
    features : (n, d) of both samples
    new : (n,) which rows are of the second
    groups : (n,) the patient of each row, or None where each is one of its own. Cases of two sets of patients differ
        as the patients do, which is no shift: the classifier is asked about patients that it has not seen, and the
        error counts patients

    Returns
    -------
    (auroc, error), or None where a sample has fewer than `LEAST` cases, or patients
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(np.flatnonzero(side))[:MOST] for side in (~new, new)])
    features, new, groups = features[rows], new[rows], None if groups is None else groups[rows]
    n, m = (units(int(side.sum()), groups, side) for side in (~new, new))
    if min(n, m) < LEAST:
        return None
    folds = StratifiedKFold if groups is None else StratifiedGroupKFold
    count = int(min(20, features.shape[1], len(features) // 10))  # few directions: many only fit noise
    model = make_pipeline(StandardScaler(), PCA(count, random_state=seed), LogisticRegression(C=0.1, max_iter=2000))
    parts = folds(5, shuffle=True, random_state=seed)
    said = cross_val_predict(model, features, new, groups=groups, cv=parts, method="predict_proba")[:, 1]
    return float(roc_auc_score(new, said)), float(np.sqrt((n + m + 1) / (12 * n * m)))


def drifted(scaled: Values, calibrated: int, groups: npt.NDArray[Any] | None = None) -> Validity:
    """Say whether new cases lie in a model's domain as those calibrated on do, of which one in twenty lies beyond 1.

    For data judged later, when the cases calibrated on are not at hand: a test of that share (one-sided, at 0.5 %).

    Parameters
    ----------
    scaled : (n,) scaled distances; see `medtasks.evaluation.domain.Scale`
    calibrated : the number of cases, or of their patients, that the scale was learnt from
    groups : (n,) the patient of each new case, or None where each is one of its own
    """
    n = units(len(scaled), groups)
    if n < LEAST:
        return Validity(UNTESTED)
    beyond = float((scaled > 1).mean())
    error = float(np.sqrt(0.05 * 0.95 * (1 / n + 1 / max(1, calibrated))))
    return Validity(SHIFTED if beyond > 0.1 and beyond - 0.05 > SIGNIFICANT * error else EXCHANGEABLE, None)


def validity(
    old: Values,
    new: Values,
    classes: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None,
    names: tuple[str, ...] = (),
    seed: int = 0,
    groups: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None,
) -> Validity:
    """Compare calibration cases with new ones, over all of them and within each class; see `two_sample`.

    Parameters
    ----------
    old, new : (n, d), (m, d) features
    classes
        The class codes of both; with them a shift inside a class is found that the classes' shares would hide.
    groups
        The patient of each case of both, None where each case is one of its own.
    """
    columns = np.concatenate([old, new])
    side = np.repeat([False, True], [len(old), len(new)])
    owners = None if groups is None else np.concatenate(groups)
    asked = {"": np.ones(len(side), dtype=bool)}
    if classes is not None:
        codes = np.concatenate(classes)
        asked |= {name: codes == code for code, name in enumerate(names)}
    found = []
    for name, rows in asked.items():
        own = None if owners is None else owners[rows]
        if (result := two_sample(columns[rows], side[rows], seed, own)) is not None:
            found.append((name, *result))
    if not found:
        return Validity(UNTESTED)
    name, area, error = max(found, key=lambda item: (item[1] - 0.5) / item[2])
    shifted = area > NOTABLE and area - 0.5 > SIGNIFICANT * error
    return Validity(SHIFTED if shifted else EXCHANGEABLE, area, name if shifted else "")
