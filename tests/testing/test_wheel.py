"""From an empty folder to a trusted model: written, built, installed in an environment of its own, checked, run."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_new_plugin_works_from_its_built_wheel(
    tmp_path: Path, records_csv: Path, environment: dict[str, str]
) -> None:
    def run(*command: object) -> str:
        done = subprocess.run(
            [*map(str, command)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    pip, offline = [sys.executable, "-m", "pip", "--disable-pip-version-check"], ["--no-deps", "--no-index", "-q"]
    run(sys.executable, "-m", "medtasks", "plugins", "new", "acme-lungs", "--task", "diagnosis")
    run(*pip, "wheel", *offline, "--no-build-isolation", "-w", "dist", "./acme-lungs")
    (wheel,) = (tmp_path / "dist").glob("acme_lungs-*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", "venv")
    python = tmp_path / "venv" / "bin" / "python"
    (place,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    # What is installed here is lent to it: nothing may be fetched.
    lent = f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r})\n"
    (place / "lent.pth").write_text(lent, encoding="utf-8")
    run(*pip, "--python", python, "install", *offline, wheel)
    assert "diagnosis.acme-lungs" in run(python, "-m", "medtasks", "models")
    assert " passed" in run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "acme-lungs")
    found = json.loads(run(python, "-m", "medtasks", "plugins", "check", "diagnosis.acme-lungs", "--json"))
    assert (found["ok"], found["failed"], found["skipped"]) == (True, 0, 0)
    done = run(python, "-m", "medtasks", "run", "diagnosis", "--data", records_csv, "--model", "acme-lungs", "--json")
    assert json.loads(done)["model"] == "diagnosis.acme-lungs"
