"""Reading molecules with measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtasks.activity.options import ActivityOptions
from medtasks.activity.sources import read
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
