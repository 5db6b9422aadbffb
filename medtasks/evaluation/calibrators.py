"""Calibrating probabilities on cases that a model has not learnt, where that makes them truer.

Temperature scaling (Guo et al. 2017, arXiv:1706.04599) and Platt scaling (Platt 1999) keep the order of cases, isotonic
regression (Zadrozny & Elkan 2002, doi:10.1145/775047.775151) all but ties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, softmax

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Method = Literal["auto", "none", "temperature", "platt", "isotonic"]
TINY = 1e-12
"""Probabilities are kept so far from 0 and 1: a logarithm must stay finite, and no two cases be made alike."""
STEEPEST = 5.0
"""Log-odds are stretched or shrunk by no more than this."""
LEAST = 30
"""Cases below which nothing is calibrated: a slope would be noise."""
MANY = 1000
"""Cases from which on isotonic regression is tried: with fewer its steps fit noise (Niculescu-Mizil & Caruana 2005,
doi:10.1145/1102351.1102430)."""
FOLDS = 5


@dataclass(frozen=True)
class Calibrator:
    """Maps (n, classes) probabilities to truer ones; ``method`` and ``values`` are plain JSON."""

    method: str = "none"
    values: Mapping[str, list[float]] = field(default_factory=dict)

    def __call__(self, probabilities: Values) -> Values:
        """Return calibrated probabilities (n, classes), rows summing to one."""
        if self.method == "none" or not len(probabilities):
            return probabilities
        if self.method == "temperature":
            return np.asarray(softmax(np.log(np.clip(probabilities, TINY, 1)) / self.values["temperature"][0], axis=1))
        second = _second(probabilities)
        if self.method == "platt":
            slope, shift = self.values["line"]
            found = expit(slope * logit(second) + shift)
        else:
            found = np.interp(second, self.values["x"], self.values["y"])
        return np.column_stack([1 - found, found])

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON; ``Calibrator(**stored)`` rebuilds it."""
        return {"method": self.method, "values": dict(self.values)}


def fit(probabilities: Values, targets: Codes, method: Method = "auto", seed: int = 0) -> Calibrator:
    """Choose and fit a calibrator.

    ``auto`` takes the method of the lowest cross-validated log-loss, and ``none`` unless that is lower by more than a
    standard error of the difference: what is not shown to help is left alone.

    Parameters
    ----------
    probabilities : (n, classes) of cases that the model has not learnt
    targets : (n,) class codes
    """
    if method == "none" or len(targets) < LEAST or len(np.unique(targets)) < 2:
        return Calibrator()
    if method != "auto":
        return _fit(method, probabilities, targets)
    two = probabilities.shape[1] == 2
    tried = ["temperature", *(["platt"] if two else []), *(["isotonic"] if two and len(targets) >= MANY else [])]
    losses = {name: _left_out(name, probabilities, targets, seed) for name in ("none", *tried)}
    best = min(tried, key=lambda name: float(losses[name].mean()))
    gain = losses["none"] - losses[best]
    if gain.mean() <= gain.std(ddof=1) / np.sqrt(len(gain)):
        return Calibrator()
    return _fit(best, probabilities, targets)


def _left_out(method: str, probabilities: Values, targets: Codes, seed: int) -> Values:
    """Return (n,) log-losses of each case under a calibrator fitted without it."""
    order = np.random.default_rng(seed).permutation(len(targets))
    losses = np.empty(len(targets))
    for part in np.array_split(order, FOLDS):
        rest = np.setdiff1d(order, part)
        calibrator = _fit(method, probabilities[rest], targets[rest])
        said = calibrator(probabilities[part])[np.arange(len(part)), targets[part]]
        losses[part] = -np.log(np.clip(said, TINY, 1))
    return losses


def _fit(method: str, probabilities: Values, targets: Codes) -> Calibrator:
    if method == "none" or len(np.unique(targets)) < 2:
        return Calibrator()
    if method == "temperature":
        return Calibrator("temperature", {"temperature": [_temperature(probabilities, targets)]})
    if probabilities.shape[1] != 2:  # both are for two classes; the temperature is what several have
        return _fit("temperature", probabilities, targets)
    second, truth = _second(probabilities), (targets == 1).astype(np.float64)
    if method == "platt":
        return Calibrator("platt", {"line": _platt(logit(second), truth)})
    from sklearn.isotonic import IsotonicRegression

    found = IsotonicRegression(out_of_bounds="clip").fit(second, truth)
    y = np.clip(found.y_thresholds_, 1 / (len(truth) + 2), 1 - 1 / (len(truth) + 2))  # no step is certain
    return Calibrator("isotonic", {"x": found.X_thresholds_.tolist(), "y": y.tolist()})


def _temperature(probabilities: Values, targets: Codes) -> float:
    """Fit to targets drawn in from 0 and 1, as Platt does: cases that are all decided rightly make nothing certain."""
    from scipy.optimize import minimize_scalar

    classes = probabilities.shape[1]
    logs, rows = np.log(np.clip(probabilities, TINY, 1)), np.arange(len(targets))
    doubt = (1 / (np.bincount(targets, minlength=classes) + 2))[targets]
    aim = np.repeat((doubt / max(1, classes - 1))[:, None], classes, axis=1)
    aim[rows, targets] = 1 - doubt

    def loss(exponent: float) -> float:
        return float(-(aim * np.log(np.clip(softmax(logs / np.exp(exponent), axis=1), TINY, 1))).sum(axis=1).mean())

    edge = np.log(STEEPEST)
    return float(np.exp(minimize_scalar(loss, bounds=(-edge, edge), method="bounded").x))


def _platt(scores: Values, truth: Values) -> list[float]:
    """Fit slope and shift to targets drawn in from 0 and 1, as Platt does, so that separable cases have a fit."""
    from scipy.optimize import minimize

    positive, negative = truth.sum(), (1 - truth).sum()
    aim = np.where(truth == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(line: Values) -> tuple[float, Values]:
        said = line[0] * scores + line[1]
        value = float((np.logaddexp(0, said) - aim * said).mean())
        off = expit(said) - aim
        return value, np.array([(off * scores).mean(), off.mean()])

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1 / STEEPEST, STEEPEST), (None, None)]
    )
    return [float(value) for value in found.x]


def _second(probabilities: Values) -> Values:
    return np.asarray(np.clip(probabilities[:, 1], TINY, 1 - TINY))
