"""Faults planted in records; the clean table stands beside each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.auditing import Finding, audit
from medtasks.auditing.findings import Subject
from medtasks.auditing.records import near_pairs
from medtasks.auditing.values import outliers
from medtasks.dataset import Dataset
from medtasks.evaluation.splits import Fold

from .conftest import only, seen

Look = Callable[[pd.DataFrame], tuple[Finding, ...]]
FLIP = {"sick": "healthy", "healthy": "sick"}


def test_a_clean_table_has_no_finding(clinic: pd.DataFrame, look: Look) -> None:
    assert look(clinic) == ()


def test_a_copy_on_another_side_is_severe_and_named(clinic: pd.DataFrame, look: Look) -> None:
    train, test = clinic[clinic["split"] == "train"].iloc[:3], clinic[clinic["split"] == "test"].iloc[:0]
    copies = train.assign(split="test", id=["C1", "C2", "C3"])
    found = only(look(pd.concat([clinic, test, copies])), "duplicates")
    assert (found.severity, found.count, found.parts) == ("severe", 3, ("train", "test"))
    assert found.title == "3 test rows are equal to train rows"
    assert {"C1", "C2", "C3", *train["id"]} == set(found.rows)
    assert {frozenset(pair) for pair in found.together} == {
        frozenset(pair) for pair in zip(train["id"], copies["id"], strict=True)
    }


def test_a_copy_within_a_part_is_a_warning(clinic: pd.DataFrame, look: Look) -> None:
    copy = clinic[clinic["split"] == "train"].iloc[:1].assign(id="C1")
    found = only(look(pd.concat([clinic, copy])), "duplicates")
    assert (found.severity, found.count) == ("warning", 1)


def test_copies_in_two_folds_are_found(clinic: pd.DataFrame, read_clinic: Callable[[pd.DataFrame], Dataset]) -> None:
    table = pd.concat([clinic, clinic.iloc[:2].assign(id=["C1", "C2"])]).drop(columns="split")
    data = read_clinic(table)
    rows = np.arange(len(data))
    halves = [rows[:150], rows[150:]]
    folds = [Fold(halves[1 - i][5:], halves[1 - i][:5], halves[i]) for i in (0, 1)]
    assert only(audit(data, folds), "duplicates").title == "4 rows are equal to one of another fold"
    assert seen(audit(data)) == {("warning", "duplicates")}


@pytest.mark.parametrize("jitter", [0.0, 3e-4])
def test_opposite_labels_of_near_twins_are_severe(clinic: pd.DataFrame, look: Look, jitter: float) -> None:
    twins = clinic.iloc[:2].assign(id=["T1", "T2"], target=clinic["target"].iloc[:2].map(FLIP))
    for name in ("age", "crp", "glucose", "sodium"):
        twins[name] *= 1 + jitter
    found = only(look(pd.concat([clinic, twins])), "contradictions")
    assert (found.severity, found.count) == ("severe", 4)
    assert {"T1", "T2"} <= set(found.rows)


def test_a_row_changed_in_one_field_by_little_is_a_near_copy(clinic: pd.DataFrame, look: Look) -> None:
    row = clinic[clinic["split"] == "train"].iloc[:1]
    other = row.assign(id="N1", split="test", glucose=row["glucose"] + 0.1)
    found = only(look(pd.concat([clinic, other])), "near-duplicates")
    assert (found.severity, found.parts) == ("warning", ("train", "test"))
    far = row.assign(id="N1", split="test", glucose=row["glucose"] + 30)
    assert look(pd.concat([clinic, far])) == ()


def test_near_copies_of_one_patient_are_expected(
    clinic: pd.DataFrame, read_clinic: Callable[[pd.DataFrame], Dataset]
) -> None:
    row = clinic.iloc[:1]
    table = pd.concat([clinic, row.assign(id="N1", glucose=row["glucose"] + 0.1)]).drop(columns="split")
    apart = read_clinic(table.assign(patient_id=[f"G{i}" for i in range(len(table))]))
    assert seen(audit(apart)) == {("warning", "near-duplicates")}
    assert len(near_pairs(apart.cases)) == 1  # type: ignore[arg-type]
    assert audit(read_clinic(table.assign(patient_id=[*(f"G{i}" for i in range(len(clinic))), "G0"]))) == ()


def test_symptoms_that_hang_together_coincide_by_chance(look: Look) -> None:
    rng = np.random.default_rng(0)
    cause = rng.normal(size=(500, 3))
    symptoms = cause @ rng.normal(size=(3, 15)) + rng.normal(0, 0.7, (500, 15)) > 0.8
    table = pd.DataFrame(np.where(symptoms, "yes", "no"), columns=[f"symptom {i}" for i in range(15)])
    table = table.assign(age=rng.integers(18, 90, 500), target=np.where(cause[:, 0] > 0, "flu", "cold"))
    table["split"] = rng.choice(["train", "valid", "test"], 500)
    assert {one.severity for one in look(table)} <= {"note"}


def test_few_symptoms_coincide_by_chance(look: Look) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "fever": rng.choice(["yes", "no"], 200),
            "cough": rng.choice(["yes", "no"], 200),
            "age": rng.integers(2, 9, 200),
            "target": rng.choice(["flu", "cold"], 200),
        }
    )
    assert seen(look(table)) == {("note", "contradictions")}


def test_copies_of_plain_whole_numbers_are_found_by_their_number(look: Look) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": rng.integers(20, 80, 400),
            "pressure": rng.integers(90, 160, 400),
            "pulse": rng.integers(50, 110, 400),
            "cholesterol": rng.integers(120, 320, 400),
            "sex": rng.choice(["f", "m"], 400),
            "target": rng.choice(["flu", "cold"], 400),
            "split": rng.choice(["train", "train", "test"], 400),
        }
    )
    assert look(table) == ()
    copies = table[table["split"] == "train"].iloc[:12].assign(split="test")
    found = only(look(pd.concat([table, copies])), "duplicates")
    assert (found.severity, found.count) == ("severe", 12)


def test_a_patient_on_two_sides_is_severe(clinic: pd.DataFrame, look: Look) -> None:
    clean = clinic.assign(patient_id=[f"SECRET{i}" for i in range(len(clinic))])
    assert look(clean) == ()
    one, other = (clean.index[clean["split"] == part][0] for part in ("train", "test"))
    clean.loc[other, "patient_id"] = clean.loc[one, "patient_id"]
    found = only(look(clean), "groups")
    assert (found.severity, found.parts) == ("severe", ("train", "test"))
    assert set(found.rows) == {clean.loc[one, "id"], clean.loc[other, "id"]}
    assert "SECRET" not in found.title


@pytest.mark.parametrize("kind", ["copy", "shifted", "code", "ward", "interval", "gap"])
def test_a_column_that_tells_the_label_is_severe(clinic: pd.DataFrame, look: Look, kind: str) -> None:
    rng = np.random.default_rng(5)
    ill = (clinic["target"] == "sick").to_numpy()
    leak = {
        "copy": np.where(ill, "yes", "no"),
        "shifted": np.round(rng.normal(8.0 * ill, 1.0), 2),
        "code": rng.integers(0, 25, len(ill)) * 2 + ill + 1000,  # odd numbers are the ill
        "ward": [f"ward {2 * rng.integers(0, 10) + sick}" for sick in ill],
        "interval": np.where(ill, rng.normal(0, 0.1, len(ill)), rng.choice([-9, 9], len(ill)) + rng.random(len(ill))),
        "gap": np.where(ill, rng.random(len(ill)), np.nan),
    }[kind]
    found = only(look(clinic.assign(leak=leak)), "leaks")
    assert found.severity == "severe"
    assert "'leak' alone tells the class" in found.title


def test_a_strong_marker_and_an_id_are_no_leak(clinic: pd.DataFrame, look: Look) -> None:
    rng = np.random.default_rng(5)
    ill = (clinic["target"] == "sick").to_numpy()
    marker, number = np.round(rng.normal(2.0 * ill, 1.0), 2), rng.permutation(len(ill))
    assert not any(one.check == "leaks" for one in look(clinic.assign(marker=marker, number=number)))


def test_the_mark_of_one_of_several_diseases_is_a_note(clinic: pd.DataFrame, look: Look) -> None:
    rng = np.random.default_rng(5)
    disease = rng.choice(["flu", "cold", "measles"], len(clinic))
    table = clinic.assign(target=disease, spots=np.where(disease == "measles", "yes", "no"))
    assert only(look(table), "leaks").severity == "note"
    code = pd.Series(disease).map({"flu": 3, "cold": 1, "measles": 2}).to_numpy()
    assert only(look(table.drop(columns="spots").assign(icd=code)), "leaks").severity == "severe"


def test_names_of_rows_that_tell_the_label(clinic: pd.DataFrame, look: Look) -> None:
    names = np.where(clinic["target"] == "sick", "ward-", "control-") + clinic["id"].str[1:]
    assert only(look(clinic.assign(id=names)), "names").severity == "warning"
    ranks = clinic["target"].rank(method="first").astype(int)
    assert only(look(clinic.assign(id=[f"P{rank}" for rank in ranks])), "names").severity == "note"


def test_a_shift_of_the_test_part_is_found_within_classes(clinic: pd.DataFrame, look: Look) -> None:
    test = (clinic["split"] == "test").to_numpy()
    found = look(clinic.assign(sodium=clinic["sodium"] + 6 * test))
    assert {one.parts for one in found if one.check == "shift"} == {("train", "test"), ("valid", "test")}
    assert all("as a whole" in one.title and one.severity == "warning" for one in found)
    assert any("within 'healthy'" in one.title for one in found)


def test_rare_classes_and_empty_parts(clinic: pd.DataFrame, look: Look) -> None:
    table = clinic.copy()
    rows = np.flatnonzero(table["split"] == "train")[:6]
    table.loc[rows, "target"] = "rare"
    titles = [one.title for one in look(table) if one.check == "classes"]
    assert "'rare' has 6 cases of 300 (2.0%)" in titles
    assert "The test part has no case of 'rare' (the class)" in titles


def test_gaps_are_told_of(clinic: pd.DataFrame, look: Look) -> None:
    rng = np.random.default_rng(2)
    ill = (clinic["target"] == "sick").to_numpy()
    mostly = clinic.assign(sodium=clinic["sodium"].where(rng.random(len(clinic)) < 0.3))
    assert seen(look(mostly)) == {("note", "missing")}
    telling = clinic.assign(sodium=clinic["sodium"].where(rng.random(len(clinic)) < np.where(ill, 0.95, 0.4)))
    assert only(look(telling), "missing").severity == "warning"
    assert look(clinic.assign(sodium=clinic["sodium"].where(rng.random(len(clinic)) < 0.8))) == ()


@pytest.mark.parametrize(
    ("column", "change", "said"),
    [
        ("glucose", lambda values: values.where(values.index % 60 != 0, -values), "5 values of 'glucose' are below"),
        ("glucose", lambda values: values.where(values.index % 60 != 0, -999), "placeholder"),
        ("glucose", lambda values: values.where(values.index % 60 != 0, 9999), "placeholder"),
        ("age", lambda values: values.where(values.index != 4, 190), "1 value of 'age' are an age"),
        ("glucose", lambda values: values.where(values.index % 10 != 0, values / 100), "factor of 100"),
        ("sodium", lambda values: values.where(values.index % 10 != 0, values * 1000), "factor of 1000"),
        ("glucose", lambda values: values.where(values.index != 4, 100000.5), "far outside"),
        ("sodium", lambda values: values * 0 + 140, "without any variation"),
    ],
)  # fmt: skip
def test_impossible_values(
    clinic: pd.DataFrame, look: Look, column: str, change: Callable[[pd.Series], pd.Series], said: str
) -> None:
    found = look(clinic.assign(**{column: change(clinic[column])}))
    assert {one.check for one in found} == {"values"}
    assert any(said in one.title for one in found), [one.title for one in found]
    assert not any(text in one.title for one in found for text in ("-999", "9999", "190", "100000"))


@pytest.mark.parametrize(
    ("usual", "holders"),
    [
        ([1, 2, 3, 4], [9]),
        ([0, 1], [-9]),
        ([0, 1, 2, 3, 4, 5], [77, 99]),
        (list(range(90, 180)), [888]),
        (list(range(60, 220)), [777, -8]),
    ],
)
def test_placeholders_among_grades_and_several_at_once(
    clinic: pd.DataFrame, look: Look, usual: list[int], holders: list[int]
) -> None:
    rng = np.random.default_rng(5)
    values = rng.choice(usual, len(clinic))
    rows = rng.permutation(len(clinic))[: 20 * len(holders)]
    values[rows] = np.repeat(holders, 20)
    found = only(look(clinic.assign(score=values)), "values")
    assert found.title == f"{len(rows)} values of 'score' hold what looks like a placeholder for a missing value"


@pytest.mark.parametrize(
    "usual", [range(10), range(1, 10), [0, 1, 2, 7], [70, 80, 90, 100], range(-9, 10), range(60, 100)]
)
def test_grades_and_counts_are_no_placeholders(clinic: pd.DataFrame, look: Look, usual: list[int]) -> None:
    values = np.random.default_rng(6).choice(usual, len(clinic))
    if list(usual) == [0, 1, 2, 7]:
        values[np.flatnonzero(values == 7)[2:]] = 0  # a count that few reach
    assert not any(one.check == "values" for one in look(clinic.assign(score=values)))


def test_a_placeholder_hides_no_other_fault(clinic: pd.DataFrame, look: Look) -> None:
    values = clinic["glucose"].where(clinic.index % 60 != 0, 9999).where(clinic.index % 50 != 1, -3.5)
    titles = [one.title for one in look(clinic.assign(glucose=values)) if one.check == "values"]
    assert any("placeholder" in title for title in titles)
    assert any("below zero" in title for title in titles)


@pytest.mark.parametrize("named", [lambda i: f"MRN{i:05d}", lambda i: 10_000 + 37 * i])
def test_visits_of_patients_whom_no_option_names(clinic: pd.DataFrame, named: Callable[[int], Any]) -> None:
    visits = pd.concat([clinic] * 2, ignore_index=True).drop(columns=["id", "split"])
    rng = np.random.default_rng(7)
    visits = visits.assign(age=rng.uniform(20, 90, len(visits)), subject_id=[named(i % 300) for i in range(600)])
    found = [one for one in medtasks.audit("diagnosis", visits).findings if one.check == "groups"]
    assert [one.title for one in found] == [
        "The column 'subject_id' has 300 values in 600 rows: does it name the patient?"
    ]
    assert "--group 'subject_id'" in found[0].advice
    assert not [
        one for one in medtasks.audit("diagnosis", visits, group="subject_id").findings if one.check == "groups"
    ]
    once = visits.drop_duplicates("subject_id")
    assert not [one for one in medtasks.audit("diagnosis", once).findings if one.check == "groups"]


def test_a_number_of_the_patient_that_tells_the_class_is_a_group_and_no_field(clinic: pd.DataFrame) -> None:
    ill = (clinic["target"] == "sick").to_numpy()
    names = np.where(ill, 500, 100) + np.arange(len(clinic)) // 3
    found = medtasks.audit("diagnosis", clinic.drop(columns="split").assign(mrn=names)).findings
    assert "--group 'mrn'" in only(found, "groups").advice
    assert not [one for one in found if one.check == "leaks"]
    codes = medtasks.audit("diagnosis", clinic.drop(columns="split").assign(code=names)).findings
    assert "--ignore" in only(codes, "leaks").advice


def test_classes_that_differ_in_case_only(clinic: pd.DataFrame, look: Look) -> None:
    table = clinic.assign(target=clinic["target"].where(clinic.index % 3 != 0, clinic["target"].str.upper()))
    titles = [one.title for one in look(table) if one.check == "classes"]
    assert "The class has names that differ in case or space only: 'SICK', 'sick'" in titles


def test_skewed_and_standardised_values_are_in_order(clinic: pd.DataFrame, look: Look) -> None:
    rng = np.random.default_rng(4)
    n = len(clinic)
    table = clinic.assign(
        triglycerides=np.round(np.exp(rng.normal(4.8, 0.9, n)), 1),
        height=rng.normal(size=n),
        score=rng.integers(-1, 5, n),
    )
    assert not any(one.check == "values" for one in look(table))
    assert not len(outliers(np.exp(rng.normal(3, 1, 5000))))


def test_unusable_rows_are_counted(clinic: pd.DataFrame, look: Look) -> None:
    table = clinic.assign(target=clinic["target"].where(clinic.index % 5 != 0))
    assert only(look(table), "unusable").count == 60


def test_no_finding_holds_a_value(clinic: pd.DataFrame, look: Look) -> None:
    table = pd.concat([clinic, clinic.iloc[:9].assign(split="test", target="sick")])
    table = table.assign(patient_id=[f"PATIENTMARK{i % 300}" for i in range(len(table))], glucose=-77.125)
    said = " ".join(one.title + one.advice for one in look(table))
    assert "PATIENTMARK" not in said
    assert "77.1" not in said


def test_small_and_empty_tables_do_not_fail(look: Look) -> None:
    table = pd.DataFrame({"x": [1.0, 2.0, None], "y": ["a", "a", None], "target": ["p", "q", "p"]})
    assert all(one.check in ("classes", "unusable", "values") for one in look(table))


def test_without_a_split_nothing_stands_on_two_sides(
    clinic: pd.DataFrame, read_clinic: Callable[[pd.DataFrame], Dataset]
) -> None:
    subject = Subject.of(read_clinic(clinic.drop(columns="split")))
    assert subject.parts is None
    assert not subject.own
