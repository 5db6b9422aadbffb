"""The model `treatment.doubly-robust`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pydantic

from medtasks.cases import Cases, Records
from medtasks.cases.standardised import Standardised
from medtasks.causal import propensities, received
from medtasks.dataset import Dataset
from medtasks.model import Config as BaseConfig
from medtasks.model import Context, Model
from medtasks.stored import Values, read_arrays, read_json, refuse, require, write_arrays
from medtasks_treatment_effect.arms import KINDS, Arms, Fitted, Trial, correct, fit
from medtasks_treatment_effect.process import Plan


class DoublyRobust(Model):
    """Expected outcomes under each of K arms, with the covariance of their errors.

    Four outcome models stand for choice: ridge regression or a Gaussian process for each arm, and a Gaussian process
    or a random forest of all patients together with a process for each arm of what it leaves over. The one that
    foretells left-out patients best (log predictive density) is kept. Its means are moved to the doubly robust
    estimates (Robins, Rotnitzky & Zhao 1994, doi:10.1080/01621459.1994.10476818) as far as these differ by more than
    chance. It learns from ``valid`` too and sets `left_out`.

    Examples
    --------
    >>> import pandas as pd
    >>> from medtasks.cases import Patients
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"age": rng.normal(60, 9, 90), "crp": rng.normal(size=90)})
    >>> arm, outcome = np.arange(90) % 2, rng.normal(size=90)
    >>> targets = np.where(arm[:, None] == [0, 1], (outcome + 3 * arm)[:, None], np.nan)
    >>> data = Dataset(Patients.from_table(table), targets, ("old", "new"), kinds=("arm", "arm"))
    >>> model = DoublyRobust(DoublyRobust.Config(trees=10))
    >>> model.fit(data.take(np.arange(70)), data.take(np.arange(70, 90)), context=Context())
    >>> answer = model.predict(data.cases, context=Context())
    >>> answer.shape
    (90, 2, 3)
    >>> bool(np.all(answer[:, 1, 0] > answer[:, 0, 0]))
    True
    """

    task: ClassVar[str] = "treatment"
    accepts: ClassVar[str] = "patients/arm"
    toy_config: ClassVar[Mapping[str, Any]] = {"trees": 10, "learning": 50}

    class Config(BaseConfig):
        """Hyper-parameters of the treatment model."""

        outcomes: Literal["auto", "ridge", "gp", "shared", "forest"] = "auto"
        """The outcome model: ``ridge`` or ``gp`` (Gaussian process) for each arm alone; ``shared`` (Gaussian process)
        or ``forest`` for all patients, with a process for each arm of what it leaves over; ``auto`` for the one that
        foretells left-out patients best."""
        trees: int = pydantic.Field(default=100, ge=1, le=2000)
        """Trees of the forest."""
        learning: int = pydantic.Field(default=400, ge=50, le=2000)
        """Patients per arm, drawn by chance, on whom a process learns its hyper-parameters; all count for its answer.
        Time grows with the cube."""
        correct: bool = True
        """Whether each arm's mean is moved to the doubly robust estimate as far as the two differ beyond chance."""

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Learn from ``train`` and ``valid``; choices are made on patients left out one by one, in closed form."""
        import scipy.optimize  # noqa: F401  # brings a BLAS of its own, which must be there to be limited
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

        data = train.join(valid) if len(valid) else train
        treatment, outcome = received(data)
        cases = _records(data.cases)
        self.arms_count = data.targets.shape[1]
        self.columns = Standardised.fit(cases)
        features = self.columns.transform(cases)
        trial = Trial(features, treatment, outcome, self.arms_count, data.groups)
        with threadpool_limits(1):  # the matrices are small: more threads wait for each other
            fitted = self._choose(trial, context)
            if self.config.correct:
                fitted = correct(fitted, trial, _propensity(data, trial, context.seed))
        self.arms = fitted.arms
        self.left_out = _answer(fitted.mean[len(train) :], fitted.variance[len(train) :]) if len(valid) else None
        context.used.update(device="cpu", outcomes=self.arms.kind)

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return (n, K, 1 + K): expected outcomes, and the covariance of their errors without the outcome's noise."""
        return _answer(*self.arms.predict(self.columns.transform(_records(cases))))

    def explain(self, cases: Cases, target: int, *, context: Context) -> Values:
        """Return (n, fields): what each field adds to arm ``target``'s expectation less the mean of the other arms'.

        By occlusion: how the difference falls when the field is set to its training median (numbers) or commonest
        category, the others staying as they are. Fields that act together are each counted in full.
        """
        features = self.columns.transform(_records(cases))
        owners, fields = self.columns.owners, len(self.columns.encoder.fields)
        contrast = np.full(self.arms_count, -1 / max(self.arms_count - 1, 1))
        contrast[target] = 1.0
        whole = self.arms.expect(features) @ contrast
        found = np.zeros((len(features), fields))
        for field in range(fields):
            without = np.where(owners == field, self.columns.usual, features)
            found[:, field] = whole - self.arms.expect(without) @ contrast
        return found

    def embed(self, cases: Cases, *, context: Context) -> Values:
        """Return the standardised columns (n, d)."""
        return self.columns.transform(_records(cases))

    def save(self, folder: Path) -> None:
        """Write ``effect.json``, ``fields.json`` and ``effect.npz``: weights of random features and no patient."""
        content = {"kind": self.arms.kind, "arms": self.arms_count}
        (folder / "effect.json").write_text(json.dumps(content), encoding="utf-8")
        arrays = {**self.columns.save(folder), **self.arms.to_arrays()}
        write_arrays(folder / "effect.npz", arrays, compressed=True)

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Rebuild a fitted model from what `save` wrote.

        Raises
        ------
        BundleError
            If a file is missing, unreadable, or does not fit the others.
        """
        content, arrays = read_json(folder / "effect.json"), read_arrays(folder / "effect.npz")
        arms, kind = content.get("arms"), content.get("kind")
        if not isinstance(arms, int) or not isinstance(kind, str):
            refuse("its arms cannot be read")
        require(1 <= arms <= len(arrays), "its arms do not fit")
        model = cls(cls.Config())
        model.arms_count = arms
        model.columns = Standardised.load(folder, arrays)
        model.arms = Arms.from_arrays(arrays, kind, arms, len(model.columns.owners))
        return model

    def _choose(self, trial: Trial, context: Context) -> Fitted:
        plan = Plan(most=self.config.learning, seed=context.seed)
        kinds = KINDS if self.config.outcomes == "auto" else (self.config.outcomes,)
        if trial.features.shape[1] == 0:
            kinds = ("ridge",)
        best: Fitted | None = None
        for kind in context.progress.track(kinds, "outcome models", len(kinds)):
            if best is not None and context.late():
                break
            found = fit(trial, kind, plan, self.config.trees)
            if best is None or found.density > best.density:
                best = found
        assert best is not None
        context.progress.note(f"outcome model: {best.arms.kind}")
        return best


def _records(cases: Cases) -> Records:
    if not isinstance(cases, Records):
        raise TypeError(f"the treatment model takes patients, not {cases.kind}")
    return cases


def _answer(mean: Values, variance: Values) -> Values:
    """Put expectations (n, K) and their variances together as (n, K, 1 + K)."""
    covariance = variance[:, :, None] * np.eye(mean.shape[1])
    return np.concatenate([mean[:, :, None], covariance], axis=2)


def _propensity(data: Dataset, trial: Trial, seed: int) -> Values:
    """Return (n, K) propensities: known by design, estimated, or even where there is too little to estimate."""
    known: npt.NDArray[np.float64] | None = data.extra.get("propensity")
    if known is not None:
        return known
    given = np.bincount(trial.treatment)
    given = given[given > 0]
    if len(given) < 2 or given.min() < 2 or trial.features.shape[1] == 0:
        return np.ones((len(data), trial.arms))
    return propensities(trial.features, trial.treatment, trial.arms, trial.groups, seed)
