"""Tables of every make are read whole or refused with a reason; no value is guessed, lost or shown."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medtasks.cases.tables import is_missing, is_table, iterate_table, read_table, row_errors
from medtasks.errors import DataError

PLAIN = "age,fever,place\n61,yes,Köln\n47,no,Genève\n"


def refused(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


def text(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_make_no_difference(tmp_path: Path, encoding: str, ending: str) -> None:
    table = read_table(text(tmp_path / "t.csv", PLAIN.replace("\n", ending), encoding))
    assert table.to_dict("list") == {"age": ["61", "47"], "fever": ["yes", "no"], "place": ["Köln", "Genève"]}


@pytest.mark.parametrize(
    ("name", "separator"), [("t.csv", ","), ("t.csv", ";"), ("t.txt", "|"), ("t.tsv", "\t"), ("t.csv", "\t")]
)
@pytest.mark.parametrize("packed", [False, True])
def test_separators_and_compression_make_no_difference(tmp_path: Path, name: str, separator: str, packed: bool) -> None:
    content = PLAIN.replace(",", separator).encode()
    path = tmp_path / (name + ".gz" if packed else name)
    path.write_bytes(gzip.compress(content) if packed else content)
    assert read_table(path)["place"].tolist() == ["Köln", "Genève"]
    assert list(read_table(path).columns) == ["age", "fever", "place"]


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=; "])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_first_line_may_say_what_separates_the_fields(tmp_path: Path, first: str, encoding: str) -> None:
    rows = "a,b,c;d\r\n1,5;x\r\n\r\n2,5;y\r\n"
    path = text(tmp_path / "t.csv", f"{first}\r\n{rows}", encoding)
    parts = list(iterate_table(path, rows=1))
    assert [part.to_dict("list") for part in parts] == [{"a,b,c": ["1,5"], "d": ["x"]}, {"a,b,c": ["2,5"], "d": ["y"]}]
    assert "line 6 has 3 fields" in str(refused(text(path, f"{first}\r\n{rows}1;2;3\r\n", encoding)))
    assert read_table(text(path, "sep=\t\na b\tc,d\n1\t2\n")).to_dict("list") == {"a b": ["1"], "c,d": ["2"]}


def test_the_separator_is_not_counted_within_quoted_names(tmp_path: Path) -> None:
    table = read_table(text(tmp_path / "t.csv", '"pain, right, mild";b\n1;2\n'))
    assert list(table.columns) == ["pain, right, mild", "b"]


def test_a_quoted_comma_or_line_end_is_part_of_the_text(tmp_path: Path) -> None:
    table = read_table(text(tmp_path / "t.csv", 'a,b\n"1, two",3\n"x\ny",4\n'))
    assert table["a"].tolist() == ["1, two", "x\ny"]
    assert table["b"].tolist() == ["3", "4"]


def test_a_blank_first_line_does_not_hide_the_header(tmp_path: Path) -> None:
    assert list(read_table(text(tmp_path / "t.csv", "\n\na;b\n1;2\n")).columns) == ["a", "b"]


def test_texts_stay_texts_so_that_leading_zeros_survive(tmp_path: Path) -> None:
    table = read_table(text(tmp_path / "t.csv", "id,v\n007,NA\n008,1e3\n"))
    assert table["id"].tolist() == ["007", "008"]
    assert table["v"].tolist() == ["NA", "1e3"]


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n3,4,5\n",  # one row too long
        "a,b\n1,2,3\n4,5,6\n",  # every row too long: what R writes with row names
        "a,b\n1,2,\n4,5,\n",
    ],
)
def test_rows_longer_than_the_header_are_refused(tmp_path: Path, content: str) -> None:
    assert "header" in str(refused(text(tmp_path / "t.csv", content)).hint)


def test_rows_longer_than_the_header_are_refused_without_warnings_as_errors(tmp_path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused(text(tmp_path / "t.csv", "a,b\n1,2,3\n4,5,6\n"))


@pytest.mark.parametrize("rows", [100, 1])
def test_a_row_that_ends_early_keeps_its_place_with_the_reason(tmp_path: Path, rows: int) -> None:
    path = text(tmp_path / "t.csv", "a,b,c\n3,4,5\n1,2\n\n3,4,\n")
    table = pd.concat(list(iterate_table(path, rows)), ignore_index=True)
    assert is_missing(table["c"]).tolist() == [False, True, True]
    first, second, third = row_errors(table)
    assert first is third is None
    assert "2 of 3 fields" in str(second)


def test_a_table_of_whole_rows_has_its_columns_only(tmp_path: Path) -> None:
    assert list(read_table(text(tmp_path / "t.csv", "a,b\n3,\n")).columns) == ["a", "b"]


def test_a_line_break_within_a_quoted_name_is_part_of_the_name(tmp_path: Path) -> None:
    table = read_table(text(tmp_path / "t.csv", '\nid;"CRP\n(mg/l), serum";age\n0;1.5;81\n'))
    assert table.to_dict("list") == {"id": ["0"], "CRP\n(mg/l), serum": ["1.5"], "age": ["81"]}


def test_a_quote_that_does_not_end_is_told_with_its_line(tmp_path: Path) -> None:
    assert "line 3" in refused(text(tmp_path / "t.csv", 'a,b\n1,2\n3,"4\n5,6\n')).message


def test_an_empty_text_of_a_single_column_is_a_row(tmp_path: Path) -> None:
    assert read_table(text(tmp_path / "t.csv", 'a\n1\n""\n\n2\n'))["a"].tolist() == ["1", "", "2"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_first_umlaut_late_in_a_file_tells_the_encoding(tmp_path: Path, packed: bool) -> None:
    content = b"a,b\n" + b"1,2\n" * 300_000 + "Köln,2\n".encode("cp1252")
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    assert read_table(path)["a"].iloc[-1] == "Köln"


@pytest.mark.parametrize("content", ["a,b,a\n1,2,3\n", "a,b, a \n1,2,3\n"])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, content: str) -> None:
    assert "'a'" in refused(text(tmp_path / "t.csv", content)).message


def test_two_columns_of_one_name_are_refused_in_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), tmp_path / "t.parquet")
    assert "'a'" in refused(tmp_path / "t.parquet").message


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", b"", "empty"),
        ("t.csv", b"\n \n", "t.csv"),
        ("t.csv", b"a,b\n", "no rows"),
        ("t.csv", b"PK\x03\x04\0\0\0\0binary", "binary"),
        ("t.csv", b"a,b\n\x81\x8d,2\n", "encod"),  # no UTF-8, and not defined in Windows-1252
        ("t.csv.gz", b"a,b\n1,2\n", "gzip"),
        ("t.csv.gz", gzip.compress(PLAIN.encode() * 500, mtime=0)[:60], "gzip"),
        ("t.csv.gz", gzip.compress(PLAIN.encode() * 500, mtime=0)[:20] + b"\xff" * 40, "gzip"),
        ("t.parquet", b"PAR1 nothing PAR1", "Parquet"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert says in refused(tmp_path / name).message


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": np.arange(1000)}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    assert "Parquet" in refused(path).message


def test_a_strange_byte_late_in_a_large_file_is_told_not_thrown(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("ä,b\n".encode() + b"1,2\n" * 300_000 + b"\xff,2\n")
    assert "encod" in refused(path).message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no file" in refused(tmp_path / "none.csv").message


def test_parquet_keeps_types_and_an_index_that_has_a_name(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"id": ["a", "b", "c"], "age": [1.5, np.nan, 3.0], "sex": pd.Categorical(["f", "m", "f"])})
    frame.set_index("id").to_parquet(path)
    table = read_table(path)
    assert sorted(table.columns) == ["age", "id", "sex"]
    assert table["id"].tolist() == ["a", "b", "c"]
    frame[frame["id"] != "b"].to_parquet(path)  # an index without a name is only a row number
    assert sorted(read_table(path).columns) == ["age", "id", "sex"]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv.gz", "t.parquet"])
def test_chunks_are_the_whole_in_order(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"a": [str(i) for i in range(25)]})
    path = tmp_path / name
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False, sep="\t")
    parts = list(iterate_table(path, 10))
    assert [len(part) for part in parts] == [10, 10, 5]
    assert pd.concat(parts)["a"].tolist() == frame["a"].tolist()


@pytest.mark.parametrize("value", ["", " ", "NA", "n/a", "NaN", "NULL", "?", "-", "."])
def test_the_usual_texts_for_missing_are_missing(value: str) -> None:
    assert is_missing(pd.Series(["0", value])).tolist() == [False, True]
    assert is_missing(pd.Series(["0", value], dtype="category")).tolist() == [False, True]


@pytest.mark.parametrize("value", ["0", "no", "none", "None", "none known", "-1", "negative", "false"])
def test_an_answer_of_no_is_not_missing(value: str) -> None:
    assert is_missing(pd.Series([value])).tolist() == [False]


@pytest.mark.parametrize("plus", ["+", "++", "(+)", "2+", "+/-", "±"])
def test_a_dash_beside_a_plus_is_an_answer(plus: str) -> None:
    assert is_missing(pd.Series(["-", plus, "?", ""])).tolist() == [False, False, True, True]
    assert is_missing(pd.Series(["-", plus]), dash=False).tolist() == [True, False]
    assert is_missing(pd.Series(["-", "a+b", "1.5"])).tolist() == [True, False, False]
    assert is_missing(pd.Series(["-", "a"]), dash=True).tolist() == [False, False]


def test_numbers_booleans_and_dates_are_missing_where_null() -> None:
    assert is_missing(pd.Series([1.0, np.nan])).tolist() == [False, True]
    assert is_missing(pd.Series([1, None], dtype="Int64")).tolist() == [False, True]
    assert is_missing(pd.Series([True, None], dtype=object)).tolist() == [False, True]
    assert is_missing(pd.Series(pd.to_datetime(["2020-01-01", None]))).tolist() == [False, True]


@pytest.mark.parametrize(
    ("name", "answer"),
    [("a.csv", True), ("a.CSV.GZ", True), ("a.parquet", True), ("a.png", False), ("a", False), ("csv", False)],
)
def test_is_table_goes_by_the_name(name: str, answer: bool) -> None:
    assert is_table(Path(name)) is answer
