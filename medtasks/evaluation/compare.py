"""Whether models differ, from their values of one measure on the same repeated folds.

The folds of repeated cross-validation share most of their training cases, so that values on them are not independent,
and the usual standard error of their mean is too small. Nadeau & Bengio (2003, Machine Learning 52:239-281,
doi:10.1023/A:1024068626366) replace the factor 1/n of the variance of the mean by 1/n + (test cases)/(training cases);
Bouckaert & Frank (2004, doi:10.1007/978-3-540-24775-3_3) take that to repeated cross-validation with n = repeats x
folds and n - 1 degrees of freedom. All that stands here uses the corrected factor.

- An analysis of variance for repeated measures asks whether any model differs. Folds are the subjects. Models whose
  values vary less than others' (a constant one, say) break its assumption of sphericity; Greenhouse & Geisser's epsilon
  (1959, doi:10.1007/BF02289823) lowers the degrees of freedom for that.
- Tukey's honestly significant difference gives all pairs intervals that hold together, by the studentised range. Each
  pair has the standard error of its own differences, as Maxwell (1980, doi:10.3102/10769986005003269) advises for
  repeated measures: one error for all would call pairs with an unsteady model different too often. For 3 to 8 models
  that are alike, simulated, some pair is called different in 4 to 7 % of comparisons on 25 folds, in 5 to 9 % on 10.
- With two models both are the corrected resampled t-test.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.errors import DataError
from medtasks.evaluation.bootstrap import LEVEL, Measure

Values = npt.NDArray[np.float64]
_SAME = 1e-12
"""Differences below this share of the values are rounding: sums taken in another order."""


@dataclass(frozen=True)
class Anova:
    """The analysis of variance for repeated measures.

    Attributes
    ----------
    f : the corrected F; None where models differ by the very same on every fold, so that nothing is left to chance
    between, within : degrees of freedom, after the correction for sphericity
    epsilon : Greenhouse and Geisser's, 1 where sphericity holds
    p : of an F as large if no model differed
    effect : partial eta squared: of the variance within folds, the share that the models explain; None without any
    """

    f: float | None
    between: float
    within: float
    epsilon: float
    p: float
    effect: float | None

    def as_json(self) -> dict[str, float | None]:
        """Return it as plain JSON."""
        return {
            "f": self.f,
            "df_between": self.between,
            "df_within": self.within,
            "epsilon": self.epsilon,
            "p": self.p,
            "partial_eta_squared": self.effect,
        }


@dataclass(frozen=True)
class Pair:
    """Two models, the one with the better mean first.

    Attributes
    ----------
    difference : first less second, with its simultaneous interval
    effect : Cohen's d of the differences, their mean over their standard deviation (d_z; Lakens 2013,
        doi:10.3389/fpsyg.2013.00863); None where they do not vary
    p : adjusted for the number of models
    """

    first: str
    second: str
    difference: Measure
    effect: float | None
    p: float

    @property
    def differs(self) -> bool:
        """Whether the two can be told apart: the interval of their difference does not hold 0."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "difference": self.difference.as_json(),
            "cohens_d": self.effect,
            "p": self.p,
            "distinguishable": self.differs,
        }


@dataclass(frozen=True)
class Comparison:
    """What is known about the difference of some models.

    Attributes
    ----------
    means : of each model, the best mean first, with its own 95 % interval
    pairs : every pair
    anova : None of one model alone
    folds : on which all models have a value
    undefined : folds that were left out, because the measure is not defined on them for some model
    ratio : of test to training cases
    """

    means: Mapping[str, Measure]
    pairs: tuple[Pair, ...]
    anova: Anova | None
    folds: int
    undefined: int
    ratio: float

    @property
    def best(self) -> str:
        """The model with the best mean."""
        return next(iter(self.means))

    @property
    def leaders(self) -> tuple[str, ...]:
        """The best one and all that cannot be told from it, in the order of their means."""
        tied = {pair.second for pair in self.pairs if pair.first == self.best and not pair.differs}
        return tuple(name for name in self.means if name == self.best or name in tied)


def compare(
    values: Mapping[str, Values],
    ratio: float,
    *,
    lower_is_better: bool = False,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> Comparison:
    """Compare models by one measure; see the module for the method.

    Parameters
    ----------
    values
        (n,) of each model, fold by fold in the same order; NaN where undefined.
    ratio
        Test cases over training cases, where what is kept for validation counts as training: early stopping and
        thresholds are learnt from it.
    limits
        What the measure can be; the intervals of the means end there.

    Raises
    ------
    DataError
        If fewer than two folds have a value of every model.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fold = rng.normal(0.8, 0.05, 25)
    >>> good, twin, bad = fold, fold + rng.normal(0, 0.01, 25), fold - 0.2 + rng.normal(0, 0.01, 25)
    >>> found = compare({"good": good, "bad": bad, "twin": twin}, ratio=0.25)
    >>> sorted(found.leaders), found.anova.p < 0.001
    (['good', 'twin'], True)
    """
    table = np.stack(list(values.values()))
    known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(table).all(axis=0))
    table = table[:, known]
    if table.shape[1] < 2:
        raise DataError(
            f"the measure is defined on {table.shape[1]} of {len(known)} folds only", hint="use fewer --folds"
        )
    names, factor = list(values), 1 / table.shape[1] + ratio
    order = np.argsort(table.mean(axis=1) * (1 if lower_is_better else -1), kind="stable")
    return Comparison(
        {names[i]: _mean(table[i], factor, limits) for i in order},
        tuple(_pair(names[i], names[j], table[i], table[j], factor, len(names))
              for i, j in itertools.combinations(order, 2)),
        _anova(table, factor) if len(names) > 1 else None,
        table.shape[1],
        int((~known).sum()),
        ratio,
    )  # fmt: skip


def _mean(values: Values, factor: float, limits: tuple[float, float]) -> Measure:
    from scipy.stats import t

    mean = float(values.mean())
    reach = float(t.ppf((1 + LEVEL) / 2, len(values) - 1) * np.sqrt(factor * values.var(ddof=1)))
    return Measure(mean, max(mean - reach, limits[0]), min(mean + reach, limits[1]))


def _pair(first: str, second: str, one: Values, other: Values, factor: float, models: int) -> Pair:
    from scipy.stats import studentized_range

    differences = _without_rounding(one - other, one)
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    freedom = len(differences) - 1
    if spread <= _SAME * abs(mean):  # the same on every fold: nothing is left to chance
        return Pair(first, second, Measure(mean, mean, mean), None, 0.0 if mean else 1.0)
    error = float(np.sqrt(factor / 2)) * spread  # the studentised range is about means, not their differences
    reach = _critical(models, freedom) * error
    p = float(np.clip(studentized_range.sf(abs(mean) / error, models, freedom), 0, 1))
    return Pair(first, second, Measure(mean, mean - reach, mean + reach), mean / spread, p)


@functools.cache  # an integral, the same for every pair
def _critical(models: int, freedom: int) -> float:
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(LEVEL, models, freedom))


def _anova(table: Values, factor: float) -> Anova:
    from scipy.stats import f

    models, folds = table.shape
    inner = _without_rounding(table - table.mean(axis=0), table)  # the fold's own ease or difficulty taken out
    between = float((inner.mean(axis=1) ** 2).sum() / (models - 1))  # the variance of the means
    covariance = np.atleast_2d(np.cov(inner))
    trace = float(np.trace(covariance))
    error = trace / (models - 1)
    if error <= _SAME * between:
        return Anova(None, models - 1.0, (models - 1.0) * (folds - 1), 1.0, *((0.0, 1.0) if between else (1.0, None)))
    epsilon = 1.0 if models == 2 else trace**2 / ((models - 1) * float((covariance**2).sum()))
    freedom = (epsilon * (models - 1), epsilon * (models - 1) * (folds - 1))
    ratio = between / (error * factor)
    explained, left = folds * between, error * (folds - 1)  # sums of squares, both over (models - 1)
    return Anova(ratio, *freedom, epsilon, float(f.sf(ratio, *freedom)), explained / (explained + left))


def _without_rounding(differences: Values, values: Values) -> Values:
    return np.where(np.abs(differences) <= _SAME * np.abs(values).max(), 0.0, differences)
