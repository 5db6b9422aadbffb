"""Checks of how a model behaves as a plugin: each says what holds and how to mend it."""

from __future__ import annotations

import json
from typing import Any

import pydantic

from medtasks.defaults import faults_told
from medtasks.testing.bench import Bench, child_environment, run_child
from medtasks.testing.report import Broken

NOBODYS = "medtasks_no_such_setting"
"""A key that no Config has."""
PATIENCE = 60
"""Seconds for listing, which takes half of one."""
_LISTING = """
import contextlib, io, sys
from medtasks.cli import execute
with contextlib.redirect_stdout(io.StringIO()):
    code = execute(["models"])
sys.exit(9 if sys.argv[1] in sys.modules else code)
"""


def no_network(bench: Bench) -> None:
    """`fit`, `predict` and `save` open no connection and look no host up.

    To mend: ship weights with the distribution, or let the user name a file; data must not leave the machine.
    """
    _work(bench)
    if bench.seen.connected:
        during, where = bench.seen.connected[0]
        raise Broken(f"{during} tried to reach {where}")


def quiet_stdout(bench: Bench) -> None:
    """`fit`, `predict` and `save` write nothing to stdout, where the result of a command goes.

    To mend: talk by `context.progress`, or on stderr; switch off the chatter of libraries (`verbose=0`).
    """
    _work(bench)
    if bench.seen.written:
        during, text = bench.seen.written[0]
        raise Broken(f"{during} wrote to stdout: {text!r}")


def config(bench: Bench) -> None:
    """The Config comes back whole from JSON and refuses keys that it does not know.

    To mend: derive it from `medtasks.model.Config`, and type every field with what JSON holds.
    """
    schema: type[pydantic.BaseModel] = bench.model.Config
    given: Any = bench.config
    try:
        again = schema.model_validate(json.loads(given.model_dump_json()))
    except pydantic.ValidationError as error:
        raise Broken(f"it does not come back from JSON: {faults_told(error.errors(include_url=False))}") from None
    except (ValueError, TypeError) as error:
        raise Broken(f"it does not come back from JSON: {str(error).splitlines()[0]}") from None
    if again != given:
        raise Broken("it comes back from JSON as another")
    try:
        schema.model_validate({**given.model_dump(), NOBODYS: 1})
    except pydantic.ValidationError:
        return
    raise Broken("it takes an unknown key in silence, so that a misspelt setting has no effect")


def listing(bench: Bench) -> None:
    """`medtasks models` does not import the model.

    To mend: name it by one entry point and do nothing else at installation; no `.pth` file, no import by another
    plugin's entry point.
    """
    module = bench.entry.target.partition(":")[0].strip()
    done = run_child(_LISTING, module, PATIENCE, child_environment())
    if done.returncode == 9:
        raise Broken(f"`medtasks models` imports {module}")
    if done.returncode:
        raise Broken(f"`medtasks models` ends with exit code {done.returncode}")


def _work(bench: Bench) -> None:
    """Let the model do, watched, what it does in a run."""
    _ = bench.raw, bench.saved
