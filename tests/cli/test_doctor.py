"""``medtasks doctor``: one plugin that is ill neither hides nor delays the others."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from medtasks import registry
from medtasks.cli import doctor

Cli = Callable[..., Any]
THREE = ("acme-one", "acme-two", "acme-three")


def states(done: Any) -> dict[str, Any]:
    return {entry["name"].removeprefix("diagnosis."): entry for entry in json.loads(done.out)["entries"]}


def test_plugins_are_loaded_side_by_side(plugins: Any, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(len(THREE))

    def wait(entry: registry.Entry, timeout: float) -> str | None:
        if entry.distribution in THREE:
            together.wait(60)  # broken, and an error, unless all three are under way at once
        return None

    monkeypatch.setattr(doctor, "_failure", wait)
    for name in THREE:
        plugins.model(name, "It = 3")
    done = cli("doctor", "--json")
    assert done.code == 0, done.err
    assert all(states(done)[name]["state"] == "ready" for name in THREE)


def test_a_plugin_that_hangs_is_told_after_the_timeout(plugins: Any, cli: Cli) -> None:
    plugins.model("acme-hangs", "import time\ntime.sleep(300)")
    done = cli("doctor", "--json", "--timeout", "0.1")  # in which nothing loads
    assert done.code == 3, done.err
    assert states(done)["acme-hangs"]["state"] == "broken"
    assert "did not load within 0.1 s (--timeout" in states(done)["acme-hangs"]["reason"]


def test_a_plugin_that_fails_is_told_with_its_reason(plugins: Any, shell: Cli, constant: str) -> None:
    plugins.model("acme-fine", constant)
    plugins.model("acme-bad", "raise RuntimeError('no licence')")
    done = shell("doctor", "--json", "--timeout", "100")
    assert done.code == 3, done.err
    assert "no licence" in states(done)["acme-bad"]["reason"]
    assert states(done)["acme-fine"]["state"] == "ready"


def test_a_timeout_of_nothing_is_refused(cli: Cli) -> None:
    done = cli("doctor", "--timeout", "0")
    assert done.code == 2
    assert "--timeout" in done.error
