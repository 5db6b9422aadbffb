"""Sets of medicines: within the budget, guarded by rules, and nothing held back in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtasks.cases import Patients
from medtasks.dataset import Dataset
from medtasks.errors import DataError
from medtasks.task import Judged, Outputs
from medtasks.treatment import selection
from medtasks.treatment.exporting import export
from medtasks.treatment.options import TreatmentOptions
from medtasks.treatment.safety import SEPARATOR, Knowledge, Rule, allergens, allergy_notes, read_knowledge
from medtasks.treatment.sets import Set, given_sets
from medtasks.words import parted

SET = Set()
NAMES = ("aspirin", "warfarin", "folic acid", "penicillin v")
OUTPUTS = Outputs(NAMES, kinds=("set",) * 4)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Return a table of interactions as a hospital has it."""
    path = tmp_path / "interactions.csv"
    path.write_text("a,b,severity,source\nWarfarin,Aspirin,major,our list\nFolic_Acid,Unknown,minor,\n")
    return path


def visits(n: int = 200, seed: int = 0) -> Dataset:
    """Draw visits: the old receive warfarin, and half of these aspirin; the young folic acid."""
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 90, n)
    old = age > 60
    given = np.column_stack([old & (rng.random(n) < 0.5), old, ~old, rng.random(n) < 0.1]).astype(float)
    allergic = rng.random(n) < 0.2
    cases = Patients.from_table(pd.DataFrame({"age": age, "allergy: penicillin": np.where(allergic, "yes", "no")}))
    return Dataset(cases, given, names=NAMES, kinds=("set",) * 4)


def chances(data: Dataset) -> np.ndarray[Any, Any]:
    """Return what a good model says of these visits."""
    assert isinstance(data.cases, Patients)
    old = (data.cases.frame["age"] > 60).to_numpy().astype(float)
    return np.column_stack([0.5 * old, 0.95 * old + 0.01, 0.95 * (1 - old) + 0.01, np.full(len(data), 0.6)])


def test_pairs_are_read_by_name(pairs: Path) -> None:
    found = read_knowledge(pairs, NAMES)
    assert dict(found.pairs) == {(0, 1): Rule("major", "our list")}
    assert (found.origin["known"], found.origin["rows"], found.origin["pairs"]) == (3, 2, 1)
    assert len(found.origin["sha256"]) == 64
    assert Knowledge.of_json(found.as_json()) == found


def test_a_table_that_knows_nothing_of_the_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\nN02B,M01A\n")
    with pytest.raises(DataError, match="names none of the 4 medicines"):
        read_knowledge(path, NAMES)
    path.write_text("drug,other\nx,y\n")
    with pytest.raises(DataError, match="no column 'a'"):
        read_knowledge(path, NAMES)


@pytest.mark.parametrize("table", ["a,b\naspirin,never given\n", None])
def test_what_was_not_checked_is_not_called_free_of_interactions(tmp_path: Path, table: str | None) -> None:
    path = tmp_path / "x.csv"
    path.write_text(table or "")
    data = visits()
    options = TreatmentOptions(interactions=str(path) if table else None)
    decision = SET.decide(data, chances(data), options, data)
    answers = SET.answer(chances(data), OUTPUTS, decision, data.cases)
    assert answers["interacting_pairs"].isna().all()
    evaluation = SET.evaluate(data, answers, 0)
    assert evaluation.metrics["ddi_rate"].value is None
    assert evaluation.metrics["ddi_rate_per_patient"].value is None
    lead = SET.lead(Judged(data, answers, evaluation, decision))
    assert "NOT checked" in lead
    assert ("names 1 of the 4 medicines and 0 interacting pairs" in lead) == bool(table)


def test_what_interacts_is_blocked_and_shown(pairs: Path) -> None:
    data = visits()
    decision = SET.decide(data, chances(data), TreatmentOptions(interactions=str(pairs), budget=0), data)
    answers = SET.answer(chances(data), OUTPUTS, decision, data.cases)
    assert isinstance(data.cases, Patients)
    old = (data.cases.frame["age"] > 60).to_numpy()
    assert answers["interacting_pairs"].sum() == 0
    assert not answers["recommended"].str.contains("aspirin").any()
    if decision["cutoff"] <= 0.5:
        assert answers["blocked"][old].str.contains("aspirin: interacts .*major, our list").all()
        assert answers["blocked_severity"][old].str.contains("major").all()
    assert set(answers["estimand"]) == {"imitation"}
    assert not [name for name in answers if "benefit" in name]  # imitation promises none


def test_the_budget_bounds_the_interactions(pairs: Path) -> None:
    data, new = visits(), visits(seed=1)
    own = selection.pooled_rate(data.targets > 0, read_knowledge(pairs, NAMES).matrix(4))
    assert own > 0.2
    for budget in (own / 2, 1.0):
        decision = SET.decide(data, chances(data), TreatmentOptions(interactions=str(pairs), budget=budget), data)
        found = SET.evaluate(new, SET.answer(chances(new), OUTPUTS, decision, new.cases), 0).metrics
        assert found["ddi_rate"].value <= budget + 0.05  # type: ignore[operator]
    free = SET.answer(chances(new), OUTPUTS, decision, new.cases)
    warned = free["warnings"].map(lambda text: len(parted(text, SEPARATOR)))
    assert warned.max() > 0
    assert (free["warnings_severity"].map(lambda text: len(parted(text, SEPARATOR))) == warned).all()
    half = SET.decide(data, chances(data), TreatmentOptions(interactions=str(pairs)), data)
    assert half["budget"] == pytest.approx(own / 2)


def test_nobody_is_given_what_they_are_allergic_to() -> None:
    data = visits()
    decision = SET.decide(data, chances(data), TreatmentOptions(), data)
    answers = SET.answer(chances(data), OUTPUTS, {**decision, "cutoff": 0.5}, data.cases)
    assert isinstance(data.cases, Patients)
    allergic = (data.cases.frame["allergy: penicillin"] == 1).to_numpy()
    has = answers["recommended"].str.contains("penicillin").to_numpy()
    assert not has[allergic].any()
    assert has[~allergic].all()
    assert answers["blocked"][allergic].str.contains("penicillin v: the patient is allergic").all()
    assert answers["reason"].str.contains("interactions were not checked").all()


def test_allergens_are_names_or_words_of_them() -> None:
    cases = Patients.from_table(
        pd.DataFrame({"allergy: folic acid": ["yes", "no"], "Allergic to aspirin": ["no", "yes"]})
    )
    assert allergens(cases, NAMES, ()).tolist() == [[False, False, True, False], [True, False, False, False]]
    assert allergens(cases, ("x",), ("Folic_acid",)).tolist() == [[True], [False]]


@pytest.mark.parametrize(
    ("field", "medicines", "hit"),
    [
        ("allergy: Penicillin V (RxNorm 7984)", ("penicillin v potassium 250 mg", "aspirin"), [True, False]),
        ("allergy: Penicillin V (substance) (SNOMED 6369005)", ("penicillin v", "aspirin"), [True, False]),
        ("allergy: Allergy to aspirin (finding) (SNOMED 293586001)", ("penicillin v", "aspirin"), [False, True]),
        ("allergy: J01CE02 (ATC)", ("J01CE02", "B01AC06"), [True, False]),
        ("allergy: Insulin (human) (RxNorm 5856)", ("insulin (human) 100 units", "insulin lispro"), [True, False]),
        ("allergy: insulin (human)", ("insulin (human)", "insulin lispro"), [True, False]),
        ("allergy: _", ("penicillin v", "aspirin"), [False, False]),
    ],
)
def test_codes_behind_an_allergen_are_no_part_of_its_name(
    field: str, medicines: tuple[str, ...], hit: list[bool]
) -> None:
    cases = Patients.from_table(pd.DataFrame({field: ["yes", "no"]}))
    assert allergens(cases, medicines, ()).tolist() == [hit, [False, False]]


def test_fields_of_allergies_that_hold_nothing_back_are_told() -> None:
    yes, what = ["yes", "no", "no"] * 5, ["nuts", "aspirin", "nuts"] * 5
    table = pd.DataFrame({"allergy: Aspirin (RxNorm 1191)": yes, "allergy: Peanut": yes[::-1], "allergy": what})
    fields = Patients.from_table(table).fields
    (note,) = allergy_notes(fields, NAMES)
    assert note.startswith("nothing is held back for 2 of 3 fields of allergies")
    assert note.endswith("'allergy: Peanut', 'allergy'")
    assert allergy_notes(fields[:1], NAMES) == []


def test_two_of_a_class_are_a_duplicate() -> None:
    knowledge = Knowledge(classes=("c1", "c1", "", ""))
    found = selection.select(np.array([[0.9, 0.8, 0.7, 0.1]]), knowledge, 0.5, 0.0)
    assert found.given.tolist() == [[True, False, True, False]]
    assert found.blocked == ((selection.Blocked(1, "duplicate of class c1"),),)


def test_choosing_for_many_is_choosing_for_each(pairs: Path) -> None:
    knowledge = read_knowledge(pairs, NAMES)
    chance = np.random.default_rng(0).random((50, 4))
    for penalty in (0.0, 0.2, 1.0):
        many = selection.greedy(chance, knowledge.matrix(4), 0.3, penalty)
        assert (many == selection.select(chance, knowledge, 0.3, penalty).given).all()


def test_measures_of_sets() -> None:
    said = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
    true = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]], dtype=bool)
    jaccard, f1 = selection.overlap(said, true)
    assert jaccard.tolist() == [pytest.approx(1 / 3), 1, 0]
    assert f1.tolist() == [pytest.approx(0.5), 1, 0]
    precision = selection.average_precision(np.array([[0.9, 0.8, 0.7, 0.1]] * 3), true)
    assert precision[0] == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(precision[1])
    conflicts = np.zeros((4, 4), dtype=bool)
    conflicts[0, 1] = conflicts[1, 0] = True
    assert selection.pooled_rate(said, conflicts) == 1
    assert selection.pooled_rate(true, conflicts) == 0


def test_lists_of_medicines_are_read_back() -> None:
    assert given_sets(pd.Series(["warfarin; aspirin", ""]), NAMES).tolist() == [[True, True, False, False], [False] * 4]


def test_a_medicine_may_be_called_as_two(pairs: Path) -> None:
    names = ("aspirin", "warfarin", "amoxicillin; clavulanic acid", "aspirin; warfarin")
    outputs, said = Outputs(names, kinds=("set",) * 4), np.array([[0.9, 0.2, 0.8, 0.1], [0.1, 0.1, 0.1, 0.9]])
    knowledge = read_knowledge(pairs, names).as_json()
    decision = {"knowledge": knowledge, "cutoff": 0.5, "plain_cutoff": 0.5, "penalty": 0.0}
    answers = SET.answer(said, outputs, decision, Patients.from_table(pd.DataFrame({"age": [60, 50]})))
    assert (given_sets(answers["recommended"], names) == (said > 0.5)).all()
    table = answers.assign(id=["p1", "p2"], status="ok", error="")
    actions = [row["entry"][0]["resource"]["action"][0]["action"] for row in export(table, "fhir", outputs)]
    assert [[one["title"] for one in row] for row in actions] == [["aspirin", names[2]], [names[3]]]


@pytest.mark.parametrize("raw", [np.zeros((3, 3)), np.full((3, 4), 1.5), np.full((3, 4), np.nan)])
def test_a_model_that_breaks_the_contract_is_told(raw: Any) -> None:
    with pytest.raises(ValueError, match="predict returned"):
        SET.check(raw, OUTPUTS, 3)
