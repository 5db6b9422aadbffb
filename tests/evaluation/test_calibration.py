"""Thresholds do what their rule says, and reliability counts every case once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from medtasks.errors import UsageError
from medtasks.evaluation.calibration import parse_rule, reliability, threshold, wilson


def draw(seed: int, n: int = 200, share: float = 0.4) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < share
    return positive, 1 / (1 + np.exp(-rng.normal(np.where(positive, 1.0, -1.0), 1.2)))


def rates(positive: Any, scores: Any, cut: float) -> tuple[float, float]:
    return float((scores[positive] >= cut).mean()), float((scores[~positive] < cut).mean())


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95, 0.999])
@pytest.mark.parametrize("seed", range(5))
def test_sensitivity_and_specificity_are_reached_and_no_more_than_needed(share: float, seed: int) -> None:
    positive, scores = draw(seed)
    scores = np.round(scores, 2)  # with ties
    levels = np.unique(scores)
    cut = threshold(positive, scores, f"sensitivity={share}")
    assert rates(positive, scores, cut)[0] >= share
    above = levels[levels >= cut]
    assert len(above) == 0 or rates(positive, scores, above[0] + 1e-9)[0] < share
    cut = threshold(positive, scores, f"specificity={share}")
    assert rates(positive, scores, cut)[1] >= share
    below = levels[levels < cut]
    assert len(below) == 0 or rates(positive, scores, below[-1])[1] < share


@pytest.mark.parametrize("rule", ["sensitivity=0.9", "specificity=0.9"])
@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_equal_scores_still_have_a_threshold_that_keeps_the_rule(rule: str, score: float) -> None:
    positive, scores = np.array([True, False, True, False]), np.full(4, score)
    sensitivity, specificity = rates(positive, scores.astype(np.float32), threshold(positive, scores, rule))
    assert (sensitivity if rule.startswith("sens") else specificity) >= 0.9


@pytest.mark.parametrize("seed", range(5))
def test_youden_is_near_the_best_sum_of_sensitivity_and_specificity(seed: int) -> None:
    positive, scores = draw(seed, n=2000)
    best = max(sum(rates(positive, scores, cut)) for cut in np.unique(scores))
    assert sum(rates(positive, scores, threshold(positive, scores, "youden"))) > best - 0.04


def test_youden_is_not_moved_by_how_common_the_disease_is() -> None:
    cuts = [threshold(*draw(0, n=4000, share=share), "youden") for share in (0.1, 0.5, 0.9)]
    # the scores are drawn alike for every share: the even point is at 0.5
    assert cuts == pytest.approx([0.5] * 3, abs=0.05)


@pytest.mark.parametrize("positive", [np.ones(5, dtype=bool), np.zeros(5, dtype=bool)])
@pytest.mark.parametrize("rule", ["youden", "sensitivity=0.9", "specificity=0.9"])
def test_one_class_leaves_nothing_to_choose(positive: Any, rule: str) -> None:
    assert threshold(positive, np.linspace(0.6, 0.9, 5), rule) == 0.5


@pytest.mark.parametrize("scores", [[0.0, 0.0, 1.0, 1.0], [0.3, 0.3, 0.3, 0.3], [0.9, 0.8, 0.2, 0.1]])
def test_youden_of_perfect_equal_and_inverted_scores_is_a_probability(scores: list[float]) -> None:
    cut = threshold(np.array([False, False, True, True]), np.array(scores), "youden")
    assert 0 < cut < 1
    if scores[-1] == 1.0:
        assert cut == pytest.approx(0.5)


def test_a_fixed_probability_is_itself() -> None:
    assert threshold(*draw(0), "0.3") == 0.3


@pytest.mark.parametrize(
    ("rule", "read"),
    [
        ("youden", ("youden", None)),
        (" Youden ", ("youden", None)),
        ("sensitivity=0.95", ("sensitivity", 0.95)),
        ("specificity=.9", ("specificity", 0.9)),
        ("0.25", ("fixed", 0.25)),
        ("cost=5", ("cost", 5.0)),
    ],
)
def test_rules_are_read(rule: str, read: tuple[str, float | None]) -> None:
    assert parse_rule(rule) == read


@pytest.mark.parametrize(
    "rule", ["", "best", "0", "1", "1.5", "-0.1", "nan", "sensitivity", "sensitivity=95", "f1=1", "cost=0", "cost=inf"]
)
def test_other_rules_are_refused_with_the_known_ones(rule: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rule(rule)
    assert "sensitivity=0.95" in str(caught.value.hint)


def test_a_cost_ratio_is_the_cheapest_cut_of_honest_probabilities() -> None:
    rng = np.random.default_rng(0)
    stated = rng.random(20_000)
    positive = rng.random(20_000) < stated

    def cost(cut: float) -> float:
        called = stated >= cut
        return float(5 * (positive & ~called).sum() + (~positive & called).sum())

    cut = threshold(positive, stated, "cost=5")
    assert cut == pytest.approx(1 / 6)
    assert cost(cut) <= 1.01 * min(cost(other) for other in np.linspace(0.02, 0.98, 97))


def test_wilsons_interval_is_scipys() -> None:
    hits, n = np.array([0, 1, 7, 10]), np.array([10, 10, 10, 10])
    low, high = wilson(hits / n, n)
    for i, count in enumerate(hits):
        expected = binomtest(int(count), 10).proportion_ci(method="wilson")
        assert (low[i], high[i]) == (pytest.approx(expected.low, abs=1e-9), pytest.approx(expected.high, abs=1e-9))


def test_reliability_of_honest_probabilities_lies_on_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    stated = rng.random(5000)
    found = reliability(rng.random(5000) < stated, stated)
    assert found.count.sum() == 5000
    assert found.count.tolist() == pytest.approx([500] * 10, abs=1)
    assert found.observed == pytest.approx(found.stated, abs=0.07)  # three standard errors of 500 cases
    assert (found.low <= found.observed).all()
    assert (found.observed <= found.high).all()


@pytest.mark.parametrize("stated", [np.full(20, 0.5), np.r_[np.zeros(15), np.ones(5)], np.array([0.3])])
def test_reliability_keeps_ties_together_and_every_case(stated: Any) -> None:
    found = reliability(np.arange(len(stated)) % 2 == 0, stated)
    assert found.count.sum() == len(stated)
    assert len(np.unique(found.stated)) == len(found.stated)
    assert found.stated @ found.count == pytest.approx(stated.sum())
