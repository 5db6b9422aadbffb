"""The model `diagnosis.record-ensemble`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pydantic

from medtasks.cases import Cases, Records
from medtasks.dataset import Dataset
from medtasks.model import Config as BaseConfig
from medtasks.model import Context, Model
from medtasks.stored import Codes, Values, read_arrays, read_json, refuse, require, take, write_arrays
from medtasks_record_ensemble.features import Features
from medtasks_record_ensemble.linear import Linear
from medtasks_record_ensemble.members import (
    SMALL,
    Member,
    Plan,
    boosting_is_readable,
    choose,
    fit_all,
    hold_out,
    left_out,
    threads,
)
from medtasks_record_ensemble.trees import Boosted, Forest

MEMBERS: dict[str, type[Linear] | type[Forest] | type[Boosted]] = {
    "linear": Linear,
    "forest": Forest,
    "boosted": Boosted,
}


class RecordEnsemble(Model):
    """A blend of logistic regression, extra trees and, where it helps, gradient boosting.

    Penalty, boosting rounds and blending weights are chosen by log-loss on cases held out by cross-validation.
    Small data are learnt from whole, see `fit`; ``valid`` of larger ones is not learnt from, so that a threshold or
    a calibration can be set on it.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"crp": rng.normal(size=80), "age": rng.normal(size=80)})
    >>> data = Dataset(Records.from_table(table), (table["crp"] > 0).to_numpy(int), classes=("well", "ill"))
    >>> model = RecordEnsemble(RecordEnsemble.Config(trees=20))
    >>> model.fit(data, data.take(np.arange(10)), context=Context())
    >>> model.predict(data.cases, context=Context()).shape
    (80, 2)
    """

    task: ClassVar[str] = "diagnosis"
    accepts: ClassVar[str] = "records"
    toy_config: ClassVar[Mapping[str, Any]] = {"trees": 30, "folds": 3, "boosting": False}

    class Config(BaseConfig):
        """Hyper-parameters of the record ensemble."""

        trees: int = pydantic.Field(default=200, ge=0, le=5000)
        """Number of extra trees; 0 leaves them out."""
        leaf: int = pydantic.Field(default=3, ge=1)
        """Fewest training cases in a leaf of the extra trees."""
        boosting: Literal["auto"] | bool = "auto"
        """Gradient boosting: ``true``, ``false``, or ``auto`` to take it in if the held-out log-loss of the
        blend falls by more than one standard error."""
        folds: int = pydantic.Field(default=5, ge=2, le=20)
        """Parts that training is cut into to choose penalty, rounds and weights."""
        levels: int = pydantic.Field(default=8, ge=0, le=50)
        """A number with 3 to so many different values is also read as a code with levels; 0 never does."""
        choosing: int = pydantic.Field(default=8000, ge=100)
        """Beyond so many training cases, the choices are made on a random part; the final fit takes all."""

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Choose the blend out of fold, then fit its members to all cases learnt from.

        With fewer than `SMALL` cases these are ``train`` and ``valid``: none can be spared, and ``left_out`` tells
        what the blend says of ``valid`` while it is left out. With more it is ``train``.
        """
        self.left_out = None
        small = len(train) + len(valid) < min(SMALL, self.config.choosing)
        if not (small and len(valid) and self._learn(train.join(valid), len(train), context)):
            self._learn(train, len(train), context)

    def _learn(self, data: Dataset, first: int, context: Context) -> bool:
        """Learn, and answer the rows from ``first`` on left out; say False, and stop, where that cannot be done."""
        self.features = Features.fit(_records(data.cases), self.config.levels)
        features = self.features.transform(_records(data.cases))
        self.classes = len(data.classes)
        self.present, codes = np.unique(data.targets, return_inverse=True)
        targets = codes.astype(np.int64)
        with threads(len(data)):
            plan, said = self._choose(features, targets, data.groups, context, judged=first < len(data))
            if first < len(data):
                if said is None:
                    return False
                self.left_out = np.zeros((len(data) - first, self.classes))
                self.left_out[:, self.present] = said[first:]
            self.members = fit_all(plan, features, targets, context=context)
        self.weights = plan.weights
        shares = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        context.progress.note(f"blend: {shares}; inverse penalty {plan.strength:g}")
        context.used.update(device="cpu", blend=dict(self.weights))
        return True

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return class probabilities (n, classes)."""
        features = self.features.transform(_records(cases))
        found = np.zeros((len(cases), self.classes))
        for weight, member, columns in self._blend():
            found[:, self.present] += weight * member.predict(features[:, :columns])
        found /= found.sum(axis=1, keepdims=True)
        return found

    def explain(self, cases: Cases, target: int, *, context: Context) -> Values:
        """Return (n, fields): what each field adds to the probability of class ``target``.

        Exact and additive: a row's contributions and `base` sum to what `predict` returns. The blend is a
        mixture of its members' probabilities, so its contributions are the mixture of theirs: paths through
        the extra trees (Saabas 2014), integrated gradients along the straight line of scores for logistic
        regression and boosting (Sundararajan et al. 2017). A class that training did not have gets zeros.
        """
        features = self.features.transform(_records(cases))
        fields = len(self.features.encoder.fields)
        found = np.zeros((len(cases), fields))
        for code in np.flatnonzero(self.present == target):
            for weight, member, columns in self._blend():
                owners = self.features.owners[:columns]
                found += weight * member.explain(features[:, :columns], int(code), owners, fields)
        return found

    def base(self, target: int) -> float:
        """Return the probability of class ``target`` before any field is known, which `explain` starts from.

        For logistic regression that of the mean training case, for extra trees the class's share in
        training, for boosting that of the mean score; weighted as the members are.
        """
        return float(
            sum(
                weight * member.base(int(code))
                for code in np.flatnonzero(self.present == target)
                for weight, member, _ in self._blend()
            )
        )

    def embed(self, cases: Cases, *, context: Context) -> Values:
        """Return the encoded and scaled features (n, d)."""
        return self.features.transform(_records(cases))

    def save(self, folder: Path) -> None:
        """Write ``ensemble.json`` and one ``.npz`` file for the features and each member."""
        content = {
            "classes": self.classes,
            "present": self.present.tolist(),
            "weights": self.weights,
            "fields": self.features.describe(),
        }
        (folder / "ensemble.json").write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
        write_arrays(folder / "features.npz", self.features.to_arrays(), compressed=True)
        for name, member in self.members.items():
            write_arrays(folder / f"{name}.npz", member.to_arrays(), compressed=True)

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Rebuild a fitted model from what `save` wrote.

        Raises
        ------
        BundleError
            If a file is missing, unreadable, or does not fit the others.
        """
        content = read_json(folder / "ensemble.json")
        model = cls(cls.Config())
        model.classes, model.present = _classes(content)
        model.weights = _weights(content)
        model.features = Features.from_arrays(content.get("fields"), read_arrays(folder / "features.npz"))
        columns = len(model.features.owners)
        model.members = {}
        for name in model.weights:
            width = columns if name == "linear" else columns - len(model.features.level_field)
            arrays = read_arrays(folder / f"{name}.npz")
            model.members[name] = MEMBERS[name].from_arrays(arrays, width, len(model.present))
        return model

    def _choose(
        self, features: Values, targets: Codes, groups: npt.NDArray[Any] | None, context: Context, *, judged: bool
    ) -> tuple[Plan, Values | None]:
        """Return the plan and, if asked for, what it says of each case while that is left out."""
        plan = Plan(features.shape[1] - len(self.features.level_field), self.config.trees, self.config.leaf)
        boosting = self.config.boosting
        if len(self.present) == 1 or plan.columns == 0:
            return Plan(plan.columns, 0, plan.leaf, weights={"linear": 1.0}), None
        rows = _sample(targets, self.config.choosing, context)
        if boosting is not False and not boosting_is_readable(features[:, : plan.columns], targets):
            boosting = False
            context.progress.note("no gradient boosting: this scikit-learn keeps its trees in another form")
        held = hold_out(
            plan,
            features[rows],
            targets[rows],
            boosting=boosting,
            folds=self.config.folds,
            context=context,
            groups=None if groups is None else groups[rows],
        )
        said = None
        if judged and held is not None:
            said = left_out(plan, held, features, targets, boosting=boosting, context=context, groups=groups)
        return choose(plan, held, boosting), said

    def _blend(self) -> Iterator[tuple[float, Member, int]]:
        """Yield each member with its weight and the number of columns it sees."""
        columns = len(self.features.owners)
        for name, weight in self.weights.items():
            yield (
                weight,
                self.members[name],
                columns if name == "linear" else (columns - len(self.features.level_field)),
            )


def _records(cases: Cases) -> Records:
    if not isinstance(cases, Records):
        raise TypeError(f"the record ensemble takes records, not {cases.kind}")
    return cases


def _sample(targets: Codes, most: int, context: Context) -> Codes:
    """Return the rows on which choices are made: all, or a random part with every class in it."""
    n = len(targets)
    if n <= most:
        return np.arange(n)
    context.progress.note(
        f"penalty, rounds and weights are chosen on {most:,} of {n:,} training cases; "
        "the members are then fitted to all"
    )
    order = context.rng.permutation(n)
    # The first two cases of each class in random order come first, then the rest.
    first = np.concatenate([order[targets[order] == code][:2] for code in np.unique(targets)])
    rest = order[~np.isin(order, first)]
    rows: Codes = np.sort(np.concatenate([first, rest])[:most])
    return rows


def _classes(content: dict[str, Any]) -> tuple[int, Codes]:
    classes, present = content.get("classes"), content.get("present")
    if (
        not isinstance(classes, int)
        or not isinstance(present, list)
        or not all(isinstance(code, int) for code in present)
    ):
        refuse("its classes cannot be read")
    codes = take({"present": np.array(present, dtype=np.int64)}, "present", 1, "i")
    require(
        len(codes) > 0 and (np.diff(codes) > 0).all() and codes[0] >= 0 and codes[-1] < classes,
        "its classes do not fit",
    )
    return classes, codes


def _weights(content: dict[str, Any]) -> dict[str, float]:
    weights = content.get("weights")
    if (
        not isinstance(weights, dict)
        or not weights
        or not set(weights) <= set(MEMBERS)
        or not all(isinstance(weight, float) for weight in weights.values())
    ):
        refuse("its weights cannot be read")
    total = sum(weights.values())
    require(min(weights.values()) >= 0 and abs(total - 1) < 1e-6, "its weights are none")
    return weights
