"""``medtasks explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medtasks.cli import output
from medtasks.cli.run import AsJson, Device, OnDevice


def explain(
    bundle: Annotated[Path, typer.Argument(help="A bundle, or the folder of a run.")],
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A file, a folder, a glob, or a table.")],
    target: Annotated[str | None, typer.Option(help="The class; each case's own decision if left out.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the report.")] = Path("explanation"),
    device: OnDevice = Device.AUTO,
    as_json: AsJson = False,
) -> None:
    """Show what in each case spoke for the decision: heat maps of images, contributions of fields."""
    from medtasks import explaining

    found = explaining.write(bundle, source, out, target=target, device=device, progress=output.progress())
    if as_json:
        output.emit_json(found)
        return
    typer.echo(f"{found['explained']} cases explained, {found['invalid']} rows invalid")
    typer.echo(f"report: {found['report']}")
    typer.echo(f"values: {found['values']}")
