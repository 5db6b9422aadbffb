"""How much each of several models counts."""

from __future__ import annotations

import numpy as np
import pytest

from medtasks.stacking import weigh


def test_what_is_right_counts_and_what_is_noise_does_not() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(size=400)
    answers = np.column_stack([y + rng.normal(0, 0.3, 400), rng.normal(size=400), y + rng.normal(0, 0.3, 400)])
    found = weigh(answers, y, np.zeros(400, dtype=np.int8))
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    assert found[1] < 0.1
    assert found[0] == pytest.approx(found[2], abs=0.1)
    few = weigh(answers[:5], y[:5], np.zeros(5, dtype=np.int8))
    assert np.abs(few - 1 / 3).max() < 0.2  # five molecules say little
    assert weigh(answers, np.full(400, np.nan), np.zeros(400, dtype=np.int8)) == pytest.approx(np.full(3, 1 / 3))


def test_bounds_alone_weigh_nothing() -> None:
    y = np.arange(10.0)
    answers = np.column_stack([y, -y])
    assert weigh(answers, y, np.ones(10, dtype=np.int8)) == pytest.approx([0.5, 0.5])
