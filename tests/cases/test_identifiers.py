"""Columns that number patients, visits and rows are no fields; a quantity that is called alike stays one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medtasks.cases.columns import patient_columns
from medtasks.cases.identifiers import is_identifier, names_patients
from medtasks.cases.records import infer_fields

RUNNING = np.arange(120) + 70001
TWICE = RUNNING // 2
VISITS = np.arange(120) % 4 + 1
COUNTS = np.random.default_rng(0).poisson(3, 120)


@pytest.mark.parametrize(
    "name",
    [
        "patient_no",
        "PatientID",
        "Patienten-Nr.",
        "patient_nbr",
        "record_id",
        "subject_id",
        "MRN",
        "pid",
        "USUBJID",
        "subject#",
        "id_patient",
        "nr",
        "Nr.",
        "index",
        "ID",
        "row",
        "row_id",
        "SEQN",
        "Fallnummer",
        "Probennummer",
        "sample_id",
        "visit_id",
        "hadm_id",
        "encounter_id",
        "labevent_id",
        "study_id",
        "AccessionNumber",
        "CaseNo",
        "lfdNr",
        "ID number",
        "id_no",
        "id_num",
        "ID_code",
        "ID2",
        "Sample code number",
        "S.No.",
        "Sl. No",
        "Sr. No.",
        "SNo",
        "Patient File No.",
        "idpatient",
        "IDPatient",
        "numero_patient",
        "Numéro",
        "num_dossier",
        "N° dossier",
        "IPP",
        "NHC",
        "Studiennummer",
        "Laufnummer",
        "Labor-Nr.",
        "Journalnummer",
        "medical record #",
        "Pt #",
        "patientunitstayid",
        "pat_enc_csn_id",
        "csn",
        "respondent_id",
        "donor_id",
        "animal_id",
        "mouse_id",
        "patient id (anonymised)",
    ],
)
@pytest.mark.parametrize("values", [RUNNING, RUNNING.astype(float), RUNNING.astype(str), [f"P{i}" for i in RUNNING]])
def test_columns_that_number_cases_are_no_fields(name: str, values: object) -> None:
    fields, notes = infer_fields(pd.DataFrame({name: values, "age": COUNTS}))
    assert [field.name for field in fields] == ["age"]
    assert notes == [
        f"column {name!r} is passed over: by its name and values it numbers patients, visits or rows; rename it if it "
        "is a measurement"
    ]


@pytest.mark.parametrize("name", ["patient_no", "MRN", "record_id", "subject", "encounter_id", "Case No", "sample id"])
def test_numbers_of_patients_recur_where_they_have_several_rows(name: str) -> None:
    assert is_identifier(name, pd.Series(TWICE))
    assert is_identifier(name, pd.Series([*TWICE[:-1], None]))
    assert is_identifier(name, pd.Series([f"K-{i}" for i in TWICE]))


def test_whole_numbers_that_count_up_by_one_are_row_numbers_whatever_they_are_called() -> None:
    table = pd.DataFrame({"X": range(1, 31), "rownames": map(str, range(7, 37)), "shuffled": [*range(1, 30, 2)] * 2})
    fields, notes = infer_fields(table.assign(halves=table["X"] + 0.5))
    assert [field.name for field in fields] == ["shuffled", "halves"]
    assert notes[0] == (
        "column 'X' is passed over: its whole numbers count up by one from row to row, as the numbers of rows do"
    )
    assert len(infer_fields(table[["X"]][:19])[0]) == 1


@pytest.mark.parametrize("name", ["index", "number", "observation", "lab_index", "sample index"])
def test_scores_that_all_differ_are_no_row_numbers(name: str) -> None:
    order = np.random.default_rng(0).permutation(100)
    assert not is_identifier(name, pd.Series(order[:60]))
    assert is_identifier(name, pd.Series(order))
    assert is_identifier(name, pd.Series(np.sort(order[:60])))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("PID", 41),
        ("person_number", 6),
        ("participant", 3),
        ("client number", 8),
        *((name, 60) for name in ("line no", "event num", "report index", "seq")),
    ],
)
def test_counts_and_scores_that_are_called_like_identifiers_stay_fields(name: str, kinds: int) -> None:
    values = np.random.default_rng(0).integers(1, kinds + 1, 1200)
    assert [field.name for field in infer_fields(pd.DataFrame({name: values}))[0]] == [name]


def test_few_values_name_patients_only_where_the_name_is_certain() -> None:
    few = np.tile(np.arange(1, 7), 50)
    table = pd.DataFrame({"person_number": few, "participant": few, "patient_id": few, "subject": few.astype(str)})
    table["patient"] = "P" + table["subject"]
    assert [name for name, _, _ in patient_columns(table, ())] == ["patient_id", "patient"]
    assert is_identifier("patient_id", pd.Series(few))
    assert is_identifier("subject", pd.Series(np.tile(np.arange(30), 40)))


def test_few_patients_with_many_rows_are_numbered_too() -> None:
    assert is_identifier("subject_id", pd.Series(np.repeat([1, 2, 3, 4], 30)))
    assert is_identifier("patient", pd.Series(np.repeat(["P1", "P2", "P3"], 30)))
    assert is_identifier("surname", pd.Series(["Zacharias", "Meier", "Schulz"] * 9))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *(
            (name, COUNTS)
            for name in ("number of pregnancies", "no_of_vessels", "n_nodes", "pregnancies", "num_visits")
        ),
        *(
            (name, RUNNING[::-1])
            for name in ("platelets", "visit age", "patient weight", "NT-proBNP", "PT index", "caseload")
        ),
        *((name, VISITS) for name in ("visit_no", "VISITNUM", "visit", "episode number", "visit_id", "event id", "nr")),
        *((name, COUNTS) for name in ("fall number", "sample no", "admission number", "index", "study id", "case")),
        *((name, VISITS) for name in ("admission_type_id", "admission_source_id", "payer_code", "patient code")),
        *((name, COUNTS + 0.5) for name in ("patient", "record number")),
        *((name, COUNTS > 3) for name in ("pid", "patient", "case")),
        ("pid", COUNTS % 2),
        ("patient", ["inpatient", "outpatient", "emergency"] * 40),
        ("name", ["aspirin", "warfarin", "none"] * 40),
    ],
)
def test_quantities_and_kinds_stay_fields(name: str, values: object) -> None:
    fields, _ = infer_fields(pd.DataFrame({name: values}))
    assert [field.name for field in fields] == [name]


def test_what_names_patients_is_suspected_first() -> None:
    table = pd.DataFrame({"code": [f"K-{i}" for i in TWICE], "mrn": TWICE, "age": COUNTS})
    assert [name for name, _, _ in patient_columns(table, ())] == ["mrn", "code"]
    assert names_patients("patient_nbr")


@pytest.mark.parametrize(
    "write",
    [
        lambda i: f"{150 + i // 2},{i // 2 % 10}",
        lambda i: f"{i // 2 / 10:.1f}%",
        lambda i: f"{8 + i // 2 // 60:02d}:{i // 2 % 60:02d}",
        lambda i: f"{i // 2 % 28 + 1}.{i // 2 // 28 + 1}.2020",
        lambda i: f"{120 + i // 2}/80",
    ],
)
def test_measurements_times_and_dates_are_not_suspected_to_name_patients(write: object) -> None:
    values = [write(i) for i in range(120)]  # type: ignore[operator]  # one of the functions above
    assert patient_columns(pd.DataFrame({"x": values}), ()) == []
