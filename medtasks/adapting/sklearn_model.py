"""A model made of scikit-learn estimators: `from_sklearn`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pydantic

from medtasks.adapting.estimators import Fitted, check_estimator
from medtasks.adapting.features import Features
from medtasks.adapting.goal import Goal, accepted
from medtasks.cases import Cases
from medtasks.dataset import Dataset
from medtasks.errors import PluginError, suggest
from medtasks.model import Config, Context, Model
from medtasks.stored import Values, read_arrays, read_json, require, write_arrays

KINDS = ("records", "molecules", "patients/arm", "patients/set", "patients/dose")
"""Kinds of cases that have columns."""
STEP = 4096
"""Cases that are answered at a time: 2,048 columns of each take 64 MB."""


def from_sklearn(
    estimator: Any,
    task: str = "diagnosis",
    accepts: str | None = None,
    *,
    classifier: Any = None,
    settings: Mapping[str, Any] | None = None,
    about: str = "",
) -> type[Model]:
    """Make a model of a scikit-learn estimator, to be named by an entry point.

    Records and patients become standardised columns, molecules counts of substructures (`Features`). The estimator is
    cloned for each fit, every ``random_state`` set to the seed; it learns from the training cases alone. A diagnosis
    takes one classifier. Elsewhere each target, arm or medicine gets an estimator of its own, fitted where it is
    known; numbers are standardised first and doses by their square roots (`Goal`), so that penalties are unit-free.

    Parameters
    ----------
    estimator
        One of `medtasks.adapting.SUPPORTED`: what it has learnt is stored as arrays.
    task, accepts
        What the model answers; without ``accepts`` the first kind of cases that there is for the task.
    classifier
        For molecules: who answers targets that are classes, where ``estimator`` is a regressor. Without one the
        regressor does, on 0 and 1, cut off there.
    settings
        Parameters of ``estimator`` that the user may set (``--set C=0.1``), each with its type: ``{"C": float}``.
    about
        A sentence for `medtasks models`.

    Raises
    ------
    PluginError
        If the estimator cannot be stored as arrays, or does not answer such a question.

    Examples
    --------
    >>> from sklearn.ensemble import ExtraTreesClassifier
    >>> Trees = from_sklearn(ExtraTreesClassifier(200, min_samples_leaf=3))
    >>> Trees.task, Trees.accepts
    ('diagnosis', 'records')

    Notes
    -----
    A tree grown until each leaf holds one patient stores that patient's outcome: set ``min_samples_leaf``.
    """
    from sklearn.base import is_classifier

    kind = accepted(task, accepts, kinds=KINDS)
    for one in (estimator, classifier):
        if one is not None:
            check_estimator(one)
    name = type(estimator).__name__
    if task == "diagnosis" and not is_classifier(estimator):
        raise PluginError(f"{name} is no classifier, which a diagnosis needs", hint="use the classifier of its kind")
    if kind in ("patients/arm", "patients/dose") and is_classifier(estimator):
        raise PluginError(f"{name} is a classifier; {kind} asks for numbers", hint="use the regressor of its kind")
    if classifier is not None and (kind != "molecules" or not is_classifier(classifier)):
        raise PluginError("classifier= is a classifier for molecules", hint="leave it out elsewhere")
    content = {
        "__doc__": about or f"scikit-learn's {name} on {kind}.",
        "__module__": __name__,
        "task": task,
        "accepts": kind,
        "estimator": estimator,
        "classifier": classifier,
        "Config": _config(estimator, settings or {}),
    }
    return type(f"{name}Model", (SklearnModel,), content)


class SklearnModel(Model):
    """The base of the classes that `from_sklearn` makes."""

    estimator: ClassVar[Any]
    classifier: ClassVar[Any]
    features: Features
    goal: Goal
    fitted: list[Fitted]

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Fit a clone of the estimator for all classes together, or for each column of the goal."""
        self.features, self.goal = Features.fit(train.cases), Goal.fit(train, self.accepts)
        x = self.features.transform(train.cases)
        if self.goal.exclusive:
            self.fitted = [_learnt(self._set(), x, train.targets, True, context, exclusive=True)]
            return
        wanted, self.fitted = self.goal.wanted(train), []
        for t in context.progress.track(range(self.goal.outputs), "targets", self.goal.outputs):
            rows, is_class = np.flatnonzero(np.isfinite(wanted[:, t])), self.goal.binary[t]
            estimator = self._for(train.names[t], is_class)
            self.fitted.append(_learnt(estimator, x[rows], wanted[rows, t], is_class, context))

    def predict(self, cases: Cases, *, context: Context) -> npt.NDArray[np.float64]:
        """Return what the task asks for: probabilities (n, classes), numbers (n, targets), ..."""
        starts = range(0, len(cases), STEP)
        parts = [cases.take(np.arange(start, min(start + STEP, len(cases)))) for start in starts]
        columns = [self._columns(self.features.transform(part)) for part in parts]
        return self.goal.answers(np.concatenate(columns or [np.zeros((0, self.goal.outputs))]))

    def save(self, folder: Path) -> None:
        """Write arrays, and as JSON what they mean: no code, no pickle."""
        arrays = self.features.save(folder)
        for i, fitted in enumerate(self.fitted):
            arrays |= {f"{i}_{name}": values for name, values in fitted.arrays.items()}
        write_arrays(folder / "estimators.npz", arrays, compressed=True)
        about = {"goal": self.goal.as_json(), "estimators": [fitted.as_json() for fitted in self.fitted]}
        (folder / "estimators.json").write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Read them back; scikit-learn is not needed."""
        model, about = cls(cls.Config()), read_json(folder / "estimators.json")
        arrays = read_arrays(folder / "estimators.npz")
        model.goal, listed = Goal.read(about.get("goal")), about.get("estimators")
        require(model.goal.accepts == cls.accepts, "it answers another question")
        model.features = Features.load(folder, arrays)
        count = 1 if model.goal.exclusive else model.goal.outputs
        require(isinstance(listed, list) and len(listed) == count, "its estimators are not one for each target")
        model.fitted = []
        for i, one in enumerate(listed or ()):
            mark = f"{i}_"
            own = {name.removeprefix(mark): values for name, values in arrays.items() if name.startswith(mark)}
            fitted = Fitted.read(one, own, model.features.width)
            codes, last = fitted.arrays.get("classes"), model.goal.outputs if model.goal.exclusive else 2
            require(codes is None or bool(((codes >= 0) & (codes < last)).all()), "an estimator has other classes")
            require(codes is not None or not model.goal.exclusive, "an estimator has no classes")
            model.fitted.append(fitted)
        return model

    def _columns(self, x: Values) -> Values:
        found = np.zeros((len(x), self.goal.outputs))
        if self.goal.exclusive:
            found[:, self.fitted[0].arrays["classes"]] = self.fitted[0].predict(x)
            return found
        for t, fitted in enumerate(self.fitted):
            found[:, t] = fitted.predict(x)[:, -1]  # of a class the probability of 1
        return found

    def _for(self, name: str, is_class: bool) -> Any:
        from sklearn.base import is_classifier

        if is_class:
            return self._set() if self.classifier is None else self.classifier
        if is_classifier(self.estimator):
            raise PluginError(
                f"the target {name!r} is a number, and {type(self.estimator).__name__} is a classifier",
                hint="give from_sklearn a regressor, and the classifier as classifier=",
            )
        return self._set()

    def _set(self) -> Any:
        """Return the estimator with the hyper-parameters that the user set."""
        from sklearn.base import clone

        return clone(self.estimator).set_params(**self.config.model_dump())


def _config(estimator: Any, settings: Mapping[str, Any]) -> type[Config]:
    """Make a Config of some of an estimator's parameters, as they are set."""
    known, name = estimator.get_params(), type(estimator).__name__
    for unknown in set(settings) - set(known):
        raise PluginError(f"{name} has no parameter {unknown!r}", hint=suggest(unknown, known))
    fields: dict[str, Any] = {
        key: (kind, pydantic.Field(default=known[key], description=f"As of scikit-learn's {name}."))
        for key, kind in settings.items()
    }
    return pydantic.create_model("Config", __base__=Config, __doc__=f"Parameters of {name}.", **fields)


def _learnt(
    estimator: Any, x: Values, wanted: npt.NDArray[Any], is_class: bool, context: Context, *, exclusive: bool = False
) -> Fitted:
    """Fit a clone; where there is one class, or fewer than two cases, answer what is common."""
    from sklearn.base import clone, is_classifier

    if is_class and is_classifier(estimator):
        wanted = wanted.astype(np.int64)
        if len(np.unique(wanted)) < 2:
            return Fitted.constant([1.0], [int(wanted[0])]) if exclusive else _share(wanted)
    elif len(wanted) < 2:
        return Fitted.constant([float(np.mean(wanted)) if len(wanted) else 0.5 * is_class])
    fresh = clone(estimator)
    seeds = {name: context.seed for name in fresh.get_params() if name.rpartition("__")[2] == "random_state"}
    fresh.set_params(**seeds).fit(x, wanted)
    return Fitted.of(fresh, x)


def _share(wanted: npt.NDArray[Any]) -> Fitted:
    share = float(wanted.sum() + 1) / (len(wanted) + 2)  # Laplace's rule of succession
    return Fitted.constant([1 - share, share], [0, 1])
