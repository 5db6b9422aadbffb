"""``medtasks rerun``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medtasks.cli import output
from medtasks.cli.run import AsJson
from medtasks.errors import MedtasksError

TOLD = {
    "identical": "the answers are the same to the bit",
    "close": "the answers are the same but for the last digits of numbers",
    "different": "the answers DIFFER",
    "unknown": "the first run's answers are not beside its record: nothing to compare with",
}


def rerun(
    record: Annotated[Path, typer.Argument(help="run.json of a run, or the run's folder.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The folder of the repetition.")] = None,
    as_json: AsJson = False,
) -> None:
    """Repeat a run from its record, and tell whether it gives the same answers."""
    from medtasks import api

    found = api.rerun(record, out=out, progress=output.progress())
    if found.changed:
        output.note(f"note: other versions than then: {'; '.join(found.changed)}")
    if as_json:
        output.emit_json({**found.run.summary, "same": found.same, "changed": list(found.changed)})
    else:
        output.measures(found.run.summary["metrics"], found.run.summary["baseline"])
        typer.echo(f"{TOLD[found.same]}; report: {found.run.summary['report']}")
    if found.same == "different":
        raise MedtasksError(
            "the repetition gives other answers", hint="compare predictions.csv of both; versions or machine may differ"
        )
