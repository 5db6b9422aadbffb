"""Repeating a run from its record."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import medtasks
from medtasks.errors import DataError


def test_a_run_is_repeated_to_the_bit(record_run: Path, tmp_path: Path, cli: Any) -> None:
    done = cli("rerun", record_run / "run.json", "--out", tmp_path / "again", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["same"], found["changed"]) == ("identical", [])
    first, second = record_run / "metrics.json", tmp_path / "again" / "metrics.json"
    assert first.read_bytes() == second.read_bytes()


def test_other_data_are_refused(record_run: Path, records_csv: Path, tmp_path: Path) -> None:
    copy = tmp_path / "visits.csv"
    pd.read_csv(records_csv).assign(crp=1.5).to_csv(copy, index=False)
    place = tmp_path / "r"
    shutil.copytree(record_run, place)
    stored = json.loads((place / "run.json").read_text())
    stored["settings"]["data"] = str(copy)
    (place / "run.json").write_text(json.dumps(stored))
    with pytest.raises(DataError, match="not those of the run"):
        medtasks.rerun(place, out=tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_other_answers_and_versions_are_told(record_run: Path, tmp_path: Path, cli: Any) -> None:
    place = tmp_path / "r"
    shutil.copytree(record_run, place)
    table = pd.read_csv(place / "predictions.csv")
    table.assign(p_sick=table["p_sick"] + 1e-9).to_csv(place / "predictions.csv", index=False)
    stored = json.loads((place / "run.json").read_text())
    stored["facts"]["versions"]["numpy"] = "1.0"
    (place / "run.json").write_text(json.dumps(stored))
    close = medtasks.rerun(place)
    assert close.same == "close"
    assert close.run.folder == tmp_path / "r-again"
    assert close.changed[0].startswith("numpy 1.0 -> ")
    table.assign(p_sick=0.5).to_csv(place / "predictions.csv", index=False)
    done = cli("rerun", place, "--out", tmp_path / "x")
    assert (done.code, done.error) == (1, "the repetition gives other answers")
    (place / "predictions.csv").unlink()
    assert medtasks.rerun(place, out=tmp_path / "y").same == "unknown"


@pytest.mark.parametrize("content", [None, "{}", "no json", "[]"])
def test_what_is_no_record_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match="no record"):
        medtasks.rerun(tmp_path)
