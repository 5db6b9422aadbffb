"""The floor that every diagnosis is printed beside: a linear model of pixels, or of a record's fields."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import Cases, Images, RecordEncoder, Records
from medtasks.dataset import Dataset
from medtasks.errors import BundleError
from medtasks.model import Config, Context, Model
from medtasks.stored import write_arrays

Values = npt.NDArray[np.float64]


class LinearConfig(Config):
    """Hyper-parameters of the linear models."""

    strengths: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0)
    """Inverse strengths of the L2 penalty; the one with the lowest log-loss on validation is taken."""


class _Linear(Model):
    """Multinomial logistic regression on standardised features."""

    task: ClassVar[str] = "diagnosis"

    class Config(LinearConfig):
        """Hyper-parameters of the linear model."""

    @abstractmethod
    def features(self, cases: Any) -> Values:
        """Return (n, d) features."""

    @abstractmethod
    def prepare(self, cases: Any) -> None:
        """Learn from training cases what `features` needs."""

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Fit one model per penalty and keep the one with the lowest log-loss on ``valid``."""
        from sklearn.linear_model import LogisticRegression

        self.prepare(train.cases)
        self.classes = len(train.classes)
        features = self.features(train.cases)
        self.mean, spread = features.mean(axis=0), features.std(axis=0)
        self.scale = np.where(spread > 1e-9, spread, 1.0)
        best = np.inf
        for strength in self.config.strengths:
            if best < np.inf and context.late():
                context.progress.note(f"out of time: penalties from {strength:g} on were not tried")
                break
            model = LogisticRegression(C=strength, max_iter=5000, tol=1e-3).fit(
                (features - self.mean) / self.scale, train.targets
            )
            coef, bias = _full(model, self.classes)
            loss = _log_loss(self._softmax(valid.cases, coef, bias), valid.targets)
            if loss < best:
                best, self.coef, self.bias = loss, coef, bias

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return class probabilities (n, classes)."""
        return self._softmax(cases, self.coef, self.bias)

    def embed(self, cases: Cases, *, context: Context) -> Values:
        """Return the standardised features (n, d)."""
        scaled: Values = (self.features(cases) - self.mean) / self.scale
        return scaled

    def contributions(self, cases: Cases, target: int) -> Values:
        """Return (n, d): what each feature adds to the log-odds of ``target`` against the mean other class."""
        others = np.delete(self.coef, target, axis=0).mean(axis=0)
        parts: Values = self.embed(cases, context=Context()) * (self.coef[target] - others)
        return parts

    def save(self, folder: Path) -> None:
        """Write the coefficients as an ``.npz`` file."""
        arrays = {
            "coef": self.coef,
            "bias": self.bias,
            "mean": self.mean,
            "scale": self.scale,
            **self.state(),
        }
        write_arrays(folder / "linear.npz", arrays)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return further arrays to store."""
        return {}

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Read the coefficients back."""
        model = cls(cls.Config())
        with np.load(folder / "linear.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        model.coef, model.bias = arrays["coef"], arrays["bias"]
        model.mean, model.scale = arrays["mean"], arrays["scale"]
        if model.coef.shape != (len(model.bias), len(model.mean)) or model.mean.shape != model.scale.shape:
            raise BundleError("the stored linear model does not fit itself", hint="train it again")
        model.classes = len(model.bias)
        model.restore(folder, arrays)
        return model

    def restore(self, folder: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take back what `state` returned."""

    def _softmax(self, cases: Cases, coef: Values, bias: Values) -> Values:
        logits = ((self.features(cases) - self.mean) / self.scale) @ coef.T + bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Values = powers / powers.sum(axis=1, keepdims=True)
        return shares


class LinearImage(_Linear):
    """A linear model of the pixels of images shrunk to at most 32 x 32, in grey or colour."""

    accepts: ClassVar[str] = "images"
    side = 32  # a linear model gains nothing from more, and its weights stay few

    def prepare(self, cases: Images) -> None:
        """Fix the size and the channels."""
        schema = cases.schema()
        self.shape = (min(self.side, schema["height"]), min(self.side, schema["width"]), schema["channels"])

    def features(self, cases: Images) -> Values:
        """Return (n, pixels)."""
        height, width, channels = self.shape
        return cases.load((height, width), channels).reshape(len(cases), height * width * channels).astype(np.float64)

    def explain(self, cases: Cases, target: int, *, context: Context) -> Values:
        """Return (n, height, width) contributions of pixels to the log-odds, exact."""
        parts = self.contributions(cases, target).reshape(len(cases), *self.shape)
        total: Values = parts.sum(axis=3)
        return total

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the shape of the shrunk images."""
        return {"shape": np.array(self.shape)}

    def restore(self, folder: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take back the shape."""
        height, width, channels = arrays["shape"].tolist()
        self.shape = (height, width, channels)


class LinearRecord(_Linear):
    """A linear model of a record's fields, imputed and one-hot encoded."""

    accepts: ClassVar[str] = "records"

    def prepare(self, cases: Records) -> None:
        """Learn medians and categories."""
        self.encoder = RecordEncoder.fit(cases)

    def features(self, cases: Records) -> Values:
        """Return (n, encoded columns)."""
        return self.encoder.transform(cases)

    def explain(self, cases: Cases, target: int, *, context: Context) -> Values:
        """Return (n, fields) contributions to the log-odds, exact."""
        return self.encoder.by_field(self.contributions(cases, target))

    def save(self, folder: Path) -> None:
        """Write the coefficients, and the fields as JSON."""
        super().save(folder)
        self.encoder.save_fields(folder / "fields.json")

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what the encoder learnt."""
        return {f"encoder_{name}": values for name, values in self.encoder.to_arrays().items()}

    def restore(self, folder: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Rebuild the encoder."""
        own = {name.removeprefix("encoder_"): array for name, array in arrays.items() if name.startswith("encoder_")}
        self.encoder = RecordEncoder.load(folder / "fields.json", own)


def _full(model: Any, classes: int) -> tuple[Values, Values]:
    """Bring scikit-learn's coefficients to one row per class, absent classes never being chosen."""
    coef, bias = np.zeros((classes, model.coef_.shape[1])), np.full(classes, -np.inf)
    if len(model.classes_) == 2:
        coef[model.classes_[1]], bias[model.classes_] = model.coef_[0], [0.0, model.intercept_[0]]
    else:
        coef[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
    return coef, bias


def _log_loss(probabilities: Values, targets: npt.NDArray[np.int64]) -> float:
    own = probabilities[np.arange(len(targets)), targets]
    return float(-np.log(np.clip(own, 1e-15, 1)).mean())
