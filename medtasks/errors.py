"""Errors a user is expected to meet: what happened, where, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MedtasksError(Exception):
    """An expected failure, told in one ``error:`` line and one ``hint:`` line.

    Parameters
    ----------
    message
        What happened and where (file, row, plugin and its version); never a patient's data.
    hint
        What the user can do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MedtasksError):
    """A name, option or value that does not exist or does not fit."""

    exit_code = 2


class PluginError(MedtasksError):
    """A plugin that is missing, broken, incompatible, or breaks its contract."""

    exit_code = 3


class DataError(MedtasksError):
    """Data that cannot be read or cannot carry the task."""

    exit_code = 4


class BundleError(DataError):
    """A bundle that is damaged, tampered with, or made by a newer version."""


class Interrupted(MedtasksError):
    """The user stopped the work."""

    exit_code = 130


def suggest(name: str, known: Iterable[str]) -> str:
    """Say which known name is nearest, or list what there is.

    >>> suggest("diagnosys", ["diagnosis", "treatment"])
    "did you mean 'diagnosis'?"
    >>> suggest("xyz", ["diagnosis", "treatment"])
    'available: diagnosis, treatment'
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "none is installed"
    shown = ", ".join(names[:20])
    return f"available: {shown}" + (f" and {len(names) - 20} more" if len(names) > 20 else "")
