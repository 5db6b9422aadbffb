"""Conformal prediction: intervals and sets that hold the truth as often as promised, whatever the model.

Split conformal prediction (Lei et al. 2018, doi:10.1080/01621459.2017.1307116) for numbers, least ambiguous sets
(Sadinle, Lei & Wasserman 2019, doi:10.1080/01621459.2017.1395341) for classes. The promise is about cases exchangeable
with those calibrated on, over all of them together or within each group that is calibrated by itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def quantile(errors: Values, level: float) -> float | None:
    """Return the error that a new case's does not exceed with the probability ``level``; None if too few are known.

    It is the k-th smallest of n errors, with k = ceil((n + 1) level).

    >>> quantile(np.arange(1.0, 20.0), 0.9), quantile(np.arange(5.0), 0.9)
    (18.0, None)
    """
    place = int(np.ceil((len(errors) + 1) * level - 1e-9))  # 0.9 * 20 is a hair above 18 in floating point
    return float(np.sort(errors)[place - 1]) if place <= len(errors) else None


def class_limits(
    probabilities: Values, targets: npt.NDArray[np.int64], level: float, *, per_class: bool
) -> list[float | None]:
    """Return for each class how far below 1 its probability may lie for the class to stay in a set; None: any.

    Parameters
    ----------
    probabilities : (n, classes) of cases that the model has not learnt
    targets : (n,) class codes
    per_class : whether each class is calibrated by itself (class-conditional), which takes cases of each
    """
    lost = 1 - probabilities[np.arange(len(targets)), targets]
    if not per_class:
        return [quantile(lost, level)] * probabilities.shape[1]
    return [quantile(lost[targets == code], level) for code in range(probabilities.shape[1])]


def class_sets(probabilities: Values, limits: list[float | None]) -> npt.NDArray[np.bool_]:
    """Return (n, classes): which classes stand in each case's set.

    Where no class is as probable as those of 9 in 10 cases were, say, the set is empty: the model is too unsure.
    """
    reach = np.array([np.inf if limit is None else limit for limit in limits])
    return np.asarray(1 - probabilities <= reach + 1e-12)  # one written down and read back may lose its last bit


def difficulty(errors: Values, distance: Values) -> tuple[float, float]:
    """Return a and b >= 0 of the line a + b * distance that errors grow by; (1, 0) where they do not.

    Two numbers, so that fitting them on the cases calibrated on costs next to nothing of the promise.
    """
    from scipy.optimize import nnls

    far = np.maximum(distance, 0.0)
    if len(errors) < 10 or np.ptp(far) == 0:  # too few to see a slope
        return 1.0, 0.0
    (a, b), _ = nnls(np.column_stack([np.ones(len(far)), far]), errors)
    floor = 0.1 * float(errors.mean())  # no case is foretold without any error
    return (max(float(a), floor), float(b)) if floor > 0 else (1.0, 0.0)
