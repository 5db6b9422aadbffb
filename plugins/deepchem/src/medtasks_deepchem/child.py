"""DeepChem's own process, seen from this one: started, asked, and ended.

DeepChem prints to stdout when it is imported, takes 5 to 12 s and 700 MB for that, and its networks need Keras 2 in a
process that never saw Keras 3. So it lives in a child process. Requests and answers are lines of JSON over pipes,
arrays go through files in a temporary folder, and nothing of what it prints reaches the user's stdout.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from medtasks.cases import Molecules
from medtasks.errors import BundleError, DataError, PluginError
from medtasks.model import Context
from medtasks.stored import write_arrays

Arrays = dict[str, npt.NDArray[Any]]
IN, OUT = "in.npz", "out.npz"
"""The files of a request and of its answer."""
NEEDED = ("deepchem", "tensorflow", "tf_keras")
VERSION = sys.version_info[:2]
TAIL = 8
"""Lines of its stderr that are told when the child process dies."""
WAKE = 0.2
"""Seconds after which waiting for an answer is begun anew."""
KILLED = -9
"""The exit code of what the operating system killed, as it does when memory runs out."""
_SAFE = re.compile(r'\s*File "[^"]*", line \d+, in \S+|Fatal Python error: .*|[A-Za-z_.]*(?:Error|Exception)(?=:|$)')
"""What of a traceback holds no data: the places, and the kind of error without its message."""


def require_deepchem() -> None:
    """Refuse to go on where DeepChem is not installed.

    Raises
    ------
    PluginError
        Saying whether another Python is needed, or an installation.
    """
    lacking = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if not lacking:
        return
    if VERSION >= (3, 12) and "deepchem" in lacking:
        raise PluginError(
            f"DeepChem needs Python < 3.12; this is {VERSION[0]}.{VERSION[1]}",
            hint="make an environment with Python 3.11 and install medtasks and medtasks-deepchem there",
        )
    raise PluginError(
        f"{' and '.join(lacking)} cannot be found, which medtasks-deepchem needs",
        hint="pip install --force-reinstall medtasks-deepchem",
    )


class Child:
    """A process in which DeepChem is imported once, to be asked many times.

    It ends with `close`, with this object, with this process however that ends, and whenever a request fails or is
    interrupted.

    Raises
    ------
    PluginError
        If DeepChem is not installed.
    """

    def __init__(self) -> None:
        require_deepchem()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self._process = subprocess.Popen(
            # -P: a folder called deepchem where the user stands is not imported instead.
            [sys.executable, "-P", "-m", "medtasks_deepchem.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(),
            text=True,
            encoding="utf-8",
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True).start()
        self._close = weakref.finalize(self, _end, self._process, self._errors)
        self._lock = threading.Lock()
        self._ready = False

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._close.alive and self._process.poll() is None

    def close(self) -> None:
        """End the process at once."""
        self._close()

    def events(self, do: str, folder: Path, about: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Ask for something, and yield what is told on the way and last the answer.

        Parameters
        ----------
        do
            A method of `medtasks_deepchem.worker.Worker`.
        folder
            Where the arrays of the request stand and those of the answer will.
        about
            What else the request holds, as plain JSON.

        Raises
        ------
        BundleError
            If the network refuses the weights it is given.
        DataError
            If there is nothing to train on.
        PluginError
            If DeepChem fails or its process dies; what is told of it holds no structures.
        """
        with self._lock:
            finished = False
            try:
                if not self._ready:
                    self._listen()
                    self._ready = True
                self._say({"do": do, "folder": str(folder), **(about or {})})
                while not finished:
                    told = self._listen()
                    finished = "done" in told
                    yield told["done"] if finished else told
            finally:
                if not finished:  # failed, interrupted, or nobody listens any more
                    self.close()

    def ask(self, do: str, folder: Path, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask for something and return the answer; see `events`."""
        *_, answer = self.events(do, folder, about)
        return answer

    def _say(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:  # a broken pipe
            raise self._died() from None

    def _listen(self) -> dict[str, Any]:
        line = None
        while line is None:
            # Waking up now and then lets Ctrl-C through where the system gives it to another thread.
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=WAKE)
        if not line.endswith("\n"):
            raise self._died()
        told: dict[str, Any] = json.loads(line)
        if "refused" in told:
            raise BundleError(f"the stored network cannot be used: {told['refused']}", hint="train again")
        if "impossible" in told:
            raise DataError(told["impossible"], hint="see the README of medtasks-deepchem")
        if "failed" in told:
            raise PluginError(
                f"DeepChem failed with {told['failed']} in {told['where']}",
                hint="its message is held back because it may name structures; report it with what you did",
            )
        return told

    def _died(self) -> PluginError:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it closed its end of the pipe and lives on
            self._process.kill()
            code = self._process.wait()
        told = tail(self._errors, plain=not self._ready)
        how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
        hint = "repeat it; if it happens again, report it with what you did"
        if code == KILLED:
            hint = "memory may have run out: give fewer molecules or a smaller batch"
        elif not self._ready:
            hint = "check the installation: TF_USE_LEGACY_KERAS=1 python -c 'import deepchem'"
        return PluginError(f"the process of DeepChem {how}" + (f"; it said last: {told}" if told else ""), hint=hint)


def tail(errors: IO[bytes], *, plain: bool) -> str:
    """Return the last lines of what a process wrote to stderr, in one line.

    Parameters
    ----------
    plain
        Whether the lines can hold no data, because none was sent yet; else places in code and kinds of errors alone.
    """
    errors.seek(max(errors.seek(0, os.SEEK_END) - 20_000, 0))
    lines = [line.strip() for line in errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
    if not plain:
        lines = [found[0].strip() for line in lines if (found := _SAFE.match(line))]
    return " | ".join(lines[-TAIL:])


def write_molecules(folder: Path, molecules: Molecules, **arrays: npt.NDArray[Any]) -> None:
    """Write molecules, in RDKit's binary form, and further arrays for a request."""
    whole = np.frombuffer(b"".join(molecules.binaries), dtype=np.uint8)
    ends = np.cumsum([len(one) for one in molecules.binaries], dtype=np.int64)
    write_arrays(folder / IN, {"molecules": whole, "ends": ends, **arrays})


def read_arrays(path: Path) -> Arrays:
    """Read all arrays of a file."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@contextlib.contextmanager
def workspace(context: Context) -> Iterator[Path]:
    """Give a folder for the files of a request, which hold structures: only the user can read it, and it is removed."""
    with tempfile.TemporaryDirectory(prefix="medtasks-deepchem-", dir=context.scratch) as folder:
        yield Path(folder)


def _environment() -> dict[str, str]:
    dropped = ("KERAS_BACKEND", "PYTHONWARNINGS")
    return {
        **{name: value for name, value in os.environ.items() if name not in dropped},
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",  # reorders sums, and says so at length
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONIOENCODING": "utf-8",
    }


def _read(pipe: IO[str], lines: queue.SimpleQueue[str]) -> None:
    with pipe:
        for line in pipe:
            lines.put(line)
    lines.put("")  # the end, as of a file


def _end(process: subprocess.Popen[str], errors: IO[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, errors):
        with contextlib.suppress(OSError):  # what was not flushed to a dead process
            if pipe is not None:
                pipe.close()
