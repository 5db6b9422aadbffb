"""Rows are called alike, whatever kind of case they are and whatever type pandas gives their column of names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import medtasks
from medtasks.cases import Cases, Images, Molecules, Records
from medtasks.cases.naming import names_of

GAPS = {
    "object": ["a", None],
    "float": [11.0, float("nan")],
    "string": pd.array(["a", None], dtype="string"),
    "Int64": pd.array([11, None], dtype="Int64"),
    "arrow": pd.array(["a", None], dtype="string[pyarrow]"),
    "arrow integer": pd.array([11, None], dtype="int64[pyarrow]"),
    "text": ["a", "  "],
    "day": [pd.Timestamp("2020-01-01"), pd.NaT],
}


@pytest.fixture(params=["records", "images", "molecules"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[type[Cases], pd.DataFrame, dict[str, Any]]:
    if request.param == "records":
        table = pd.DataFrame({"age": [61, 70]})
        return Records, table, {**Records.from_table(table).schema(), "id": "id"}
    if request.param == "images":
        Image.fromarray(np.zeros((9, 9), dtype=np.uint8)).save(tmp_path / "a.png")
        return Images, pd.DataFrame({"path": [str(tmp_path / "a.png")] * 2}), {"kind": "images"}
    return Molecules, pd.DataFrame({"smiles": ["CCO", "CC"]}), Molecules.from_smiles(["C"]).schema()


@pytest.mark.parametrize("values", GAPS.values(), ids=list(GAPS))
def test_a_row_without_a_name_is_called_by_its_number(kind: Any, values: Any) -> None:
    cases, table, schema = kind
    (reading,) = cases.read(table.assign(id=values), schema)
    first = {"a": "a", "11": "11", "11.0": "11"}.get(str(values[0]), "2020-01-01 00:00:00")
    assert reading.ids == (first, "2")
    assert reading.cases.ids.tolist() == [first, "2"]


def test_rows_are_counted_through_all_pieces(kind: Any) -> None:
    cases, table, schema = kind
    found = [name for reading in cases.read(table.assign(id=[None, None]), schema, chunk=1) for name in reading.ids]
    assert found == ["1", "2"]


def test_names_that_are_no_whole_numbers_stay_as_they_are() -> None:
    names = ["011", "11.0", 11.5, 1e18, True]
    assert names_of(pd.DataFrame({"id": names}, dtype=object), "id") == ["011", "11.0", "11.5", str(10**18), "True"]


@pytest.mark.parametrize("type_", ["string", "string[pyarrow]"])
def test_molecules_with_a_gap_among_nullable_names_are_learnt(molecules: pd.DataFrame, type_: str) -> None:
    table = molecules.assign(id=pd.array([None, *(f"m{i}" for i in range(1, len(molecules)))], dtype=type_))
    predictor = medtasks.train("activity", table, target="pIC50", model="linear-fingerprint")
    answers = medtasks.predict(predictor, table.head(3))
    assert answers["id"].tolist() == ["1", "m1", "m2"]


def test_patients_learnt_and_asked_are_called_alike(table: pd.DataFrame) -> None:
    named = table.assign(id=[float("nan"), *range(100, 99 + len(table))])
    predictor = medtasks.train("diagnosis", named, model="linear-record")
    assert medtasks.predict(predictor, named)["id"].head(3).tolist() == ["1", "100", "101"]
