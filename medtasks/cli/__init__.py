"""The command line: it parses, calls the public function that Python users call, and renders."""

from __future__ import annotations

import os
import sys
import traceback

from medtasks.errors import MedtasksError, suggest


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: list[str]) -> int:
    """Run the command line with the given arguments and return its exit code.

    0 done, 1 failed, 2 wrong usage, 3 plugin unusable, 4 data unusable, 130 interrupted.
    """
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    from medtasks.cli.app import Stopped, UsageFault, app

    try:
        code = app(args=arguments, prog_name="medtasks", standalone_mode=False)
    except MedtasksError as error:
        return _tell(error.message, error.hint, error.exit_code, debug)
    except UsageFault as error:
        known = getattr(error, "possibilities", None)
        hint = suggest(str(getattr(error, "option_name", "")), known) if known else _help_hint(error)
        return _tell(str(getattr(error, "message", error)).rstrip("."), hint, 2, debug)
    except (KeyboardInterrupt, Stopped):
        return _tell("interrupted", "nothing half written was left", 130, debug)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader is gone: nothing to tell it
        return 0
    except Exception as error:  # a fault of ours or a plugin's: its message may hold data, so it is not shown
        place = traceback.extract_tb(error.__traceback__)[-1]
        return _tell(
            f"unexpected {type(error).__name__} in {place.filename}:{place.lineno}",
            "repeat the command with --debug for a traceback, and report it",
            1,
            debug,
        )
    return int(code or 0)


def _tell(message: str, hint: str | None, code: int, debug: bool) -> int:
    if debug and code not in (2, 130):
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return code


def _help_hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path if context else 'medtasks'} --help`"
