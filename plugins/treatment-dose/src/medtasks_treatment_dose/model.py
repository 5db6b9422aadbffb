"""The model `treatment.dose`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pydantic

from medtasks.cases import Cases, Records
from medtasks.cases.standardised import Standardised
from medtasks.dataset import Dataset, group_numbers
from medtasks.model import Config as BaseConfig
from medtasks.model import Context, Model
from medtasks.stored import Codes, Values, read_arrays, read_json, refuse, require, write_arrays
from medtasks_treatment_dose.root import Growth, Line, Root, read

SHARES = np.linspace(0, 1, 11)
"""Weights of the trees among which the left-out patients choose."""
TINY = 1e-6
"""Added to errors, so that where all doses are foretold exactly a spread is still above 0."""


class Dose(Model):
    """Boosted trees (absolute error) and ridge regression on the square root of the dose, blended out of fold.

    It learns from ``valid`` too and sets `left_out`. Beside the dose it tells how far it may be off: the root's error
    by ridge regression on the errors of left-out patients, times the root, since a dose's error grows with it.

    Examples
    --------
    >>> import pandas as pd
    >>> from medtasks.cases import Patients
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"weight": rng.normal(75, 12, 90), "age": rng.normal(60, 9, 90)})
    >>> dose = table[["weight"]].to_numpy() / 2
    >>> data = Dataset(Patients.from_table(table), dose, ("mg/week",), kinds=("dose",))
    >>> model = Dose(Dose.Config())
    >>> model.fit(data.take(np.arange(70)), data.take(np.arange(70, 90)), context=Context())
    >>> model.predict(data.cases, context=Context()).shape
    (90, 1, 2)
    """

    task: ClassVar[str] = "treatment"
    accepts: ClassVar[str] = "patients/dose"
    toy_config: ClassVar[Mapping[str, Any]] = {"rounds": 30, "folds": 3}

    class Config(BaseConfig):
        """Hyper-parameters of the dose model."""

        rounds: int = pydantic.Field(default=300, ge=1, le=5000)
        """Trees."""
        rate: float = pydantic.Field(default=0.05, gt=0, le=1)
        """Share of each tree's answer that is taken."""
        leaves: int = pydantic.Field(default=15, ge=2, le=1000)
        """Leaves of each tree."""
        least: int = pydantic.Field(default=20, ge=1)
        """Fewest patients in a leaf."""
        folds: int = pydantic.Field(default=5, ge=2, le=20)
        """Parts that the patients are cut into, each told of by what was learnt from the others."""
        trees: Literal["auto"] | Annotated[float, pydantic.Field(ge=0, le=1)] = "auto"
        """Weight of the trees in the blend, 0 to 1; ``auto`` for the one of least absolute error out of fold."""

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Choose the blend by cross-validation over ``train`` and ``valid``, then learn from all of them."""
        data = train.join(valid) if len(valid) else train
        cases, target = _records(data.cases), data.targets[:, 0]
        known = np.flatnonzero(np.isfinite(target) & (target > 0))
        if not len(known):
            raise ValueError("no patient has a dose")
        self.columns = Standardised.fit(cases)
        features = self.columns.transform(cases)
        config = self.config
        growth = Growth(config.rounds, config.rate, config.leaves, config.least, context.seed)
        parts = list(_folds(data, config.folds, context))
        trees, line = np.empty(len(data)), np.empty(len(data))
        wanted = 1.0 if config.trees == "auto" else config.trees
        for rest, out in context.progress.track(parts, "folds", len(parts)):
            learnt = _among(rest, known)
            trees[out], line[out] = Root.fit(features[learnt], target[learnt], growth, wanted).parts(features[out])
        share = _share(trees[known], line[known], target[known]) if config.trees == "auto" else wanted
        self.root = Root.fit(features[known], target[known], growth, share)
        if self.root.trees is None:
            share = 0.0
        said = np.maximum(share * trees + (1 - share) * line, self.root.line.floor)
        off = np.abs(said - np.sqrt(np.maximum(target, 0))) + TINY
        self.error = Line.fit(features[known], off[known])
        if len(valid):
            width = np.empty(len(data))
            for rest, out in parts:  # the errors too are told of patients who were left out: intervals rest on them
                learnt = _among(rest, known)
                width[out] = Line.fit(features[learnt], off[learnt]).predict(features[out])
            self.left_out = _answer(said, width)[len(train) :]
        context.progress.note(f"blend: trees {share:.1f}, ridge {1 - share:.1f}")
        context.used.update(device="cpu", blend={"trees": share, "ridge": 1 - share})

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return (n, 1, 2): the dose in its own unit, and how far it may be off, relative between patients."""
        features = self.columns.transform(_records(cases))
        return _answer(self.root.predict(features), self.error.predict(features))

    def explain(self, cases: Cases, target: int, *, context: Context) -> Values:
        """Return (n, fields): what each field adds to the dose, in its unit.

        They and `base` add up to the dose: with the root ``s = b + sum of c``, ``s^2 - b^2`` is the sum of
        ``c (s + b)``.
        """
        features = self.columns.transform(_records(cases))
        parts, base = self.root.explain(features)
        scale = parts.sum(axis=1) + 2 * base
        found = np.zeros((len(features), len(self.columns.encoder.fields)))
        for column, field in enumerate(self.columns.owners):
            found[:, field] += parts[:, column] * scale
        return found

    def base(self) -> float:
        """Return the dose that the contributions of `explain` are added to."""
        return self.root.explain(np.zeros((1, len(self.columns.owners))))[1] ** 2

    def embed(self, cases: Cases, *, context: Context) -> Values:
        """Return the standardised columns (n, d)."""
        return self.columns.transform(_records(cases))

    def save(self, folder: Path) -> None:
        """Write ``dose.json``, ``fields.json``, ``dose.npz`` and, if there are trees, LightGBM's text of them."""
        about = {"share": self.root.share, "trees": self.root.trees is not None}
        (folder / "dose.json").write_text(json.dumps(about), encoding="utf-8")
        lines = {**self.root.line.to_arrays("root_"), **self.error.to_arrays("error_")}
        write_arrays(folder / "dose.npz", {**self.columns.save(folder), **lines}, compressed=True)
        if self.root.trees is not None:
            (folder / "trees.txt").write_text(self.root.trees.model_to_string(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Rebuild a fitted model from what `save` wrote.

        Raises
        ------
        BundleError
            If a file is missing, unreadable, or does not fit the others.
        """
        about, arrays = read_json(folder / "dose.json"), read_arrays(folder / "dose.npz")
        share = about.get("share")
        if not isinstance(share, float):
            refuse("its blend cannot be read")
        require(0 <= share <= 1, "its blend is none")
        model = cls(cls.Config())
        model.columns = Standardised.load(folder, arrays)
        width = len(model.columns.owners)
        trees = None
        if about.get("trees"):
            try:
                trees = read((folder / "trees.txt").read_text(encoding="utf-8"), width)
            except (OSError, UnicodeError) as error:
                refuse(f"trees.txt cannot be read ({type(error).__name__})")
        model.root = Root(trees, Line.from_arrays(arrays, "root_", width), share)
        model.error = Line.from_arrays(arrays, "error_", width)
        return model


def _records(cases: Cases) -> Records:
    if not isinstance(cases, Records):
        raise TypeError(f"the dose model takes patients, not {cases.kind}")
    return cases


def _answer(root: Values, error: Values) -> Values:
    """Return (n, 1, 2) dose and spread, from the root and its typical error."""
    return np.stack([root**2, root * error], axis=1)[:, None, :]


def _among(rest: Codes, known: Codes) -> Codes:
    """Return the rows of ``rest`` that are known; all known rows where none is."""
    found = np.intersect1d(rest, known)
    return found if len(found) else known


def _folds(data: Dataset, count: int, context: Context) -> Iterator[tuple[Codes, Codes]]:
    """Yield (rest, left out) rows, groups whole; all rows are in both where there are too few to leave any out."""
    units = group_numbers(len(data), data.groups)
    many = int(units.max()) + 1
    fold = context.rng.permutation(many) % min(count, many)
    for number in range(min(count, many)):
        out = fold[units] == number
        yield np.flatnonzero(~out if many > 1 else out), np.flatnonzero(out)


def _share(trees: Values, line: Values, dose: Values) -> float:
    """Return the weight of the trees with the least mean absolute error of the dose."""
    errors = [np.abs(np.maximum(share * trees + (1 - share) * line, 0) ** 2 - dose).mean() for share in SHARES]
    return float(SHARES[int(np.argmin(errors))])
