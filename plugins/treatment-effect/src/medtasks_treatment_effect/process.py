"""A Gaussian process in a fixed space of random features: small to store, and without any patient in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.stored import Arrays, Codes, Values, require, take
from medtasks_treatment_effect.kernel import CONSTANT, JITTER, Hyper, learn, usual

WAVES = 512
"""Random frequencies, each a cosine and a sine. On simulated trials half as many told effects a tenth worse."""
FEWEST = 8
"""Patients from which on hyper-parameters are learnt; fewer get the centre of the prior."""
KNOWN = 1e-3
"""Directions of which the data say less than this share of the noise are left to the prior."""


@dataclass(frozen=True)
class Plan:
    """How a process is learnt.

    Attributes
    ----------
    smooth : whether there is a smooth part beside the linear one
    most : patients, drawn by chance, on whom the hyper-parameters are learnt; the posterior takes all
    seed : for the draw and the random features
    """

    smooth: bool = True
    most: int = 400
    seed: int = 0


@dataclass(frozen=True)
class LeftOut:
    """What a process says of each training patient, asked while the patient (or the whole group) was left out.

    Attributes
    ----------
    mean, variance : (n,) of the expected outcome
    density : (n,) log predictive density of the observed outcome
    """

    mean: Values
    variance: Values
    density: Values


@dataclass(frozen=True)
class Process:
    """Bayesian linear regression on a constant, the columns, and random cosines and sines of them.

    With frequencies drawn from the spectrum of the squared exponential kernel this is a Gaussian process up to the
    chance of the draw (Rahimi and Recht 2007, NeurIPS 20; orthogonal draws: Yu et al. 2016, NeurIPS 29), and its
    posterior needs no training row. Only directions the data say something of are kept.

    Attributes
    ----------
    centre, scale : of the outcome
    hyper : Hyper
    frequencies : (columns, waves)
    weights : (features,) posterior mean
    basis, shrunk : (features, r) and (r,)
        The posterior covariance of the weights is the identity less ``basis @ diag(shrunk) @ basis.T``.
    """

    centre: float
    scale: float
    hyper: Hyper
    frequencies: Values
    weights: Values
    basis: Values
    shrunk: Values

    @classmethod
    def fit(
        cls,
        features: Values,
        outcome: Values,
        plan: Plan,
        *,
        usually: tuple[float, float] = (0.0, 1.0),
        blocks: Sequence[Codes] | None = None,
    ) -> tuple[Self, LeftOut]:
        """Learn from (n, d) features and (n,) outcomes; n may be 0.

        Parameters
        ----------
        usually : centre and scale for fewer than `FEWEST` patients
        blocks : rows that are left out together, as a partition; each row alone where None
        """
        n, d = features.shape
        spread = float(outcome.std()) if n else 0.0
        centre, scale = (float(outcome.mean()), spread) if n >= FEWEST and spread > 0 else usually
        y = (outcome - centre) / scale
        rng = np.random.default_rng(plan.seed)
        rows = np.sort(rng.permutation(n)[: plan.most])
        hyper = usual(d, smooth=plan.smooth)
        if n >= FEWEST:
            hyper = learn(features[rows], y[rows], smooth=plan.smooth)
        blank = np.zeros((0, 0))
        empty = cls(centre, scale, hyper, _frequencies(hyper, rng), blank, blank, blank)
        seen = empty._features(features)
        values, basis = _directions(seen, hyper.noise)
        shrunk = values / (values + hyper.noise + JITTER)
        weights = basis @ (basis.T @ (seen.T @ y) / (values + hyper.noise + JITTER))
        fitted = cls(centre, scale, hyper, empty.frequencies, weights, basis, shrunk)
        return fitted, fitted._left_out(seen @ basis / np.sqrt(values), y, blocks)

    def predict(self, features: Values) -> tuple[Values, Values]:
        """Return (n,) expected outcomes and (n,) variances of their errors, without noise."""
        mean, variance = np.empty(len(features)), np.empty(len(features))
        step = 4096  # bounds the memory of the features to about 40 MB
        for at in range(0, len(features), step):
            seen = self._features(features[at : at + step])
            mean[at : at + step] = seen @ self.weights
            told = seen @ self.basis
            variance[at : at + step] = (seen**2).sum(axis=1) - (told**2 * self.shrunk).sum(axis=1)
        return self.centre + self.scale * mean, self.scale**2 * np.maximum(variance, 0)

    def expect(self, features: Values) -> Values:
        """Return (n,) expected outcomes alone, which takes a small part of the time."""
        step = 4096  # as in `predict`
        parts = [self._features(features[at : at + step]) @ self.weights for at in range(0, len(features), step)]
        return self.centre + self.scale * np.concatenate(parts) if parts else np.zeros(0)

    def to_arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays to store, their names behind ``prefix``."""
        hyper = self.hyper
        numbers = [self.centre, self.scale, hyper.linear, hyper.smooth, hyper.noise]
        found = {
            "numbers": np.array(numbers, dtype=np.float64),
            "lengths": hyper.lengths,
            "frequencies": self.frequencies,
            "weights": self.weights,
            "basis": self.basis,
            "shrunk": self.shrunk,
        }
        return {prefix + name: values for name, values in found.items()}

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str, columns: int) -> Self:
        """Rebuild from `to_arrays`; raises `BundleError` if the arrays do not fit."""
        numbers = take(arrays, prefix + "numbers", (5,))
        centre, scale, linear, smooth, noise = numbers.tolist()
        require((numbers[1:] >= 0).all(), "a variance is negative")
        frequencies = take(arrays, prefix + "frequencies", (columns, None))
        wide = 1 + columns + 2 * frequencies.shape[1]
        shrunk = take(arrays, prefix + "shrunk", (None,))
        require(((shrunk >= 0) & (shrunk <= 1)).all(), "it knows more than all")
        return cls(
            centre,
            scale,
            Hyper(linear, smooth, noise, take(arrays, prefix + "lengths", (columns,))),
            frequencies,
            take(arrays, prefix + "weights", (wide,)),
            take(arrays, prefix + "basis", (wide, len(shrunk))),
            shrunk,
        )

    def _features(self, columns: Values) -> Values:
        n, d = columns.shape
        waves = self.frequencies.shape[1]
        phase = columns @ self.frequencies
        height = np.sqrt(self.hyper.smooth / max(waves, 1))
        return np.concatenate(
            [
                np.full((n, 1), np.sqrt(CONSTANT)),
                columns * np.sqrt(self.hyper.linear / max(d, 1)),
                height * np.cos(phase),
                height * np.sin(phase),
            ],
            axis=1,
        )

    def _left_out(self, rotated: Values, y: Values, blocks: Sequence[Codes] | None) -> LeftOut:
        """Leave rows out in closed form (Rasmussen and Williams 2006, section 5.4.2), whole blocks alike."""
        noise = self.hyper.noise + JITTER
        weighted = rotated * self.shrunk
        ready = (y - rotated @ (weighted.T @ y)) / noise
        precision = (1 - (weighted * rotated).sum(axis=1)) / noise
        residual, total = ready / precision, 1 / precision
        for rows in blocks or ():
            if len(rows) > 1:
                among = (np.eye(len(rows)) - weighted[rows] @ rotated[rows].T) / noise
                spread = np.linalg.inv(among)
                residual[rows], total[rows] = spread @ ready[rows], np.diag(spread)
        density = -0.5 * (np.log(2 * np.pi * total) + residual**2 / total) - np.log(self.scale)
        variance = np.maximum(total - noise, 0) * self.scale**2
        return LeftOut(self.centre + self.scale * (y - residual), variance, density)


def _frequencies(hyper: Hyper, rng: np.random.Generator) -> Values:
    """Draw (columns, `WAVES`) frequencies, orthogonal in blocks; none without a smooth part."""
    d = len(hyper.lengths)
    if d == 0 or hyper.smooth == 0:
        return np.zeros((d, 0))
    blocks = []
    for _ in range(-(-WAVES // d)):
        turned, _ = np.linalg.qr(rng.normal(size=(d, d)))
        blocks.append(turned * np.linalg.norm(rng.normal(size=(d, d)), axis=0))
    drawn: Values = np.concatenate(blocks, axis=1)[:, :WAVES] / hyper.lengths[:, None]
    return drawn


def _directions(seen: Values, noise: float) -> tuple[Values, Values]:
    """Return the eigenvalues (r,) and eigenvectors (features, r) of ``seen.T @ seen`` that stand out of the noise."""
    n, wide = seen.shape
    if n >= wide:
        values, basis = np.linalg.eigh(seen.T @ seen)
        keep = values > KNOWN * (noise + JITTER)
        return values[keep], basis[:, keep]
    values, turned = np.linalg.eigh(seen @ seen.T)
    keep = values > KNOWN * (noise + JITTER)
    return values[keep], seen.T @ turned[:, keep] / np.sqrt(values[keep])
