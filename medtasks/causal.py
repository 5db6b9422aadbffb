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
from medtasks.dataset import Dataset, group_numbers

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
    """Yield (rest, left out) rows ``count`` times, each treatment in proportion.

    Groups stay whole, but where there are fewer than folds, or a treatment is given in none of the rest.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    blank = np.zeros((len(treatment), 1))
    if groups is not None and len(set(groups.tolist())) >= count:
        parted = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(blank, treatment, groups)
        whole, given = list(parted), len(np.unique(treatment))
        if all(len(np.unique(treatment[rest])) == given for rest, _ in whole):
            yield from whole
            return
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


def clustered(influence: Values, groups: npt.NDArray[Any] | None = None, parameters: int = 1) -> Values:
    """Return (p, p) the covariance of p estimates from what each row adds to their errors.

    Rows of one group (the visits of a patient) are added up before they are squared, for they are not independent
    (Liang & Zeger 1986, doi:10.1093/biomet/73.1.13), with the usual factor for few groups (Cameron & Miller 2015,
    doi:10.3368/jhr.50.2.317, eq. 12). Without groups this is the covariance of means, or HC1 of a regression.

    Parameters
    ----------
    influence : (n, p); of the mean of values that is ``(values - values.mean(axis=0)) / n``
    groups : (n,), or None where each row stands for itself
    parameters : coefficients that were fitted

    Returns
    -------
    (p, p) array, NaN where fewer than two groups tell nothing of the error

    Examples
    --------
    >>> values = np.array([[1.0], [2.0], [6.0]])
    >>> round(float(clustered((values - 3) / 3)[0, 0]), 6), round(float(values.var(ddof=1) / 3), 6)
    (2.333333, 2.333333)
    >>> bool(clustered((values - 3) / 3, np.array(["p1", "p1", "p2"]))[0, 0] > 2.4)
    True
    """
    sums = group_sums(influence, None if groups is None else group_numbers(len(influence), groups))
    n, count = len(influence), len(sums)
    if count < 2 or n <= parameters:
        return np.full((influence.shape[1],) * 2, np.nan)
    return np.asarray(count / (count - 1) * (n - 1) / (n - parameters) * sums.T @ sums)


def group_sums(values: Values, number: Codes | None) -> Values:
    """Add up the rows of each group: (n, p) values to (groups, p), or as they are where each row is its own.

    Parameters
    ----------
    number : (n,) of each row's group; see `medtasks.dataset.group_numbers`
    """
    if number is None:
        return values
    found = np.zeros((number.max(initial=-1) + 1, values.shape[1]))
    np.add.at(found, number, values)
    return found


def mean_covariance(values: Values, groups: npt.NDArray[Any] | None = None) -> Values:
    """Return (p, p) the covariance of the means of (n, p) values; see `clustered`."""
    return clustered((values - values.mean(axis=0)) / max(1, len(values)), groups)


def _count(treatment: Codes) -> int:
    """Folds that leave every treatment that was given a patient in each, where it has as many."""
    given = np.bincount(treatment)
    return int(max(2, min(FOLDS, given[given > 0].min())))
