"""Whether two samples come from one source: the condition under which a promise made on one holds on the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
EXCHANGEABLE, SHIFTED, UNTESTED = "exchangeable", "shifted", "untested"
LEAST = 30
"""Cases of each sample below which no test is made."""
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


def two_sample(old: Values, new: Values, seed: int = 0) -> tuple[float, float] | None:
    """Return the cross-validated AUROC of a classifier that tells two samples apart, and its standard error.

    A classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545) with logistic regression; the standard error
    is that of chance (Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747, at an area of one half).

    Parameters
    ----------
    old, new : (n, d), (m, d) features

    Returns
    -------
    (auroc, error), or None where a sample has fewer than `LEAST` cases
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if min(len(old), len(new)) < LEAST:
        return None
    rng = np.random.default_rng(seed)
    parts = [values[rng.permutation(len(values))[:MOST]] for values in (old, new)]
    features, side = np.concatenate(parts), np.repeat([0, 1], [len(part) for part in parts])
    count = int(min(20, features.shape[1], len(features) // 10))  # few directions: many only fit noise
    model = make_pipeline(StandardScaler(), PCA(count, random_state=seed), LogisticRegression(C=0.1, max_iter=2000))
    said = cross_val_predict(
        model, features, side, cv=StratifiedKFold(5, shuffle=True, random_state=seed), method="predict_proba"
    )[:, 1]
    n, m = len(parts[0]), len(parts[1])
    return float(roc_auc_score(side, said)), float(np.sqrt((n + m + 1) / (12 * n * m)))


def drifted(scaled: Values, calibrated: int) -> Validity:
    """Say whether new cases lie in a model's domain as those calibrated on do, of which one in twenty lies beyond 1.

    For data judged later, when the cases calibrated on are not at hand: a test of that share (one-sided, at 0.5 %).

    Parameters
    ----------
    scaled : (n,) scaled distances; see `medtasks.evaluation.domain.Scale`
    calibrated : the number of cases that the scale was learnt from
    """
    if len(scaled) < LEAST:
        return Validity(UNTESTED)
    beyond = float((scaled > 1).mean())
    error = float(np.sqrt(0.05 * 0.95 * (1 / len(scaled) + 1 / max(1, calibrated))))
    return Validity(SHIFTED if beyond > 0.1 and beyond - 0.05 > SIGNIFICANT * error else EXCHANGEABLE, None)


def validity(
    old: Values,
    new: Values,
    classes: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None,
    names: tuple[str, ...] = (),
    seed: int = 0,
) -> Validity:
    """Compare calibration cases with new ones, over all of them and within each class.

    Parameters
    ----------
    classes
        The class codes of both; with them a shift inside a class is found that the classes' shares would hide.
    """
    pairs = [("", old, new)]
    for code, name in enumerate(names if classes is not None else ()):
        assert classes is not None
        pairs.append((name, old[classes[0] == code], new[classes[1] == code]))
    found = [(name, result) for name, a, b in pairs if (result := two_sample(a, b, seed)) is not None]
    if not found:
        return Validity(UNTESTED)
    name, (area, error) = max(found, key=lambda item: (item[1][0] - 0.5) / item[1][1])
    shifted = area > NOTABLE and area - 0.5 > SIGNIFICANT * error
    return Validity(SHIFTED if shifted else EXCHANGEABLE, area, name if shifted else "")
