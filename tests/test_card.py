"""The model card and the subgroups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.cases import Images, Records
from medtasks.dataset import Dataset
from medtasks.errors import UsageError
from medtasks.subgroups import check


def test_a_card_holds_facts_and_shows_what_nobody_told(record_run: Path) -> None:
    text = (record_run / "card.md").read_text("utf-8")
    assert text == (record_run / "bundle" / "card.md").read_text("utf-8")
    for part in ("# diagnosis.linear-record: healthy, sick", "SHA-256: ", "| auroc | ", "Validity: ", "## Checklist"):
        assert part in text
    assert "- Positive class: sick\n" in text
    assert "The positive class is sick, the negative one healthy." in (record_run / "report.html").read_text("utf-8")
    assert "Ethics approval and consent: not reported" in text
    assert "None" not in text
    assert "MARK" not in text  # no patient


def test_a_card_of_molecules_has_the_oecds_items(tmp_path: Path) -> None:
    table = pd.DataFrame({"smiles": ["C" * (i + 1) + "O" for i in range(60)], "y": range(60)})
    run = medtasks.run("activity", table, target="y", model="linear-fingerprint", split_by="random", out=tmp_path / "r")
    text = (run.folder / "card.md").read_text("utf-8")
    assert "OECD 3, a defined domain of applicability: similarity" in text
    with np.load(run.bundle / "trust" / "trust.npz") as file:
        kept = len(file["known.names"])
    assert kept > 30
    assert f"Structures in the bundle: SMILES of {kept} training molecules" in text
    assert "--name-nearest no" in text


def test_who_runs_is_told_of_structures_in_the_bundle(tmp_path: Path, cli: Any) -> None:
    table = pd.DataFrame({"smiles": ["C" * (i + 1) + "O" for i in range(60)], "y": range(60)})
    table.to_csv(tmp_path / "alcohols.csv", index=False)
    asked = ["run", "activity", "--data", tmp_path / "alcohols.csv", "--model", "linear-fingerprint"]
    done = cli(*asked, "--split-by", "random", "--out", tmp_path / "r")
    assert done.code == 0, done.err
    assert "note: the bundle holds SMILES of " in done.err
    done = cli(*asked, "--split-by", "random", "--name-nearest", "no", "--out", tmp_path / "s")
    assert done.code == 0, done.err
    assert "SMILES" not in done.err
    assert "Structures in the bundle" not in (tmp_path / "s" / "card.md").read_text("utf-8")


def test_subgroups_are_judged_by_themselves(records_csv: Path, tmp_path: Path, cli: Any) -> None:
    asked = ["--subgroups", "ward,age:50"]
    run = ["run", "diagnosis", "--data", records_csv, "--model", "linear-record", "--json"]
    done = cli(*run, *asked, "--out", tmp_path / "r")
    assert done.code == 0, done.err
    import json

    found = json.loads(done.out)["subgroups"]
    assert [(one["field"], one["value"]) for one in found] == [
        *(("ward", "north"), ("ward", "south"), ("age", "below 50"), ("age", "50 and above"))
    ]
    assert sum(one["n"] for one in found) == 2 * 90
    assert 0 <= found[0]["metrics"]["auroc"]["low"] <= found[0]["metrics"]["auroc"]["value"]
    page = (tmp_path / "r" / "report.html").read_text("utf-8")
    assert "ward: north" in page
    assert "age: 50 and above" in page
    again = medtasks.evaluate(tmp_path / "r", records_csv, out=tmp_path / "e", subgroups="ward")
    assert "ward: north" in Path(again.summary["report"]).read_text("utf-8")


def test_what_so_few_have_in_common_is_not_named(table: pd.DataFrame, tmp_path: Path) -> None:
    few = table.assign(site=["large"] * 70 + ["SITEMARK1"] * 15 + ["SITEMARK2"] * 5)
    run = medtasks.run("diagnosis", few, model="linear-record", out=tmp_path / "r", folds=2, subgroups="site")
    told = [(one["value"], one["n"], bool(one["metrics"])) for one in run.summary["subgroups"]]
    assert told == [("large", 70, True), ("2 smaller groups", 20, False)]
    assert "site: 2 smaller groups" in (run.bundle / "card.md").read_text("utf-8")
    assert "SITEMARK" not in (run.bundle / "card.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("wrad", "no field is called 'wrad'"),
        ("age", "has [0-9]+ values"),
        ("ward:1-2", "rising list"),
        ("age:5-2", "rising"),
    ],
)
def test_subgroups_that_the_data_cannot_make_are_refused(table: pd.DataFrame, asked: str, message: str) -> None:
    data = Dataset(Records.from_table(table[["age", "ward"]]), (table["target"] == "sick").to_numpy().astype(int))
    with pytest.raises(UsageError, match=message):
        check(data, (asked,))


def test_images_have_no_subgroups() -> None:
    import numpy as np

    data = Dataset(Images(["a"], np.zeros((1, 4, 4), dtype=np.uint8)), np.zeros(1, dtype=np.int64))
    with pytest.raises(UsageError, match="have none"):
        check(data, ("sex",))
