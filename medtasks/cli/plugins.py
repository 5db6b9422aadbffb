"""``medtasks plugins``: what is installed, whether a model keeps the contract, and a new one to start from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from medtasks import registry
from medtasks.cli import complete, output
from medtasks.cli.options import pairs
from medtasks.cli.run import AsJson
from medtasks.errors import UsageError

app = typer.Typer(
    help="List, check and start plugins.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


class Format(StrEnum):
    """How the list is written."""

    TABLE = "table"
    JSON = "json"
    REQUIREMENTS = "requirements"


class Profile(StrEnum):
    """Which checks are made."""

    DEFAULT = "default"
    GPU = "gpu"


class Kind(StrEnum):
    """What a new plugin brings."""

    MODEL = "model"
    TASK = "task"
    DATASET = "dataset"


@app.command("list")
def list_plugins(
    form: Annotated[
        Format, typer.Option("--format", help="A table, JSON, or lines for `pip install -r` on another machine.")
    ] = Format.TABLE,
) -> None:
    """List the distributions that bring tasks, models or data sets, from their metadata alone.

    Whether their code can be loaded, `medtasks doctor` tells.

    The variable MEDTASKS_PLUGINS names those that count, comma-separated; empty, only what comes with medtasks does.
    """
    found = [_about(name, group) for name, group in _by_distribution().items()]
    if form is Format.JSON:
        output.emit_json({"plugins": found})
    elif form is Format.REQUIREMENTS:
        for plugin in found:
            typer.echo(f"{plugin['distribution']}=={plugin['version']}")
    else:
        rows = [
            [
                plugin["distribution"],
                plugin["version"],
                plugin["state"],
                _told(plugin["brings"]),
                plugin["reason"] or "",
            ]
            for plugin in found
        ]
        header = ["distribution", "version", "state", "brings", "reason"]
        width = None if any(row[-1] for row in rows) else -1
        output.table(header[:width], [row[:width] for row in rows])
        for plugin in found:
            if plugin["fix"]:
                typer.echo(f"to mend {plugin['distribution']}: {plugin['fix']}")


@app.command("check")
def check(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A model.", autocompletion=complete.models)],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A hyper-parameter, instead of the toy's.")
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option("--expect", metavar="CHECK=REASON", help="A check known to fail, and why; passing is a failure."),
    ] = None,
    profile: Annotated[
        Profile,
        typer.Option(
            help="Checks that need no special machine, or whether a GPU, which must be here, and the CPU agree."
        ),
    ] = Profile.DEFAULT,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Time that all checks together have.")
    ] = 600.0,
    as_json: AsJson = False,
) -> None:
    """Check by toy data, in a process of its own, that a model keeps the contract.

    Exit code 0 says that every check that applies was made and passed, or failed as expected; a skipped check is a
    failure.
    """
    from medtasks.testing import check_apart

    chosen = pairs(settings or [])
    report = check_apart(model, chosen, expected=_expected(expect or []), profile=str(profile), seconds=timeout)
    if as_json:
        output.emit_json(report.as_json())
    else:
        typer.echo(str(report))
    for outcome in report.outcomes if context.obj else ():  # --debug
        if outcome.trace:
            typer.echo(f"{outcome.check}:\n{outcome.trace}", err=True)
    if not report.ok:
        raise typer.Exit(1)


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="The distribution's name, such as acme-lungs; its folder is made here.")],
    task: Annotated[str, typer.Option(help="The task that the model or data set is for, or the name of the new task.")],
    kind: Annotated[Kind, typer.Option(help="What the plugin brings.")] = Kind.MODEL,
    parent: Annotated[Path, typer.Option("--in", metavar="FOLDER", help="Where the folder is made.")] = Path(),
) -> None:
    """Write a complete plugin that works as it stands: code, tests, metadata, CI."""
    from medtasks.scaffold import scaffold

    made = scaffold(name, task, str(kind), parent)
    typer.echo(f"{made.folder}: {len(made.files)} files")
    place = made.folder if made.folder.is_absolute() else f"./{made.folder}"  # else pip would look for it on an index
    typer.echo(f"next: pip install {place} && {made.command}")


def _by_distribution() -> dict[str, list[registry.Entry]]:
    found: dict[str, list[registry.Entry]] = {}
    for entry in sorted(registry.entries(), key=lambda entry: entry.distribution.lower()):
        found.setdefault(entry.distribution, []).append(entry)
    return found


def _about(name: str, group: list[registry.Entry]) -> dict[str, Any]:
    """Sum a distribution up: it is ready where all it brings is."""
    poor = [entry for entry in group if entry.state is not registry.State.READY]
    reasons = dict.fromkeys(
        entry.reason if entry.state is registry.State.INCOMPATIBLE else f"{entry.name}: {entry.reason}"
        for entry in poor
    )
    return {
        "distribution": name,
        "version": group[0].version,
        "state": str(poor[0].state if poor else registry.State.READY),
        "reason": "; ".join(map(str, reasons)) or None,
        "fix": poor[0].fix if poor else None,
        "summary": group[0].summary,
        "home_page": group[0].home_page,
        "brings": [{"kind": entry.kind, "name": entry.name, "state": str(entry.state)} for entry in group],
    }


def _told(brings: list[dict[str, str]]) -> str:
    kinds = dict.fromkeys(item["kind"] for item in brings)
    return "; ".join(f"{kind}: " + ", ".join(item["name"] for item in brings if item["kind"] == kind) for kind in kinds)


def _expected(items: list[str]) -> dict[str, str]:
    found = {}
    for item in items:
        name, equals, reason = item.partition("=")
        if not equals or not reason.strip():
            raise UsageError(f"--expect {item!r} gives no reason", hint='as in --expect learns="one arm for everybody"')
        found[name.strip()] = reason.strip()
    return found
