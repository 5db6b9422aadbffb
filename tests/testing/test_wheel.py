"""From an empty folder to a trusted model: written, built, installed in an environment of its own, checked, run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_a_new_plugin_works_from_its_built_wheel(
    tmp_path: Path, records_csv: Path, run: Callable[..., str], installed: Callable[[Path], Any]
) -> None:
    run(sys.executable, "-m", "medtasks", "plugins", "new", "acme-lungs", "--task", "diagnosis")
    fresh = installed(tmp_path / "acme-lungs")
    assert "diagnosis.acme-lungs" in fresh.medtasks("models")
    assert " passed" in fresh.pytest("acme-lungs")
    found = json.loads(fresh.medtasks("plugins", "check", "diagnosis.acme-lungs", "--json"))
    assert (found["ok"], found["failed"], found["skipped"]) == (True, 0, 0)
    done = fresh.medtasks("run", "diagnosis", "--data", records_csv, "--model", "acme-lungs", "--json")
    assert json.loads(done)["model"] == "diagnosis.acme-lungs"
