"""``medtasks compare``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from medtasks.cli import complete, output
from medtasks.cli.options import pairs, task_options
from medtasks.cli.run import AsJson, Device, OnDevice
from medtasks.errors import UsageError
from medtasks.words import plural


def compare(  # one parameter per option: that is how typer reads a command
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="The task, as `medtasks tasks` lists it.", autocompletion=complete.tasks)],
    models: Annotated[
        str,
        typer.Option(
            metavar="NAME,NAME,...",
            help="The models, as `medtasks models` lists them; the task's baseline is added.",
            autocompletion=complete.models,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            help="A path, or the name of a data set; the task's demo if left out.", autocompletion=complete.data
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(help="How often the data are dealt into folds anew.")] = 5,
    folds: Annotated[int, typer.Option(help="Folds of each repeat.")] = 5,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="MODEL.KEY=VALUE", help="A hyper-parameter of one model (may be repeated)."),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    group: Annotated[str | None, typer.Option(help="The column that names the patient.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A folder for report, scores, record.")] = None,
    seed: Annotated[int, typer.Option(help="For all that is drawn by chance.")] = 0,
    device: OnDevice = Device.AUTO,
    resume: Annotated[
        bool, typer.Option("--resume", help="Use the fits of an interrupted comparison with the same --out.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare models on the same repeated folds, and say which of them can be told apart.

    Every model is fitted on every fold with its defaults; the task's headline measure decides, by statistics that are
    corrected for what the folds share. A model that fails is named, and the others are compared.
    """
    from medtasks import bundle, comparing
    from medtasks.compared import FILES
    from medtasks.journal import fits_of
    from medtasks.settings import resolve

    if out is not None:
        out = out.expanduser()
        bundle.check_target(out, FILES)
    options = {key: value for key, value in (("target", target), ("group", group)) if value}
    options |= task_options(context, task)
    settings = resolve({"task": task, "options": options, "seed": seed, "device": device, "folds": folds})
    named = [name.strip() for name in models.split(",") if name.strip()]
    with output.stopped(lambda: out is not None and fits_of(out).is_file()):
        bars = output.progress()
        entrants = comparing.enter(settings, data, named, repeats, by_model(set_ or []), progress=bars)
        cases = len(entrants.ready[0].dataset)
        if not as_json:
            output.note(
                f"Comparing {plural(len(entrants.ready), 'model')} on {repeats} x {folds} folds of {cases} cases: "
                f"{plural(len(entrants.fits), 'fit')}."
            )
        found = comparing.run(entrants, out=out, resume=resume, progress=bars)
    summary = {**found.summary, "report": str(out / "report.html") if out else None}
    if as_json:
        output.emit_json(summary)
    else:
        _tell(found, summary)
    if found.failures:
        if out:
            output.note(
                "note: the fits that had ended are kept; once the model is mended, --resume makes those that lack."
            )
        raise found.failures[0].error()


def by_model(items: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read ``model.key=value`` items; the model's name may hold dots.

    >>> by_model(["record-ensemble.members=2", "diagnosis.linear-record.strengths=0.1"])
    {'record-ensemble': {'members': '2'}, 'diagnosis.linear-record': {'strengths': '0.1'}}
    """
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        name, equals, value = item.partition("=")
        model, dot, key = name.strip().rpartition(".")
        if not (equals and dot and model and key):
            raise UsageError(
                f"--set {item!r} is not of the form model.key=value", hint="as in --set image-cnn.epochs=20"
            )
        found.setdefault(model, {}).update(pairs([f"{key}={value}"]))
    return found


def _tell(found: Any, summary: Any) -> None:
    for note in summary["notes"]:
        output.note(f"note: {note}")
    typer.echo(
        f"{summary['task']} on {summary['data']}: {summary['n']} cases, "
        f"{summary['repeats']} x {summary['folds']} folds, {summary['seconds']:.0f} s"
    )
    output.table(
        ["model", f"{summary['measure']} (95 % interval)", "beside the best", "s per fit"],
        [
            [found.short(name), str(mean), found.standing(name), f"{summary['models'][name]['fit_seconds']:.1f}"]
            for name, mean in found.comparison.means.items()
        ],
    )
    typer.echo(found.verdict)
    if summary["report"]:
        typer.echo(f"report: {summary['report']}")
    for failure in found.failures[1:]:  # the first is the error that the command ends with
        output.note(f"note: {failure.error().message}")
