"""The command line: it parses, calls the public function that Python users call, and renders."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import Any

from medtasks.errors import Interrupted, MedtasksError, suggest

INTERRUPTED = Interrupted.exit_code
TERMINATED = 128 + signal.SIGTERM
STOPPED = "no half result was left"


def main() -> None:
    """Run the command line and end the process with its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller, as in `>&-`: the next file opened would take its place
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    signal.signal(signal.SIGTERM, _terminate)
    code = execute(sys.argv[1:])
    sys.exit(TERMINATED if code == INTERRUPTED and _ended_by else code)


_ended_by: list[int] = []


def _terminate(number: int, frame: Any) -> None:
    """Clean up as after Ctrl-C; a second signal ends the process at once."""
    _ended_by.append(number)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise KeyboardInterrupt


def execute(arguments: list[str]) -> int:
    """Run the command line with the given arguments and return its exit code.

    0 done, 1 failed, 2 wrong usage, 3 plugin unusable, 4 data unusable, 130 interrupted; `main` turns the last
    into 143 after SIGTERM.
    """
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    from medtasks.cli.app import Stopped, UsageFault, app
    from medtasks.guarding import results_on_stdout

    try:
        with results_on_stdout():
            code = app(args=arguments or ["--help"], prog_name="medtasks", standalone_mode=False, obj=debug)
        sys.stdout.flush()
    except MedtasksError as error:
        return _tell(error.message, error.hint, error.exit_code, debug)
    except UsageFault as error:
        known = getattr(error, "possibilities", None)
        hint = suggest(str(getattr(error, "option_name", "")), known) if known else _help_hint(error)
        return _tell(_named(error), hint, 2, debug)
    except (KeyboardInterrupt, Stopped):
        return _tell("interrupted", STOPPED, INTERRUPTED, debug)
    except (BrokenPipeError, SystemExit) as error:
        # typer ends the program by itself when the reader of a pipe is gone; else a task of a plugin's did
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            return _unexpected(error, debug)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # there is nobody to tell
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _tell(
            f"{where}{error.strerror or type(error).__name__}", "check the path, its rights and free space", 1, debug
        )
    except Exception as error:
        return _unexpected(error, debug)
    if code == INTERRUPTED:  # how typer tells Ctrl-C
        return _tell("interrupted", STOPPED, INTERRUPTED, debug)
    return int(code or 0)


def _unexpected(error: BaseException, debug: bool) -> int:
    """Tell of a fault of ours or a plugin's by its place: its message may hold data, so it is not shown."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return _tell(
        f"unexpected {type(error).__name__} in {place.filename}:{place.lineno}",
        "repeat the command with --debug for a traceback, and report it",
        1,
        debug,
    )


def _tell(message: str, hint: str | None, code: int, debug: bool) -> int:
    if debug and code not in (2, INTERRUPTED):
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return code


def _named(error: Exception) -> str:
    """Return a usage error's message with the option or argument it is about."""
    whole = getattr(error, "format_message", None)
    return str(whole() if whole else error).rstrip(".")


def _help_hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path if context else 'medtasks'} --help`"
