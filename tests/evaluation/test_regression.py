"""Measures of numbers and of rankings, against scikit-learn, scipy and RDKit on repeated rows."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit.ML.Scoring import Scoring
from scipy import stats
from sklearn.metrics import matthews_corrcoef, mean_absolute_error, r2_score, root_mean_squared_error

from medtasks.evaluation.metrics import matthews
from medtasks.evaluation.regression import MOST_PAIRED, regression, residuals
from medtasks.evaluation.screening import screening


@pytest.fixture(params=[30, 317])
def drawn(request: pytest.FixtureRequest) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(request.param)
    y = np.round(rng.normal(size=request.param), 1)  # with ties
    return y, np.round(y + rng.normal(size=len(y)), 1), rng.integers(0, 4, (5, len(y))).astype(float)


def test_numbers_are_those_of_scikit_learn_and_scipy(drawn: tuple[np.ndarray, ...]) -> None:
    y, p, weights = drawn
    found = regression(y, p, weights)
    for i, times in enumerate(weights.astype(int)):
        truth, told = np.repeat(y, times), np.repeat(p, times)
        wanted = {
            "rmse": root_mean_squared_error(truth, told),
            "mae": mean_absolute_error(truth, told),
            "r2": r2_score(truth, told),
            "spearman": stats.spearmanr(truth, told)[0],
            "kendall": stats.kendalltau(truth, told)[0],
        }
        # tau's sums are in single precision
        assert {name: found[name][i] for name in wanted} == pytest.approx(wanted, rel=1e-5)


def test_rankings_are_those_of_rdkit(drawn: tuple[np.ndarray, ...]) -> None:
    y, p, weights = drawn
    active = y > 0.8
    scores = p + np.arange(len(p)) * 1e-6  # without ties, which RDKit orders as they come
    found = screening(active, scores, weights)
    order = np.argsort(-scores)
    for i, times in enumerate(weights.astype(int)):
        rows = [[scores[j], bool(active[j])] for j in order for _ in range(times[j])]
        assert found["bedroc"][i] == pytest.approx(Scoring.CalcBEDROC(rows, 1, 20.0), rel=1e-9)
        assert found["ef_1pct"][i] == pytest.approx(Scoring.CalcEnrichment(rows, 1, [0.01])[0], rel=1e-9)


def test_ties_share_their_hits_whatever_the_order_of_the_rows(drawn: tuple[np.ndarray, ...]) -> None:
    y, p, weights = drawn
    active, scores = y > 0.8, np.round(p)
    found = screening(active, scores, weights)
    for order in (np.argsort(active), np.argsort(~active)):  # inactive first, active first
        again = screening(active[order], scores[order], weights[:, order])
        assert again["bedroc"] == pytest.approx(found["bedroc"])
        assert again["ef_1pct"] == pytest.approx(found["ef_1pct"])
    rng, one = np.random.default_rng(1), np.ones((1, len(y)))
    told = []
    for _ in range(400):
        order = rng.permutation(len(y))
        order = order[np.argsort(-scores[order], kind="stable")]
        told.append(Scoring.CalcBEDROC([[scores[j], bool(active[j])] for j in order], 1, 20.0))
    mean = screening(active, scores, one)["bedroc"][0]
    assert mean == pytest.approx(np.mean(told), abs=5 * np.std(told) / 20)  # five standard errors


def test_r2_does_not_depend_on_where_the_targets_lie(drawn: tuple[np.ndarray, ...]) -> None:
    y, p, weights = drawn
    found = regression(y, p, weights)["r2"]
    for offset in (1e4, 1e5, 1e6):
        # targets so far from 0 are themselves right to 1e-10 of their spread
        assert regression(y + offset, p + offset, weights)["r2"] == pytest.approx(found, rel=1e-6)


def test_matthews_is_scikit_learns(drawn: tuple[np.ndarray, ...]) -> None:
    y, p, weights = drawn
    found = matthews(y > 0, p > 0, weights)
    for i, times in enumerate(weights.astype(int)):
        assert found[i] == pytest.approx(matthews_corrcoef(np.repeat(y > 0, times), np.repeat(p > 0, times)))


def test_a_prediction_beyond_a_bound_is_no_error() -> None:
    y, bounds = np.array([5.0, 5.0, 5.0, 5.0, 5.0]), np.array([1, 1, -1, -1, 0])
    p = np.array([7.0, 4.0, 4.0, 7.0, 7.0])
    assert residuals(y, p, bounds).tolist() == [0, -1, 0, 2, 2]
    found = regression(y, p, np.ones((1, 5)), bounds)
    assert found["rmse"][0] == pytest.approx(np.sqrt((1 + 4 + 4) / 5))
    assert np.isnan(found["r2"][0])  # one exact value has no spread


def test_what_is_not_defined_is_nan() -> None:
    for value in (1.0, 0.1, 1e5 / 3):  # rounding of alike targets is no spread
        alike = regression(np.full(4, value), np.arange(4.0), np.array([[1.0, 2.0, 3.0, 1.0]]))
        assert np.isnan(alike["r2"][0])
    same = regression(np.ones(4), np.arange(4.0), np.ones((1, 4)))
    assert np.isnan([same["r2"][0], same["spearman"][0], same["kendall"][0]]).all()
    nothing = regression(np.arange(3.0), np.arange(3.0), np.zeros((1, 3)))
    assert np.isnan([value[0] for value in nothing.values()]).all()
    for active in (np.ones(5, dtype=bool), np.zeros(5, dtype=bool)):
        assert np.isnan([value[0] for value in screening(active, np.arange(5.0), np.ones((1, 5))).values()]).all()
    many = np.arange(MOST_PAIRED + 1.0)
    assert np.isnan(regression(many, many, np.ones((1, len(many))))["kendall"][0])
