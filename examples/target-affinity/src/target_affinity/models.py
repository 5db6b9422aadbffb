"""Two small models: a linear one of molecule and protein, and one that also knows which goes with which."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases.fingerprints import count_substructures
from medtasks.dataset import Dataset
from medtasks.model import Context, Model
from medtasks.stored import read_arrays, require, take, write_arrays
from target_affinity.pairs import Pairs
from target_affinity.proteins import WIDTH, compositions

Values = npt.NDArray[np.float64]
BITS = 1024
"""Columns that circular substructures are folded to."""


class Additive(Model):
    """Ridge regression on principal components of the molecule's substructures and of the protein's composition."""

    task: ClassVar[str] = "target-affinity"
    accepts: ClassVar[str] = "pairs"
    interacting: ClassVar[bool] = False

    class Config(Model.Config):
        """Hyper-parameters of both models."""

        of_molecule: int = 24
        """Principal components of the molecules, at most."""
        of_protein: int = 10
        """Principal components of the proteins, at most."""
        strengths: tuple[float, ...] = (1.0, 10.0, 100.0, 1000.0)
        """Strengths of the L2 penalty; the one with the lowest squared error on validation is taken."""

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Fit the components on each molecule and protein once, then the regression on the pairs."""
        from sklearn.linear_model import Ridge

        assert isinstance(train.cases, Pairs)
        molecules, _, sequences, _ = train.cases.distinct()
        self.molecule = _components(_substructures(molecules.mols()), self.config.of_molecule)
        self.protein = _components(compositions(sequences), self.config.of_protein)
        x, y = self.features(train.cases), train.targets[:, 0]
        new, truth, best = self.features(valid.cases), valid.targets[:, 0], np.inf
        for strength in self.config.strengths:
            ridge = Ridge(alpha=strength).fit(x, y)
            error = float(((ridge.predict(new) - truth) ** 2).mean()) if len(truth) else 0.0
            if error < best:
                best, self.coef, self.bias = error, np.asarray(ridge.coef_), float(ridge.intercept_)

    def predict(self, cases: Any, *, context: Context) -> Values:
        """Return (n, 1) affinities."""
        return np.asarray(self.features(cases) @ self.coef + self.bias)[:, None]

    def embed(self, cases: Any, *, context: Context) -> Values:
        """Return (n, d) components of molecule and protein, beside each other."""
        return np.column_stack(self._parts(cases))

    def features(self, cases: Any) -> Values:
        """Return (n, d): the components, and their products where they interact."""
        one, other = self._parts(cases)
        if not self.interacting:
            return np.column_stack([one, other])
        return np.column_stack(
            [one, other, np.einsum("ni,nj->nij", one, other).reshape(len(one), one.shape[1] * other.shape[1])]
        )

    def _parts(self, cases: Pairs) -> tuple[Values, Values]:
        molecules, which, sequences, codes = cases.distinct()
        one = _applied(_substructures(molecules.mols()), *self.molecule)
        other = _applied(compositions(sequences), *self.protein)
        return one[which], other[codes]

    def save(self, folder: Path) -> None:
        """Write coefficients and components: nothing of a single molecule or protein."""
        arrays = {"coef": self.coef, "bias": np.array([self.bias])}
        for name, (middle, axes) in (("molecule", self.molecule), ("protein", self.protein)):
            arrays |= {f"{name}_middle": middle, f"{name}_axes": axes}
        write_arrays(folder / "linear.npz", arrays, compressed=True)

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Read them back."""
        model, arrays = cls(cls.Config()), read_arrays(folder / "linear.npz")
        parts = []
        for name, width in (("molecule", BITS), ("protein", WIDTH)):
            parts.append((take(arrays, f"{name}_middle", (width,)), take(arrays, f"{name}_axes", (width, None))))
        model.molecule, model.protein = parts
        model.coef, model.bias = take(arrays, "coef", 1), float(take(arrays, "bias", (1,))[0])
        sizes = [axes.shape[1] for _, axes in parts]
        wanted = sum(sizes) + (sizes[0] * sizes[1] if cls.interacting else 0)
        require(len(model.coef) == wanted, "its coefficients do not fit its components")
        return model


class Bilinear(Additive):
    """Ridge regression that also takes every product of a molecule's and a protein's component.

    What makes a molecule bind one protein and not another is in the products: the sum alone ranks molecules alike for
    every protein.
    """

    interacting: ClassVar[bool] = True


def _substructures(mols: Any) -> Values:
    return np.log1p(count_substructures(mols, BITS).astype(np.float64))


def _components(values: Values, most: int) -> tuple[Values, Values]:
    """Return the mean (d,) and (d, k) axes by which the rows have unit variance along each principal component."""
    middle = values.mean(axis=0)
    _, sizes, axes = np.linalg.svd(values - middle, full_matrices=False)
    keep = sizes[:most] > 1e-9 * max(sizes[0], 1e-300)  # what is left of a constant by rounding
    spread = sizes[:most][keep] / np.sqrt(len(values))
    return middle, np.ascontiguousarray((axes[:most][keep] / spread[:, None]).T)


def _applied(values: Values, middle: Values, axes: Values) -> Values:
    return np.asarray((values - middle) @ axes)
