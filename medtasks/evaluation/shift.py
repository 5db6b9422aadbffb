"""Whether two samples come from one source: the condition under which a promise made on one holds on the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.evaluation.probing import separable, units

Values = npt.NDArray[np.float64]
EXCHANGEABLE, SHIFTED, UNTESTED = "exchangeable", "shifted", "untested"
LEAST = 30
"""Cases of each sample, or patients where a patient can have several, below which no test is made."""
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
    """Compare calibration cases with new ones, over all of them and within each class.

    A classifier two-sample test (see `medtasks.evaluation.probing.separable`); the standard error is that of chance
    (Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747, at an area of one half).

    Parameters
    ----------
    old, new : (n, d), (m, d) features
    classes
        The class codes of both; with them a shift inside a class is found that the classes' shares would hide.
    groups
        The patient of each case of both, None where each case is one of its own. Cases of two sets of patients differ
        as the patients do, which is no shift: the classifier is asked about patients that it has not seen.
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
        own, here = None if owners is None else owners[rows], side[rows]
        n, m = (units(int(part.sum()), own, part) for part in (~here, here))
        if min(n, m) >= LEAST:
            area = separable(columns[rows], here, own, seed).auroc
            found.append((name, area, float(np.sqrt((n + m + 1) / (12 * n * m)))))
    if not found:
        return Validity(UNTESTED)
    name, area, error = max(found, key=lambda item: (item[1] - 0.5) / item[2])
    shifted = area > NOTABLE and area - 0.5 > SIGNIFICANT * error
    return Validity(SHIFTED if shifted else EXCHANGEABLE, area, name if shifted else "")
