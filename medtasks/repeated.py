"""What repeated cross-validation says of a model and its baseline, and how much hangs on how cases were dealt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks import outcome
from medtasks.evaluation import compare as statistics
from medtasks.evaluation.bootstrap import Measure, written
from medtasks.report.blocks import Section, Table, Text

Scores = Sequence[Sequence[Mapping[str, float]]]
"""The measures of each fold of each repeat."""
MODEL, BASELINE = "model", "baseline"
_HOW = (
    "The cases were dealt into folds anew for each repeat, and a model fitted on each. The mean is over all folds; in "
    "brackets its 95 % interval, in which the folds are not taken for independent, since they share most of their "
    "training cases: the variance of a mean over n of them is 1/n + (test cases)/(training cases) of theirs (Nadeau & "
    "Bengio 2003; Bouckaert & Frank 2004). The standard deviation is that between folds. Measures of a fold are those "
    "of its cases alone, so that the mean need not be the value over all cases above. The bundle, its thresholds and "
    "its intervals are those of the first repeat."
)


@dataclass(frozen=True)
class Repeated:
    """One measure over all folds of all repeats.

    Attributes
    ----------
    name : of the measure
    values : (repeats, folds) of the model, NaN where undefined
    model : mean over the folds with its interval
    baseline, difference : the same of the baseline, and of the model less the baseline; None where it has no value
    """

    name: str
    values: npt.NDArray[np.float64]
    model: Measure
    baseline: Measure | None
    difference: Measure | None

    @property
    def deviation(self) -> float:
        """The standard deviation between folds."""
        return float(np.nanstd(self.values, ddof=1))

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            **self.model.as_json(),
            "sd": self.deviation,
            "values": [[float(one) if np.isfinite(one) else None for one in row] for row in self.values],
            "baseline": self.baseline.as_json() if self.baseline else None,
            "difference": self.difference.as_json() if self.difference else None,
        }


def summarise(model: Scores, baseline: Scores, ratio: float) -> tuple[Repeated, ...]:
    """Sum up each measure that at least two folds define.

    Parameters
    ----------
    model, baseline
        On the same folds.
    ratio
        Test cases over those that the model was made from.
    """
    found = []
    for name in dict.fromkeys(name for repeat in model for fold in repeat for name in fold):
        ours, theirs = (
            np.array([[fold.get(name, np.nan) for fold in repeat] for repeat in one], dtype=np.float64)
            for one in (model, baseline)
        )
        if np.isfinite(ours).sum() < 2:
            continue
        limits = outcome.limits(name)
        mean = statistics.compare({MODEL: ours.ravel()}, ratio, limits=limits).means[MODEL]
        if (np.isfinite(ours) & np.isfinite(theirs)).sum() < 2:
            found.append(Repeated(name, ours, mean, None, None))
            continue
        both = statistics.compare({MODEL: ours.ravel(), BASELINE: theirs.ravel()}, ratio, limits=limits)
        pair = both.pairs[0]
        gap = pair.difference if pair.first == MODEL else _turned(pair.difference)
        found.append(Repeated(name, ours, mean, both.means[BASELINE], gap))
    return tuple(found)


def as_json(found: Sequence[Repeated]) -> dict[str, Any]:
    """Return how often was repeated, and each measure by its name."""
    repeats, folds = found[0].values.shape
    return {"repeats": repeats, "folds": folds, "metrics": {one.name: one.as_json() for one in found}}


def section(found: Sequence[Repeated]) -> list[Section]:
    """Write the report's section; none where nothing was repeated."""
    if not found:
        return []
    repeats, folds = found[0].values.shape
    rows = [
        [outcome.label(one.name), str(one.model), written(one.deviation), str(one.baseline or ""),
         str(one.difference or "")]
        for one in found
    ]  # fmt: skip
    table = Table(
        ["Measure", "Model", "Standard deviation", "Baseline", "Difference"], rows, f"{repeats} times {folds} folds."
    )
    return [Section("Repeated cross-validation", [Text(_HOW), table])]


def _turned(found: Measure) -> Measure:
    value, low, high = (None if one is None else -one for one in (found.value, found.high, found.low))
    return Measure(value, low, high)
