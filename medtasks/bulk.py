"""Answering inputs of any size: in pieces, by several processes, going on where a killed run stopped."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pandas as pd

from medtasks import bundle
from medtasks.cases import Molecules
from medtasks.cases.naming import is_nothing
from medtasks.errors import DataError, Interrupted, PluginError, UsageError
from medtasks.machine import PYTHON
from medtasks.model import Context, Progress, check_device
from medtasks.predictor import Predictor
from medtasks.worker import ANSWER, FAULT, LENGTH, NO_ROW, TICK, pack, unpack

PIECE = 2048
"""Rows of one part of the result: what a kill costs at most, times the number of workers."""
JOB = "job.json"
SINGLE = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip
START = 300.0
"""Seconds a worker may take to load a bundle."""


class Hung(Exception):
    """A worker was silent for too long, or died; ``row`` is the one it was reading, None where it was answering."""

    def __init__(self, row: int | None) -> None:
        super().__init__(row)
        self.row = row


def answer(
    place: Path,
    predictor: Predictor,
    source: Any,
    *,
    workers: int,
    timeout: float,
    device: str,
    skip: Callable[[int], bool],
) -> Iterator[tuple[int, pd.DataFrame | None]]:
    """Yield number and answers of each piece of a source of molecules, in order.

    Parameters
    ----------
    place
        The bundle that ``predictor`` was loaded from: each worker loads it for itself.
    workers
        Processes that read and answer.
    timeout
        Seconds that one row may take to be read, and a piece to be answered, before its worker is killed.
    skip
        Says of a piece's number whether its answers are not needed; they are None then.

    Raises
    ------
    PluginError
        If the model does not answer a piece in time, or dies of it.
    """
    pieces = enumerate(Molecules.pieces(source, predictor.schema, chunk=PIECE))
    waiting: collections.deque[tuple[int, Future[pd.DataFrame] | None]] = collections.deque()
    idle: SimpleQueue[_Worker] = SimpleQueue()
    crew = [_Worker(place, device, timeout) for _ in range(workers)]
    for worker in crew:
        idle.put(worker)

    def work(start: int, piece: pd.DataFrame) -> pd.DataFrame:
        worker = idle.get()
        try:
            return worker.answer(start, piece)
        finally:
            idle.put(worker)

    pool, start = ThreadPoolExecutor(workers), 0
    try:
        for number, piece in pieces:
            waiting.append((number, None if skip(number) else pool.submit(work, start, _plain(piece))))
            start += len(piece)
            while len(waiting) > 2 * workers:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        for worker in crew:
            worker.kill()
        pool.shutdown(wait=False, cancel_futures=True)


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Write structures as text, molecules of an SD file too: what can be sent to another process."""
    from rdkit import Chem

    def text(value: Any) -> str | None:
        if isinstance(value, str):
            return value
        if is_nothing(value):
            return None
        return str(Chem.MolToSmiles(value)) if hasattr(value, "GetNumHeavyAtoms") else str(value)

    return table.assign(**{table.columns[0]: pd.Series([text(value) for value in table.iloc[:, 0]], dtype=object)})


def _first(waiting: collections.deque[tuple[int, Future[pd.DataFrame] | None]]) -> tuple[int, pd.DataFrame | None]:
    number, future = waiting.popleft()
    return number, None if future is None else future.result()


class _Worker:
    """A process that answers pieces, started anew when it had to be killed."""

    def __init__(self, place: Path, device: str, timeout: float) -> None:
        self.command = [*PYTHON, "-m", "medtasks.worker", str(place.resolve()), device]
        # One core each, also when there is one only: answers must not depend on how many share the work.
        self.environment = {**os.environ, **dict.fromkeys(SINGLE, "1")}
        self.timeout, self.stopped = timeout, False
        self.process: subprocess.Popen[bytes] | None = None

    def answer(self, start: int, table: pd.DataFrame) -> pd.DataFrame:
        """Answer a piece with ``start`` rows before it; a row that it cannot be got past is invalid."""
        hopeless: dict[int, str] = {}
        while True:
            try:
                found = self._ask(table)
                break
            except Hung as error:
                if self.stopped:  # killed from outside: nobody waits for these answers
                    raise
                self._end()
                if error.row is None or error.row in hopeless:
                    raise PluginError(
                        f"the model did not answer rows {start + 1} to {start + len(table)} within {self.timeout:g} s",
                        hint="give more time by --timeout, or leave these rows out",
                    ) from None
                hopeless[error.row] = f"the structure could not be read within {self.timeout:g} s"
                table = table.copy()
                table.iloc[error.row, 0] = None
        for row, reason in hopeless.items():
            found.loc[row, "error"] = reason
        return found

    def kill(self) -> None:
        """End the process for good, whatever it does."""
        self.stopped = True
        self._end()

    def _end(self) -> None:
        if self.process is not None:
            self.process.kill()
            with contextlib.suppress(BrokenPipeError), self.process:  # closes the pipes, what is unsent is of no use
                pass
            self.process = None

    def _ask(self, table: pd.DataFrame) -> pd.DataFrame:
        if self.process is None:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self.environment,
                start_new_session=True,  # Ctrl-C is for the parent, which kills its workers
            )
            self._hear(START)
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(pack(table))
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Hung(None) from None
        found: pd.DataFrame = unpack(self._hear(self.timeout))
        return found

    def _hear(self, patience: float) -> bytes:
        """Wait for an answer, noting which row is being read."""
        row: int | None = None
        while True:
            sign, (number,) = self._read(1, patience, row), LENGTH.unpack(self._read(LENGTH.size, patience, row))
            if sign == TICK:
                row = None if number == NO_ROW else number
                continue
            data = self._read(number, patience, row)
            if sign == FAULT:
                message, _, hint = data.decode().partition("\n")
                raise PluginError(message, hint=hint)
            assert sign == ANSWER
            return data

    def _read(self, size: int, patience: float, row: int | None) -> bytes:
        assert self.process is not None
        assert self.process.stdout is not None
        descriptor, found, end = self.process.stdout.fileno(), b"", time.monotonic() + patience
        while len(found) < size:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
            part = os.read(descriptor, size - len(found)) if ready else b""
            if not part:
                raise Hung(row)
            found += part
        return found


def into_folder(
    place: Path,
    source: str,
    out: Path,
    *,
    workers: int = 1,
    timeout: float = 120.0,
    device: str = "auto",
    progress: Progress | None = None,
) -> dict[str, int]:
    """Answer a file of molecules into a folder of Parquet parts, each of `PIECE` rows, in the input's order.

    A part appears when it is whole. Called again with the same bundle and input, it goes on where it was stopped.

    Returns
    -------
    dict
        ``rows`` answered in all, ``invalid`` among them, and ``kept``, the parts that stood there already.

    Raises
    ------
    UsageError
        If the folder holds something else.
    """
    place = bundle.find(place)
    predictor = bundle.load(place, context=Context(device=device))
    check_device(type(predictor.model), predictor.model_id, device)
    _check_kind(predictor)
    bars = progress or Progress()
    _open(out, place, source)
    total = _parts(source)
    rows = invalid = kept = 0

    def part(number: int) -> Path:
        return out / f"part-{number:06d}.parquet"

    answers = answer(
        place, predictor, source, workers=workers, timeout=timeout, device=device, skip=lambda n: part(n).is_file()
    )
    try:
        for number, table in bars.track(answers, "answering", total):
            if table is None:
                table = pd.read_parquet(part(number), columns=["status"])
                kept += 1
            else:
                fresh = part(number).with_suffix(".writing")
                table.to_parquet(fresh, index=False)
                fresh.replace(part(number))
            rows += len(table)
            invalid += int((table["status"] != "ok").sum())
    except KeyboardInterrupt:
        raise Interrupted("interrupted", hint="whole parts are kept; the same command goes on") from None
    if rows and rows == invalid:
        raise DataError("no row of the input could be used", hint="the column error says why for each")
    return {"rows": rows, "invalid": invalid, "kept": kept}


def _check_kind(predictor: Predictor) -> None:
    if predictor.schema["kind"] != "molecules":
        raise UsageError(
            f"a folder of parts and --workers are for molecules, not for {predictor.schema['kind']}",
            hint="name a .csv, .tsv, .parquet or .jsonl file with --out",
        )


def _open(out: Path, place: Path, source: str) -> None:
    """Make the folder, or check that it is that of the same job."""
    path = Path(source).expanduser()
    if not path.is_file():
        raise DataError(f"no file {source}", hint="check the path")
    about = path.stat()
    job = {
        "bundle": bundle.sha256(place / bundle.NAME),
        "input": [path.name, about.st_size, int(about.st_mtime)],
        "rows_per_part": PIECE,
    }
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / JOB).is_file())):
        raise UsageError(f"{out} holds something else", hint="choose another --out")
    if (out / JOB).is_file():
        if json.loads((out / JOB).read_text(encoding="utf-8")) != job:
            raise UsageError(
                f"{out} holds answers of another bundle, or to another input", hint="choose another --out, or remove it"
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    bundle.write_json(out / JOB, job)


def _parts(source: str) -> int | None:
    """Return the number of parts where the file tells its rows, as Parquet does."""
    if not source.lower().endswith(".parquet"):
        return None
    import pyarrow.parquet as pq

    return -(-int(pq.read_metadata(source).num_rows) // PIECE)
