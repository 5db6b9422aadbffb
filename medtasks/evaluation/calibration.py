"""How far stated probabilities can be believed, and where a decision is cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.errors import UsageError

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """Stated against observed: for each bin of probability its mean, the share that was positive with a
    95 % Wilson interval, and the number of cases."""

    stated: Values
    observed: Values
    low: Values
    high: Values
    count: npt.NDArray[np.int64]


def reliability(hit: npt.NDArray[np.bool_], stated: Values, bins: int = 10) -> Reliability:
    """Bin cases by stated probability (equal counts, ties together) and see how often it held."""
    edges = np.unique(np.quantile(stated, np.linspace(0, 1, bins + 1)))
    cell = np.clip(np.searchsorted(edges, stated, side="right") - 1, 0, max(len(edges) - 2, 0))
    count = np.bincount(cell)
    used = count > 0
    share = np.bincount(cell, hit)[used] / count[used]
    low, high = wilson(share, count[used])
    return Reliability(np.bincount(cell, stated)[used] / count[used], share, low, high, count[used])


def wilson(share: Values, n: npt.NDArray[Any]) -> tuple[Values, Values]:
    """95 % interval of a proportion (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    z = 1.959963985  # the normal distribution's 97.5 % point
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


def parse_rule(rule: str) -> tuple[str, float | None]:
    """Read a threshold rule: ``youden``, ``sensitivity=0.95``, ``specificity=0.9``, or a probability.

    >>> parse_rule("sensitivity=0.95"), parse_rule("0.5")
    (('sensitivity', 0.95), ('fixed', 0.5))
    """
    name, _, number = rule.strip().lower().partition("=")
    if name == "youden" and not number:
        return name, None
    if not number:
        name, number = "fixed", name
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if name not in ("fixed", "sensitivity", "specificity") or not 0 < value < 1:
        raise UsageError(
            f"unknown threshold rule {rule!r}",
            hint="give youden, sensitivity=0.95, specificity=0.9, or a probability such as 0.5",
        )
    return name, value


def threshold(positive: npt.NDArray[np.bool_], scores: Values, rule: str) -> float:
    """Choose the probability from which a case counts as positive.

    Parameters
    ----------
    positive, scores : (n,) of the validation cases
    rule : see `parse_rule`

    Returns
    -------
    float
        For ``youden`` the cut with the largest sensitivity + specificity (Youden 1950); for
        ``sensitivity=s`` the highest cut that still finds a share ``s``; for ``specificity=s`` the lowest
        that still clears a share ``s``. Cuts lie half-way between neighbouring scores; of equally good
        ones the nearest to 0.5 is taken, which is where a calibrated model with balanced classes would cut.
    """
    name, value = parse_rule(rule)
    if name == "fixed" and value is not None:
        return value
    if positive.all() or not positive.any():
        return 0.5  # one class only: nothing to choose by
    levels = np.unique(scores)
    cuts = np.r_[levels[0] / 2, (levels[1:] + levels[:-1]) / 2, (1 + levels[-1]) / 2]
    sensitivity = 1 - np.searchsorted(np.sort(scores[positive]), cuts) / positive.sum()
    specificity = np.searchsorted(np.sort(scores[~positive]), cuts) / (~positive).sum()
    if name == "sensitivity":
        return float(cuts[np.flatnonzero(sensitivity >= value)[-1]])
    if name == "specificity":
        return float(cuts[np.flatnonzero(specificity >= value)[0]])
    gain = sensitivity + specificity
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return float(cuts[best[np.argmin(np.abs(cuts[best] - 0.5))]])
