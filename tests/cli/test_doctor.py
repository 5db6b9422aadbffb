"""``medtasks doctor``: one plugin that is ill neither hides nor delays the others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

HANGS = """
import time
time.sleep(60)
"""


def test_plugins_that_hang_are_told_side_by_side(plugins: Any, constant: str, shell: Callable[..., Any]) -> None:
    for name in ("acme-one", "acme-two", "acme-three"):
        plugins.model(name, HANGS)
    plugins.model("acme-fine", constant)
    plugins.model("acme-bad", "raise RuntimeError('no licence')")
    start = time.time()
    done = shell("doctor", "--timeout", "20", "--json")
    taken = time.time() - start
    assert done.code == 3, done.err
    found = {entry["name"].removeprefix("diagnosis."): entry for entry in json.loads(done.out)["entries"]}
    for name in ("acme-one", "acme-two", "acme-three"):
        assert found[name]["state"] == "broken"
        assert "did not load within 20 s (--timeout" in found[name]["reason"]
    assert "no licence" in found["acme-bad"]["reason"]
    assert found["acme-fine"]["state"] == "ready"
    assert taken < 55  # one after the other the three would wait for 60 s


def test_a_timeout_of_nothing_is_refused(shell: Callable[..., Any]) -> None:
    done = shell("doctor", "--timeout", "0")
    assert done.code == 2
    assert "--timeout" in done.error
