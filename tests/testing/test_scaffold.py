"""What `medtasks plugins new` writes works as it stands."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medtasks.scaffold import Made, scaffold
from medtasks.testing import CHECKS, check
from medtasks.testing.bench import child_environment


def write(plugins: Any, tmp_path: Path, name: str, task: str, kind: str = "model") -> Made:
    """Write a plugin and install it as the throw-away ones are."""
    made = scaffold(name, task, kind, tmp_path)
    project = tomllib.loads((made.folder / "pyproject.toml").read_text())["project"]
    (source,) = made.folder.glob("src/*/__init__.py")
    points, needs = project["entry-points"], tuple(project["dependencies"])
    plugins.install(project["name"], points, source.read_text(), module=source.parent.name, requires=needs)
    return made


@pytest.mark.usefixtures("without_processes")
@pytest.mark.parametrize("task", ["diagnosis", "activity", "treatment"])
def test_a_new_model_keeps_the_contract(plugins: Any, tmp_path: Path, task: str) -> None:
    made = write(plugins, tmp_path, "acme-lungs", task)
    report = check(f"{task}.acme-lungs")
    assert report.ok, str(report)
    assert report.counts["expected"] == 0
    (source,) = made.folder.glob("src/*/__init__.py")
    (model,) = (node for node in ast.parse(source.read_text()).body if isinstance(node, ast.ClassDef))
    functions = [node for node in model.body if isinstance(node, ast.FunctionDef)]
    assert sum((node.end_lineno or 0) - node.lineno + 1 for node in functions) <= 25


def test_a_new_model_passes_its_own_tests_and_runs(
    plugins: Any, tmp_path: Path, cli: Callable[..., Any], records_csv: Path
) -> None:
    done = cli("plugins", "new", "acme-lungs", "--task", "diagnosis", "--in", tmp_path / "work")
    assert done.code == 0, done.err
    assert f"pip install {tmp_path}/work/acme-lungs && medtasks plugins check diagnosis.acme-lungs" in done.out
    made = write(plugins, tmp_path, "acme-lungs", "diagnosis")
    assert len((made.folder / "tests" / "test_conformance.py").read_text().splitlines()) <= 6
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=made.folder,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert tests.returncode == 0, tests.stdout
    assert f"{len(CHECKS)} passed" in tests.stdout
    assert "acme-lungs" in cli("models").out
    done = cli(
        "run", "diagnosis", "--data", records_csv, "--model", "acme-lungs", "--folds", "1", "--out", tmp_path / "r"
    )
    assert done.code == 0, done.err


@pytest.mark.parametrize("task", ["diagnosis", "activity", "treatment"])
def test_a_new_data_set_can_be_learnt_from(plugins: Any, tmp_path: Path, task: str) -> None:
    made = write(plugins, tmp_path, "acme-cohort", task, "dataset")
    spaces: dict[str, Any] = {}
    exec((made.folder / "tests" / "test_dataset.py").read_text(), spaces)
    spaces["test_the_data_can_be_learnt_from"]()
    assert made.command == f"medtasks run {task} --data acme-cohort"


@pytest.mark.parametrize("task", ["diagnosis", "activity", "treatment"])
def test_the_next_step_of_a_new_data_set_works_where_its_folder_stands(
    plugins: Any, tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    work = tmp_path / "work"
    made = write(plugins, work, "acme-cohort", task, "dataset")
    monkeypatch.chdir(work)
    done = cli(*made.command.split()[1:], "--dry-run")
    assert done.code == 0, done.err
    (made.folder / "pyproject.toml").unlink()  # a folder of somebody's, which is taken for what is named
    done = cli(*made.command.split()[1:], "--dry-run")
    assert done.code in (2, 4)
    assert f"the data set {task}.acme-cohort is taken where no file or folder is called 'acme-cohort'" in done.hint


@pytest.mark.usefixtures("without_processes")
def test_a_new_task_runs_and_its_model_keeps_the_contract(
    plugins: Any, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    made = write(plugins, tmp_path, "acme-fundus", "fundus-grading", "task")
    assert check("fundus-grading.baseline").ok
    done = cli(*made.command.split()[1:], "--folds", "1", "--out", tmp_path / "r")
    assert done.code == 0, done.err
    assert "fundus-grading" in cli("tasks").out


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["Acme", "--task", "diagnosis"], "no name for a distribution", "acme-lungs"),
        (["../acme", "--task", "diagnosis"], "no name for a distribution", "lower case"),
        (["json", "--task", "diagnosis"], "a Python module is called 'json' already", "acme-json"),
        (["numpy", "--task", "diagnosis"], "a Python module is called 'numpy' already", "acme-numpy"),
        (["medtasks", "--task", "diagnosis"], "a Python module is called 'medtasks' already", "another"),
        (["medtasks-3d", "--task", "diagnosis"], "leaves no name", "letter"),
        (["acme-lungs", "--task", "diagnosys"], "no template of a model for the task 'diagnosys'", "'diagnosis'"),
        (["acme-x", "--task", "Fundus", "--kind", "task"], "no name for a task", "fundus-grading"),
        (["acme-x", "--task", "diagnosis", "--kind", "task"], "diagnosis is taken by medtasks", "another name"),
        (["linear-record", "--task", "diagnosis"], "diagnosis.linear-record is taken by medtasks", "another name"),
        (["acme-lungs", "--task", "diagnosis", "--kind", "modle"], "modle", "new --help"),
    ],
)
def test_what_cannot_be_written_is_refused(
    cli: Callable[..., Any], tmp_path: Path, arguments: list[str], error: str, hint: str
) -> None:
    done = cli("plugins", "new", *arguments, "--in", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert error in done.error
    assert hint in done.hint
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_left_alone(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "acme-lungs").mkdir()
    done = cli("plugins", "new", "acme-lungs", "--task", "diagnosis", "--in", tmp_path)
    assert (done.code, "exists" in done.error) == (2, True)
    assert not list((tmp_path / "acme-lungs").iterdir())
