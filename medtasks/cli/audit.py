"""``medtasks audit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medtasks.cli import complete, output
from medtasks.cli.options import task_options
from medtasks.cli.run import AsJson
from medtasks.errors import DataError

if TYPE_CHECKING:
    from medtasks import api


def audit(
    context: typer.Context,
    data: Annotated[str, typer.Argument(help="A path, or the name of a data set.", autocompletion=complete.data)],
    task: Annotated[
        str,
        typer.Option(help="The task, as `medtasks tasks` lists it.", autocompletion=complete.tasks),
    ],
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    group: Annotated[str | None, typer.Option(help="The column that names the patient.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="An HTML file that names the rows.")] = None,
    seed: Annotated[int, typer.Option(help="For the folds of the probes.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="End with exit code 4 if a finding is severe.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for what would make a result too good or wrong: copies, leaks, shift, impossible values.

    Rows are named by their ids in the JSON and in the HTML file only, and no value of a row is shown anywhere.
    """
    from medtasks import api

    own = {key: value for key, value in (("target", target), ("group", group)) if value}
    found = api.audit(task, data, out=out, seed=seed, progress=output.progress(), **own, **task_options(context, task))
    if as_json:
        output.emit_json(found.summary)
    else:
        _tell(found)
    if strict and found.severe:
        count = len(found.severe)
        raise DataError(
            f"{count} finding{'' if count == 1 else 's'} of the audit {'is' if count == 1 else 'are'} severe",
            hint="mend the data; --json or -o audit.html names the rows",
        )


def _tell(found: api.Audit) -> None:
    from medtasks.auditing import summed

    summary = found.summary
    counts = summed(summary["counts"])
    typer.echo(f"{summary['data']} for {summary['task']}: {summary['n']} cases, {counts}")
    if found.findings:
        output.table(["severity", "check", "finding"], [[one.severity, one.check, one.title] for one in found.findings])
        typer.echo("what to do:")
        for advice in dict.fromkeys(f"{one.check}: {one.advice}" for one in found.findings):
            typer.echo(f"- {advice}")
    if summary["report"]:
        typer.echo(f"report: {summary['report']}")
