"""Where a run works: a scratch folder, and a checkpoint beside its result that one run at a time may use."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from medtasks.errors import UsageError

KEY, LOCK = "for.json", "lock"
"""What a checkpoint is for, and the file that the run which uses it holds; all else was kept by fits and models."""


def fresh_name(task: str) -> str:
    """Return a name for the folder of a run, by its time; runs that start together get names of their own."""
    return f"medtasks-runs/{task}-{datetime.now().strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def checkpoint_of(folder: Path) -> Path:
    """Return where a run into ``folder`` keeps what a later one can go on with."""
    place = folder.absolute()
    return place.with_name(f".{place.name}.checkpoint")


def kept(checkpoint: Path) -> list[Path]:
    """Return the files that fits and models have kept there."""
    return [path for path in checkpoint.rglob("*") if path.is_file() and path.name not in (KEY, LOCK)]


@contextlib.contextmanager
def workspace(folder: Path, key: dict[str, Any], resume: bool) -> Iterator[tuple[Path, Path]]:
    """Give a scratch folder, removed at the end, and a checkpoint folder, kept until the run succeeds.

    Parameters
    ----------
    folder
        Of the result.
    key
        What a run must have in common with an interrupted one to go on with it.

    Raises
    ------
    UsageError
        If another run is working for the same folder: it would read the models of this one, which may have learnt
        from its test cases. If there is nothing to resume, or of another run.
    """
    checkpoint = checkpoint_of(folder)
    if resume and _key_of(checkpoint) is None:
        raise UsageError(
            f"there is no interrupted run to resume for {folder}",
            hint="give the --out of the interrupted run, or leave --resume out: before the first fit has ended, a "
            "model without checkpoints of its own leaves nothing to go on with",
        )
    with _alone(checkpoint, folder):
        if resume and _key_of(checkpoint) != key:
            raise UsageError(
                "the interrupted run had other settings, data or versions",
                hint="repeat its command word for word with --resume, or leave --resume out",
            )
        if not resume:
            _empty(checkpoint)
            fresh = checkpoint / f"{KEY}.writing"
            fresh.write_text(json.dumps(key), encoding="utf-8")
            fresh.replace(checkpoint / KEY)
        with tempfile.TemporaryDirectory(prefix="medtasks-") as scratch:
            try:
                yield Path(scratch), checkpoint
            except BaseException:
                if not kept(checkpoint):  # there is nothing to go on with
                    _empty(checkpoint)
                raise
        _empty(checkpoint)


@contextlib.contextmanager
def _alone(checkpoint: Path, folder: Path) -> Iterator[None]:
    """Hold the checkpoint, which the system lets go when the process ends, however it ends; remove it when empty."""
    try:
        checkpoint.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UsageError(f"{checkpoint} is a file", hint="remove it, or choose another --out") from None
    lock = FileLock(checkpoint / LOCK)
    try:
        with contextlib.suppress(NotImplementedError):  # a file system without locks
            lock.acquire(blocking=False)
    except Timeout:
        raise UsageError(
            f"another run is working for {folder}", hint="wait until it has ended, or choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()
        if [path.name for path in checkpoint.iterdir()] in ([], [LOCK]):
            shutil.rmtree(checkpoint, ignore_errors=True)


def _key_of(checkpoint: Path) -> Any:
    """Return what a checkpoint is for; None where there is none, or a crash has left half of it."""
    try:
        return json.loads((checkpoint / KEY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _empty(checkpoint: Path) -> None:
    for path in checkpoint.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink()
