"""The probes: areas and errors that are known, and silence where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medtasks.evaluation.probing import LEAST, area, codes_tell, column_tells, separable


def test_the_area_is_that_of_scikit_learn_with_an_honest_error() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        truth = np.arange(80) < 30
        scores = np.round(rng.normal(1.0 * truth), 1)
        found.append(area(truth, scores))
        assert found[-1].auroc == pytest.approx(roc_auc_score(truth, scores))
    # 300 draws tell a standard deviation to 4 %; Hanley's formula is right to some more
    assert np.mean([one.error for one in found]) == pytest.approx(np.std([one.auroc for one in found]), rel=0.15)


def test_a_probe_of_noise_tells_nothing() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(400) < 0.3
    columns = rng.normal(size=(400, 300))
    assert not separable(columns, truth).surely(0.6)
    assert not column_tells(columns[:, 0], truth).surely(0.6)
    assert not codes_tell(rng.integers(0, 200, 400), truth).surely(0.6)


def test_one_telling_column_among_hundreds_is_found() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(200) < 0.5
    columns = rng.normal(size=(200, 250))
    columns[:, 17] += 5.0 * truth
    assert separable(columns, truth).surely(0.8)


def test_groups_are_left_out_whole() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(40), 5)
    truth = np.repeat(rng.random(40) < 0.5, 5)
    columns = np.repeat(rng.normal(size=(40, 30)), 5, axis=0)  # each group is known by its face
    assert separable(columns, truth).auroc > 0.8
    assert not separable(columns, truth, groups.astype(object)).surely(0.6)


def test_too_few_rows_tell_nothing() -> None:
    truth = np.arange(100) < LEAST - 1
    assert separable(truth[:, None] * 1.0, truth).auroc == 0.5
    assert column_tells(truth * 1.0, truth).auroc == 0.5
    assert column_tells(np.full(100, np.nan), np.arange(100) < 50).auroc == 0.5
