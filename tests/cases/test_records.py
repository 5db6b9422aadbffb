"""Records: types are told from values, mistakes cost a row and never show what a patient's cell held."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtasks.cases import Field, Records
from medtasks.cases.records import fields_of, infer_fields, parse
from medtasks.errors import DataError

SECRET = "Zacharias"


def one(values: Any) -> Field | str:
    """Return the inferred field, or the note where it was passed over."""
    fields, notes = infer_fields(pd.DataFrame({"x": values}))
    assert len(fields) == 1 or len(notes) == 1
    return fields[0] if fields else notes[0]


def kind(values: Any) -> str:
    found = one(values)
    return found.type if isinstance(found, Field) else found


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (["1", "2.5", "-3e2"], "number"),
        ([1, 2, 3], "number"),
        (["1", "?", "3"], "number"),
        (["1", "0", "1"], "number"),
        (["1", "None", "3"], "number"),
        (["none", "mild", "mild", "none"], "category"),
        ([*map(str, range(19)), "high"], "number"),  # one mistake in twenty
        (["<1.0", "2.5", "<1.0", "> 100", "≤5"], "number"),
        (["97%", "91 %", "?", "99%"], "number"),
        (["80 kg", "75.5 kg", "80kg"], "number"),
        (["<5 mg/l", "12 mg/l"], "number"),
        (["97.2", "101.1 H", "88"], "number"),
        (["3H", "3L", "3H", "3L"], "category"),  # wards
        (["1A", "1A", "2B", "2B"], "category"),
        (["3B", "3B", "2B", "2B"], "category"),  # no unit but a stage
        (["1 mg", "1 mg", "1 g", "1 g"], "category"),
        (["1+", "2+", "1+", "2+"], "category"),
        (["20-30", "30-40", "20-30", "30-40"], "category"),
        (["yes", "No", "?"], "boolean"),
        ([True, False, True], "boolean"),
        (pd.Series([True, None, False], dtype=object), "boolean"),
        (["present", "absent"], "boolean"),
        (["a", "a", "b", "b"], "category"),
        (pd.Categorical(["a", "a", "b", "b"]), "category"),
    ],
)
def test_types_are_told_from_values(values: Any, type_: str) -> None:
    assert kind(values) == type_


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([f"note {i}" for i in range(60)], "free text"),
        (["a", "b", "c"], "free text"),
        (["", "NA", None], "no value"),
        ([np.nan, np.nan], "no value"),
        (pd.to_datetime(["2020-01-01", "2021-01-01"]), "dates"),
        (["1,234", "12,500"], "may be fractions or thousands"),
        (["<1,234", "12,500"], "may be fractions or thousands"),
        (["1,234 kg", "2,500 kg"], "may be fractions or thousands"),
        ([*["1,234"] * 30, "12,50"], "may be fractions or thousands"),  # one slip shows nothing
        ([f"{i} {'mg' if i % 2 else 'g'}" for i in range(60)], "2 units"),
        ([f"{i}X{i}b" for i in range(60)], "identifier"),
        ([f"{i} {'H' if i % 2 else 'LL'}" for i in range(60)], "stand behind its numbers"),
    ],
)
def test_columns_that_no_model_reads_are_passed_over_with_a_note(values: Any, says: str) -> None:
    note = kind(values)
    assert says in note
    assert "'x'" in note


def test_a_column_without_a_name_is_no_field(tmp_path: Path) -> None:
    """`to_csv` writes the row number under no name; where a table is sorted by class it gives the class away."""
    path = tmp_path / "t.csv"
    pd.DataFrame({"age": [1, 2, 3]}).to_csv(path)
    from medtasks.cases.tables import read_table

    fields, notes = infer_fields(read_table(path))
    assert [field.name for field in fields] == ["age"]
    assert "no name" in notes[0]


def test_left_out_columns_leave_no_note() -> None:
    fields, notes = infer_fields(pd.DataFrame({"a": [1], "b": [2]}), {"b"})
    assert [field.name for field in fields] == ["a"]
    assert notes == []


def test_rare_categories_are_pooled_and_make_the_field_open() -> None:
    assert one(["a", "a", "b", "b", "rare"]) == Field("x", "category", ("a", "b"), open=True)
    assert one(["a", "a", "b", "b"]) == Field("x", "category", ("a", "b"), open=False)


def test_parsed_values_are_what_was_written() -> None:
    table = pd.DataFrame(
        {"n": ["1", " 2.5 ", "?", "-1e3"], "b": ["Yes", "n", "", "1"], "c": ["u", " v", None, "new"]},
        index=[9, 9, 7, 1],
    )
    fields = [Field("n", "number"), Field("b", "boolean"), Field("c", "category", ("u", "v"), open=True)]
    frame, errors = parse(table, fields)
    assert frame["n"].tolist()[:2] == [1, 2.5]
    assert frame["n"].tolist()[3] == -1000
    assert frame["b"].tolist()[:2] == [1, 0]
    assert np.isnan(frame["n"][2])
    assert np.isnan(frame["b"][2])
    assert frame["c"].tolist() == ["u", "v", None, "other"]
    assert errors == [None, None, "every field is missing", None]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Field("x", "number"), SECRET),
        (Field("x", "number"), "12,500"),
        (Field("x", "number"), "inf"),
        (Field("x", "boolean"), SECRET),
        (Field("x", "boolean"), "2"),
        (Field("x", "category", ("a", "b")), SECRET),
    ],
)
def test_a_mistake_costs_its_row_only_and_is_not_repeated(field: Field, value: str) -> None:
    good = {"number": "1", "boolean": "yes", "category": "a"}[field.type]
    frame, errors = parse(pd.DataFrame({"x": [good, value, good]}), [field])
    assert errors[0] is errors[2] is None
    assert "'x'" in str(errors[1])
    assert value not in str(errors[1])
    assert len(frame) == 3


def test_none_is_an_answer_of_a_category_and_missing_among_numbers() -> None:
    records = Records.from_table(pd.DataFrame({"pain": ["none", "mild", "mild", "none"], "n": ["1", "None", "2", "3"]}))
    assert records.frame["pain"].tolist() == ["none", "mild", "mild", "none"]
    assert records.frame["n"].isna().tolist() == [False, True, False, False]


def test_a_dash_means_what_it_meant_in_training() -> None:
    signs = Records.from_table(
        pd.DataFrame({"urine": ["-", "+", "++", "-", "+", "++"], "n": ["1", "2", "-", "4", "5", "6"]})
    )
    assert signs.frame["urine"].tolist() == ["-", "+", "++", "-", "+", "++"]
    assert signs.frame["n"].isna().tolist() == [False, False, True, False, False, False]
    (reading,) = Records.read(pd.DataFrame({"urine": ["-", "-"], "n": ["1", "-"]}), signs.schema())
    assert reading.cases is not None
    assert reading.cases.frame["urine"].tolist() == ["-", "-"]
    words = Records.from_table(pd.DataFrame({"site": ["left", "-", "left", "right", "right"], "n": range(5)}))
    assert words.frame["site"].isna().tolist() == [False, True, False, False, False]


def test_a_plus_among_numbers_takes_no_missing_value_away() -> None:
    values = [*map(str, range(18)), "+", "-", "-"]
    frame, errors = parse(pd.DataFrame({"x": values, "y": "1"}), [Field("x", "number"), Field("y", "number")])
    assert kind(values) == "number"
    assert [i for i, error in enumerate(errors) if error] == [18]
    assert frame["x"].isna().tolist()[19:] == [True, True]


def test_numbers_with_signs_and_units_are_numbers_and_told() -> None:
    table = pd.DataFrame({"crp": ["<1.0", "2.5", "5"], "sat": ["97%", "91 %", ""], "age": ["1", "2", "3"]})
    fields, notes = infer_fields(table)
    assert fields == [Field("crp", "number"), Field("sat", "number", unit="%"), Field("age", "number")]
    assert len(notes) == 2
    assert "limit" in notes[0]
    assert "'crp'" in notes[0]
    assert "'%'" in notes[1]
    frame, errors = parse(table, fields)
    assert errors == [None] * 3
    assert frame["crp"].tolist() == [1, 2.5, 5]
    assert frame["sat"].tolist()[:2] == [97, 91]


def test_a_number_in_another_unit_than_learnt_is_invalid() -> None:
    weights = Records.from_table(pd.DataFrame({"w": ["80 kg", "75 kg", "60 kg"], "n": ["1", "2", "3"]}))
    later = pd.DataFrame({"w": ["81 kg", "<40 kg", "180 lb", "80", "", "81 kg"], "n": [1, "<2", 3, 4, "5", "6 mg"]})
    (reading,) = Records.read(later, weights.schema())
    assert [error is None for error in reading.errors] == [True, True, False, False, True, False]
    assert "'kg'" in str(reading.errors[2])
    assert "180" not in str(reading.errors[2])
    assert reading.cases is not None
    assert reading.cases.frame["w"].tolist()[:2] == [81, 40]
    assert reading.cases.frame["n"].tolist() == [1, 2, 5]


def test_fields_stored_before_units_are_read() -> None:
    stored = {"fields": [{"name": "x", "type": "number", "categories": [], "open": False}]}
    assert fields_of(stored) == [Field("x", "number")]


def test_from_table_names_the_row_of_a_mistake_and_not_its_value() -> None:
    with pytest.raises(DataError) as caught:
        Records.from_table(pd.DataFrame({"x": [*range(19), SECRET]}))
    assert "row 20" in caught.value.message
    assert SECRET not in caught.value.message + str(caught.value.hint)


def test_column_names_that_are_numbers_are_names_too() -> None:
    table = pd.DataFrame(np.arange(6.0).reshape(3, 2))
    records = Records.from_table(table)
    assert [field.name for field in records.fields] == ["0", "1"]
    (reading,) = Records.read(table, records.schema())
    assert reading.errors == (None, None, None)


# --- reading with a fitted model's fields ---


@pytest.fixture
def schema() -> dict[str, Any]:
    fields = [Field("age", "number"), Field("fever", "boolean"), Field("site", "category", ("left", "right"))]
    return {**Records([], pd.DataFrame(columns=["age", "fever", "site"]), fields).schema(), "id": "id"}


def test_one_row_in_is_one_row_out(schema: dict[str, Any]) -> None:
    table = pd.DataFrame(
        {
            "extra": 1,
            "id": ["p", "q", "r", "s"],
            "site": ["left", SECRET, "", "right"],
            "fever": ["no", "yes", "", "yes"],
            "age": ["61", "47", "", "old"],
        }
    )
    (reading,) = Records.read(table, schema)
    assert reading.ids == ("p", "q", "r", "s")
    assert [error is None for error in reading.errors] == [True, False, False, False]
    assert "site" in str(reading.errors[1])
    assert "missing" in str(reading.errors[2])
    assert "age" in str(reading.errors[3])
    assert reading.rows.tolist() == [0]
    assert reading.cases is not None
    assert reading.cases.ids.tolist() == ["p"]
    assert reading.cases.frame.to_dict("list") == {"age": [61.0], "fever": [0.0], "site": ["left"]}
    assert SECRET not in str(reading.errors)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "memory"])
def test_chunks_number_their_rows_through(tmp_path: Path, schema: dict[str, Any], name: str) -> None:
    table = pd.DataFrame({"age": [str(i) for i in range(23)], "fever": "yes", "site": "left"})
    path = tmp_path / name
    source: Any = table if name == "memory" else path
    if name == "t.csv":
        table.to_csv(path, index=False)
    elif name == "t.parquet":
        table.to_parquet(path)
    readings = list(Records.read(source, schema, chunk=10))
    assert [len(reading.ids) for reading in readings] == [10, 10, 3]
    assert [name for reading in readings for name in reading.ids] == [str(i + 1) for i in range(23)]
    ages = [age for reading in readings if reading.cases for age in reading.cases.frame["age"]]
    assert ages == list(range(23))


def test_a_reading_without_a_valid_row_has_no_cases(schema: dict[str, Any]) -> None:
    (reading,) = Records.read(pd.DataFrame({"age": ["x"], "fever": ["no"], "site": ["left"]}), schema)
    assert reading.cases is None
    assert reading.rows.tolist() == []


def test_a_row_cut_short_is_invalid_whatever_it_still_has(tmp_path: Path, schema: dict[str, Any]) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,age,fever,site\np,61,no,left\nq,4\nr,47,yes,\n")
    readings = list(Records.read(path, schema, chunk=1))
    assert [name for reading in readings for name in reading.ids] == ["p", "q", "r"]
    errors = [error for reading in readings for error in reading.errors]
    assert errors[0] is errors[2] is None
    assert "2 of 4 fields" in str(errors[1])


def test_a_column_that_is_empty_throughout_is_missing_not_wrong(schema: dict[str, Any]) -> None:
    table = pd.DataFrame({"age": [np.nan, np.nan], "fever": [None, None], "site": ["left", "right"]})
    (reading,) = Records.read(table, schema)
    assert reading.errors == (None, None)


def test_a_column_that_is_not_there_is_named_with_the_nearest(schema: dict[str, Any]) -> None:
    with pytest.raises(DataError) as caught:
        list(Records.read(pd.DataFrame({"age": [1], "fevr": ["no"], "site": ["left"]}), schema))
    assert "'fever'" in caught.value.message
    assert "did you mean 'fevr'?" in str(caught.value.hint)


def test_two_columns_of_one_name_in_memory_are_refused(schema: dict[str, Any]) -> None:
    table = pd.DataFrame([[1, 2, "no", "left"]], columns=["age", "age", "fever", "site"])
    with pytest.raises(DataError, match="more than one column called 'age'"):
        list(Records.read(table, schema))


def test_an_open_field_takes_an_unknown_category() -> None:
    schema = Records.from_table(pd.DataFrame({"x": ["a", "a", "b", "b", "c"]})).schema()
    (reading,) = Records.read(pd.DataFrame({"x": [SECRET, "a"]}), schema)
    assert reading.cases is not None
    assert reading.cases.frame["x"].tolist() == ["other", "a"]


# --- the cases themselves ---


def test_take_keeps_rows_and_ids_together() -> None:
    records = Records.from_table(pd.DataFrame({"x": ["1", "2", "3"]}), ids=["a", "b", "c"])
    part = records.take(np.array([2, 0]))
    assert part.ids.tolist() == ["c", "a"]
    assert part.frame["x"].tolist() == [3, 1]
    assert [chunk.ids.tolist() for chunk in records.chunks(2)] == [["a", "b"], ["c"]]


def test_digests_know_the_values_and_not_the_names() -> None:
    table = pd.DataFrame({"x": ["1", "2", "1", "?"], "c": ["a", "b", "a", "a"], "d": ["a", "a", "a", "a"]})
    first, second, third, fourth = Records.from_table(table, ids=list("pqrs")).digests()
    assert first == third
    assert len({first, second, fourth}) == 3


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="fit"):
        Records(["a"], pd.DataFrame({"x": [1.0, 2.0]}), [Field("x", "number")])


def test_the_home_folder_is_told_by_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    pd.DataFrame({"x": [1.5, 2.5]}).to_csv(tmp_path / "visits.csv", index=False)
    schema = Records.from_table(pd.DataFrame({"x": [1.0, 2.0]})).schema()
    (reading,) = Records.read("~/visits.csv", schema)
    assert reading.errors == (None, None)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["32,2", "5", "<1,5", "-0,125"], [32.2, 5, 1.5, -0.125]),
        (["1.234,5", "1,234", "1234,567", "2"], [1234.5, 1.234, 1234.567, 2]),
        (["1,5 mg", "2,25 mg", "1,234 mg"], [1.5, 2.25, 1.234]),
        (["1,5e3", "2,5", "?"], [1500, 2.5, np.nan]),
    ],
)
def test_decimal_commas_are_read_where_a_column_shows_that_they_are_decimal(
    written: list[str], read: list[float]
) -> None:
    table = pd.DataFrame({"x": written, "age": range(len(written))})
    fields, notes = infer_fields(table)
    assert fields[0].comma
    assert "decimal commas in column 'x' are read as points" in notes
    frame, errors = parse(table, fields)
    assert errors == [None] * len(written)
    assert frame["x"].tolist() == pytest.approx(read, nan_ok=True)


def test_later_numbers_are_read_in_either_notation_and_none_is_guessed() -> None:
    points, commas = (infer_fields(pd.DataFrame({"x": values}))[0] for values in (["1.5", "2"], ["1,5", "2"]))
    later = pd.DataFrame({"x": ["32,2", "32.2", "7", "0,125", "1.234,5", "1,234", "1.234", "k.A.", "1,2,3"]})
    nan = np.nan
    for fields, read in (
        (points, [32.2, 32.2, 7, 0.125, 1234.5, nan, 1.234, nan, nan]),
        (commas, [32.2, 32.2, 7, 0.125, 1234.5, 1.234, nan, nan, nan]),
    ):
        frame, errors = parse(later, fields)
        assert frame["x"].tolist() == pytest.approx(read, nan_ok=True)
        unclear = 5 if fields is points else 6
        assert "may be a fraction or thousands" in str(errors[unclear])
        assert errors[7] == errors[8] == "field 'x' is not a number"
        for row in range(len(later)):  # alone as among others
            alone, error = parse(later[row : row + 1], fields)
            assert alone["x"].tolist() == pytest.approx(read[row : row + 1], nan_ok=True)
            assert error == errors[row : row + 1]


def test_thousands_of_columns_are_read_in_seconds() -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2000)).round(3).astype(str))
    start = time.thread_time()
    fields, _ = infer_fields(table.rename(columns=str))
    frame, _ = parse(table.rename(columns=str), fields)
    assert frame.shape == (20, 2000)
    assert time.thread_time() - start < 20  # takes 2 s on a free machine; it took 10


def test_a_few_commas_among_points_are_read_but_show_nothing_of_thousands() -> None:
    table = pd.DataFrame({"x": [*["2.5"] * 30, "1,5", "1,234"]})
    fields, _ = infer_fields(table)
    assert not fields[0].comma
    frame, errors = parse(table, fields)
    assert frame["x"].iloc[30] == 1.5
    assert [i for i, error in enumerate(errors) if error] == [31]


def test_laboratories_flags_behind_numbers_are_left_out_with_a_note() -> None:
    plain = [f"{i}.5" for i in range(20)]
    flags = ["101.1 H", "5H", "2.5 (LL)", "7*", "8 !!", "<3.5 L", "9 [H]", "4 +", "6 (-)", "1.5 ↑"]
    table = pd.DataFrame({"x": plain + flags, "y": [*(f"{i},5 g/l" for i in range(20)), *["25,5 g/l H"] * 10]})
    fields, notes = infer_fields(table)
    assert fields == [Field("x", "number", flagged=True), Field("y", "number", unit="g/l", comma=True, flagged=True)]
    assert notes[0] == (
        "flags behind numbers of column 'x' (!!, (-), (LL), *, +, H, L, [H], ↑) are left out; L as low, not as litre"
    )
    assert "flags behind numbers of column 'y' (H) are left out" in notes
    frame, errors = parse(table, fields)
    assert not any(errors)
    assert frame["x"].tolist()[20:] == [101.1, 5, 2.5, 7, 8, 3.5, 9, 4, 6, 1.5]
    assert frame["y"].tolist()[20:] == [25.5] * 10
    later, errors = parse(
        pd.DataFrame({"x": ["5 mg H", "5 A", "L", "5 L"], "y": ["1 g/l", "1 g/l L", "1 H", "1"]}), fields
    )
    assert [error is None for error in errors] == [False, False, False, False]
    assert later["x"].tolist() == pytest.approx([np.nan, np.nan, np.nan, 5], nan_ok=True)
    assert later["y"].tolist() == pytest.approx([1, 1, np.nan, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    "values",
    [
        ["36", "37", "46 L"],
        ["0", "0", "0", "0", "2 L", "15 L", "4L"],
        ["1", "2", "3", "2L"],
        ["1", "2", "3", "4", "3H"],
        ["12 H", "24 H", "12", "36", "36"],
        ["9", "10", "10", "12 (L)"],
    ],
)
def test_letters_that_do_not_go_with_low_and_high_numbers_are_kept(values: list[str]) -> None:
    fields, notes = infer_fields(pd.DataFrame({"x": values * 20}))
    assert fields == [Field("x", "category", tuple(sorted(set(values))))]
    assert len(notes) == 1
    assert "column 'x' is read as categories, not as numbers" in notes[0]


def test_numbers_with_letters_that_are_no_categories_are_passed_over() -> None:
    table = pd.DataFrame({"x": [*(f"{i}.5" for i in range(20)), *["2.5 H"] * 10]})
    fields, (note,) = infer_fields(table)
    assert not fields
    assert "letters or signs stand behind its numbers" in note


def test_litres_beside_millilitres_are_not_read_as_low() -> None:
    fields, (note,) = infer_fields(pd.DataFrame({"x": ["500", "1.5 L", "800", "900"] * 10}))
    assert not fields
    assert "may be litres" in note
    assert one(["<0.01 L", "2.1", "1.8"] * 10).flagged
    assert one(["0.01 L", "2.1", "1.8", "1.5", "7.1 H"] * 10).flagged


def test_a_column_without_flags_in_training_takes_none_later() -> None:
    """There 5 L may be litres, and what it was read as would be told nowhere."""
    (field,), _ = infer_fields(pd.DataFrame({"x": ["1", "2"]}))
    assert parse(pd.DataFrame({"x": ["5 L"]}), [field])[1] == ["field 'x' is not a number"]
    assert one([f"{i} L" for i in range(60)]) == Field("x", "number", unit="L")
