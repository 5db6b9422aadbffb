"""Event tables: four formats in one form, and nothing from after the decision in any field."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtasks.cases import Records
from medtasks.cases.event_tables import UNNAMED
from medtasks.cases.events import Events, is_event_folder, read_events
from medtasks.cases.medicines import ingredient, label_medicines, read_mapping
from medtasks.cases.records import infer_fields
from medtasks.cases.visits import Visits, visits_table
from medtasks.errors import DataError, UsageError

REAL = Path(__file__).parents[3] / "shared" / "data" / "treatment"
EVERYTHING = {"least_patients": 1, "least_share": 0.0, "least_given": 1}
SECRET = "Zacharias"


def write(folder: Path, tables: dict[str, str]) -> Path:
    """Write tables told as lines of comma-separated values with blanks for looks."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in tables.items():
        lines = [",".join(cell.strip() for cell in line.split(",")) for line in text.strip().splitlines()]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


MIMIC = {
    "ADMISSIONS": """
        subject_id, hadm_id, admittime, dischtime, admission_type, admission_location, diagnosis
        1, 11, 2100-01-01 10:00:00, 2100-01-05 12:00:00, EMERGENCY, HOME, SEPSIS;? Fever
        1, 12, 2101-03-01 09:00:00, 2101-03-04 12:00:00, ELECTIVE, HOME,
        2, 21, 2100-06-01 09:00:00, 2100-06-03 12:00:00, EMERGENCY, HOME, FEVER""",
    "PATIENTS": """
        subject_id, gender, dob
        1, F, 2050-01-01 00:00:00
        2, M, 1800-06-01 00:00:00""",
    "DIAGNOSES_ICD": """
        subject_id, hadm_id, seq_num, icd9_code
        1, 11, 1, 4019
        1, 12, 1, 25000
        2, 21, 1, 4019""",
    "PRESCRIPTIONS": """
        subject_id, hadm_id, startdate, enddate, drug_type, drug, drug_name_generic, ndc
        1, 11, 2100-01-01 00:00:00, 2100-01-02 00:00:00, MAIN, Lasix, Furosemide, 00054829725
        1, 11, 2100-01-02 00:00:00, 2100-01-02 00:00:00, BASE, NS, , 0
        1, 11, 2100-01-03 00:00:00, 2100-01-02 00:00:00, MAIN, Aspirin , , 0
        1, 12, 2101-03-02 00:00:00, 2101-03-02 00:00:00, MAIN, aspirin, , 0
        2, 21, 2100-06-01 00:00:00, 2100-06-02 00:00:00, MAIN, Heparin, , 0""",
    "LABEVENTS": """
        subject_id, hadm_id, itemid, charttime, valuenum, valueuom
        1, 11, 50912, 2100-01-01 09:00:00, 1.5, mg/dL
        1, 11, 50912, 2100-01-01 11:00:00, 9.5, mg/dL
        1, 12, 50912, 2101-03-02 11:00:00, 7.5, mg/dL""",
    "D_LABITEMS": """
        itemid, label
        50912, Creatinine""",
}
CREATININE = "last value: Creatinine (MIMIC 50912, mg/dL)"


@pytest.fixture
def mimic(tmp_path: Path) -> Path:
    return write(tmp_path / "mimic", MIMIC)


def row(visits: Visits, name: str) -> dict[str, Any]:
    """Return what shows of a visit: its fields that are neither missing nor no."""
    fields = visits.table.iloc[list(visits.ids).index(name)]
    return {str(k): v for k, v in fields.items() if not (v is False or v is np.False_ or pd.isna(v))}


def given(visits: Visits, name: str) -> set[str]:
    return {m for m, yes in zip(visits.medicines, visits.given[list(visits.ids).index(name)], strict=True) if yes}


def test_mimic_at_admission(mimic: Path) -> None:
    visits = visits_table(read_events(mimic), **EVERYTHING)
    assert list(visits.ids) == ["11", "12", "21"]
    assert list(visits.subjects) == ["1", "1", "2"]
    first, second, third = (row(visits, name) for name in ("11", "12", "21"))
    assert first[CREATININE] == 1.5
    assert first["days since value: Creatinine (MIMIC 50912, mg/dL)"] == pytest.approx(1 / 24)
    assert not any("before" in name for name in first)
    assert second["diagnosis before: 401 (ICD9CM)"]
    assert second["medicine before: aspirin"]
    assert second["medicine at last visit: furosemide"]
    assert second["earlier visits"] == 1
    assert second["days since the last visit"] == pytest.approx(419.875)
    assert second[CREATININE] == 9.5
    assert (first["age"], third["age"]) == (pytest.approx(50, abs=0.01), 91.4)
    assert (first["sex"], second["admission type"]) == ("F", "ELECTIVE")
    assert first["admitted for: sepsis"]
    assert third["admitted for: fever"]
    assert given(visits, "11") == {"furosemide", "aspirin"}
    assert visits.previous.sum() == 2
    assert visits.returning.tolist() == [False, True, False]
    assert any("all over 89" in note for note in visits.notes)
    assert any("bases and additives" in note for note in visits.notes)


@pytest.mark.parametrize("columns", ["", ", anchor_age", ", anchor_year", ", anchor_age, anchor_year"])
def test_patients_without_a_date_of_birth(tmp_path: Path, columns: str) -> None:
    cells = columns.replace("anchor_age", "50").replace("anchor_year", "2099")
    people = f"""
        subject_id, gender{columns}
        1, F{cells}
        2, M{cells.replace("50", "unknown")}"""
    events = read_events(write(tmp_path, {**MIMIC, "PATIENTS": people}))
    visits = visits_table(events, **EVERYTHING)
    if columns.count("anchor") < 2:
        assert visits.table["age"].isna().all()
        assert any("so that ages are not known" in note for note in visits.notes)
    else:
        assert visits.table["age"].tolist()[:2] == [51, 52]
        assert visits.table["age"].isna().tolist() == [False, False, True]
        assert not any("ages" in note for note in visits.notes)
    fields, _ = infer_fields(visits.table)
    assert "sex" in [field.name for field in fields]


def test_codes_of_the_stay_show_only_at_discharge(mimic: Path) -> None:
    events = read_events(mimic)
    admission, discharge = visits_table(events, **EVERYTHING), visits_table(events, at="discharge", **EVERYTHING)
    assert "diagnosis this visit: 250 (ICD9CM)" not in admission.table
    assert row(discharge, "12")["diagnosis this visit: 250 (ICD9CM)"]
    assert "diagnosis before: 250 (ICD9CM)" not in discharge.table
    assert row(discharge, "12")[CREATININE] == 7.5
    assert given(discharge, "11") == given(admission, "11")
    assert "medicine this visit: aspirin" not in discharge.table
    assert any("cannot be used at the bedside" in note for note in discharge.notes)


def test_hours_after_admission(mimic: Path) -> None:
    events = read_events(mimic)
    visits = visits_table(events, at="24h", **EVERYTHING)
    assert row(visits, "11")["medicine this visit: furosemide"]
    assert row(visits, "11")[CREATININE] == 9.5
    assert given(visits, "11") == {"aspirin"}
    late = visits_table(events, at="60h", **EVERYTHING)
    assert "21" not in late.ids
    assert any("had ended" in note for note in late.notes)
    with pytest.raises(UsageError):
        visits_table(events, at="noon")


@pytest.mark.parametrize("at", ["admission", "24h", "30h"])
def test_a_planted_future_event_shows_nowhere(mimic: Path, tmp_path: Path, at: str) -> None:
    before = visits_table(read_events(mimic), at=at, **EVERYTHING)
    planted = dict(MIMIC)
    planted["DIAGNOSES_ICD"] += "\n1, 12, 2, 77777\n2, 21, 2, 77777"
    planted["PRESCRIPTIONS"] += (
        "\n1, 12, 2101-03-03 00:00:00, , MAIN, Planted, , 0\n2, 21, 2100-06-02 00:00:00, , MAIN, Planted, , 0"
    )
    planted["LABEVENTS"] += "\n1, 12, 77777, 2101-03-03 10:00:00, 1, u\n1, 12, 50912, 2101-03-02 15:00:00, 777, mg/dL"
    after = visits_table(read_events(write(tmp_path / "planted", planted)), at=at, **EVERYTHING)
    pd.testing.assert_frame_equal(before.table, after.table)
    assert "planted" in given(after, "12")
    assert "planted" in given(after, "21")


def test_shuffling_the_future_changes_no_field() -> None:
    """Whatever happens from a visit's start on, drawn anew, leaves that visit's row as it was."""
    rng = np.random.default_rng(0)
    events = drawn(400, 60, seed=1)
    whole = visits_table(events, **EVERYTHING)
    for name in rng.choice(whole.ids, 5, replace=False):
        at = whole.when[list(whole.ids).index(name)]
        later = events.table["known"].to_numpy() >= at
        table = events.table.copy()
        for column in ("code", "name", "value"):
            mixed = table[column].to_numpy()[rng.permutation(np.flatnonzero(later))]
            table.loc[later, column] = mixed
        other = visits_table(Events(table, events.visits), fields=list(whole.table.columns), **EVERYTHING)
        mine = list(whole.ids).index(name)
        pd.testing.assert_series_equal(whole.table.iloc[mine], other.table.iloc[mine])


def drawn(n: int, people: int, seed: int = 0) -> Events:
    """Draw ``n`` events of each kind."""
    from medtasks.cases.event_tables import Collector

    rng = np.random.default_rng(seed)
    found = Collector("drawn")
    start = pd.Timestamp("2020-01-01 08:30") + pd.to_timedelta(rng.integers(0, 2000, 3 * people), unit="D")
    who = np.repeat(np.arange(people), 3).astype(str)
    visits = pd.DataFrame({"subject": who, "visit": [f"v{i}" for i in range(3 * people)], "start": start})
    found.add_visits("visits", visits.assign(end=start + pd.Timedelta(days=4), age=50.0, sex="F", type="a"), 1)
    for kind in ("diagnosis", "laboratory", "medicine"):
        part = pd.DataFrame({"subject": rng.integers(0, people, n).astype(str)})
        part["time"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 2010 * 24, n), unit="h")
        part["code"] = [f"X/{kind[0]}{i}" for i in rng.integers(0, 30, n)]
        part["name"], part["value"] = part["code"].str[2:], rng.normal(size=n)
        found.add_events(kind, part, 1, kind=kind)
    return found.finish()


def test_given_fields_are_built_exactly(mimic: Path) -> None:
    fields = [
        CREATININE,
        "diagnosis before: 401 (ICD9CM)",
        "diagnosis before: 999 (ICD9CM)",
        "age",
        "last value: X (Y 1)",
    ]
    visits = visits_table(read_events(mimic), fields=fields, medicines=["aspirin", "unheard-of"])
    assert list(visits.table) == fields
    assert visits.table["diagnosis before: 401 (ICD9CM)"].tolist() == [False, True, False]
    assert not visits.table["diagnosis before: 999 (ICD9CM)"].any()
    assert visits.table["last value: X (Y 1)"].isna().all()
    assert visits.medicines == ("aspirin", "unheard-of")
    assert visits.given.tolist() == [[1, 0], [1, 0], [0, 0]]


def test_patients_may_be_named_who_alone_decide_on_the_fields(mimic: Path) -> None:
    visits = visits_table(read_events(mimic), subjects=["2"], **EVERYTHING)
    assert visits.medicines == ("heparin",)
    assert not any("before" in name for name in visits.table)


def test_fields_become_records(mimic: Path) -> None:
    visits = visits_table(read_events(mimic), **EVERYTHING)
    fields = {field.name: field.type for field in Records.from_table(visits.table, list(visits.ids)).fields}
    assert fields["medicine before: aspirin"] == "boolean"
    assert fields[CREATININE] == "number"


SYNTHEA = {
    "patients": """
        Id, BIRTHDATE, DEATHDATE, GENDER
        p1, 1960-01-01, , F""",
    "encounters": """
        Id, START, STOP, PATIENT, ENCOUNTERCLASS, CODE
        e1, 2010-01-01T10:00:00Z, 2010-01-01T10:30:00Z, p1, ambulatory, 1
        e2, 2011-01-01T10:00:00Z, 2011-01-01T12:30:00+02:00, p1, wellness, 1""",
    "conditions": """
        START, STOP, PATIENT, ENCOUNTER, CODE, DESCRIPTION
        2010-01-01, , p1, e1, 38341003, Hypertension (disorder)""",
    "procedures": """
        START, STOP, PATIENT, ENCOUNTER, SYSTEM, CODE, DESCRIPTION
        2010-01-01T10:10:00Z, , p1, e1, SNOMED-CT, 430193006, Medication reconciliation""",
    "medications": """
        START, STOP, PATIENT, ENCOUNTER, CODE, DESCRIPTION
        2010-01-01T10:00:00Z, , p1, e1, 314076, lisinopril 10 MG Oral Tablet
        2011-01-01T10:00:00Z, , p1, e2, 316049, Hydrochlorothiazide 25 MG""",
    "observations": """
        DATE, PATIENT, ENCOUNTER, CODE, DESCRIPTION, VALUE, UNITS, TYPE
        2010-01-01T10:05:00Z, p1, e1, 8480-6, Systolic Blood Pressure, 151, mm[Hg], numeric
        2010-01-01T10:05:00Z, p1, e1, 72166-2, Smoking, Never smoker, , text""",
    "allergies": """
        START, STOP, PATIENT, ENCOUNTER, CODE, SYSTEM, DESCRIPTION
        2009-02-01, , p1, , 7984, RxNorm, Penicillin V""",
}


def test_synthea(tmp_path: Path) -> None:
    visits = visits_table(read_events(write(tmp_path, SYNTHEA)), **EVERYTHING)
    first, second = row(visits, "e1"), row(visits, "e2")
    assert first["allergy: Penicillin V (RxNorm 7984)"]
    assert not any("before" in name for name in first)
    assert second["diagnosis before: Hypertension (disorder) (SNOMED 38341003)"]
    assert second["procedure before: Medication reconciliation (SNOMED 430193006)"]
    assert second["last value: Systolic Blood Pressure (LOINC 8480-6, mm[Hg])"] == 151
    assert second["medicine before: lisinopril 10 mg oral tablet"]
    assert given(visits, "e2") == {"hydrochlorothiazide 25 mg"}
    assert second["age"] == pytest.approx(51, abs=0.01)
    assert not visits.invalid


OMOP = {
    "person": """
        person_id, gender_concept_id, year_of_birth, month_of_birth, day_of_birth
        1, 8532, 1950, 2, 3""",
    "visit_occurrence": """
        visit_occurrence_id, person_id, visit_concept_id, visit_start_date, visit_start_datetime, visit_end_date
        5, 1, 9201, 2020-01-01, 2020-01-01 10:00:00, 2020-01-04
        6, 1, 9201, 2020-03-01, 2020-03-01 10:00:00, 2020-03-04""",
    "condition_occurrence": """
        person_id, condition_concept_id, condition_start_date, visit_occurrence_id
        1, 201826, 2020-01-02, 5
        1, 0, 2020-01-02, 5""",
    "procedure_occurrence": """
        person_id, procedure_concept_id, procedure_date
        1, 4013636, 2020-01-02""",
    "drug_exposure": """
        person_id, drug_concept_id, drug_exposure_start_date, drug_exposure_start_datetime, visit_occurrence_id
        1, 1124957, 2020-01-02, 2020-01-02 08:00:00, 5
        1, 1127433, 2020-03-01, ,""",
    "measurement": """
        person_id, measurement_concept_id, measurement_date, value_as_number, unit_source_value, visit_occurrence_id
        1, 3004249, 2020-01-02, 140, mmHg, 5""",
}
CONCEPTS = """
    concept_id, concept_name, vocabulary_id, concept_code
    201826, Type 2 diabetes mellitus, SNOMED, 44054006
    1127433, Acetaminophen, RxNorm, 161"""


@pytest.mark.parametrize("parquet", [False, True])
def test_omop(tmp_path: Path, parquet: bool) -> None:
    folder = write(tmp_path, OMOP)
    if parquet:
        for file in folder.glob("*.csv"):
            pd.read_csv(file).to_parquet(folder / f"{file.stem.upper()}.parquet")
            file.unlink()
    visits = visits_table(read_events(folder), **EVERYTHING)
    second = row(visits, "6")
    assert second["diagnosis before: 201826 (OMOP)"]
    assert second["procedure before: 4013636 (OMOP)"]
    assert second["medicine before: omop 1124957".replace("omop", "OMOP")]
    assert second["last value: 3004249, mmHg (OMOP)"] == 140
    assert (second["sex"], second["admission type"]) == ("female", "inpatient")
    assert given(visits, "6") == {"OMOP 1127433"}
    assert visits.invalid == (("condition_occurrence row 2", "it has no code"),)


@pytest.mark.parametrize(("born", "age"), [("1200", None), ("1850", None), ("2021", None), ("1930", 90), ("2020", 0)])
def test_only_mimic_writes_an_age_that_nobody_reaches_for_the_old(tmp_path: Path, born: str, age: float | None) -> None:
    person = f"person_id, gender_concept_id, year_of_birth\n1, 8532, {born}"
    events = read_events(write(tmp_path, {**OMOP, "person": person}))
    assert events.visits["age"].tolist() == pytest.approx([np.nan if age is None else age] * 2, abs=0.5, nan_ok=True)
    told = "2 visits have an age below 0 or above 150 years, which counts as missing"
    assert (told in events.notes) == (age is None)
    assert not any("91.4" in note for note in events.notes)


def test_omop_names_and_codes_that_the_names_do_not_change(tmp_path: Path) -> None:
    plain = visits_table(read_events(write(tmp_path / "a", OMOP)), **EVERYTHING)
    named = read_events(write(tmp_path / "b", {**OMOP, "concept": CONCEPTS}))
    visits = visits_table(named, **EVERYTHING)
    assert row(visits, "6")["diagnosis before: Type 2 diabetes mellitus (OMOP 201826)"]
    assert given(visits, "6") == {"acetaminophen"}
    again = visits_table(named, fields=list(plain.table.columns), **EVERYTHING)
    assert row(again, "6")["diagnosis before: 201826 (OMOP)"]


def meds(times: bool = True) -> pd.DataFrame:
    rows = [
        (1, None, "GENDER//F", None, None),
        (1, "1950-01-01", "MEDS_BIRTH", None, None),
        (1, "2020-01-01 10:00", "HOSPITAL_ADMISSION//EW EMER.//HOME", None, 5),
        (1, "2020-01-01 10:00", "LAB//50912//mg/dL", 1.5, 5),
        (1, "2020-01-01 12:00", "MEDICATION//START//Furosemide", None, 5),
        (1, "2020-01-02 12:00", "MEDICATION//STOP//Furosemide", None, 5),
        (1, "2020-01-04 10:00", "HOSPITAL_DISCHARGE//HOME", None, 5),
        (1, "2020-01-04 10:00", "DIAGNOSIS//ICD//10//I10", None, 5),
        (1, "2020-02-04 10:00", "SNOMED/38341003", None, None),
        (1, "2020-03-01 10:00", "HOSPITAL_ADMISSION//EW EMER.//HOME", None, 6),
        (1, "2020-03-01 12:00", "RxNorm/161", None, 6),
        (1, "2020-03-04 10:00", "HOSPITAL_DISCHARGE//HOME", None, 6),
        (1, "2020-03-04 10:00", "TRANSFER_TO//ward", None, 6),
    ]
    table = pd.DataFrame(rows, columns=["subject_id", "time", "code", "numeric_value", "hadm_id"])
    return table.assign(time=pd.to_datetime(table["time"], format="mixed"))


@pytest.mark.parametrize("with_ids", [True, False])
def test_meds(tmp_path: Path, with_ids: bool) -> None:
    table = meds() if with_ids else meds().drop(columns="hadm_id")
    for name, part in (("train", table[:8]), ("tuning", table[8:])):
        (tmp_path / "data" / name).mkdir(parents=True)
        part.to_parquet(tmp_path / "data" / name / "0.parquet")
    (tmp_path / "metadata").mkdir()
    described = pd.DataFrame({"code": ["RxNorm/161"], "description": ["Acetaminophen"]})
    described.to_parquet(tmp_path / "metadata" / "codes.parquet")
    assert is_event_folder(tmp_path)
    visits = visits_table(read_events(tmp_path), **EVERYTHING)
    assert len(visits) == 2
    first, second = (row(visits, name) for name in visits.ids)
    assert not any("before" in name or "last" in name for name in first)
    assert second["diagnosis before: I10 (ICD10CM)"]
    assert second["diagnosis before: 38341003 (SNOMED)"]
    assert second["medicine at last visit: furosemide"]
    assert second["last value: 50912, mg/dL (LAB)"] == 1.5
    assert (second["sex"], second["admission type"], second["age"]) == ("F", "EW EMER.", pytest.approx(70.2, abs=0.1))
    assert given(visits, visits.ids[1]) == {"acetaminophen"}
    assert any("2 events with codes of other kinds" in note for note in visits.notes)


def test_damaged_rows_are_told_and_never_shown(tmp_path: Path) -> None:
    tables = dict(MIMIC)
    tables["ADMISSIONS"] += f"""
        2, 11, 2102-01-01 10:00:00, 2102-01-05 12:00:00, EMERGENCY, HOME,
        2, 22, 2102-01-01 10:00:00, 2101-01-05 12:00:00, EMERGENCY, HOME,
        2, 23, , 2102-01-05 12:00:00, EMERGENCY, HOME,
        2, 24, {SECRET}, 2102-01-05 12:00:00, EMERGENCY, HOME,
        2, , 2102-01-01 10:00:00, 2102-01-05 12:00:00, EMERGENCY, HOME,"""
    tables["PRESCRIPTIONS"] += f"""
        , 11, 2100-01-03 00:00:00, , MAIN, {SECRET}, , 0
        1, 11, , , MAIN, {SECRET}, , 0
        1, 11, {SECRET}, , MAIN, {SECRET}, , 0
        1, 11, 2100-01-03 00:00:00, , MAIN, , , 0
        2, 11, 2100-01-03 00:00:00, , MAIN, {SECRET}, , 0
        1, 11, 2190-01-03 00:00:00, , MAIN, {SECRET}, , 0"""
    events = read_events(write(tmp_path, tables))
    assert set(events.invalid) == {
        ("ADMISSIONS row 4", "its visit id stands in a row before"),
        ("ADMISSIONS row 5", "it ends before it starts"),
        ("ADMISSIONS row 6", "it has no start"),
        ("ADMISSIONS row 7", "its start cannot be read"),
        ("ADMISSIONS row 8", "it has no visit id"),
        ("PRESCRIPTIONS row 6", UNNAMED),
        ("PRESCRIPTIONS row 7", "it has no time"),
        ("PRESCRIPTIONS row 8", "its time cannot be read"),
        ("PRESCRIPTIONS row 9", "it has no code"),
        ("PRESCRIPTIONS row 10", "its visit is another patient's"),
        ("PRESCRIPTIONS row 11", "its time lies more than a year outside its visit"),
    }
    visits = visits_table(events, **EVERYTHING)
    assert list(visits.ids) == ["11", "12", "21"]
    assert SECRET not in repr((visits.invalid, visits.notes, visits.medicines, list(visits.table)))


@pytest.mark.parametrize("tables", [MIMIC, SYNTHEA, {**OMOP, "concept": CONCEPTS}], ids=["MIMIC", "Synthea", "OMOP"])
def test_rows_cut_short_are_told_and_not_used(tmp_path: Path, tables: dict[str, str]) -> None:
    """A file whose copying broke off: the last row, with a value more, ends before the header does."""
    whole = read_events(write(tmp_path / "whole", tables))
    cut = {name: f"{text}\n{text.rsplit(',', 1)[0].rsplit(chr(10), 1)[1]}" for name, text in tables.items()}
    events = read_events(write(tmp_path / "cut", cut))
    pd.testing.assert_frame_equal(events.table, whole.table)
    pd.testing.assert_frame_equal(events.visits, whole.visits)
    told = {place.split(" row ")[0].lower() for place, reason in events.invalid if reason == UNNAMED}
    about_codes_and_people = {"d_labitems", "patients", "person", "concept"}
    assert told == {name.lower() for name in tables} - about_codes_and_people


def test_a_visit_without_end_goes_on(tmp_path: Path) -> None:
    tables = {**MIMIC, "ADMISSIONS": MIMIC["ADMISSIONS"].replace("2100-06-03 12:00:00", "")}
    tables["DIAGNOSES_ICD"] = "subject_id, hadm_id, icd9_code\n1, 11, 4019"
    visits = visits_table(read_events(write(tmp_path, tables)), **EVERYTHING)
    assert given(visits, "21") == {"heparin"}
    assert any("still going on" in note for note in visits.notes)
    tables["ADMISSIONS"] = MIMIC["ADMISSIONS"].replace("2100-01-05 12:00:00", "")
    events = read_events(write(tmp_path, tables))
    assert ("ADMISSIONS row 1", "it has no end though the patient came again") in events.invalid


def test_tables_that_are_missing_or_empty(tmp_path: Path) -> None:
    header = MIMIC["PRESCRIPTIONS"].strip().splitlines()[0]
    events = read_events(write(tmp_path / "a", {**MIMIC, "PRESCRIPTIONS": header}))
    with pytest.raises(DataError, match="no medicine"):
        visits_table(events)
    with pytest.raises(DataError, match="lacks the table patients") as caught:
        read_events(write(tmp_path / "b", {"ADMISSIONS": MIMIC["ADMISSIONS"]}))
    assert "patients.csv" in str(caught.value.hint)
    empty = MIMIC["ADMISSIONS"].strip().splitlines()[0]
    with pytest.raises(DataError, match="no visit"):
        read_events(write(tmp_path / "c", {**MIMIC, "ADMISSIONS": empty}))
    with pytest.raises(DataError, match="lacks the column drug") as caught:
        read_events(
            write(tmp_path / "d", {**MIMIC, "PRESCRIPTIONS": "subject_id, hadm_id, startdate\n1, 11, 2100-01-01"})
        )
    with pytest.raises(DataError, match="no event tables"):
        read_events(write(tmp_path / "e", {"other": "a\n1"}))
    with pytest.raises(DataError, match="no folder"):
        read_events(tmp_path / "nowhere")
    assert not is_event_folder(tmp_path / "e")


def test_only_visits_and_no_events(tmp_path: Path) -> None:
    tables = {name: MIMIC[name] for name in ("ADMISSIONS", "PATIENTS")}
    visits = visits_table(
        read_events(write(tmp_path, tables)), fields=["age", "diagnosis before: 401 (ICD9CM)"], medicines=["a"]
    )
    assert visits.table["age"].notna().all()
    assert visits.given.shape == (3, 1)


def test_names_case_and_gzip_do_not_matter(mimic: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in mimic.iterdir():
        table = pd.read_csv(file, dtype=str).rename(columns=str.upper)
        table.to_csv(other / f"{file.stem.lower()}.csv.gz", index=False)
    a, b = (visits_table(read_events(folder), **EVERYTHING) for folder in (mimic, other))
    pd.testing.assert_frame_equal(a.table, b.table)
    assert a.given.tolist() == b.given.tolist()


def test_medicines_can_be_mapped(mimic: Path, tmp_path: Path) -> None:
    tables = {
        "names": "name, atc\nfurosemide, C03CA01\nAspirin, B01AC06",
        "ndc": "ndc, rxcui\n54829725, 310429",
        "rxcui": "rxcui, atc\n310429, C03CA01",
        "wrong": "colour, atc\n1, 2",
    }
    folder = write(tmp_path / "maps", tables)
    names, ndc, rxcui, wrong = (read_mapping(folder / f"{name}.csv") for name in tables)
    events = read_events(mimic)
    visits = visits_table(events, mapping=[names], atc_level=3, **EVERYTHING)
    assert visits.medicines == ("B01A", "C03C")
    assert any("the mapping lacks" in note for note in visits.notes)
    assert visits_table(events, mapping=[ndc, rxcui], atc_level=4, **EVERYTHING).medicines == ("C03CA",)
    with pytest.raises(DataError, match="colour"):
        visits_table(events, mapping=[wrong])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("vancomycin hcl", "vancomycin"),
        ("docusate sodium (liquid)", "docusate"),
        ("heparin sodium", "heparin"),
        ("magnesium sulfate", "magnesium sulfate"),
        ("metoprolol succinate xl", "metoprolol"),
        ("influenza virus vaccine *latex free*", "influenza virus vaccine"),
        ("oxycodone-acetaminophen", "oxycodone-acetaminophen"),
        ("timolol maleate 0.25%", "timolol"),
        ("100", "100"),
    ],
)
def test_ingredients(name: str, says: str) -> None:
    assert ingredient(name) == says


def test_medicines_without_a_name_keep_their_codes_apart() -> None:
    orders = pd.DataFrame({"code": ["OMOP/1", "OMOP/2", "NDC/00093"], "name": [None, None, "timolol maleate 0.25%"]})
    labels, notes = label_medicines(orders, "ingredient")
    assert labels.tolist() == ["OMOP 1", "OMOP 2", "timolol"]
    assert any(note.startswith("2 of 3 orders (67%) name no medicine") for note in notes)


def test_rare_codes_and_medicines_are_left_out_with_a_note() -> None:
    visits = visits_table(drawn(3000, 200), least_patients=12, least_given=2)
    assert any("show for fewer than 12" in note for note in visits.notes)
    few = visits_table(drawn(3000, 200), most_columns=7, least_given=2)
    assert sum(":" in name for name in few.table) <= 7
    assert any("most frequent" in note for note in few.notes)
    with pytest.raises(DataError, match="100 patients"):
        visits_table(drawn(200, 20), least_given=100)
    assert len(visits.take(np.array([3, 1]))) == 2


def test_hundred_thousand_events_in_seconds() -> None:
    start = time.perf_counter()
    visits = visits_table(drawn(50_000, 2000))
    assert len(visits) == 6000
    assert time.perf_counter() - start < 8  # takes 1 s; a loop over rows would take minutes


@pytest.mark.skipif(not (REAL / "mimic3demo").is_dir(), reason="the MIMIC-III demo is not here")
def test_the_mimic_demo() -> None:
    events = read_events(REAL / "mimic3demo")
    assert len(events.visits) == 129
    assert events.visits["subject"].nunique() == 100
    assert len(events.invalid) == 65  # one stay's orders are dated sixty years after it
    visits = visits_table(events, keep_empty=False)
    assert visits.table["age"].max() == 91.4
    assert visits.given.sum(axis=1).min() >= 1
    assert not any("this visit" in name for name in visits.table)


@pytest.mark.parametrize("depth", ["hosp", "2.2/hosp"])
def test_a_folder_above_that_of_the_tables_names_it(tmp_path: Path, depth: str) -> None:
    write(tmp_path / depth, MIMIC)
    write(tmp_path / ".old", MIMIC)
    with pytest.raises(DataError, match=f"they are in {depth}/") as caught:
        read_events(tmp_path)
    assert str(tmp_path / depth) in str(caught.value.hint)


def test_fhir_and_other_folders_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="known here"):
        read_events(tmp_path)
    (tmp_path / f"{SECRET}.json").write_text('{"resourceType": "Bundle"}')
    with pytest.raises(DataError, match="FHIR bundles, which are not read") as caught:
        read_events(tmp_path)
    assert SECRET not in f"{caught.value.message} {caught.value.hint}"
    assert "Synthea" in str(caught.value.hint)
