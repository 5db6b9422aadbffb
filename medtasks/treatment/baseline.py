"""The floors that every answer about a treatment is printed beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from medtasks import causal
from medtasks.cases import Cases, RecordEncoder, Records
from medtasks.dataset import Dataset
from medtasks.model import Context, Model
from medtasks.stored import write_arrays

Values = npt.NDArray[np.float64]


class BestArm(Model):
    """One arm for everybody: the mean outcome under each, for comparable patients."""

    task: ClassVar[str] = "treatment"
    accepts: ClassVar[str] = "patients/arm"

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Average doubly robust scores; see `medtasks.causal`."""
        scores = causal.score(train, context.seed).values
        self.mean = scores.mean(axis=0)
        self.covariance = causal.mean_covariance(scores, train.groups)

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return (n, arms, 1 + arms): the same means and covariance for everybody."""
        return np.tile(np.column_stack([self.mean, self.covariance]), (len(cases), 1, 1))

    def save(self, folder: Path) -> None:
        """Write means and covariance."""
        write_arrays(folder / "means.npz", {"mean": self.mean, "covariance": self.covariance})

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Read them back."""
        model = cls(cls.Config())
        with np.load(folder / "means.npz", allow_pickle=False) as file:
            model.mean, model.covariance = file["mean"], file["covariance"]
        return model


class _OnFields(Model):
    """A model of the fields, imputed, scaled and one-hot encoded."""

    task: ClassVar[str] = "treatment"
    encoder: RecordEncoder
    coef: Values
    bias: Values

    def contributions(self, cases: Records, target: int) -> Values:
        """Return (n, fields): what each field adds to the linear score of a target."""
        return self.encoder.by_field(self.encoder.transform(cases) * self.coef[target])

    def linear(self, cases: Records) -> Values:
        """Return (n, targets) linear scores."""
        return np.asarray(self.encoder.transform(cases) @ self.coef.T + self.bias)

    def save(self, folder: Path) -> None:
        """Write coefficients and what the encoder learnt as arrays, the fields as JSON."""
        write_arrays(folder / "linear.npz", {"coef": self.coef, "bias": self.bias, **self.encoder.to_arrays()})
        self.encoder.save_fields(folder / "fields.json")

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Read them back."""
        model = cls(cls.Config())
        with np.load(folder / "linear.npz", allow_pickle=False) as file:
            arrays: dict[str, npt.NDArray[Any]] = {name: file[name] for name in file.files}
        model.coef, model.bias = arrays.pop("coef"), arrays.pop("bias")
        model.encoder = RecordEncoder.load(folder / "fields.json", arrays)
        return model


class LinearDose(_OnFields):
    """A ridge regression of the square root of the dose."""

    accepts: ClassVar[str] = "patients/dose"

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Fit it, the penalty by leave-one-out."""
        from sklearn.linear_model import RidgeCV

        assert isinstance(train.cases, Records)
        self.encoder = RecordEncoder.fit(train.cases)
        found = RidgeCV(causal.PENALTIES).fit(self.encoder.transform(train.cases), np.sqrt(train.targets[:, 0]))
        self.coef, self.bias = np.atleast_2d(found.coef_), np.atleast_1d(found.intercept_)

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return (n, 1, 2): the dose, and a spread that grows with its square root."""
        assert isinstance(cases, Records)
        root = np.maximum(self.linear(cases)[:, 0], 0.0)
        return np.stack([root**2, np.maximum(root, 1e-3)], axis=1)[:, None, :]

    def explain(self, cases: Cases, target: int, *, context: Context) -> Values:
        """Return (n, fields) contributions to the square root of the dose, exact."""
        assert isinstance(cases, Records)
        return self.contributions(cases, target)


class LinearSet(_OnFields):
    """A logistic regression for each medicine."""

    accepts: ClassVar[str] = "patients/set"

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Fit each medicine; one that all or none received keeps its share."""
        from sklearn.linear_model import LogisticRegression

        assert isinstance(train.cases, Records)
        self.encoder = RecordEncoder.fit(train.cases)
        features = self.encoder.transform(train.cases)
        self.coef = np.zeros((train.targets.shape[1], features.shape[1]))
        share = (train.targets.sum(axis=0) + 1) / (len(train) + 2)  # Laplace's rule of succession
        self.bias = np.log(share / (1 - share))
        for i in context.progress.track(range(len(self.coef)), "medicines"):
            given = train.targets[:, i]
            if 0 < given.sum() < len(given):
                found = LogisticRegression(C=0.01, max_iter=1000).fit(features, given)
                self.coef[i], self.bias[i] = found.coef_[0], found.intercept_[0]

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return (n, medicines) probabilities."""
        from scipy.special import expit

        assert isinstance(cases, Records)
        return np.asarray(expit(self.linear(cases)))

    def explain(self, cases: Cases, target: int, *, context: Context) -> Values:
        """Return (n, fields) contributions to a medicine's log-odds, exact."""
        assert isinstance(cases, Records)
        return self.contributions(cases, target)
