"""Reading molecules with measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.activity import splitting
from medtasks.activity.options import ActivityOptions
from medtasks.activity.sources import read
from medtasks.cases import Molecules
from medtasks.dataset import Dataset
from medtasks.errors import DataError, MedtasksError, UsageError
from medtasks.model import Context, checked


def dataset(table: pd.DataFrame, **options: Any) -> Dataset:
    return read(table, checked(ActivityOptions, options, "option"), Context())


def test_several_targets_with_gaps() -> None:
    data = dataset(
        pd.DataFrame({"smiles": ["CCO", "CCN", "CCC", "C1CC"], "a": ["1", "", "0", "1"], "b": [">5", "6.5", "", "7"]}),
        target="a,b",
    )
    assert data.names == ("a", "b")
    assert data.kinds == ("binary", "number")
    assert np.array_equal(data.targets, [[1, 5], [np.nan, 6.5], [0, np.nan]], equal_nan=True)
    assert data.extra["censoring"].tolist() == [[0, 1], [0, 0], [0, 0]]
    assert data.origin.invalid == (("row 4", "the SMILES cannot be parsed"),)


def test_repeated_molecules_are_joined_and_contradictions_named() -> None:
    data = dataset(
        pd.DataFrame(
            {
                "smiles": ["CCO", "OCC", "CC(=O)O", "CC(=O)[O-].[Na+]", "CCN"],
                "name": ["a", "b", "c", "d", "e"],
                "target": [5.0, 5.2, 4.0, 8.0, 3.0],
            }
        )
    )
    assert data.cases.ids.tolist() == ["a", "c", "e"]
    assert data.targets[:, 0].tolist() == pytest.approx([5.1, 6.0, 3.0])
    joined, contradiction = data.origin.notes
    assert "2 rows repeat" in joined
    assert "1 molecules" in contradiction
    assert data.origin.remarks == (("c", "its measurements contradict each other"),)


def test_a_molecule_written_with_atom_maps_is_joined_with_itself() -> None:
    table = pd.DataFrame({"smiles": ["CC(C)Cc1ccccc1", "[CH3:1][CH:2]([CH3:3])Cc1cccc[cH:9]1"], "target": [5.0, 5.2]})
    data = dataset(table)
    assert data.targets[:, 0].tolist() == pytest.approx([5.1])
    assert isinstance(data.cases, Molecules)
    assert splitting.groups(data.cases, "scaffold").tolist() == ["c1ccccc1"]


def test_bounds_that_agree_are_no_contradiction_and_those_that_do_not_are_said_to_be_left_out() -> None:
    data = dataset(pd.DataFrame({"smiles": ["CCO", "OCC", "CCN"], "target": [">5", "<9", "4"]}))
    assert data.targets[:, 0].tolist() == [5, 4]
    assert data.bounds[:, 0].tolist() == [1, 0]
    assert data.origin.remarks == ()
    assert not any("contradict" in note for note in data.origin.notes)
    data = dataset(pd.DataFrame({"smiles": ["CCO", "OCC", "CCN"], "target": [">5", "<4", "4"]}))
    assert data.targets[:, 0].tolist() == [4]
    assert "bounds that exclude each other, which are left out, 1 of them" in data.origin.notes[-1]


def test_a_cell_that_cannot_be_read_costs_its_own_target_only() -> None:
    table = {"smiles": ["CCO", "CCN", "CCC", "OCC"], "a": ["n.d.", "5", "n.d.", "6"], "b": ["6", "5", "", "7"]}
    data = dataset(pd.DataFrame(table), target="a,b")
    assert np.array_equal(data.targets, [[6, 6.5], [5, 5]], equal_nan=True)
    assert data.origin.invalid == (("row 3", "column 'a' is no measurement"),)
    assert data.origin.remarks == (("row 1", "column 'a' is no measurement, and counts as missing"),)
    assert "1 measurement" in data.origin.notes[0]
    assert "n.d." not in str(data.origin)


@pytest.mark.parametrize("name", ["pIC50", "-log(IC50)", "logKi", "pChEMBL value", "EGFR pKi"])
def test_logarithms_are_not_taken_for_concentrations(name: str) -> None:
    with pytest.raises(UsageError, match="named as logarithms") as told:
        dataset(pd.DataFrame({"smiles": ["CCO", "CCN"], name: [5.0, 6.0]}), target=name, unit="nM")
    assert "leave out --unit" in str(told.value.hint)


def test_concentrations_that_look_like_logarithms_are_noted() -> None:
    table = pd.DataFrame({"smiles": ["CCO", "CCN"], "IC50": [5.1, 8.2]})
    assert "make sure that they are nM" in dataset(table, target="IC50", unit="nM").origin.notes[0]
    assert not dataset(table, target="IC50", unit="uM").origin.notes
    assert not dataset(table.assign(IC50=[5.1, 820]), target="IC50", unit="nM").origin.notes


def test_times_are_asked_for_only_to_split_by_them() -> None:
    table = pd.DataFrame({"smiles": ["CCO", "CCN"], "target": [5, 6], "year": [2001, 2002]})
    with pytest.raises(UsageError, match="--time year") as told:
        dataset(table, time="year")
    assert "--split-by time" in str(told.value.hint)
    assert dataset(table, time="year", split_by="time").extra["time"].tolist() == [2001, 2002]


def test_the_test_part_of_a_given_split_is_left_as_it_is() -> None:
    table = pd.DataFrame(
        {
            "smiles": ["CCO", "OCC", "CCO", "OCC"],
            "target": [1.5, 2.5, 3, 4],
            "split": ["train", "train", "test", "test"],
        }
    )
    data = dataset(table)
    assert data.split is not None
    assert data.split.tolist() == ["train", "test", "test"]
    assert data.targets[:, 0].tolist() == [2, 3, 4]


def test_a_unit_names_what_it_makes() -> None:
    data = dataset(pd.DataFrame({"smiles": ["CCO", "CCN"], "IC50": [">10000", "100"]}), target="IC50", unit="nM")
    assert data.names == ("pIC50",)
    assert data.targets[:, 0].tolist() == pytest.approx([5, 7])
    assert data.extra["censoring"][:, 0].tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("table", "options", "error", "kind"),
    [
        ({"smiles": ["CCO"], "x": [1]}, {}, "no column 'target'", UsageError),
        ({"smiles": ["CCO"], "x": [1]}, {"target": "y"}, "no column 'y'", UsageError),
        ({"s": ["CCO"], "target": [1]}, {}, "no column of structures", UsageError),
        ({"smiles": ["CCO"], "target": [1]}, {"smiles": "smile"}, "no column 'smile'", UsageError),
        ({"smiles": ["C1CC"], "target": [1]}, {}, "no usable row", DataError),
        ({"smiles": ["CCO"], "target": ["high"]}, {}, "holds no measurement", DataError),
        ({"smiles": ["CCO"], "target": [3]}, {"kind": "classification"}, "other values than two", DataError),
        ({"smiles": ["CCO"], "target": [3], "series": [""]}, {"group": "series"}, "row 1", DataError),
        ({"smiles": ["CCO"], "target": [3], "split": ["late"]}, {}, "row 1", DataError),
    ],
)
def test_what_cannot_be_read_is_told(
    table: dict[str, list[Any]], options: dict[str, Any], error: str, kind: type[MedtasksError]
) -> None:
    with pytest.raises(kind, match=error) as told:
        dataset(pd.DataFrame(table), **options)
    assert told.value.hint


def test_a_row_cut_short_is_left_out_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("smiles,activity,split\nCCO,1.5,train\nCCN,2\nCCC,3,test\n")
    data = read(path, ActivityOptions(), Context())
    assert len(data) == 2
    ((row, reason),) = data.origin.invalid
    assert row == "row 2"
    assert "2 of 3 fields" in reason


DAYS = pd.to_datetime(["2019-06-25", "2019-06-05", "2018-12-31", "2019-01-02"])


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%m/%d/%y", "%d-%b-%Y"])
def test_dates_are_read_as_their_whole_column_says(form: str) -> None:
    times = splitting.read_times(pd.Series(DAYS.strftime(form), name="date"), "the table")
    assert times.tolist() == [day.timestamp() for day in DAYS]


def test_times_of_day_stay_with_their_dates() -> None:
    times = splitting.read_times(pd.Series(["25.06.2019 14:30", "05.06.2019 01:00"], name="date"), "the table")
    assert pd.to_datetime(times, unit="s").strftime("%F %R").tolist() == ["2019-06-25 14:30", "2019-06-05 01:00"]


@pytest.mark.parametrize(
    "dates", [["05/06/2019", "07/08/2019"], ["25/06/2019", "06/25/2019"], ["25.06.2019", "06.25.2019"]]
)
def test_dates_that_could_be_others_are_refused(dates: list[str]) -> None:
    with pytest.raises(DataError, match="whether the day or the month") as told:
        splitting.read_times(pd.Series(dates, name="date"), "the table")
    assert "2019-06-25" in str(told.value.hint)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0]])
def test_what_stands_beside_replicates_depends_on_no_order(order: list[int]) -> None:
    table = pd.DataFrame(
        {"smiles": ["CCO", "OCC", "CCN"], "target": [5.0, 6.0, 3.0], "year": [2001, 2020, 2003], "lab": ["b", "a", "c"]}
    )
    data = dataset(table.iloc[order], split_by="time", time="year", group="lab")
    assert isinstance(data.cases, Molecules)
    found = dict(zip(data.cases.smiles(), zip(data.extra["time"], data.groups, strict=True), strict=True))
    assert found == {"CCO": (2020, "a"), "CCN": (2003, "c")}
    apart = dataset(table.iloc[order], within="lab")
    assert sorted(apart.targets[:, 0]) == [3, 5, 6]


@pytest.mark.parametrize("name", ["status", "id", "decision", "nearest", "smiles"])
def test_a_target_that_is_called_as_a_column_of_answers_is_refused(molecules: pd.DataFrame, name: str) -> None:
    table = pd.DataFrame({"smiles": molecules["smiles"], name: molecules["pIC50" if name != "smiles" else "smiles"]})
    with pytest.raises(UsageError, match=f"'{name}'") as told:
        medtasks.train("activity", table, target=name, model="linear-fingerprint")
    assert told.value.hint


def test_targets_whose_columns_of_answers_would_meet_are_refused(molecules: pd.DataFrame) -> None:
    table = pd.DataFrame({"smiles": molecules["smiles"], "x": molecules["pIC50"], "low_x": molecules["pIC50"]})
    with pytest.raises(UsageError, match="two columns 'low_x'"):
        medtasks.train("activity", table, target="x,low_x", model="linear-fingerprint")


def test_numbers_that_are_written_otherwise() -> None:
    """A minus as word processors set it is one; commas and units are named as what is wrong."""
    minus = dataset(pd.DataFrame({"smiles": ["CCO", "CCN"], "target": ["\N{MINUS SIGN}3.5", "1.25"]}))
    assert minus.targets[:, 0].tolist() == [-3.5, 1.25]
    told = dataset(pd.DataFrame({"smiles": ["CCO", "CCN", "CCC"], "target": ["1,234", "5.2 nM", "1.0"]})).origin.invalid
    assert [("thousands" in reason, "unit" in reason) for _, reason in told] == [(True, False), (False, True)]
    commas = dataset(pd.DataFrame({"smiles": ["CCO", "CCN", "CCC"], "target": ["3,54", ">1,234", "1.234,5"]}))
    assert commas.targets[:, 0].tolist() == [3.54, 1.234, 1234.5]
    assert commas.bounds[:, 0].tolist() == [0, 1, 0]
    with pytest.raises(DataError, match=r"holds no measurement .*thousands"):
        dataset(pd.DataFrame({"smiles": ["CCO", "CCN"], "target": ["", "1,234"]}))


def test_too_few_measurements_say_how_many_rows_were_lost(molecules: pd.DataFrame) -> None:
    table = pd.DataFrame({"smiles": molecules["smiles"][:100], "y": molecules["pIC50"][:100].map("{:.2f}".format)})
    table.loc[10:, "y"] = table["y"][10:] + " nM"
    with pytest.raises(DataError, match=r"90 rows cannot be used; row 11: column 'y' has a unit"):
        medtasks.train("activity", table, target="y", model="linear-fingerprint")


@pytest.mark.parametrize("source", [None, 5, {"smiles": ["CCO"]}])
def test_what_holds_no_molecules_is_refused_with_what_does(source: Any) -> None:
    with pytest.raises(DataError, match="molecules are not read from a") as told:
        list(Molecules.read(source, {"kind": "molecules", "standard": {}}))
    assert "list of SMILES" in str(told.value.hint)


def test_a_column_that_stands_twice_is_named() -> None:
    twice = pd.DataFrame([["CCO", "CCN", 1.0]], columns=["smiles", "smiles", "target"])
    with pytest.raises(DataError, match="more than one column called 'smiles'"):
        dataset(twice)
