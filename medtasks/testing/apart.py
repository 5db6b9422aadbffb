"""Checking a model in a process of its own, which may crash or hang without harm."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from medtasks import registry
from medtasks.errors import PluginError
from medtasks.machine import PYTHON
from medtasks.testing.bench import child_environment
from medtasks.testing.checks import checks_of
from medtasks.testing.report import Outcome, Report, State, known

SECONDS = 600.0
"""Time that all checks together have: a small network needs 20 s of it."""
_CHILD = "import sys; from medtasks.testing.child import stream; stream(sys.argv[1])"


def check_apart(
    name: str,
    config: Mapping[str, Any] | None = None,
    *,
    expected: Mapping[str, str] | None = None,
    profile: str = "default",
    seconds: float = SECONDS,
) -> Report:
    """Check a model as `medtasks.testing.check` does, in a child process that ends after ``seconds``.

    A check during which the child crashes or runs out of time has failed, and those behind it are skipped.

    Raises
    ------
    UsageError
        If there is no such model, check or profile.
    PluginError
        If the model cannot be loaded, or a setting does not fit.
    """
    registry.find("model", name)
    checks = checks_of(profile)
    expected = known(expected, checks)
    with tempfile.TemporaryDirectory(prefix="medtasks-check-") as folder:
        order, out = Path(folder, "order.json"), Path(folder, "lines.jsonl")
        content = {"model": name, "config": dict(config or {}), "expected": expected, "out": str(out)}
        order.write_text(json.dumps({**content, "profile": profile}), encoding="utf-8")
        out.touch()
        end = _run(order, seconds)
        lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return _report(name, checks, lines, end)


def _run(order: Path, seconds: float) -> str:
    """Run the child, and end whatever it has started; return how it ended, in words."""
    said = order.with_name("stderr.txt")
    with said.open("wb") as file:  # a pipe would stay open as long as anything that the child has started
        process = subprocess.Popen(
            [*PYTHON, "-c", _CHILD, str(order)],
            stdout=subprocess.DEVNULL,
            stderr=file,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"the checks took longer than {seconds:g} s"
        finally:
            _end(process)
    last = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"the process ended with {how}" + (f": {last[0]}" if last and code else "")


def _end(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _report(name: str, checks: Iterable[str], lines: list[dict[str, Any]], end: str) -> Report:
    for line in lines:
        if "error" in line:
            kind = PluginError(line["error"], hint=line["hint"])
            kind.exit_code = line["code"]
            raise kind
    if not lines:
        raise PluginError(f"model {name!r} cannot be loaded: {end}", hint="import its module in Python to see why")
    done = [Outcome.of_json(line["done"]) for line in lines if "done" in line]
    if "start" in lines[-1]:
        done.append(Outcome(lines[-1]["start"], State.FAILED, reason=end, mend="To mend: find what ends or hangs it."))
    reached = {outcome.check for outcome in done}
    rest = [Outcome(check, State.SKIPPED, reason="it was not reached") for check in checks if check not in reached]
    return Report(name, (*done, *rest), len(list(checks)))
