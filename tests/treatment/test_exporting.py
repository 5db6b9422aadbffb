"""Answers as FHIR and as cards, checked against the standard's own schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtasks.task import Outputs
from medtasks.treatment.exporting import SUMMARY, export
from medtasks.trust import UNLIKE

ARMS = Outputs(("A", "B"), kinds=("arm",) * 2)
SETS = Outputs(("aspirin", "warfarin"), kinds=("set",) * 2)
DOSE = Outputs(("mg",), kinds=("dose",))
BASE = {"id": "p1", "status": "ok", "error": "", "reason": "it is better"}
ARM_ROW = {
    **BASE,
    "decision": "recommend",
    "estimand": "effect",
    "recommended": "B",
    "best": "B",
    "against": "A",
    "similar": 80.0,
    "benefit": 3.0,
    "benefit_low": 1.0,
    "benefit_high": 5.0,
    "expected_A": 1.0,
    "expected_B": 4.0,
}
SET_ROW = {
    **BASE,
    "decision": "recommend",
    "estimand": "imitation",
    "recommended": "warfarin",
    "warnings": "",
    "p_warfarin": 0.9,
    "p_aspirin": 0.6,
    "blocked": "aspirin: interacts with what is more probable (major, ours)",
    "blocked_severity": "major",
    "warnings_severity": "",
}
DOSE_ROW = {**BASE, "decision": "recommend", "estimand": "dose", "mg": 31.5, "low": 20.0, "high": 44.0}
CASES = [(ARM_ROW, ARMS), (SET_ROW, SETS), (DOSE_ROW, DOSE)]


def fhir(resource: dict[str, Any]) -> Any:
    """Read a resource as the standard's own classes do (R4B, which holds R4's forms of these)."""
    from fhir.resources.R4B import get_fhir_model_class

    return get_fhir_model_class(resource["resourceType"]).model_validate(resource)


@pytest.mark.parametrize(("row", "outputs"), CASES, ids=["arm", "set", "dose"])
def test_each_answer_is_valid_fhir(row: dict[str, Any], outputs: Outputs) -> None:
    (bundle,) = export(pd.DataFrame([row]), "fhir", outputs)
    assert fhir(bundle).type == "collection"
    group = bundle["entry"][0]["resource"]
    assert fhir(group).status == "draft"
    assert (group["resourceType"], group["identifier"][0]["value"]) == ("RequestGroup", "p1")
    assert "subject" not in group  # an id may be a visit's or a row's, and no other patient gets the proposal
    json.dumps(bundle, allow_nan=False)


def test_what_is_held_back_is_an_issue() -> None:
    (bundle,) = export(pd.DataFrame([SET_ROW]), "fhir", SETS)
    issue = bundle["entry"][1]["resource"]
    assert fhir(issue).severity == "high"
    assert issue["code"]["coding"][0]["code"] == "DRG"
    assert issue["detail"].startswith("aspirin: interacts")


@pytest.mark.parametrize(
    ("column", "text", "severity", "code", "grade"),
    [
        ("warnings", "slow-k with spironolactone interact (moderate, ours)", "moderate", "DRG", "moderate"),
        ("warnings", "aspirin with warfarin interact (moderate, Flockhart highlights)", "moderate", "DRG", "moderate"),
        ("warnings", "aspirin with warfarin interact (highlights)", "not told", "DRG", "moderate"),
        ("blocked", "aspirin: interacts with what is more probable", "Moderate to severe", "DRG", "high"),
        ("blocked", "duplicate allergic mix: interacts with what is more probable", "low", "DRG", "low"),
        ("blocked", "aspirin: duplicate of class B01AC", "not told", "DUPTHPY", "moderate"),
        ("blocked", "aspirin: the patient is allergic to it", "not told", "ALGY", "high"),
    ],
)
def test_only_the_severity_says_how_severe_it_is(column: str, text: str, severity: str, code: str, grade: str) -> None:
    none = dict.fromkeys(("blocked", "blocked_severity", "warnings", "warnings_severity"), "")
    row = {**SET_ROW, **none, column: text, f"{column}_severity": severity}
    (bundle,) = export(pd.DataFrame([row]), "fhir", SETS)
    issue = bundle["entry"][1]["resource"]
    assert fhir(issue).severity == grade
    assert issue["code"]["coding"][0]["code"] == code


def test_a_dose_that_data_cannot_carry_is_no_proposal() -> None:
    row = {**DOSE_ROW, "decision": "insufficient", "reason": "too few patients", "low": np.nan, "high": np.nan}
    (bundle,) = export(pd.DataFrame([row]), "fhir", DOSE)
    (response,) = export(pd.DataFrame([row]), "cds-hooks", DOSE)
    action = bundle["entry"][0]["resource"]["action"][0]
    assert action["title"] == response["cards"][0]["summary"] == "No recommendation (insufficient)"
    assert "action" not in action
    assert "31.5" not in json.dumps([bundle, response])


def test_the_better_arm_stands_first_whatever_is_better() -> None:
    for kinds, first in ((("arm",) * 2, "B"), (("arm:minimise",) * 2, "A")):
        (bundle,) = export(pd.DataFrame([ARM_ROW]), "fhir", Outputs(("A", "B"), kinds=kinds))
        action = bundle["entry"][0]["resource"]["action"][0]
        assert action["action"][0]["title"] == first


def test_a_row_that_cannot_be_used_keeps_its_place() -> None:
    bad = {**dict.fromkeys(ARM_ROW, np.nan), "id": "p2", "status": "invalid", "error": "no age"}
    found = export(pd.DataFrame([ARM_ROW, bad]), "fhir", ARMS)
    assert [bundle["identifier"]["value"] for bundle in found] == ["p1", "p2"]
    outcome = found[1]["entry"][0]["resource"]
    assert fhir(outcome).issue[0].diagnostics == "no age"
    assert export(pd.DataFrame([bad]), "cds-hooks", ARMS)[0]["cards"][0]["detail"] == "no age"


@pytest.mark.parametrize(("row", "outputs"), CASES, ids=["arm", "set", "dose"])
def test_each_answer_is_a_card(row: dict[str, Any], outputs: Outputs) -> None:
    (response,) = export(pd.DataFrame([row]), "cds-hooks", outputs)
    (card,) = response["cards"]
    assert len(card["summary"]) <= SUMMARY
    assert card["indicator"] in ("info", "warning", "critical")
    assert card["source"] == {"label": "medtasks"}
    assert ("no benefit is estimated" in card["detail"]) == (row is SET_ROW)


def test_the_command_writes_a_line_per_row(trial: Any, as_a_table: Any, cli: Any, tmp_path: Path) -> None:
    as_a_table(trial).to_csv(tmp_path / "t.csv", index=False)
    run = [
        "run",
        "treatment",
        "--data",
        tmp_path / "t.csv",
        "--model",
        "best-arm",
        "--folds",
        "1",
        "--out",
        tmp_path / "r",
    ]
    assert cli(*run).code == 0
    done = cli("predict", tmp_path / "r", tmp_path / "t.csv", "--as", "fhir", "-o", tmp_path / "x.jsonl")
    assert done.code == 0, done.err
    lines = (tmp_path / "x.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == len(trial)
    assert json.loads(lines[-1])["identifier"]["value"] == f"PATIENTMARK{len(trial) - 1:04d}"
    assert (
        cli("predict", tmp_path / "r", tmp_path / "t.csv", "--as", "hl7").error
        == "answers of treatment cannot be written as 'hl7'"
    )
    assert cli("predict", tmp_path / "r", tmp_path / "t.csv", "--as", "fhir", "-o", tmp_path / "x.csv").code == 2


def test_other_tasks_say_that_they_have_none(record_run: Path, records_csv: Path, cli: Any) -> None:
    done = cli("predict", record_run, records_csv, "--as", "fhir")
    assert (done.code, done.error) == (2, "answers of diagnosis cannot be written as 'fhir'")


@pytest.mark.parametrize(("row", "outputs"), CASES, ids=["arm", "set", "dose"])
@pytest.mark.parametrize("domain", ["in", "borderline", "out"])
def test_a_card_says_where_a_patient_is_unlike_those_learnt_from(
    row: dict[str, Any], outputs: Outputs, domain: str
) -> None:
    told = {**row, "blocked": "", "domain": domain}
    if domain == "out":
        told |= {"decision": "abstain", "reason": UNLIKE}
    (response,) = export(pd.DataFrame([told]), "cds-hooks", outputs)
    (card,) = response["cards"]
    assert (card["indicator"] == "warning") == (domain != "in")
    assert (f"{domain} of the applicability domain" in card["detail"]) == (domain != "in")
    assert card["summary"].startswith("No recommendation") == (domain == "out")
    if domain == "out" and outputs is not ARMS:
        assert "31.5" not in card["detail"]
        assert "given with" not in card["detail"]
