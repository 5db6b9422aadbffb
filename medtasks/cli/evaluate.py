"""``medtasks evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medtasks.cli import output
from medtasks.cli.options import task_options
from medtasks.cli.run import AsJson, Device, OnDevice


def evaluate(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="A bundle, or the folder of a run.")],
    data: Annotated[str, typer.Argument(help="A path, or the name of a data set, with targets.")],
    target: Annotated[str | None, typer.Option(help="The column with the truth.")] = None,
    group: Annotated[str | None, typer.Option(help="The column that names the patient.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A folder for report, measures, answers.")] = None,
    seed: Annotated[int, typer.Option(help="For the resampling of the intervals.")] = 0,
    device: OnDevice = Device.AUTO,
    as_json: AsJson = False,
) -> None:
    """Judge a bundle, and the baseline inside it, on new data whose truth is known."""
    from medtasks import api

    predictor = api.load(bundle, device=device)
    own = {key: value for key, value in (("target", target), ("group", group)) if value}
    found = api.evaluate(
        predictor,
        data,
        out=out,
        seed=seed,
        device=device,
        progress=output.progress(),
        **own,
        **task_options(context, predictor.task.name),
    )
    summary = {**found.summary, "bundle": str(bundle)}
    if as_json:
        output.emit_json(summary)
        return
    for note in summary["notes"]:
        output.note(f"note: {note}")
    typer.echo(f"{summary['model']} on {summary['data']}: {summary['n']} cases judged")
    output.measures(summary["metrics"], summary["baseline"])
    output.in_training(summary["in_training"], summary["n"])
    output.validity(summary["validity"])
    if summary["report"]:
        typer.echo(f"report: {summary['report']}")
