"""Writes docs/cli.md from the commands themselves: `python docs/make_cli.py`; a test compares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from medtasks.cli.app import app

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# Command line

Results go to stdout, talk (progress bars, notes) to stderr. With `--json` the result is one JSON object
(`predict`: one per row). `--debug` before or after any command shows a traceback, never with values.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 plugin unusable, 4 data unusable, 130 interrupted, 143 terminated. An
expected error is one `error:` line and one `hint:` line.

`run`, `audit` and `compare` also take the options of their task (`medtasks tasks diagnosis` lists them), as in
`--positive malignant` or `--threshold sensitivity=0.95`; of several names one that holds a comma stands in quotation
marks, as in `--ignore '"Pain, night",ward'`; `evaluate` takes those that say how data are read: a model is judged as it
decides.

A configuration file for `run --config`, as each run leaves one beside its result:

```toml
task = "diagnosis"
data = "scans/"
seed = 1

[options]
group_pattern = "person([0-9]+)"

[set]
members = 5
```
"""


def page() -> str:
    """Return the whole page."""
    group: Any = typer.main.get_command(app)
    return HEAD + "".join(_commands("", group))


def _commands(prefix: str, group: Any) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(f"{prefix}{name} ", command)
        else:
            yield _command(f"{prefix}{name}", command)


def _command(name: str, command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    usage = " ".join([name, *(_argument(parameter) for parameter in arguments)])
    rows = [f"| `{_argument(parameter).strip('[]')}` | {parameter.help} |" for parameter in arguments]
    rows += [
        f"| {', '.join(f'`{flag}`' for flag in parameter.opts)} | {parameter.help} |"
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.help
    ]
    paragraphs = [" ".join(part.split()) for part in command.help.split("\n\n")]
    return f"\n## `medtasks {usage}`\n\n" + "\n\n".join(paragraphs) + "\n\n| | |\n|---|---|\n" + "\n".join(rows) + "\n"


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name).upper()
    return name if parameter.required else f"[{name}]"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
