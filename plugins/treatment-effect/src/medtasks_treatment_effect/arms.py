"""One outcome model per arm, with or without a part that all arms share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.causal import FLOOR, clustered
from medtasks.stored import Arrays, Codes, Values
from medtasks_treatment_effect.forest import Forest
from medtasks_treatment_effect.process import Plan, Process

KINDS = ("ridge", "gp", "shared", "forest")
SURE = 1.96
"""A doubly robust correction counts as far as it exceeds its 95 % noise."""
Groups = npt.NDArray[Any] | None


@dataclass(frozen=True)
class Trial:
    """What is learnt from: n patients, K arms.

    Attributes
    ----------
    features : (n, d)
    treatment : (n,) the arm received, by number
    outcome : (n,) the outcome under it
    arms : K
    groups : (n,) patients whose rows are left out together, or None
    """

    features: Values
    treatment: Codes
    outcome: Values
    arms: int
    groups: Groups = None

    def blocks(self, rows: Codes) -> Sequence[Codes] | None:
        """Return places within ``rows`` that belong to one group each, or None where all are alone."""
        if self.groups is None:
            return None
        _, number, counts = np.unique(self.groups[rows], return_inverse=True, return_counts=True)
        order = np.argsort(number, kind="stable")
        return [part for part in np.split(order, np.cumsum(counts)[:-1]) if len(part) > 1]


@dataclass(frozen=True)
class Arms:
    """Expected outcomes under each arm: a shared part, a process per arm, and a doubly robust correction.

    Attributes
    ----------
    kind : which of `KINDS` it is
    shared : what all arms have in common, or None
    processes : one for each arm, of what the shared part leaves over
    shift, shift_variance : (K,) the correction of each arm's mean, and the variance of its error
    """

    kind: str
    shared: Process | Forest | None
    processes: tuple[Process, ...]
    shift: Values
    shift_variance: Values

    def predict(self, features: Values) -> tuple[Values, Values]:
        """Return (n, K) expected outcomes and (n, K) variances of their errors.

        The arms' errors are independent of each other but for the shared part's, which is the same in every arm,
        cancels in their differences, and is left out.
        """
        parts = [process.predict(features) for process in self.processes]
        mean = np.column_stack([part[0] for part in parts]) + self.shift + self._common(features)
        return mean, np.column_stack([part[1] for part in parts]) + self.shift_variance

    def expect(self, features: Values) -> Values:
        """Return (n, K) expected outcomes alone, which takes a small part of the time."""
        parts = [process.expect(features) for process in self.processes]
        return np.column_stack(parts) + self.shift + self._common(features)

    def _common(self, features: Values) -> Values:
        """Return (n, 1): what the shared part adds to every arm."""
        if self.shared is None:
            return np.zeros((len(features), 1))
        if isinstance(self.shared, Process):
            return self.shared.expect(features)[:, None]
        return self.shared.predict(features)[:, None]

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays to store; `kind` is told apart."""
        found = {"shift": self.shift, "shift_variance": self.shift_variance}
        for number, process in enumerate(self.processes):
            found |= process.to_arrays(f"arm{number}_")
        return found if self.shared is None else found | self.shared.to_arrays("shared_")

    @classmethod
    def from_arrays(cls, arrays: Arrays, kind: str, arms: int, columns: int) -> Self:
        """Rebuild from `to_arrays`; raises `BundleError` if the arrays do not fit."""
        from medtasks.stored import require, take

        require(kind in KINDS, "its kind is not known")
        shared: Process | Forest | None = None
        if kind == "shared":
            shared = Process.from_arrays(arrays, "shared_", columns)
        elif kind == "forest":
            shared = Forest.from_arrays(arrays, "shared_", columns)
        processes = tuple(Process.from_arrays(arrays, f"arm{number}_", columns) for number in range(arms))
        variance = take(arrays, "shift_variance", (arms,))
        require((variance >= 0).all(), "a variance is negative")
        return cls(kind, shared, processes, take(arrays, "shift", (arms,)), variance)


@dataclass(frozen=True)
class Fitted:
    """Arms with what they say of each training patient who was left out.

    Attributes
    ----------
    arms : Arms
    mean, variance : (n, K) as `Arms.predict` gives them
    density : log predictive density of the observed outcomes, summed
    """

    arms: Arms
    mean: Values
    variance: Values
    density: float


def fit(trial: Trial, kind: str, plan: Plan, trees: int) -> Fitted:
    """Learn arms of one kind.

    The shared part is learnt from all patients' outcomes less their arm's mean; the arms' processes are learnt from
    what it leaves over of patients it did not see, so that they also tell how far it is off.
    """
    average = np.array([_mean(trial.outcome[trial.treatment == arm]) for arm in range(trial.arms)])
    pooled = trial.outcome - average[trial.treatment]
    everyone = np.arange(len(pooled))
    shared: Process | Forest | None = None
    unseen = inside = np.zeros(len(pooled))
    if kind == "shared":
        shared, out = Process.fit(trial.features, pooled, plan, blocks=trial.blocks(everyone))
        unseen, inside = out.mean, shared.predict(trial.features)[0]
    elif kind == "forest":
        shared, unseen = Forest.fit(trial.features, pooled, trees, plan.seed)
        inside = shared.predict(trial.features)
    rest = trial.outcome - unseen
    usually = (float(rest.mean()), float(rest.std()) or 1.0)
    own = replace(plan, smooth=kind != "ridge")
    processes, density, left = [], 0.0, []
    for arm in range(trial.arms):
        mine = np.flatnonzero(trial.treatment == arm)
        seed = replace(own, seed=plan.seed + arm)
        process, out = Process.fit(trial.features[mine], rest[mine], seed, usually=usually, blocks=trial.blocks(mine))
        processes.append(process)
        left.append((mine, out))
        density += float(out.density.sum())
    arms = Arms(kind, shared, tuple(processes), np.zeros(trial.arms), np.zeros(trial.arms))
    mean, variance = arms.predict(trial.features)
    mean += (unseen - inside)[:, None]
    for arm, (mine, out) in enumerate(left):
        mean[mine, arm], variance[mine, arm] = out.mean + unseen[mine], out.variance
    return Fitted(arms, mean, variance, density)


def correct(fitted: Fitted, trial: Trial, propensity: Values) -> Fitted:
    """Move each arm's mean to the doubly robust estimate, as far as the two differ by more than chance.

    The mean of the doubly robust scores is that of the model plus the weighted mean residual of left-out patients
    (weights normalised: Hajek). Where the model is right this residual is noise, which the nonnegative garrote
    (Breiman 1995, doi:10.1080/00401706.1995.10484371) takes away: a share ``1 - (1.96 se / residual)^2`` is kept.

    Parameters
    ----------
    propensity : (n, K), clipped here at `medtasks.causal.FLOOR`
    """
    rows = np.arange(len(trial.outcome))
    residual = trial.outcome - fitted.mean[rows, trial.treatment]
    weight = 1 / np.maximum(propensity[rows, trial.treatment], FLOOR)
    shift, variance = np.zeros(trial.arms), np.zeros(trial.arms)
    for arm in range(trial.arms):
        mine = trial.treatment == arm
        if not mine.any():
            continue
        share = weight[mine] / weight[mine].sum()
        off = float(share @ residual[mine])
        influence = share * (residual[mine] - off)
        error = float(clustered(influence[:, None], None if trial.groups is None else trial.groups[mine])[0, 0])
        if np.isnan(error):  # one patient alone
            continue
        kept = max(0.0, 1 - SURE**2 * error / off**2) if off else 0.0
        shift[arm], variance[arm] = kept * off, kept * error
    arms = replace(fitted.arms, shift=shift, shift_variance=variance)
    return replace(fitted, arms=arms, mean=fitted.mean + shift, variance=fitted.variance + variance)


def _mean(values: Values) -> float:
    return float(values.mean()) if len(values) else 0.0
