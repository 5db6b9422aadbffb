"""``medtasks explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medtasks.cli import output, piped
from medtasks.cli.predict import INPUT
from medtasks.cli.run import AsJson, Device, OnDevice
from medtasks.errors import DataError
from medtasks.words import plural


def explain(
    bundle: Annotated[Path, typer.Argument(help="A bundle, or the folder of a run.")],
    source: Annotated[str, typer.Argument(metavar="INPUT", help=INPUT)],
    target: Annotated[str | None, typer.Option(help="The class; each case's own decision if left out.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the report.")] = Path("explanation"),
    device: OnDevice = Device.AUTO,
    as_json: AsJson = False,
) -> None:
    """Show what in each case spoke for the decision: heat maps of images, contributions of fields."""
    from medtasks import api, explaining

    predictor = api.load(bundle, device=device)
    with piped.readable(source, predictor.schema["kind"]) as given:
        found = explaining.write(predictor, given, out, target=target, device=device, progress=output.progress())
    if as_json:
        output.emit_json(found)
    else:
        typer.echo(f"{plural(found['explained'], 'case')} explained, {plural(found['invalid'], 'row')} invalid")
        typer.echo(f"report: {found['report']}")
        if found["faithfulness"] is not None:
            typer.echo(f"faithfulness: {found['faithfulness']} (0.5 is chance)")
        if found["values"]:
            typer.echo(f"values: {found['values']}")
    if found["invalid"] and not found["explained"]:
        raise DataError("no row of the input could be used", hint="the report says why for each")
