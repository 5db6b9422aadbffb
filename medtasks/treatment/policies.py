"""Judging choices between arms by what they would be worth for everybody.

Nobody shows the outcome of a treatment not received; doubly robust scores stand in for it (`medtasks.causal`), so that
the mean score of the arms chosen estimates the mean outcome had the choices been followed (Dudík, Langford & Li 2011,
doi:10.48550/arXiv.1103.4601).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks import causal
from medtasks.dataset import Dataset, group_numbers
from medtasks.evaluation.bootstrap import Measure, Weights, resample
from medtasks.task import Evaluation, Judged
from medtasks.treatment.effects import RECOMMEND
from medtasks.treatment.questions import Asked, pair_column
from medtasks.trust import Held, means

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class Worth(Evaluation):
    """Choices judged, with the doubly robust scores that they were judged by, for the report to speak of the same."""

    scores: causal.Scores = field(kw_only=True, repr=False)


def evaluate(data: Dataset, answers: pd.DataFrame, seed: int) -> Worth:
    """Measure what following the answers would be worth, with bootstrap intervals over patients.

    ``policy_value`` is the mean outcome had each patient received the arm ranked first, ``best_arm_value`` had all
    received the one arm that was best in training; ``gain_over_best_arm`` is their difference, positive being better,
    ``gain_where_clear`` the same if only clear recommendations were followed. ``qini`` is the area between the gain
    from treating patients in the order of their expected benefit and in any order. ``recommended`` is the share of
    patients with a clear recommendation. Where the true expected outcomes are known, ``pehe`` is the root of the mean
    squared error of the effects over all pairs of arms (Hill 2011, doi:10.1198/jcgs.2010.08162) and ``coverage`` the
    share of 95 % intervals that hold the true effect.
    """
    found = causal.score(data, seed)
    scores = found.values
    chosen, standard = chosen_arms(data, answers)
    rows = np.arange(len(data))
    gain, order = _gains(data, answers, scores)
    clear = (answers["decision"] == RECOMMEND).to_numpy(dtype=np.float64)
    truth = _against_truth(data, answers)

    def statistic(weights: Weights) -> dict[str, Values]:
        total = weights.sum(axis=1)
        table = {
            "gain_over_best_arm": weights @ gain / total,
            "gain_where_clear": weights @ (gain * clear) / total,
            "policy_value": weights @ scores[rows, chosen] / total,
            "best_arm_value": weights @ scores[rows, standard] / total,
            "qini": _qini(gain[order], weights[:, order]),
            "recommended": weights @ clear / total,
        }
        told = means(truth, weights)
        if "pehe" in told:
            table |= {"pehe": np.sqrt(told["pehe"]), "coverage": told["coverage"]}
        return table

    return Worth(len(data), resample(statistic, len(data), data.groups, seed), scores=found)


def chosen_arms(data: Dataset, answers: pd.DataFrame) -> tuple[Codes, Codes]:
    """Return (n,) the arm that the answers rank first and (n,) the best for everybody, which stands in for none."""
    place = {name: i for i, name in enumerate(data.names)}
    standard = answers["standard"].map(place).to_numpy(dtype=np.int64)
    best = answers["best"].map(place)
    chosen = best.fillna(pd.Series(standard, index=best.index)).to_numpy(dtype=np.int64)
    return np.asarray(chosen, dtype=np.int64), np.asarray(standard, dtype=np.int64)


def uplift(data: Dataset, answers: pd.DataFrame, scores: Values) -> tuple[Values, Values, Values]:
    """Return shares of patients and the gain if that share, those of the largest expected benefit first, is treated.

    Parameters
    ----------
    scores : (n, arms) doubly robust scores of ``data``

    Returns
    -------
    share, gain, error
        (n + 1,) each; ``error`` is the gain's standard error.
    """
    n = len(data)
    gain, order = _gains(data, answers, scores)
    sums = np.cumsum(gain[order])
    error = _errors(gain[order], None if data.groups is None else data.groups[order])
    return np.arange(n + 1) / n, np.r_[0.0, sums / n], np.r_[0.0, error]


def _errors(gain: Values, groups: npt.NDArray[Any] | None) -> Values:
    """Return (n,) standard errors of ``cumsum(gain) / n``, as `causal.clustered` has them, all in one pass."""
    n = len(gain)
    number = group_numbers(n, groups)
    size, count = np.bincount(number), number.max(initial=-1) + 1
    before = pd.Series(gain).groupby(number).cumsum().to_numpy() - gain  # of the same group
    mean = np.cumsum(gain) / n
    squares = (
        np.cumsum(gain * (gain + 2 * before)) - 2 * mean * np.cumsum(gain * size[number]) + mean**2 * (size @ size)
    )
    return np.asarray(np.sqrt(np.maximum(squares * count / (count - 1), 0)) / n) if count > 1 else np.full(n, np.nan)


def verdict(gain: Measure, judged: Judged) -> str:
    """Say whether choosing for each patient is better than one arm for all."""
    standard = judged.answers["standard"].mode()
    name = standard.iloc[0] if len(standard) else "the best arm"
    shared = f"the best treatment for everybody ({name})"
    if gain.value is None or gain.low is None or gain.high is None:
        if (judged.answers["best"] == judged.answers["standard"]).all():
            return f"Everybody is told {shared}: there is nothing individual to judge."
        return "Whether choosing for each patient helps cannot be told from these data."
    if gain.value == gain.low == gain.high == 0:
        return f"Everybody is told {shared}: there is nothing individual to judge."
    numbers = f"{gain.value:+.3g} ({gain.low:+.3g} to {gain.high:+.3g}) in the outcome's unit, more being better"
    if gain.low > 0:
        return f"Choosing for each patient helps: against {shared} it gains {numbers}."
    if gain.high < 0:
        return f"Choosing for each patient harms: against {shared} it gains {numbers}."
    return (
        f"There is no evidence that choosing for each patient helps: against {shared} it gains {numbers}, an interval "
        "that holds 0."
    )


def _gains(data: Dataset, answers: pd.DataFrame, scores: Values) -> tuple[Values, Codes]:
    """Return (n,) what the choice gains against the best arm for everybody, and the order of expected benefit."""
    chosen, standard = chosen_arms(data, answers)
    rows = np.arange(len(data))
    gain = Asked.of(data.kinds).sign * (scores[rows, chosen] - scores[rows, standard])
    benefit = answers["benefit"].where(chosen != standard, 0.0).fillna(0.0).to_numpy()
    return gain, np.asarray(np.argsort(-benefit, kind="stable"), dtype=np.int64)


def _qini(gain: Values, weights: Weights) -> Values:
    """Return (b,) areas between the curve of `uplift` and the straight line to its end."""
    share = weights / weights.sum(axis=1, keepdims=True)
    height = np.cumsum(share * gain, axis=1)
    before = height - share * gain
    return np.asarray((share * (height + before) / 2).sum(axis=1) - height[:, -1] / 2)


def _against_truth(data: Dataset, answers: pd.DataFrame) -> Held:
    """Return (n,) mean squared errors of the effects and shares of intervals that hold, of patients who have any."""
    truth = data.extra.get("truth")
    if truth is None:
        return {}
    squares, held = [], []
    for a in range(len(data.names)):
        for b in range(a + 1, len(data.names)):
            name, true = pair_column(data.names, a, b), truth[:, a] - truth[:, b]
            said = answers[name].to_numpy(dtype=np.float64)
            low, high = (answers[f"{name}_{end}"].to_numpy(dtype=np.float64) for end in ("low", "high"))
            squares.append((said - true) ** 2)
            held.append(np.where(np.isfinite(said), (low <= true) & (true <= high), np.nan))
    known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(squares).any(axis=0))
    count = np.maximum(np.isfinite(squares).sum(axis=0), 1)
    return {
        "pehe": (np.nansum(squares, axis=0) / count, known),
        "coverage": (np.nansum(held, axis=0) / count, known),
    }
