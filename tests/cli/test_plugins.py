"""``medtasks plugins list``, and the variable that names which plugins count."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from medtasks import registry

Cli = Callable[..., Any]


def listed(cli: Cli) -> dict[str, dict[str, Any]]:
    done = cli("plugins", "list", "--format", "json")
    assert done.code == 0
    return {plugin["distribution"]: plugin for plugin in json.loads(done.out)["plugins"]}


def test_each_distribution_is_listed_with_what_it_brings(plugins: Any, cli: Cli) -> None:
    plugins.model("acme-model", "raise SystemExit('imported')", version="2.5")
    found = listed(cli)
    assert found["acme-model"] == {
        "distribution": "acme-model",
        "version": "2.5",
        "state": "ready",
        "reason": None,
        "fix": None,
        "summary": "a throw-away",
        "home_page": "",
        "brings": [{"kind": "model", "name": "diagnosis.acme-model", "state": "ready"}],
    }
    assert {"kind": "task", "name": "diagnosis", "state": "ready"} in found["medtasks"]["brings"]
    assert "acme_model" not in sys.modules


def test_each_state_has_its_reason(plugins: Any, cli: Cli) -> None:
    plugins.model("acme-future", "", requires=("medtasks>=99",))
    plugins.install("acme-mess", "[medtasks.models]\n  = = =\n[")
    plugins.install("acme-thief", {"medtasks.models": {"diagnosis.linear-record": "acme_thief:It"}}, "It = 3")
    found = listed(cli)
    states = {name: found[name]["state"] for name in ("acme-future", "acme-mess", "acme-thief", "medtasks")}
    assert states == {
        "acme-future": "incompatible",
        "acme-mess": "broken",
        "acme-thief": "conflict",
        "medtasks": "conflict",
    }
    assert "written for medtasks >=99" in found["acme-future"]["reason"]
    assert "malformed" in found["acme-mess"]["reason"]
    assert "claimed by acme-thief and medtasks" in found["medtasks"]["reason"]
    table = cli("plugins", "list").out
    assert "incompatible" in table
    assert "malformed" in table


def test_requirements_name_versions(plugins: Any, cli: Cli) -> None:
    plugins.model("acme-model", "", version="2.5")
    lines = cli("plugins", "list", "--format", "requirements").out.splitlines()
    assert "acme-model==2.5" in lines
    assert f"medtasks=={registry.version()}" in lines


def test_only_plugins_that_are_allowed_count(plugins: Any, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("acme-one", "acme-two"):
        plugins.model(name, "")
    monkeypatch.setenv("MEDTASKS_PLUGINS", "")
    assert set(listed(cli)) == {"medtasks"}
    assert "only the plugins that MEDTASKS_PLUGINS names count" in cli("models", "diagnosis.acme-one").hint
    monkeypatch.setenv("MEDTASKS_PLUGINS", "Acme_One, unheard-of")
    assert set(listed(cli)) == {"medtasks", "acme-one"}
    monkeypatch.delenv("MEDTASKS_PLUGINS")
    assert {"medtasks", "acme-one", "acme-two"} <= set(listed(cli))


def test_a_thief_that_is_not_allowed_takes_no_name(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins.install("acme-thief", {"medtasks.models": {"diagnosis.linear-record": "acme_thief:It"}}, "It = 3")
    monkeypatch.setenv("MEDTASKS_PLUGINS", "")
    assert registry.find("model", "diagnosis.linear-record").load().__name__ == "LinearRecord"
