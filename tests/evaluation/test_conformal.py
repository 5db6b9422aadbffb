"""Sets and intervals that hold as often as promised."""

from __future__ import annotations

import numpy as np
import pytest

from medtasks.evaluation.conformal import class_limits, class_sets, difficulty, quantile


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw class codes, the third one rare, and probabilities of a model that is often unsure of the rare one."""
    rng = np.random.default_rng(seed)
    targets = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    logits = rng.normal(size=(n, 3)) * 1.5
    logits[np.arange(n), targets] += np.array([3.0, 2.0, 0.5])[targets]
    powers = np.exp(logits)
    return targets, powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("per_class", [False, True])
def test_sets_hold_as_often_as_promised(per_class: bool) -> None:
    whole, rare = [], []
    for seed in range(20):
        targets, said = draw(500, seed)
        limits = class_limits(said, targets, 0.9, per_class=per_class)
        new, asked = draw(500, 100 + seed)
        held = class_sets(asked, limits)[np.arange(500), new]
        whole.append(held.mean())
        rare.append(held[new == 2].mean())
    assert 0.88 <= np.mean(whole) <= 0.92
    if per_class:
        assert np.mean(rare) == pytest.approx(0.9, abs=0.03)
    else:
        assert np.mean(rare) < 0.8  # over all together the rare class is failed


def test_a_class_of_few_stays_in_every_set() -> None:
    targets, said = np.zeros(30, dtype=np.int64), np.tile([0.9, 0.1], (30, 1))
    assert class_limits(said, targets, 0.9, per_class=True)[1] is None
    assert class_sets(np.array([[1.0, 0.0]]), [0.5, None]).tolist() == [[True, True]]


def test_the_quantile_is_the_conformal_one() -> None:
    errors = np.arange(1.0, 100.0)
    assert quantile(errors, 0.9) == 90  # ceil(100 * 0.9)-th smallest
    assert quantile(np.arange(8.0), 0.9) is None
    assert quantile(np.empty(0), 0.9) is None


def test_errors_that_grow_with_the_distance_are_seen() -> None:
    rng = np.random.default_rng(0)
    far = rng.random(400)
    a, b = difficulty(np.abs(rng.normal(size=400)) * (0.5 + 2 * far), far)
    assert b > a > 0
    assert difficulty(np.ones(400), np.zeros(400)) == (1.0, 0.0)
    assert difficulty(np.zeros(400), far) == (1.0, 0.0)
