"""``medtasks doctor``: what is here, and whether it works."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Annotated, Any

import typer

from medtasks import machine, registry
from medtasks.cli import output
from medtasks.cli.run import AsJson
from medtasks.guarding import VARIABLE

LOAD_SECONDS = 30.0
"""A plugin that takes longer to import is told as hanging; TensorFlow takes 4 s on two cores."""
SIDE_BY_SIDE = 4
"""Entries loaded at a time at least: one that hangs uses no core, and must not hold up the others."""
_LOADER = """
import sys
from medtasks import model, preparing, task
kind, name = sys.argv[1:]
{"task": task.load_task, "model": model.model_class, "dataset": preparing.named_dataset}[kind](name)
"""


def doctor(
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Time that each plugin has to load.")
    ] = LOAD_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Check the installation: versions, memory, GPU, and whether each plugin loads (in a process of its own)."""
    with ThreadPoolExecutor(max(SIDE_BY_SIDE, os.cpu_count() or 1)) as pool:
        checked = list(pool.map(lambda entry: _check(entry, timeout), registry.entries()))
    unread = [
        {"distribution": name, "reason": reason, "fix": f"pip install --force-reinstall {name}"}
        for name, reason in registry.unread()
    ]
    found = {
        "medtasks": registry.version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "memory_gib": machine.memory(),
        "gpu": machine.gpu(),
        "entries": checked,
        "unread": unread,
    }
    if as_json:
        output.emit_json(found)
    else:
        for key in ("medtasks", "python", "platform", "cores", "memory_gib", "gpu"):
            typer.echo(f"{key.replace('_gib', ' (GiB)')}: {found[key] if found[key] is not None else 'none found'}")
        output.table(
            ["kind", "name", "from", "state"],
            [[entry["kind"], entry["name"], entry["plugin"], entry["state"]] for entry in checked],
        )
        for entry in checked:
            if entry["reason"]:
                typer.echo(f"{entry['name']}: {entry['reason']}\n  to mend: {entry['fix']}")
        for other in unread:
            typer.echo(f"{other['distribution']}: {other['reason']}; it harms nothing here\n  to mend: {other['fix']}")
    if any(entry["state"] != "ready" for entry in checked):
        raise typer.Exit(3)


def _check(entry: registry.Entry, timeout: float) -> dict[str, Any]:
    state, reason = str(entry.state), entry.reason
    if entry.state is registry.State.READY:
        reason = _failure(entry, timeout)
        state = "broken" if reason else "ready"
    told = {"kind": entry.kind, "name": entry.name, "plugin": entry.origin, "state": state, "reason": reason}
    return {**told, "fix": replace(entry, state=registry.State(state)).fix}


def _failure(entry: registry.Entry, timeout: float) -> str | None:
    """Load the entry in a child process, which may crash or hang without harm."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LOADER, entry.kind, entry.name],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, VARIABLE: "0"},
        )
    except subprocess.TimeoutExpired:
        return f"did not load within {timeout:g} s (--timeout gives it longer)"
    if done.returncode == 0:
        return None
    last = done.stderr.strip().splitlines()[-1:] or [f"ended with exit code {done.returncode}"]
    return last[0].removeprefix("medtasks.errors.PluginError: ")
