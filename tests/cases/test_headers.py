"""A first line of data is told from one of names: hints name columns, and never a patient's values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtasks.cases.headers import looks_like_data
from medtasks.cases.tables import read_table, suggest_column
from medtasks.errors import DataError

Cli = Callable[..., Any]
PATIENTS = """K0017,1961-04-02,83,w,32.2,ITS,167/54,sick
K0018,1958-11-30,51,m,4.5,B3,120/80,well
K0019,1949-01-12,77,w,12.0,ITS,131/70,sick
"""


def numbers(names: list[str], rows: int = 8) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).normal(1, 2, (rows, len(names))).round(2), columns=names)


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"age": ["61"], "sex": ["f"], "HbA1c": ["6.1"], "RR sys/dia": ["120/80"], "Q10": ["3"]}),
        pd.DataFrame(
            {"Unnamed: 0": ["0", "1"], "x": ["x", ""], "": ["", ""], "age": ["61", "47"], "CRP": ["5.1", "3"]}
        ),
        pd.DataFrame({"age": ["61", "age"], "sex": ["f", "sex"], "ward": ["A1", "ward"]}),  # a header that is repeated
        numbers(["0", "1", "2", "3"]),
        numbers(["sex", "1", "2"]),
        numbers(["400.5", "401.0", "401.5", "402.0", "402.5"]),
        numbers([f"ENSG{i:08d}" for i in range(30)]),
        pd.DataFrame({"7157": ["12", "0"], "672": ["3", "8"], "675": ["1", "4"]}),
        pd.DataFrame(columns=["age", "sex"]),
    ],
    ids=["clinic", "exported", "repeated", "0 to 3", "1 and 2", "wavelengths", "genes", "gene numbers", "no rows"],
)
def test_names_are_no_data(table: pd.DataFrame) -> None:
    assert not looks_like_data([str(name) for name in table.columns], table)
    assert suggest_column("zzzzz", table).startswith("available: ")


@pytest.mark.parametrize(
    "text",
    [
        PATIENTS,
        "ID 12 34,83\nID 77 65,81\n",
        "Meyer;w;ja;B12\nSchulz;m;nein;C44\nHuber;w;ja;E11\n",
        "61,3.5,12,0.4\n58,2.25,11,0.3\n47,9.0,19,0.9\n",
        "CCO,1\nCCN,0\nCCC,1\n",
    ],
    ids=["clinic", "identifiers", "words", "numbers", "molecules"],
)
def test_values_of_a_first_line_are_never_listed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    table = read_table(path)
    assert "the first line looks like data" in suggest_column("age", table)


def test_two_equal_values_of_a_first_line_are_not_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("Meyer,w,83,83\nSchulz,m,51,47\nHuber,w,83,83\n")
    with pytest.raises(DataError, match="the first line looks like data") as caught:
        read_table(path)
    assert "83" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("text", ['{"age": {"0": "K0017"}}', '[{"age": "K0017"}]', "[\n", "<?xml version='1.0'?>"])
def test_json_and_xml_are_no_tables(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, match="is JSON or XML, not a table") as caught:
        read_table(path)
    assert "K0017" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "BUNDLE", "DATA"),
        ("evaluate", "BUNDLE", "DATA"),
        ("explain", "BUNDLE", "DATA"),
        ("audit", "DATA", "--task", "diagnosis"),
        ("run", "diagnosis", "--data", "DATA", "--dry-run"),
        ("run", "diagnosis", "--data", "DATA", "--target", "sepsis", "--dry-run"),
        ("run", "treatment", "--data", "DATA", "--dry-run"),
        ("run", "activity", "--data", "DATA", "--dry-run"),
    ],
    ids=" ".join,
)
def test_no_command_shows_a_patient_of_an_export_without_a_header(
    cli: Cli, record_run: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    path = tmp_path / "export.csv"
    path.write_text(PATIENTS)
    done = cli(*[{"BUNDLE": record_run, "DATA": path}.get(word, word) for word in command])
    assert done.code in (2, 4)
    assert "the first line looks like data" in done.err
    for value in PATIENTS.replace("\n", ",").split(","):
        assert len(value) < 3 or value not in done.out + done.err
