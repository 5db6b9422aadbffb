"""``medtasks doctor``: one plugin that is ill neither hides nor delays the others."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medtasks import registry
from medtasks.cli import doctor
from medtasks.testing.bench import run_child

Cli = Callable[..., Any]
TWO = ("acme-one", "acme-two")


def states(done: Any) -> dict[str, Any]:
    return {entry["name"].removeprefix("diagnosis."): entry for entry in json.loads(done.out)["entries"]}


def test_as_many_plugins_are_loaded_at_a_time_as_there_are_cores_and_two_at_least(
    plugins: Any, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, lock = threading.Barrier(len(TWO)), threading.Lock()

    at_once: list[int] = [0, 0]

    def wait(entry: registry.Entry, timeout: float) -> None:
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
        if entry.distribution in TWO:
            together.wait(60)  # broken, and an error, unless both are under way at once
        with lock:
            at_once[0] -= 1

    monkeypatch.setattr(doctor, "_failure", wait)
    monkeypatch.setattr("medtasks.machine.cores", lambda: 1)
    for name in TWO:
        plugins.model(name, "It = 3")
    done = cli("doctor", "--json")
    assert done.code == 0, done.err
    assert all(states(done)[name]["state"] == "ready" for name in TWO)
    assert at_once[1] == 2  # what shares a core is slow, so that no more are loaded than there are cores, or two


def test_a_plugin_that_hangs_is_told_after_the_timeout(plugins: Any, cli: Cli) -> None:
    plugins.model("acme-hangs", "import time\ntime.sleep(300)")
    done = cli("doctor", "--json", "--timeout", "0.1")  # in which nothing loads
    assert done.code == 3, done.err
    assert states(done)["acme-hangs"]["state"] == "too slow"
    assert states(done)["acme-hangs"]["reason"] == "it did not load within 0.1 s"
    assert "--timeout 0.4" in states(done)["acme-hangs"]["fix"]
    assert "install" not in states(done)["acme-hangs"]["fix"]


def test_a_plugin_that_fails_is_told_with_its_reason(plugins: Any, shell: Cli, constant: str) -> None:
    plugins.model("acme-fine", constant)
    plugins.model("acme-bad", "raise RuntimeError('no licence')")
    done = shell("doctor", "--json", "--timeout", "100")
    assert done.code == 3, done.err
    assert "no licence" in states(done)["acme-bad"]["reason"]
    assert states(done)["acme-fine"]["state"] == "ready"


def test_a_line_of_metadata_that_names_nothing_is_told_as_such(
    plugins: Any, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    monkeypatch.setenv("MEDTASKS_PLUGINS", "acme-typo")  # the others need no examination here
    plugins.install("acme-typo", {"medtasks.models": {"diagnosis.acme-typo": "acme_typo:Modle"}}, "Model = 3")
    entry = states(cli("doctor", "--json", "--timeout", "100"))["acme-typo"]
    assert (entry["state"], "acme_typo:Modle" in entry["fix"], "reinstall" in entry["fix"]) == ("broken", True, False)


def test_a_timeout_of_nothing_is_refused(cli: Cli) -> None:
    done = cli("doctor", "--timeout", "0")
    assert done.code == 2
    assert "--timeout" in done.error


def test_children_run_nothing_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    ran = tmp_path / "ran"
    code = f"import pathlib; pathlib.Path({str(ran)!r}).touch(); raise ImportError"
    for name in ("platformdirs.py", "acme_here.py", "numpy.py"):
        (tmp_path / name).write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert doctor._failure(registry.find("task", "diagnosis"), 60.0) is None
    done = run_child("import acme_here", "", 60.0, environment)
    assert "No module named 'acme_here'" in done.stderr
    assert not ran.exists()
    done = run_child("import acme_here", "", 60.0, {**environment, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert ran.exists()  # what PYTHONPATH names counts
