"""The square root of the dose: boosted trees and ridge regression, and how far they are off."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.stored import Arrays, Values, refuse, require, take

THREADS = max(1, (os.cpu_count() or 2) // 2)
"""LightGBM's threads spin while they wait: more than real cores, beside other work, made it five times slower."""
PENALTIES = np.logspace(-1, 4, 11)
LEAST = 0.2
"""No root of a dose, and no typical error of one, is told smaller than this share of the training patients' mean: a sum
of trees and coefficients could fall below 0, where a dose or a width has no meaning."""


@dataclass(frozen=True)
class Growth:
    """How the trees grow: trees, share of each tree's answer that is taken, leaves, fewest patients in a leaf, seed."""

    rounds: int
    rate: float
    leaves: int
    least: int
    seed: int


@dataclass(frozen=True)
class Line:
    """A linear function of the columns, kept above a floor.

    Attributes
    ----------
    intercept, floor : of the answer
    weights : (columns,)
    """

    intercept: float
    weights: Values
    floor: float

    @classmethod
    def fit(cls, features: Values, values: Values) -> Self:
        """Fit ridge regression to (n, d) features and (n,) values, its penalty chosen by leaving out one by one."""
        from sklearn.linear_model import RidgeCV

        mean = float(values.mean())
        if len(values) < 3 or features.shape[1] == 0:
            return cls(mean, np.zeros(features.shape[1]), LEAST * mean)
        model = RidgeCV(PENALTIES).fit(features, values)
        return cls(float(model.intercept_), np.asarray(model.coef_, dtype=np.float64), LEAST * mean)

    def predict(self, features: Values) -> Values:
        """Return (n,) answers, none below the floor."""
        return np.maximum(self.intercept + features @ self.weights, self.floor)

    def to_arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays to store, their names behind ``prefix``."""
        return {prefix + "numbers": np.array([self.intercept, self.floor]), prefix + "weights": self.weights}

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str, columns: int) -> Self:
        """Rebuild from `to_arrays`; raises `BundleError` if the arrays do not fit."""
        intercept, floor = take(arrays, prefix + "numbers", (2,)).tolist()
        return cls(intercept, take(arrays, prefix + "weights", (columns,)), floor)


@dataclass(frozen=True)
class Root:
    """The weighted mean of trees and a line.

    Attributes
    ----------
    trees : a LightGBM booster, or None where there were too few patients to grow any
    line : Line
    share : the weight of the trees
    """

    trees: Any
    line: Line
    share: float

    @classmethod
    def fit(cls, features: Values, dose: Values, growth: Growth, share: float) -> Self:
        """Learn from (n, d) features and (n,) doses.

        The trees lessen the absolute error (LightGBM: Ke et al. 2017, NeurIPS 30), the line the squared one, both of
        the root, on which the dose's spread is about even (IWPC 2009, doi:10.1056/NEJMoa0809329).
        """
        root = np.sqrt(dose)
        return cls(_grow(features, root, growth) if share > 0 else None, Line.fit(features, root), share)

    def parts(self, features: Values) -> tuple[Values, Values]:
        """Return (n,) what the trees and what the line say; both the line's where there are no trees."""
        line = self.line.predict(features)
        if self.trees is None or not len(features):
            return line, line
        return np.asarray(self.trees.predict(features, num_threads=THREADS)), line

    def predict(self, features: Values) -> Values:
        """Return (n,) roots of the dose."""
        trees, line = self.parts(features)
        return np.maximum(self.share * trees + (1 - self.share) * line, self.line.floor)

    def explain(self, features: Values) -> tuple[Values, float]:
        """Return (n, d) what each column adds to the root, and the root that they are added to.

        Of the trees by TreeSHAP (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9), of the line its coefficient
        times the column, which is 0 for the mean patient.
        """
        share = 0.0 if self.trees is None else self.share
        found, base = (1 - share) * features * self.line.weights, (1 - share) * self.line.intercept
        if share and len(features):
            shap = np.asarray(self.trees.predict(features, pred_contrib=True, num_threads=THREADS))
            found, base = found + share * shap[:, :-1], base + share * float(shap[0, -1])
        return found, base


def read(text: str, columns: int) -> Any:
    """Read trees from LightGBM's text; raises `BundleError` if they are none or ask for other columns."""
    import lightgbm

    require(text.startswith("tree\n") and "end of trees" in text, "trees.txt holds no trees")
    try:
        trees = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError:
        refuse("trees.txt cannot be read")
    require(trees.num_feature() == columns, "its trees have other columns")
    return trees


def _grow(features: Values, root: Values, growth: Growth) -> Any:
    """Grow trees and strip them of the columns' smallest and largest values, which would be single patients'."""
    import lightgbm

    if len(root) < 2 * growth.least or not np.ptp(features, axis=0).any():
        return None
    settings = {
        "objective": "l1",
        "learning_rate": growth.rate,
        "num_leaves": growth.leaves,
        "min_data_in_leaf": growth.least,
        "feature_fraction": 0.3,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 1.0,
        "seed": growth.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": THREADS,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(features, root, params={"verbosity": -1})
    text = lightgbm.train(settings, data, num_boost_round=growth.rounds).model_to_string()
    blank = " ".join(["none"] * features.shape[1])
    return read(re.sub(r"(?m)^feature_infos=.*$", f"feature_infos={blank}", text), features.shape[1])
