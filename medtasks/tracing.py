"""Where in a plugin's own files an error arose, and what it says: for messages to its author."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

LONGEST = 200
"""Characters of an exception's text that a message repeats."""


def place(error: BaseException, owner: type) -> str:
    """Return the last line of the traceback in the package of ``owner``, as in ``acme/model.py:59``; else nothing.

    Its last line of all often stands in a library, where the author has nothing to mend.
    """
    return within(error, owner.__module__.partition(".")[0])


def within(error: BaseException, package: str) -> str:
    """Return the last line of the traceback, or that of a `SyntaxError`, in a package's files; else nothing."""
    found, trace = "", error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] == package:
            found = f"{_short(trace.tb_frame.f_code.co_filename, module)}:{trace.tb_lineno}"
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        *folders, name = Path(error.filename).parts
        if package in folders:
            above = len(folders) - 1 - folders[::-1].index(package)
            return f"{'/'.join([*folders[above:], name])}:{error.lineno}"
        if name == f"{package}.py":
            return f"{name}:{error.lineno}"
    return found


def defined(function: Any) -> str:
    """Return where a function or method is written, as in ``acme/model.py:59``; nothing where Python does not tell."""
    plain = inspect.unwrap(function)
    code = getattr(plain, "__code__", None)
    return "" if code is None else f"{_short(code.co_filename, plain.__module__)}:{code.co_firstlineno}"


def written(kind: type) -> str:
    """Return where a class is written, as `defined` does; its module where no source is there."""
    try:
        return f"{_short(inspect.getfile(kind), kind.__module__)}:{inspect.getsourcelines(kind)[1]}"
    except (OSError, TypeError):
        return kind.__module__


def _short(file: str, module: str) -> str:
    parts = Path(file).parts
    return "/".join(parts[-(module.count(".") + 1 + (parts[-1] == "__init__.py")) :])


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
