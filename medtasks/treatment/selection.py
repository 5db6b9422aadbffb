"""Choosing a set of medicines from their probabilities, under a budget of interactions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medtasks.treatment.safety import ALLERGIC, DUPLICATE, Knowledge

Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
CUTOFFS = np.round(np.arange(0.1, 0.61, 0.025), 3)
"""Probabilities tried from which on a medicine is given."""
NEVER = 1.0
"""A penalty that no probability can pay."""
PENALTIES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, NEVER)
"""Probabilities tried that a medicine must reach beyond the cut-off for each interaction that it would bring."""


@dataclass(frozen=True)
class Blocked:
    """A medicine, by its number, that was held back: why, and how severe that is where a table says so."""

    medicine: int
    reason: str
    severity: str = ""


@dataclass(frozen=True)
class Chosen:
    """Of n patients the (n, D) medicines ``given``, and of each those ``blocked``."""

    given: Mask
    blocked: tuple[tuple[Blocked, ...], ...]


@dataclass(frozen=True)
class Tuned:
    """What `tune` found: with the rules ``cutoff`` and ``penalty``, without them ``plain_cutoff``."""

    cutoff: float
    penalty: float
    plain_cutoff: float


def select(chance: Values, knowledge: Knowledge, cutoff: float, penalty: float, allergic: Mask | None = None) -> Chosen:
    """Take medicines from the most to the least probable, leaving out what the rules forbid.

    A medicine that interacts with one taken must be more probable than ``cutoff`` by ``penalty`` for each interaction;
    one of a class that is taken already, or that the patient is allergic to, is never taken. What is left out for such
    a reason although probable enough is listed as blocked.
    """
    conflicts = knowledge.matrix(chance.shape[1])
    given, blocked = np.zeros(chance.shape, dtype=bool), []
    for row in range(len(chance)):
        left: list[Blocked] = []
        taken: list[int] = []
        for i in np.argsort(-chance[row], kind="stable").tolist():
            if chance[row, i] < cutoff:
                break
            found = _forbidden(i, row, taken, conflicts, knowledge, float(chance[row, i]), cutoff, penalty, allergic)
            if found is not None:
                left.append(found)
            else:
                taken.append(i)
        given[row, taken] = True
        blocked.append(tuple(left))
    return Chosen(given, tuple(blocked))


def _forbidden(
    i: int,
    row: int,
    taken: list[int],
    conflicts: Mask,
    knowledge: Knowledge,
    chance: float,
    cutoff: float,
    penalty: float,
    allergic: Mask | None,
) -> Blocked | None:
    """Return why a medicine must be left out; None where it need not."""
    if allergic is not None and allergic[row, i]:
        return Blocked(i, ALLERGIC)
    if knowledge.classes and knowledge.classes[i]:
        twins = [j for j in taken if knowledge.classes[j] == knowledge.classes[i]]
        if twins:
            return Blocked(i, f"{DUPLICATE} {knowledge.classes[i]}")
    rivals = [j for j in taken if conflicts[i, j]]
    if rivals and chance < cutoff + penalty * len(rivals):
        rule = knowledge.pairs[min(i, rivals[0]), max(i, rivals[0])]
        return Blocked(i, f"interacts with what is more probable{rule}", rule.severity)
    return None


def pooled_rate(sets: Mask, conflicts: Mask) -> float:
    """Return the share of pairs of medicines given together that interact, over all sets; 0 where there is no pair."""
    counts = sets.astype(np.float64)
    sizes = counts.sum(axis=1)
    pairs = float((sizes * (sizes - 1) / 2).sum())
    return float(pair_counts(sets, conflicts).sum()) / pairs if pairs else 0.0


def pair_counts(sets: Mask, conflicts: Mask) -> Values:
    """Return (n,) the number of interacting pairs in each set."""
    counts = sets.astype(np.float64)
    return np.asarray(((counts @ conflicts) * counts).sum(axis=1) / 2)


def overlap(said: Mask, true: Mask) -> tuple[Values, Values]:
    """Return (n,) Jaccard and (n,) F1 of each set with the true one; 1 where both are empty."""
    both, either = (said & true).sum(axis=1), (said | true).sum(axis=1)
    jaccard = np.where(either > 0, both / np.maximum(either, 1), 1.0)
    return jaccard, 2 * jaccard / (1 + jaccard)


def average_precision(chance: Values, true: Mask) -> Values:
    """Return (n,) areas under each set's precision-recall curve (average precision), NaN where nothing was given."""
    order = np.argsort(-chance, axis=1, kind="stable")
    hits = np.take_along_axis(true, order, axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    found = hits.sum(axis=1)
    return np.where(found > 0, (precision * hits).sum(axis=1) / np.maximum(found, 1), np.nan)


def tune(chance: Values, true: Mask, conflicts: Mask, budget: float) -> Tuned:
    """Choose the cut-off and penalty of the largest mean Jaccard whose sets stay within the budget of interactions.

    Where no choice stays within it, the one with the fewest interactions is taken.
    """
    plain = max(CUTOFFS.tolist(), key=lambda cutoff: float(overlap(chance >= cutoff, true)[0].mean()))
    if not conflicts.any():
        return Tuned(plain, 0.0, plain)
    best: tuple[tuple[bool, float], float, float] | None = None
    for penalty in PENALTIES if budget > 0 else (NEVER,):  # a budget of nothing is a rule, not an aim
        for cutoff in CUTOFFS.tolist():
            sets = greedy(chance, conflicts, cutoff, penalty)
            rate, score = pooled_rate(sets, conflicts), float(overlap(sets, true)[0].mean())
            key = (rate <= budget, score if rate <= budget else -rate)
            if best is None or key > best[0]:
                best = (key, cutoff, penalty)
    assert best is not None
    return Tuned(best[1], best[2], plain)


def greedy(chance: Values, conflicts: Mask, cutoff: float, penalty: float) -> Mask:
    """Return (n, D) the sets that `select` takes by interactions alone, for many patients at once."""
    given = np.zeros(chance.shape, dtype=bool)
    order = np.argsort(-chance, axis=1, kind="stable")
    rows = np.arange(len(chance))
    for place in range(chance.shape[1]):
        i = order[:, place]
        own = chance[rows, i]
        likely = own >= cutoff
        if not likely.any():
            break
        rivals = (given & conflicts[i]).sum(axis=1)
        given[rows, i] = likely & ((rivals == 0) | (own >= cutoff + penalty * rivals))
    return given
