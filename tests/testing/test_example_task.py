"""A stranger's task, with a kind of case, models and data of its own, works from its built wheel."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"


@pytest.mark.slow
def test_the_example_of_a_task_works_from_its_built_wheel(tmp_path: Path, installed: Callable[[Path], Any]) -> None:
    folder = shutil.copytree(EXAMPLES / "target-affinity", tmp_path / "target-affinity")
    fresh = installed(folder)
    assert " passed" in fresh.pytest(folder / "tests")
    assert "target-affinity" in fresh.medtasks("tasks")
    found = json.loads(fresh.medtasks("run", "target-affinity", "--out", "run", "--json"))
    assert (found["task"], found["model"]) == ("target-affinity", "target-affinity.bilinear")
    assert found["metrics"]["concordance"]["low"] > 0.5
    rows = [("CN(C)CCc1ccccc1", SEQUENCE), ("no molecule", SEQUENCE), ("CCO", "12")]
    pd.DataFrame(rows, columns=["smiles", "sequence"]).to_csv(tmp_path / "new.csv", index=False)
    said = fresh.medtasks("predict", "run/bundle", "new.csv", "--json")
    answers = [json.loads(line) for line in said.splitlines()]
    assert [row["status"] for row in answers] == ["ok", "invalid", "invalid"]
    assert answers[0]["low_pKd"] < answers[0]["pKd"] < answers[0]["high_pKd"]
