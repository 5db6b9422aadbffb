"""Intervals: they hold the truth as often as they say, and they count patients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medtasks.evaluation.bootstrap import Measure, Weights, interval, points_only, resample


def mean_of(values: Any) -> Any:
    return lambda weights: {"mean": weights @ values / weights.sum(axis=1)}


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        found = resample(mean_of(rng.normal(3, 1, 60)), 60, None, seed, replicates=400).measures()["mean"]
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 3 <= found.high
    assert 0.90 <= hits / 200 <= 0.985  # 95 % of 200, with three standard errors; percentile runs a little short


def test_rows_of_one_patient_count_once() -> None:
    """Copies of rows must not narrow an interval: 40 patients stay 40, however often they were seen."""
    values = np.random.default_rng(1).normal(0, 1, 40)
    copies, patients = np.repeat(values, 10), np.repeat(np.arange(40), 10)

    def width(values: Any, groups: Any) -> float:
        found = resample(mean_of(values), len(values), groups, 0).measures()["mean"]
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    assert width(copies, patients) == pytest.approx(width(values, None))
    assert width(copies, None) < 0.5 * width(values, None)  # about 1 / sqrt(10)


def test_patients_are_drawn_whole() -> None:
    groups = np.array(["b", "a", "b", "c", "a", "b"], dtype=object)
    seen: list[Weights] = []

    def look(weights: Weights) -> Any:
        seen.append(weights)
        return {"n": weights.sum(axis=1)}

    resample(look, 6, groups, 0, replicates=50)
    drawn = np.concatenate(seen[1:])
    assert len(drawn) == 50
    for patient in "abc":
        own = drawn[:, groups == patient]
        assert (own == own[:, :1]).all()
    assert (drawn[:, [0, 1, 3]].sum(axis=1) == 3).all()  # three patients are drawn of three
    assert len(np.unique(drawn, axis=0)) > 3


def test_the_value_is_that_of_the_rows_as_they_are() -> None:
    values = np.arange(10.0)
    found = resample(mean_of(values), 10, None, 0)
    assert found.values["mean"] == 4.5
    assert len(found.replicates["mean"]) == 1000


def test_the_seed_decides_and_pairs_two_models() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 5, 100)  # what is hard for one model is hard for the other
    one, other = (resample(mean_of(hard + shift), 100, None, seed=3) for shift in (0.0, 1.0))
    gain = other.minus(one)["mean"]
    assert gain.value == pytest.approx(1)
    assert gain.low == pytest.approx(1)
    assert gain.high == pytest.approx(1)
    unpaired = resample(mean_of(hard), 100, None, seed=4)
    assert not np.array_equal(unpaired.replicates["mean"], one.replicates["mean"])


def test_large_data_are_resampled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resample(mean_of(np.arange(50.0)), 50, None, 0).replicates["mean"]
    monkeypatch.setattr("medtasks.evaluation.bootstrap._BLOCK", 50 * 7)
    assert np.array_equal(resample(mean_of(np.arange(50.0)), 50, None, 0).replicates["mean"], whole)


def test_undefined_replicates_are_left_out() -> None:
    replicates = np.r_[np.full(900, np.nan), np.linspace(0, 1, 101)]
    assert interval(0.5, replicates) == Measure(0.5, pytest.approx(0.025), pytest.approx(0.975))
    assert interval(0.5, replicates[:910]) == Measure(0.5, None, None)
    assert interval(float("nan"), replicates) == Measure(None, None, None)


def test_a_measure_as_text_and_json() -> None:
    assert str(Measure(0.5, 0.25, 0.75)) == "0.500 (0.250 to 0.750)"
    assert str(Measure(0.5, None, None)) == "0.500"
    assert str(Measure(None, None, None)) == "not defined"
    assert Measure(0.5, 0.25, None).as_json() == {"value": 0.5, "low": 0.25, "high": None}


def test_values_alone_are_the_same_values() -> None:
    values = np.random.default_rng(2).normal(0, 1, 40)
    whole = resample(mean_of(values), 40, None, 0).measures()["mean"]
    with points_only():
        alone = resample(mean_of(values), 40, None, 0)
    assert alone.measures()["mean"] == Measure(whole.value, None, None)
    assert len(alone.replicates["mean"]) == 0
    assert resample(mean_of(values), 40, None, 0).measures()["mean"] == whole  # and afterwards all is as before
