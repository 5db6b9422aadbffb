"""Running a plugin's code so that it can neither write to stdout nor end or hold up the program by its import."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

from medtasks.errors import PluginError
from medtasks.threads import Shared
from medtasks.tracing import place

SECONDS = 120.0
"""Time that a plugin has to be imported: TensorFlow takes 4 s on two cores, and a minute from a slow network disk."""
VARIABLE = "MEDTASKS_LOAD_SECONDS"
"""The variable that gives it more or less time; 0: no limit."""


class Ended(BaseException):
    """An import was stopped; the message says what it did. A plugin's ``except Exception`` does not catch it."""


class Late(Ended):
    """It took longer than it may."""


_results: list[None] = []


@contextlib.contextmanager
def results_on_stdout() -> Iterator[None]:
    """Let `aside` keep stdout for results while the block runs, as a program needs that others read.

    In a host's program, which may write there from any thread, nothing is redirected.
    """
    _results.append(None)
    try:
        yield
    finally:
        _results.pop()


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """Send to stderr what a plugin writes to stdout, native code's too, while the block runs: stdout is the result's.

    Both are the process's: other threads are redirected too. So it is done for programs of ours alone; see
    `results_on_stdout`.
    """
    with _redirection if _results else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _redirected() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a program without stdout or stderr
            kept = os.dup(1)
            stack.callback(os.close, kept)
            os.dup2(2, 1)
            stack.callback(os.dup2, kept, 1)
            stack.callback(flush_c)
        with contextlib.redirect_stdout(sys.stderr):
            yield


_redirection = Shared(_redirected)


def flush_c() -> None:
    """Flush what C code has printed and not yet written."""
    import ctypes  # here, because listing does not need it

    with contextlib.suppress(OSError, AttributeError, TypeError):  # Windows has no handle of this kind
        ctypes.CDLL(None).fflush(None)


@contextlib.contextmanager
def calling(what: str, owner: type) -> Iterator[None]:
    """Let the block call a plugin that has been imported: its stdout goes `aside`, and it cannot end the program.

    Parameters
    ----------
    what
        Its name, for messages, as in "the model diagnosis.image-cnn".
    owner
        Its class, in whose files the place is looked for.

    Raises
    ------
    PluginError
        If it calls `sys.exit`; not in its words, since they may tell of the cases that it was given.
    """
    try:
        with aside():
            yield
    except SystemExit as error:
        where = place(error, owner)
        raise PluginError(
            f"{what} called sys.exit{f' in {where}' if where else ''}: a plugin must not end the program",
            hint="tell its author, who should raise an error instead; --debug shows what it said",
        ) from error


@contextlib.contextmanager
def own_seeds() -> Iterator[None]:
    """Keep the random numbers of the host's program from what the block, a model's `fit`, seeds or draws.

    Those of Python and of NumPy go on where they were; frameworks that seed networks seed these too, and a host that
    draws samples between two fits would draw the same ones each time.
    """
    import random

    numpy = sys.modules.get("numpy")  # not loaded: nobody draws from it
    ours, theirs = random.getstate(), numpy.random.get_state() if numpy else None
    try:
        yield
    finally:
        random.setstate(ours)
        if numpy:
            numpy.random.set_state(theirs)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Let the block import a plugin: on `os._exit` or after `SECONDS` it raises `Ended`.

    The time is limited in the main thread of POSIX systems, and where nobody else uses the alarm clock; it ends what
    waits or loops in Python, not what hangs in native code.
    """
    with _no_exit(), _in_time():
        yield


@contextlib.contextmanager
def _no_exit() -> Iterator[None]:
    me = os.getpid(), threading.get_ident()
    with _refusal:
        _importers.append(me)
        try:
            yield
        finally:
            _importers.remove(me)


@contextlib.contextmanager
def _refused() -> Iterator[None]:
    plain = os._exit

    def refuse(status: int) -> NoReturn:
        # Other threads may end the process, and so may a child that the import has forked.
        if (os.getpid(), threading.get_ident()) in _importers:
            raise Ended(f"it ends the process with exit code {status} (os._exit)")
        plain(status)

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = plain


_importers: list[tuple[int, int]] = []
_refusal = Shared(_refused)


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    seconds = _seconds()
    if not (
        seconds
        and hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    ):
        yield
        return

    def late(number: int, frame: Any) -> NoReturn:
        raise Late(f"it did not end within {seconds:g} s ({VARIABLE} gives it longer)")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _seconds() -> float:
    try:
        seconds = float(os.environ.get(VARIABLE, SECONDS))
    except ValueError:
        return SECONDS
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
