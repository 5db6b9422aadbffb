"""Doses: intervals that hold what they promise, within each group."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtasks.cases import Patients
from medtasks.dataset import Dataset
from medtasks.errors import DataError, UsageError
from medtasks.task import Outputs
from medtasks.treatment.doses import COLUMNS, Dose
from medtasks.treatment.options import TreatmentOptions

DOSE = Dose()
OUTPUTS = Outputs(("dose",), kinds=("dose",))


def draw(n: int, seed: int, spread: dict[str, float]) -> tuple[Dataset, np.ndarray[Any, Any]]:
    """Draw doses around 30 that scatter by site, and what a model says: 30 for everybody."""
    rng = np.random.default_rng(seed)
    site = rng.choice(list(spread), n, p=[0.8, 0.2] if len(spread) == 2 else None)
    dose = 30 + rng.normal(size=n) * np.array([spread[name] for name in site])
    cases = Patients.from_table(pd.DataFrame({"age": rng.integers(20, 90, n), "site": site}))
    return Dataset(cases, dose[:, None], names=("dose",), kinds=("dose",)), np.full((n, 1), 30.0)


@pytest.mark.parametrize("within", [None, "site"])
def test_intervals_hold_as_often_as_promised(within: str | None) -> None:
    held: dict[str, list[float]] = {"all": [], "wide": []}
    for seed in range(20):
        valid, raw = draw(400, seed, {"narrow": 1.0, "wide": 5.0})
        test, said = draw(400, 100 + seed, {"narrow": 1.0, "wide": 5.0})
        decision = DOSE.decide(valid, raw, TreatmentOptions(within=within), valid)
        answers = DOSE.answer(said, OUTPUTS, decision, test.cases)
        inside = ((answers["low"] <= test.targets[:, 0]) & (test.targets[:, 0] <= answers["high"])).to_numpy()
        assert isinstance(test.cases, Patients)
        held["all"].append(inside.mean())
        held["wide"].append(inside[(test.cases.frame["site"] == "wide").to_numpy()].mean())
    assert np.mean(held["all"]) == pytest.approx(0.9, abs=0.02)
    if within is None:
        assert np.mean(held["wide"]) < 0.75  # over all together they fail the group that scatters more
    else:
        assert np.mean(held["wide"]) == pytest.approx(0.9, abs=0.03)


def test_a_group_of_few_gets_a_dose_without_an_interval() -> None:
    valid, raw = draw(60, 0, {"narrow": 1.0})
    decision = DOSE.decide(valid, raw, TreatmentOptions(within="site"), valid)
    cases = Patients(["1"], pd.DataFrame({"age": [50.0], "site": ["new"]}), valid.cases.fields)  # type: ignore[attr-defined]
    answer = DOSE.answer(raw[:1], OUTPUTS, decision, cases).iloc[0]
    assert answer["decision"] == "insufficient"
    assert answer["dose"] == 30
    assert np.isnan(answer["low"])
    assert answer["reason"] == "too few patients were there to calibrate an interval of this group (site: new)"


def test_not_even_the_name_is_kept_of_a_group_of_few() -> None:
    valid, raw = draw(60, 0, {"narrow": 1.0})
    assert isinstance(valid.cases, Patients)
    valid.cases.frame["site"] = ["of Mr PATIENTMARK", *valid.cases.frame["site"][1:]]
    decision = DOSE.decide(valid, raw, TreatmentOptions(within="site"), valid)
    assert list(decision["quantiles"]) == ["narrow"]
    assert "PATIENTMARK" not in json.dumps(decision)
    before = {**decision, "quantiles": {**decision["quantiles"], "of Mr PATIENTMARK": None}}
    for known in (decision, before):  # what was written before is still read
        answers = DOSE.answer(raw, OUTPUTS, known, valid.cases)
        assert answers["decision"].tolist() == ["insufficient"] + ["recommend"] * 59


@pytest.mark.parametrize("name", ["low", "high", "group", "reason", "status", "distance"])
def test_a_dose_is_not_called_as_what_stands_beside_it(name: str) -> None:
    data = replace(draw(60, 0, {"one": 1.0})[0], names=(name,))
    with pytest.raises(UsageError, match=f"the dose is called '{name}'"):
        DOSE.check_trainable(data)


def test_the_columns_beside_a_dose_are_those_that_it_is_not_called_as() -> None:
    data, raw = draw(60, 0, {"one": 1.0})
    answers = DOSE.answer(raw, OUTPUTS, DOSE.decide(data, raw, TreatmentOptions(), data), data.cases)
    assert set(answers) == {*COLUMNS, "dose"}


def test_a_spread_of_the_model_scales_the_interval() -> None:
    valid, _ = draw(200, 0, {"one": 2.0})
    raw = np.tile(np.array([[30.0, 2.0]]), (200, 1, 1))
    decision = DOSE.decide(valid, raw, TreatmentOptions(level=0.8), valid)
    two = np.array([[[30.0, 1.0]], [[30.0, 3.0]]])
    found = DOSE.answer(two, OUTPUTS, decision, valid.cases.take(np.array([0, 1])))
    width = (found["high"] - found["low"]).to_numpy()
    assert width[1] == pytest.approx(3 * width[0])
    assert set(found["estimand"]) == {"dose"}


def test_measures_are_those_of_the_doses() -> None:
    data, raw = draw(300, 1, {"one": 5.0})
    answers = DOSE.answer(raw, OUTPUTS, DOSE.decide(data, raw, TreatmentOptions(), data), data.cases)
    found = DOSE.evaluate(data, answers, 0).metrics
    error = np.abs(30 - data.targets[:, 0])
    assert found["mae"].value == pytest.approx(error.mean())
    assert found["within_20pct"].value == pytest.approx((error <= 0.2 * data.targets[:, 0]).mean())
    assert found["coverage"].value == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    ("doses", "message"),
    [([1.0] * 5, "5 patients"), ([2.0] * 30, "the same dose"), ([1.0] * 29 + [0.0], "above 0")],
)
def test_doses_that_cannot_be_learnt_are_refused(doses: list[float], message: str) -> None:
    cases = Patients.from_table(pd.DataFrame({"age": range(len(doses), 0, -1)}))
    with pytest.raises(DataError, match=message):
        DOSE.check_trainable(Dataset(cases, np.array(doses)[:, None], names=("dose",), kinds=("dose",)))


@pytest.mark.parametrize("raw", [np.zeros((4, 2)), np.zeros((4, 1, 2)), np.full((4, 1), np.inf)])
def test_a_model_that_breaks_the_contract_is_told(raw: Any) -> None:
    with pytest.raises(ValueError, match="predict returned"):
        DOSE.check(raw, OUTPUTS, 4)
