"""Where in a plugin's own files an error arose, and what it says: for messages to its author."""

from __future__ import annotations

import os
from pathlib import Path

LONGEST = 200
"""Characters of an exception's text that a message repeats."""


def place(error: BaseException, owner: type) -> str:
    """Return the last line of the traceback in the package of ``owner``, as in ``acme/model.py:59``; else nothing.

    Its last line of all often stands in a library, where the author has nothing to mend.
    """
    package, found, trace = owner.__module__.partition(".")[0], "", error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] == package:
            parts = Path(trace.tb_frame.f_code.co_filename).parts
            depth = module.count(".") + 1 + ("__path__" in trace.tb_frame.f_globals)  # a package stands in __init__.py
            found = f"{'/'.join(parts[-depth:])}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def told(error: BaseException, folder: Path | None = None) -> str:
    """Return an exception's class and the first line of its text; not for one that has seen a patient's data.

    Parameters
    ----------
    folder
        Files in it are called by their names alone.

    Examples
    --------
    >>> told(ValueError("shapes (3,) and (4,) differ"))
    'ValueError: shapes (3,) and (4,) differ'
    """
    text = str(error) if folder is None else str(error).replace(f"{folder}{os.sep}", "")
    line = next(iter(text.strip().splitlines()), "")
    return f"{type(error).__name__}: {line[:LONGEST]}".removesuffix(": ")
