"""The command line's commands, each in a module of its own."""

from __future__ import annotations

import typer

from medtasks.cli import audit, compare, doctor, evaluate, explain, listing, plugins, predict, rerun, run

# The classes that every usage error and every interruption has, in any version of typer and click.
UsageFault: type[Exception] = typer.BadParameter.__mro__[1]
Stopped: type[Exception] = typer.Abort

app = typer.Typer(
    name="medtasks",
    help="Tasks for medicine: train, judge, explain and use models that are plugins.",
    epilog="Start with `medtasks run diagnosis`. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 plugin unusable, "
    "4 data unusable, 130 interrupted, 143 terminated.",
    rich_markup_mode=None,  # rich's help costs a third of the time in which --help has to answer
    pretty_exceptions_enable=False,  # a traceback with locals would show patients' data
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback(invoke_without_command=True)
def _main(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    debug: bool = typer.Option(False, "--debug", help="Show a traceback when something fails (never with values)."),
) -> None:
    if version:
        from medtasks import registry

        typer.echo(f"medtasks {registry.version()}")
        raise typer.Exit


app.command("run", context_settings=run.ACCEPTS_OPTIONS)(run.run)
app.command("predict")(predict.predict)
app.command("evaluate", context_settings=run.ACCEPTS_OPTIONS)(evaluate.evaluate)
app.command("audit", context_settings=run.ACCEPTS_OPTIONS)(audit.audit)
app.command("compare", context_settings=run.ACCEPTS_OPTIONS)(compare.compare)
app.command("rerun")(rerun.rerun)
app.command("explain")(explain.explain)
app.command("tasks")(listing.tasks)
app.command("models")(listing.models)
app.command("datasets")(listing.datasets)
app.command("doctor")(doctor.doctor)
app.add_typer(plugins.app, name="plugins")
