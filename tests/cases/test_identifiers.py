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
            (name, RUNNING)
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
