"""Faults planted in a trial and in records of treatments."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks import preparing
from medtasks.auditing import Finding
from medtasks.dataset import Dataset
from medtasks.task import load_task

from .conftest import only, seen


@pytest.fixture
def trial() -> pd.DataFrame:
    """Return 400 patients, two arms by lot, an outcome."""
    rng = np.random.default_rng(0)
    n = 400
    table = pd.DataFrame(
        {
            "age": np.round(rng.uniform(20, 80, n), 1),
            "weight": np.round(rng.normal(70, 12, n), 1),
            "sex": rng.choice(["f", "m"], n),
            "treatment": rng.choice(["drug", "placebo"], n),
        }
    )
    return table.assign(outcome=np.round(table["age"] / 20 + rng.normal(0, 1, n), 2))


def read(table: pd.DataFrame) -> Dataset:
    task = load_task("treatment")
    return preparing.read(task, table, task.Options())


def look(table: pd.DataFrame, **options: object) -> tuple[Finding, ...]:
    return medtasks.audit("treatment", table, **options).findings  # type: ignore[arg-type]


def test_a_clean_trial_has_no_finding(trial: pd.DataFrame) -> None:
    assert look(trial) == ()
    assert look(trial, randomised="yes") == ()


def test_a_field_that_determines_the_arm_is_severe(trial: pd.DataFrame) -> None:
    found = look(trial.assign(kit=np.where(trial["treatment"] == "drug", "a", "b")))
    assert ("severe", "leaks") in seen(found)
    assert only(found, "leaks").title.startswith("Field 'kit' alone tells the treatment")


def test_a_field_that_is_the_outcome_is_severe(trial: pd.DataFrame) -> None:
    found = look(trial.assign(later=trial["outcome"] * 10 + 3))
    assert only(found, "leaks").title.startswith("Field 'later' alone tells the outcome")
    binary = trial.assign(outcome=(trial["outcome"] > 2.5).astype(int))
    assert look(binary) == ()
    assert ("severe", "leaks") in seen(look(binary.assign(died=np.where(binary["outcome"] == 1, "yes", "no"))))


def test_arms_that_differ(trial: pd.DataFrame) -> None:
    drug = trial["treatment"] == "drug"
    older = trial.assign(weight=trial["weight"] + 8 * drug)
    assert only(look(older), "arms").severity == "note"
    assert only(look(older, randomised="yes"), "arms").severity == "warning"
    apart = look(trial.assign(weight=trial["weight"] + 30 * drug))
    assert any("tell who received" in one.title for one in apart)


def test_outcomes_lost_in_one_arm(trial: pd.DataFrame) -> None:
    rng = np.random.default_rng(1)
    drug = (trial["treatment"] == "drug").to_numpy()
    lost = trial.assign(outcome=trial["outcome"].where(rng.random(len(trial)) > np.where(drug, 0.3, 0.02)))
    assert "outcome is missing in" in only(look(lost), "arms").title
    even = trial.assign(outcome=trial["outcome"].where(rng.random(len(trial)) > 0.1))
    assert not any(one.check == "arms" for one in look(even))


@pytest.mark.parametrize(("further", "severity"), [(-9, "severe"), (2, "warning")])
def test_one_rare_value_beside_a_yes_and_no(trial: pd.DataFrame, further: int, severity: str) -> None:
    binary = (trial["outcome"] > 2.5).astype(int)
    table = trial.assign(outcome=binary.where(trial.index % 50 != 0, further))
    found = only(look(table), "values")
    assert (found.severity, found.count) == (severity, 8)
    assert str(further) not in found.title + found.advice
    note = next(one for one in read(table).origin.notes if "further value" in one)
    assert "8 rows" in note
    assert not [one for one in read(trial.assign(outcome=binary)).origin.notes if "further" in one]


def test_outcomes_and_doses_are_asked_what_fields_are(trial: pd.DataFrame) -> None:
    late = trial.assign(outcome=trial["outcome"].where(trial.index % 50 != 0, 999))
    assert only(look(late), "values").severity == "severe"
    mg = trial.drop(columns=["treatment", "outcome"]).assign(mg=trial["outcome"].abs() + 10)
    late = mg.assign(mg=mg["mg"].where(mg.index % 50 != 0, 999))
    assert "placeholder" in only(look(late, dose="mg"), "values").title
    mixed = mg.assign(mg=mg["mg"].where(mg.index % 2 != 0, mg["mg"] * 1000))
    assert "factor of 1000" in only(look(mixed, dose="mg"), "values").title


def test_doses_and_the_field_that_is_the_dose(trial: pd.DataFrame) -> None:
    table = trial.drop(columns=["treatment", "outcome"]).assign(mg=trial["outcome"] + 10)
    assert look(table, dose="mg") == ()
    found = look(table.assign(tablets=table["mg"] / 5), dose="mg")
    assert only(found, "leaks").severity == "severe"
