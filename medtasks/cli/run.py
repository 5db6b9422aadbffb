"""``medtasks run``."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from medtasks.cli import complete, output
from medtasks.cli.options import pairs, task_options
from medtasks.errors import UsageError
from medtasks.words import plural

ACCEPTS_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
OnDevice = Annotated[Device, typer.Option(help="Where to compute; gpu fails where there is none.")]


def run(  # one parameter per option: that is how typer reads a command
    context: typer.Context,
    task: Annotated[
        str | None,
        typer.Argument(help="The task, as `medtasks tasks` lists it.", autocompletion=complete.tasks),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="A path, or the name of a data set; the task's demo if left out.",
            autocompletion=complete.data,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="The model, as `medtasks models` lists it.", autocompletion=complete.models),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A hyper-parameter of the model (may be repeated)."),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    group: Annotated[str | None, typer.Option(help="The column that names the patient.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder of the result.")] = None,
    seed: Annotated[int | None, typer.Option(help="For all that is drawn by chance.")] = None,
    device: Annotated[Device | None, typer.Option(help="Where to compute; gpu fails where there is none.")] = None,
    test: Annotated[float | None, typer.Option(help="Share of the cases kept for the test.")] = None,
    valid: Annotated[float | None, typer.Option(help="Share of the cases kept for validation.")] = None,
    folds: Annotated[int | None, typer.Option(help="Folds of cross-validation; 1 for one hold-out.")] = None,
    repeats: Annotated[
        int | None, typer.Option(help="How often cross-validation deals the cases anew, for mean and spread.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Time after which training should end.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings from a TOML file; options given here win.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and tell the plan, train nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on data, judge it beside a baseline, report and save.

    Every task has options of its own besides these: `medtasks tasks NAME` lists them.
    """
    from medtasks import pipeline
    from medtasks.preparing import prepare
    from medtasks.settings import read_settings, resolve, table_of

    values = read_settings(config) if config else {}
    values["task"] = name = task or values.get("task")
    if name is None:
        raise UsageError("no task is named", hint="as in `medtasks run diagnosis`; `medtasks tasks` lists them")
    given = {
        "data": data,
        "model": model,
        "out": str(out) if out else None,
        "seed": seed,
        "device": device,
        "test": test,
        "valid": valid,
        "folds": folds,
        "repeats": repeats,
        "minutes": minutes,
    }
    values |= {key: value for key, value in given.items() if value is not None}
    own = {"target": target, "group": group}
    values["options"] = {
        **table_of(values, "options"),
        **{key: value for key, value in own.items() if value},
        **task_options(context, name),
    }
    values["set"] = {**table_of(values, "set"), **pairs(set_ or [])}
    bars = output.progress()
    prepared = prepare(resolve(values), progress=bars)
    if prepared.dataset.origin.synthetic:
        output.note(f"Using the synthetic data set {prepared.settings.data!r}: nothing in it is a patient.")
    pipeline.check_out(prepared)
    _tell_losses(prepared)
    if dry_run:
        _tell_plan(prepared, as_json)
        return
    if not as_json:
        output.note(f"Training {prepared.model_id}; {len(prepared.dataset)} cases in all.")
    if resume and (found := pipeline.going_on(prepared)):
        output.note(f"note: {found}")
    with output.stopped(lambda: bool(pipeline.going_on(prepared))):
        done = pipeline.run(prepared, resume=resume, progress=bars)
    if as_json:
        output.emit_json(done.summary)
    else:
        _tell(done, name, prepared)


def _tell_losses(prepared: Any) -> None:
    """Say at once what of the data is not used: it may be what matters most."""
    origin = prepared.dataset.origin
    for note in origin.notes:
        output.note(f"note: {note}")
    if origin.invalid:
        output.note(
            f"note: {plural(len(origin.invalid), 'row')} cannot be used (the first: {': '.join(origin.invalid[0])})."
        )


def _tell_plan(prepared: Any, as_json: bool) -> None:
    plan = {
        "settings": prepared.settings.model_dump(mode="json"),
        "config": prepared.config.model_dump(mode="json"),
        "cases": len(prepared.dataset),
        "invalid": len(prepared.dataset.origin.invalid),
        "folds": len(prepared.folds),
        "parts": prepared.parts,
    }
    if as_json:
        output.emit_json(plan)
        return
    typer.echo(
        f"{prepared.model_id} would be trained on {plan['cases']} cases "
        f"({plural(plan['invalid'], 'row')} cannot be used), {plural(plan['folds'], 'fold')}."
    )
    _tell_positive(prepared)
    keys = list(next(iter(prepared.parts.values())))
    output.table(
        ["part", *keys],
        [[part, *(str(counts.get(key, 0)) for key in keys)] for part, counts in prepared.parts.items()],
    )
    output.table(["setting", "value"], [[key, str(value)] for key, value in plan["config"].items()])
    typer.echo("Nothing was trained or written.")


def _tell_positive(prepared: Any) -> None:
    """Say which of two classes the measures are about: a name need not tell."""
    if len(prepared.dataset.classes) == 2:
        negative, positive = prepared.dataset.classes
        typer.echo(f"positive: {positive} (negative: {negative})")


def _tell(done: Any, task: str, prepared: Any) -> None:
    summary = done.summary
    typer.echo(
        f"{summary['model']} on {summary['data']}: {summary['n']} cases judged, {summary['seconds']:.0f} s "
        f"on {summary['device']}"
    )
    _tell_positive(prepared)
    output.measures(summary["metrics"], summary["baseline"])
    if "repeated" in summary:
        output.repeated(summary["repeated"])
    asked = prepared.settings.minutes
    if asked and summary["seconds"] > 60 * asked:
        output.note(
            f"note: this took {summary['seconds'] / 60:.2g} minutes, longer than --minutes {asked:g}: the baseline, "
            "one whole fit in each fold and the report are always made, and some models cannot end early."
        )
    output.validity(summary["validity"])
    for text in summary.get("notes", ()):
        output.note(f"note: {text}.")
    invalid = len(prepared.dataset.origin.invalid)
    if invalid:
        typer.echo(f"{plural(invalid, 'row')} could not be used; {done.folder / 'invalid.csv'} says why.")
    typer.echo(f"report: {summary['report']}")
    typer.echo(f"bundle: {summary['bundle']}")
    if (trust := done.predictor.trust) is not None and trust.structures:
        from medtasks.trusting import kept_structures

        output.note(f"note: the bundle holds {kept_structures(trust.structures)}.")
    if prepared.dataset.origin.synthetic:
        typer.echo(f"next, with your own data: medtasks run {task} --data PATH")
    else:
        typer.echo(f"next: medtasks predict {shlex.quote(summary['bundle'])} NEW_CASES")
