"""Ten hostile distributions are installed at once: everything else works, and each is told with reason and fix."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import medtasks

from . import hostile

Cli = Callable[..., Any]
PRINTED = "buy acme\nbuy more acme"
MODULES = [name.replace("-", "_") for name in (*hostile.RUINED, *hostile.TOLD, "acme-prints")]


@pytest.fixture
def ten(plugins: Any, constant: str) -> None:
    """Install them, and an honest model beside."""
    hostile.install(plugins)
    plugins.model("acme-fine", constant)


def objects(done: Any) -> list[Any]:
    """Return what was written to stdout, which must be JSON, one object a line, and nothing else."""
    assert done.code == 0, done.err
    assert done.out.strip()
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize("command", ["--help", "tasks", "models", "datasets", "plugins list", "run --help"])
def test_listing_imports_none_of_them(command: str, cli: Cli) -> None:
    done = cli(*command.split())
    assert done.code == 0, done.err
    assert done.out
    assert not [name for name in MODULES if name in sys.modules]


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize("command", ["tasks", "models", "datasets", "tasks diagnosis", "models diagnosis.acme-fine"])
def test_lists_and_details_are_json(command: str, cli: Cli) -> None:
    (found,) = objects(cli(*command.split(), "--json"))
    assert found


@pytest.mark.usefixtures("ten")
def test_a_list_names_those_whose_metadata_tell(cli: Cli) -> None:
    (found,) = objects(cli("plugins", "list", "--format", "json"))
    listed = {plugin["distribution"]: plugin for plugin in found["plugins"]}
    for name, (state, reason, model) in hostile.TOLD.items():
        assert listed[name]["state"] == state
        assert reason in listed[name]["reason"]
        assert listed[name]["fix"]
        assert model in {brought["name"] for brought in listed[name]["brings"]}
    assert listed["acme-fine"]["state"] == "ready"
    assert listed["acme-fine"]["fix"] is None
    assert set(listed) >= set(hostile.RUINED)
    table = cli("plugins", "list").out
    for name, (_, reason, _) in hostile.TOLD.items():
        assert reason in table
        assert f"to mend {name}: " in table


@pytest.mark.slow
@pytest.mark.usefixtures("ten")
def test_doctor_names_each(shell: Cli, environment: dict[str, str]) -> None:
    # The other plugins are left out: they need no examination here, and loading TensorFlow takes long.
    environment["MEDTASKS_PLUGINS"] = ",".join([*hostile.RUINED, *hostile.TOLD, "acme-prints", "acme-fine"])
    done = shell("doctor", "--json", "--timeout", "30")
    assert done.code == 3, done.err
    found = json.loads(done.out)
    entries = {(entry["plugin"].partition(" ")[0], entry["name"]): entry for entry in found["entries"]}
    ready = {entry["plugin"].partition(" ")[0] for entry in entries.values() if entry["state"] == "ready"}
    assert ready == {"medtasks", "acme-fine", "acme-prints"}
    for name, (_, reason) in hostile.RUINED.items():
        entry = entries[name, f"diagnosis.{name}"]
        state = "too slow" if name == "acme-hangs" else "broken"
        assert (entry["state"], bool(entry["fix"])) == (state, True)
        assert reason in entry["reason"]
    for name, (state, reason, model) in hostile.TOLD.items():
        entry = entries[name, model]
        assert (entry["state"], bool(entry["fix"])) == (state, True)
        assert reason in entry["reason"]
    (other,) = found["unread"]
    assert other["distribution"] == "unrelated"
    assert "malformed" in other["reason"]
    assert other["fix"] == "pip install --force-reinstall unrelated"


@pytest.mark.usefixtures("ten")
def test_who_asks_for_one_is_told_why_and_what_to_do(
    cli: Cli, records_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDTASKS_LOAD_SECONDS", "1")
    asked = {f"diagnosis.{name}": reason for name, (_, reason) in hostile.RUINED.items()}
    asked |= {model: reason for _, reason, model in hostile.TOLD.values()}
    for model, reason in asked.items():
        for command in (["models", model], ["run", "diagnosis", "--data", records_csv, "--model", model]):
            done = cli(*command, "--json")
            assert (done.code, done.out) == (3, ""), model
            assert reason in done.error
            assert done.hint


@pytest.mark.usefixtures("ten")
def test_the_one_that_prints_works_and_stdout_is_the_results(cli: Cli, records_csv: Path, tmp_path: Path) -> None:
    command = ["run", "diagnosis", "--data", records_csv, "--model", "acme-prints", "--folds", "1"]
    done = cli(*command, "--out", tmp_path / "out", "--json")
    (found,) = objects(done)
    assert found["model"] == "diagnosis.acme-prints"
    assert PRINTED.splitlines()[0] in done.err
    assert PRINTED.splitlines()[1] in done.err


@pytest.mark.usefixtures("ten")
def test_every_command_works_for_the_others(cli: Cli, records_csv: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "out", ("--data", records_csv, "--folds", "1", "--seed", "3", "--json")
    (ran,) = objects(cli("run", "diagnosis", *options, "--model", "acme-fine", "--out", out))
    assert ran["baseline"]  # made by linear-record, whose name is claimed twice
    assert len(objects(cli("predict", out, records_csv, "--json"))) == 90
    (judged,) = objects(cli("evaluate", out, records_csv, "--json"))
    assert judged["n"] == 90
    (explained,) = objects(cli("explain", out, records_csv, "-o", tmp_path / "explained", "--json"))
    assert explained
    (audited,) = objects(cli("audit", records_csv, "--task", "diagnosis", "--json"))
    assert audited
    pair = "acme-fine,medtasks:diagnosis.linear-record"
    compared = ("compare", "diagnosis", "--data", records_csv, "--models", pair, "--repeats", "1", "--folds", "3")
    (told,) = objects(cli(*compared, "--json"))
    assert told
    (again,) = objects(cli("rerun", out, "--out", tmp_path / "again", "--json"))
    assert again["same"] == "identical"


@pytest.mark.usefixtures("ten")
def test_a_bundle_of_a_model_whose_name_is_claimed_later_still_answers(
    cli: Cli, record_run: Path, records_csv: Path, tmp_path: Path
) -> None:
    place = shutil.copytree(record_run, tmp_path / "old")
    assert len(objects(cli("predict", place, records_csv, "--json"))) == 90
    (again,) = objects(cli("rerun", place, "--out", tmp_path / "again", "--json"))
    assert again["same"] == "identical"
    answers = medtasks.predict(place / "bundle", records_csv)
    assert (answers["status"] == "ok").all()


@pytest.mark.slow
@pytest.mark.usefixtures("ten")
def test_a_model_beside_them_keeps_the_contract(cli: Cli) -> None:
    expected = "--expect", "learns=it says how common each class is, and no more"
    (found,) = objects(cli("plugins", "check", "diagnosis.acme-fine", *expected, "--json"))
    assert found["ok"]
