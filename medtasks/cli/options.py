"""Reading options that are not known beforehand: the task's own, and ``--set``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer

from medtasks.errors import UsageError, suggest


def task_options(context: typer.Context, task: str) -> dict[str, str]:
    """Read ``--target sick --group patient`` as options of a task.

    Raises
    ------
    UsageError
        If an argument is no option, an option is unknown to the task, or it has no value.
    """
    found: dict[str, str] = {}
    rest = list(context.args)
    general = [flag for parameter in context.command.params for flag in parameter.opts if flag.startswith("--")]
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--") or len(flag) == 2:
            raise UsageError(f"unexpected argument {flag!r}", hint="see `medtasks run --help`")
        name, equals, value = flag[2:].partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                _check(name, task, general)
                raise UsageError(f"option --{name} needs a value", hint=f"as in --{name} VALUE")
            value = rest.pop(0)
        _check(name, task, general)
        found[name.replace("-", "_")] = value
    return found


def _check(name: str, task: str, general: list[str]) -> None:
    from medtasks.task import load_task

    known = ["--" + field.replace("_", "-") for field in load_task(task).Options.model_fields]
    flag = "--" + name.replace("_", "-")
    if flag not in known:
        raise UsageError(
            f"unknown option --{name}",
            hint=f"{suggest(flag, known + general)} (`medtasks tasks {task}` explains the task's own)",
        )


def pairs(items: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value`` items; a list, a table or null is written as JSON.

    >>> pairs(["epochs=3", "pooling=max", "sizes=[32, 64]"])
    {'epochs': '3', 'pooling': 'max', 'sizes': [32, 64]}
    """
    found = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {item!r} is not of the form key=value", hint="as in --set epochs=20")
        found[key.strip().replace("-", "_")] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    if not text.startswith(("[", "{")) and text != "null":
        return text  # the schema of the setting reads it
    try:
        return json.loads(text)
    except ValueError:
        return text
