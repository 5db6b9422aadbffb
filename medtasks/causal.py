"""What the data say about treatments that were not given: propensities and doubly robust scores.

A patient shows the outcome of the one treatment received. A doubly robust score stands in for each of the others: an
outcome model's guess, corrected by what the patients who did receive it showed, weighted by how unlikely that was. Its
mean over patients is the mean outcome had all received the treatment, if the fields hold everything that drove both
choice and outcome, and if one of the two models is right (Robins, Rotnitzky & Zhao 1994,
doi:10.1080/01621459.1994.10476818; cross-fitting: Chernozhukov et al. 2018, doi:10.1111/ectj.12097).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases import RecordEncoder, Records
from medtasks.dataset import Dataset

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
FOLDS = 5
FLOOR = 0.02
"""Propensities below this are raised to it: one patient would else weigh as much as fifty (Crump et al. 2009,
doi:10.1093/biomet/asn055, advise to leave out patients below 0.1, which changes the question)."""
PENALTIES = np.logspace(-1, 4, 11)


@dataclass(frozen=True)
class Scores:
    """Doubly robust scores of n patients and K treatments.

    Attributes
    ----------
    values : (n, K) the score of each treatment, in the unit of the outcome
    propensity : (n, K) the probability of having received each treatment, known or estimated, not clipped
    outcomes : (n, K) the outcome model's expectation
    """

    values: Values
    propensity: Values
    outcomes: Values


def received(dataset: Dataset) -> tuple[Codes, Values]:
    """Return (n,) the treatment each patient received and (n,) its outcome, of a data set of the question ``arm``.

    Its targets are (n, K): the outcome under each treatment, NaN under those not received.
    """
    codes = np.asarray(np.argmax(np.isfinite(dataset.targets), axis=1), dtype=np.int64)
    return codes, dataset.targets[np.arange(len(dataset)), codes]


def folds(treatment: Codes, groups: npt.NDArray[Any] | None, count: int, seed: int) -> Iterator[tuple[Codes, Codes]]:
    """Yield (rest, left out) rows ``count`` times, each treatment in proportion, groups whole."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    blank = np.zeros((len(treatment), 1))
    if groups is not None and len(set(groups.tolist())) >= count:
        yield from StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(blank, treatment, groups)
    else:
        yield from StratifiedKFold(count, shuffle=True, random_state=seed).split(blank, treatment)


def propensities(
    features: Values, treatment: Codes, arms: int, groups: npt.NDArray[Any] | None = None, seed: int = 0
) -> Values:
    """Estimate (n, arms) probabilities of treatment from (n, d) features by cross-fitted logistic regression."""
    from sklearn.linear_model import LogisticRegression

    found = np.full((len(treatment), arms), np.nan)
    for rest, out in folds(treatment, groups, _count(treatment), seed):
        model = LogisticRegression(C=0.1, max_iter=2000).fit(features[rest], treatment[rest])
        found[out] = 0.0
        found[np.ix_(out, model.classes_)] = model.predict_proba(features[out])
    return found


def outcomes(
    features: Values,
    outcome: Values,
    treatment: Codes,
    arms: int,
    groups: npt.NDArray[Any] | None = None,
    seed: int = 0,
) -> Values:
    """Estimate (n, arms) expected outcomes by one cross-fitted ridge regression per treatment."""
    from sklearn.linear_model import RidgeCV

    found = np.full((len(treatment), arms), np.nan)
    for rest, out in folds(treatment, groups, _count(treatment), seed):
        for arm in range(arms):
            mine = rest[treatment[rest] == arm]
            if len(mine):
                found[out, arm] = RidgeCV(PENALTIES).fit(features[mine], outcome[mine]).predict(features[out])
    return found


def doubly_robust(outcome: Values, treatment: Codes, expected: Values, propensity: Values) -> Values:
    """Return (n, K) scores: the expectation, plus the weighted residual under the treatment received.

    Parameters
    ----------
    outcome, treatment : (n,)
    expected, propensity : (n, K), fitted without the patient; propensities are clipped at `FLOOR`
    """
    scores = expected.copy()
    rows = np.arange(len(outcome))
    weight = 1 / np.maximum(propensity[rows, treatment], FLOOR)
    scores[rows, treatment] += weight * (outcome - expected[rows, treatment])
    return scores


def score(dataset: Dataset, seed: int = 0) -> Scores:
    """Score every treatment for every patient of a data set of the question ``arm``, with known propensities if any."""
    assert isinstance(dataset.cases, Records)
    treatment, outcome = received(dataset)
    features, arms = RecordEncoder.fit(dataset.cases).transform(dataset.cases), dataset.targets.shape[1]
    expected = outcomes(features, outcome, treatment, arms, dataset.groups, seed)
    known = dataset.extra.get("propensity")
    propensity = propensities(features, treatment, arms, dataset.groups, seed) if known is None else known
    return Scores(doubly_robust(outcome, treatment, expected, propensity), propensity, expected)


def _count(treatment: Codes) -> int:
    """Folds that leave every treatment that was given a patient in each, where it has as many."""
    given = np.bincount(treatment)
    return int(max(2, min(FOLDS, given[given > 0].min())))
