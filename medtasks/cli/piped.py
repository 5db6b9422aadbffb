"""Input that comes through a pipe: ``-``, ``/dev/stdin``, or what a shell puts for ``<(...)``."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtasks.errors import DataError, MedtasksError

if TYPE_CHECKING:
    from medtasks.cases import Source

SIGNS = {b"PAR1": "stdin.parquet", b"\x1f\x8b": "stdin.csv.gz", b"PK": "stdin.npz"}
"""First bytes, and the name under which the rest is read; anything else is a text table."""


@contextlib.contextmanager
def readable(source: str, kind: str) -> Iterator[Source]:
    """Give a source that can be read more than once: of a pipe a copy on disk, removed at the end.

    A table of images' paths is given as a table, so that they count from the current folder as they do in a shell.

    Raises
    ------
    DataError
        If nothing comes through the pipe.
    """
    if not is_pipe(source):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="medtasks-") as folder:
        path = _spool(source, Path(folder))
        try:
            if kind == "images" and path.suffix != ".npz":
                from medtasks.cases.tables import read_table

                yield read_table(path)
            else:
                yield str(path)
        except MedtasksError as error:  # the copy's own path tells a user nothing
            error.message = error.message.replace(str(path), "standard input" if source == "-" else source)
            error.args = (error.message,)
            raise


def is_pipe(source: str) -> bool:
    """Say whether a source can be read only once."""
    if source == "-":
        return True
    path = Path(source)
    return path.is_fifo() or path.is_char_device() or path.is_socket()


def _spool(source: str, folder: Path) -> Path:
    if source == "-" and sys.stdin is None:
        raise DataError("stdin is closed", hint="pipe a table into it, or name a file")
    with contextlib.ExitStack() as stack:
        file: Any = sys.stdin.buffer if source == "-" else stack.enter_context(Path(source).open("rb"))
        head = file.read(4)
        if not head:
            raise DataError("nothing came through the pipe", hint="pipe a table into it, or name a file")
        name = next((name for sign, name in SIGNS.items() if head.startswith(sign)), "stdin.csv")
        with (folder / name).open("wb") as copy:
            copy.write(head)
            shutil.copyfileobj(file, copy)
    return folder / name
