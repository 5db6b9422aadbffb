"""``medtasks doctor``: what is here, and whether it works."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from medtasks import machine, registry
from medtasks.cli import output
from medtasks.cli.run import AsJson
from medtasks.guarding import VARIABLE

LOAD_SECONDS = 30.0
"""A plugin that takes longer to import is told as hanging; TensorFlow takes 4 s on two cores."""
SIDE_BY_SIDE = 2
"""Entries loaded at a time at least: one that hangs must not hold up the others. No more than there are cores beyond
that: what shares a core takes longer, and would be told as too slow."""
SLOW = "too slow"
"""The state of an entry that took longer than it may: there is nothing to install anew."""
TOLD = 33
"""The exit code with which a child says that it has told the fault."""
_LOADER = (
    f"TOLD = {TOLD}"
    + """
import json, sys
from medtasks import model, preparing, task
from medtasks.errors import MedtasksError
kind, name = sys.argv[1:]
try:
    {"task": task.load_task, "model": model.model_class, "dataset": preparing.named_dataset}[kind](name)
except MedtasksError as error:
    print(json.dumps([error.message, error.hint]))
    sys.exit(TOLD)
"""
)


def doctor(
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Time that each plugin has to load.")
    ] = LOAD_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Check the installation: versions, memory, GPU, and whether each plugin loads (in a process of its own)."""
    with ThreadPoolExecutor(max(SIDE_BY_SIDE, machine.cores())) as pool:
        checked = list(pool.map(lambda entry: _check(entry, timeout), registry.entries()))
    unread = [
        {"distribution": name, "reason": reason, "fix": f"pip install --force-reinstall {name}"}
        for name, reason in registry.unread()
    ]
    found = {
        "medtasks": registry.version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": machine.cores(),
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


@dataclass(frozen=True)
class Fault:
    """Why an entry is not ready, and what to do."""

    state: str
    reason: str
    fix: str | None


def _check(entry: registry.Entry, timeout: float) -> dict[str, Any]:
    state, reason, fix = str(entry.state), entry.reason, entry.fix
    if entry.state is registry.State.READY and (fault := _failure(entry, timeout)):
        state, reason, fix = fault.state, fault.reason, fault.fix
    told = {"kind": entry.kind, "name": entry.name, "plugin": entry.origin, "state": state}
    return {**told, "reason": reason, "fix": fix}


def _failure(entry: registry.Entry, timeout: float) -> Fault | None:
    """Load the entry in a child process, which may crash or hang without harm."""
    try:
        done = subprocess.run(
            [*machine.PYTHON, "-c", _LOADER, entry.kind, entry.name],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, VARIABLE: "0"},
        )
    except subprocess.TimeoutExpired:
        reason = f"it did not load within {timeout:g} s"
        return Fault(
            SLOW, reason, f"give it longer (medtasks doctor --timeout {4 * timeout:g}); it may hang, or be slow here"
        )
    broken = str(registry.State.BROKEN)
    if done.returncode == 0:
        return None
    if done.returncode == TOLD:
        reason, fix = json.loads(done.stdout.strip().splitlines()[-1])
        return Fault(broken, reason, fix)
    last = done.stderr.strip().splitlines()[-1:] or [f"ended with exit code {done.returncode}"]
    return Fault(broken, last[0], replace(entry, state=registry.State.BROKEN).fix)
