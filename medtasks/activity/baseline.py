"""The floor that every activity is printed beside: a linear model of Morgan fingerprints."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import Cases, Molecules
from medtasks.dataset import Dataset
from medtasks.errors import BundleError
from medtasks.model import Config, Context, Model
from medtasks.stored import write_arrays

Values = npt.NDArray[np.float64]
RADIUS, BITS = 2, 2048
"""Morgan's fingerprint as most papers use it (Rogers & Hahn 2010, doi:10.1021/ci100050t): ECFP4, folded."""


class LinearFingerprintConfig(Config):
    """Hyper-parameters of the linear model."""

    strengths: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0)
    """Strengths of the L2 penalty; the one with the lowest loss on validation is taken, for each target."""


class LinearFingerprint(Model):
    """Ridge or logistic regression on counts of circular substructures (Morgan, radius 2), for each target alone."""

    task: ClassVar[str] = "activity"
    accepts: ClassVar[str] = "molecules"

    class Config(LinearFingerprintConfig):
        """Hyper-parameters of the linear model."""

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Fit every target on the molecules that have a measurement of it; a bound counts as its value."""
        x, new = features(train.cases), features(valid.cases)
        self.binary = np.array([kind == "binary" for kind in train.kinds])
        weights, biases = [], []
        for t, binary in enumerate(self.binary):
            rows, check = _known(train, t), _known(valid, t)
            truth = valid.targets[check, t]
            best, chosen = np.inf, (np.zeros(x.shape[1]), 0.0)
            for strength in self.config.strengths:
                found = _fit(x[rows], train.targets[rows, t], strength, binary=bool(binary))
                loss = _loss(_apply(new[check], *found, binary=bool(binary)), truth, binary=bool(binary))
                if loss < best:
                    best, chosen = loss, found
            weights.append(chosen[0])
            biases.append(chosen[1])
        self.coef, self.bias = np.stack(weights), np.array(biases)

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return (n, targets): numbers, or probabilities of being active."""
        x = features(cases)
        columns = [
            _apply(x, coef, float(bias), binary=bool(binary))
            for coef, bias, binary in zip(self.coef, self.bias, self.binary, strict=True)
        ]
        return np.column_stack(columns)

    def save(self, folder: Path) -> None:
        """Write the coefficients as an ``.npz`` file."""
        arrays = {"coef": self.coef, "bias": self.bias, "binary": self.binary}
        write_arrays(folder / "linear.npz", arrays, compressed=True)

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Read the coefficients back."""
        model = cls(cls.Config())
        with np.load(folder / "linear.npz", allow_pickle=False) as file:
            model.coef, model.bias, model.binary = file["coef"], file["bias"], file["binary"]
        if model.coef.shape != (len(model.bias), BITS) or model.binary.shape != model.bias.shape:
            raise BundleError("the stored linear model does not fit itself", hint="train it again")
        return model


def features(cases: Any) -> Any:
    """Return a sparse (n, 2048) matrix of log(1 + counts)."""
    from rdkit.Chem import rdFingerprintGenerator
    from scipy.sparse import csr_matrix

    assert isinstance(cases, Molecules)
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    starts, places, counts = [0], [], []
    for mol in cases.mols():
        found = generator.GetCountFingerprint(mol).GetNonzeroElements()
        places += found.keys()
        counts += found.values()
        starts.append(len(places))
    return csr_matrix((np.log1p(np.array(counts, dtype=np.float64)), places, starts), shape=(len(cases), BITS))


def _known(data: Dataset, t: int) -> npt.NDArray[np.int64]:
    return np.flatnonzero(np.isfinite(data.targets[:, t]))


def _fit(x: Any, y: Values, strength: float, *, binary: bool) -> tuple[Values, float]:
    from sklearn.linear_model import LogisticRegression, Ridge

    if binary and len(np.unique(y)) < 2:
        return np.zeros(x.shape[1]), 30.0 if len(y) and y[0] else -30.0
    if binary:
        model = LogisticRegression(C=1 / strength, max_iter=2000).fit(x, y)
        return model.coef_[0], float(model.intercept_[0])
    middle = float(y.mean()) if len(y) else 0.0
    if not len(y):
        return np.zeros(x.shape[1]), middle
    model = Ridge(alpha=strength, solver="lsqr").fit(x, y - middle)
    return model.coef_, float(model.intercept_) + middle


def _apply(x: Any, coef: Values, bias: float, *, binary: bool) -> Values:
    from scipy.special import expit

    found = np.asarray(x @ coef + bias)
    return np.asarray(expit(found)) if binary else found


def _loss(found: Values, truth: Values, *, binary: bool) -> float:
    if not len(truth):
        return 0.0  # nothing to choose by: the first strength is taken
    if binary:
        own = np.where(truth == 1, found, 1 - found)
        return float(-np.log(np.clip(own, 1e-15, 1)).mean())
    return float(((found - truth) ** 2).mean())
