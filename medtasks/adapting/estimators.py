"""Fitted scikit-learn estimators as plain arrays, and answers from these arrays alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.adapting.trees import check_trees, grow, join
from medtasks.errors import PluginError
from medtasks.stored import Arrays, Values, require, take

LINEAR = (
    "LogisticRegression",
    "LinearDiscriminantAnalysis",
    "SGDClassifier",
    "LinearRegression",
    "Ridge",
    "RidgeCV",
    "Lasso",
    "LassoCV",
    "ElasticNet",
    "ElasticNetCV",
    "SGDRegressor",
)
NETWORKS = ("MLPClassifier", "MLPRegressor")
TREES = (
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
    "RandomForestClassifier",
    "RandomForestRegressor",
)
SUPPORTED = (*LINEAR, "GaussianNB", *NETWORKS, *TREES)
"""Names of scikit-learn's estimators whose fitted state is plain arrays."""
KEEPERS = ("KNeighbors", "RadiusNeighbors", "SVC", "SVR", "NuSV", "GaussianProcess", "KernelRidge")
"""How estimators are called that keep training cases in order to answer."""
CLOSE = 1e-9
"""How far our answers may lie from scikit-learn's own: sums in another order differ by less than 1e-12."""
LOSSES = {"log_loss": "one-vs-rest", "modified_huber": "clipped"}
"""Losses with which SGDClassifier knows probabilities."""


def check_estimator(estimator: Any) -> None:
    """Refuse what cannot be stored as plain arrays.

    Raises
    ------
    PluginError
        With what is supported.
    """
    name = type(estimator).__name__
    listed = f"these are supported: {', '.join(SUPPORTED)}; for others write `save` and `load` of a Model yourself"
    if isinstance(estimator, type):
        raise PluginError(f"{estimator.__name__} is a class", hint=f"give an estimator: {estimator.__name__}()")
    if any(name.startswith(keeper) for keeper in KEEPERS):
        raise PluginError(f"{name} keeps its training cases: every bundle would give patients away", hint=listed)
    if name not in SUPPORTED or not type(estimator).__module__.startswith("sklearn."):
        raise PluginError(f"{name} cannot be stored without running code when it is read", hint=listed)
    loss = getattr(estimator, "loss", None)
    if name == "SGDClassifier" and loss not in LOSSES:
        raise PluginError(f"SGDClassifier(loss={loss!r}) has no probabilities", hint=f"use {' or '.join(LOSSES)}")


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator.

    Attributes
    ----------
    kind : how scores are made: ``linear``, ``bayes``, ``network``, ``trees`` or ``constant``
    link : how scores become answers: ``identity``, ``softmax``, ``sigmoid``, ``one-vs-rest`` or ``clipped``
    activation : of a network's inner layers
    arrays : what was learnt; of a classifier also ``classes`` (k,), the code that each column of answers stands for
    """

    kind: str
    link: str
    activation: str
    arrays: Arrays

    @classmethod
    def of(cls, estimator: Any, features: Values) -> Self:
        """Take a fitted estimator apart, and see that the parts answer to ``features`` as it does.

        Raises
        ------
        PluginError
            If they do not: a scikit-learn that works in another way, or an option that is not supported.
        """
        name, classifies = type(estimator).__name__, hasattr(estimator, "classes_")
        activation = estimator.activation if name in NETWORKS else ""
        arrays = _arrays(estimator, name)
        if classifies:
            arrays["classes"] = np.asarray(estimator.classes_, dtype=np.int64)
        kind = {"GaussianNB": "bayes", **dict.fromkeys(NETWORKS, "network"), **dict.fromkeys(TREES, "trees")}
        found = cls(kind.get(name, "linear"), _link(estimator, name), activation, arrays)
        own = estimator.predict_proba(features) if classifies else estimator.predict(features)[:, None]
        try:
            alike = np.allclose(found.predict(features), own, rtol=CLOSE, atol=CLOSE)
        except (ValueError, KeyError):
            alike = False
        if not alike:
            raise PluginError(
                f"{name} with these options does not answer from its arrays as it did itself",
                hint="use its usual options, or write `save` and `load` of a Model yourself",
            )
        return found

    @classmethod
    def constant(cls, values: list[float], classes: list[int] | None = None) -> Self:
        """Return what always answers the same, for targets that nothing can be learnt of."""
        arrays: dict[str, npt.NDArray[Any]] = {"value": np.array(values, dtype=np.float64)}
        return cls("constant", "identity", "", arrays if classes is None else {**arrays, "classes": np.array(classes)})

    def predict(self, features: Values) -> Values:
        """Return (n, k) probabilities of the classes, or (n, 1) numbers."""
        return LINKS[self.link](SCORES[self.kind](self, features))

    def as_json(self) -> dict[str, str]:
        """Return what is stored beside the arrays."""
        return {"kind": self.kind, "link": self.link, "activation": self.activation}

    @classmethod
    def read(cls, about: Any, arrays: Arrays, width: int) -> Self:
        """Rebuild from `as_json` and ``arrays``; raises `BundleError` if they do not fit ``width`` columns."""
        require(isinstance(about, dict) and set(about) == {"kind", "link", "activation"}, "an estimator is not one")
        require(about["kind"] in SCORES and about["link"] in LINKS, "an estimator is of an unknown kind")
        require(about["kind"] != "network" or about["activation"] in ACTIVATIONS, "a network's layers are unknown")
        require(all(values.dtype.kind in "fi" for values in arrays.values()), "an estimator's arrays hold no numbers")
        known = {name: take(arrays, name, values.ndim, values.dtype.kind) for name, values in arrays.items()}
        found = cls(about["kind"], about["link"], about["activation"], known)
        if found.kind == "trees":
            check_trees(known, width)
        require("variance" not in known or (known["variance"] > 0).all(), "a variance is not positive")
        try:
            answers = found.predict(np.zeros((1, width)))
        except (ValueError, IndexError, KeyError, TypeError):
            answers = np.zeros((0, 0))
        columns = len(known["classes"]) if "classes" in known else 1
        require(answers.shape == (1, columns), "an estimator's arrays do not fit")
        return found


def _arrays(estimator: Any, name: str) -> dict[str, npt.NDArray[Any]]:
    if name == "GaussianNB":
        return {"mean": estimator.theta_, "variance": estimator.var_, "prior": np.log(estimator.class_prior_)}
    if name in NETWORKS:
        layers = {f"weight{i}": layer for i, layer in enumerate(estimator.coefs_)}
        return {**layers, **{f"bias{i}": layer for i, layer in enumerate(estimator.intercepts_)}}
    if name in TREES:
        members = [one.tree_ for one in getattr(estimator, "estimators_", [estimator])]
        return join(members, shares=hasattr(estimator, "classes_"))
    coef = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    bias = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64).ravel(), len(coef))
    return {"coef": coef, "bias": bias.copy()}


def _link(estimator: Any, name: str) -> str:
    if not hasattr(estimator, "classes_") or name in TREES:
        return "identity"
    if name == "SGDClassifier":
        return LOSSES[estimator.loss]
    if name == "GaussianNB":
        return "softmax"
    return "sigmoid" if len(estimator.classes_) == 2 else "softmax"


def _linear(fitted: Fitted, x: Values) -> Values:
    return np.asarray(x @ fitted.arrays["coef"].T + fitted.arrays["bias"])


def _bayes(fitted: Fitted, x: Values) -> Values:
    mean, variance, prior = (fitted.arrays[name] for name in ("mean", "variance", "prior"))
    columns = [
        log - 0.5 * np.log(2 * np.pi * var).sum() - 0.5 * ((x - middle) ** 2 / var).sum(axis=1)
        for middle, var, log in zip(mean, variance, prior, strict=True)
    ]
    return np.stack(columns, axis=1)


def _network(fitted: Fitted, x: Values) -> Values:
    layers = sum(name.startswith("weight") for name in fitted.arrays)
    for i in range(layers):
        x = x @ fitted.arrays[f"weight{i}"] + fitted.arrays[f"bias{i}"]
        if i < layers - 1:
            x = ACTIVATIONS[fitted.activation](x)
    return x


def _expit(x: Values) -> Values:
    from scipy.special import expit

    return np.asarray(expit(x))


def _softmax(x: Values) -> Values:
    from scipy.special import softmax

    return np.asarray(softmax(x, axis=1))


def _both(positive: Values) -> Values:
    """Put the probability of the first of two classes before that of the second."""
    return np.column_stack([1 - positive, positive]) if positive.shape[1] == 1 else _shares(positive)


def _shares(x: Values) -> Values:
    total = x.sum(axis=1, keepdims=True)
    return np.where(total > 0, x / np.where(total > 0, total, 1.0), 1 / x.shape[1])  # where all say no, all alike


SCORES: dict[str, Callable[[Fitted, Values], Values]] = {
    "linear": _linear,
    "bayes": _bayes,
    "network": _network,
    "trees": lambda fitted, x: grow(fitted.arrays, x),
    "constant": lambda fitted, x: np.tile(fitted.arrays["value"], (len(x), 1)),
}
LINKS: dict[str, Callable[[Values], Values]] = {
    "identity": lambda x: x,
    "softmax": _softmax,
    "sigmoid": lambda x: _both(_expit(x)),
    "one-vs-rest": lambda x: _both(_expit(x)),
    "clipped": lambda x: _both((np.clip(x, -1, 1) + 1) / 2),  # Zhang 2004, doi:10.1145/1015330.1015332
}
ACTIVATIONS: dict[str, Callable[[Values], Values]] = {
    "identity": lambda x: x,
    "logistic": _expit,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
}
