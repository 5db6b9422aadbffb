"""One process that answers pieces of a large input: it can be killed when a molecule does not let it go.

Started by `medtasks.bulk` as ``python -m medtasks.worker BUNDLE DEVICE``. On stdin come Arrow tables, on stdout go
ticks (which row is being read) and Arrow tables of answers; nothing is pickled.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

from medtasks.errors import MedtasksError

TICK, ANSWER, FAULT = b"T", b"A", b"F"
LENGTH = struct.Struct("<Q")
NO_ROW = 2**64 - 1
"""The tick that says that every row is read and the model is answering."""


def pack(table: Any) -> bytes:
    """Write a table as an Arrow stream with its length before it."""
    import pyarrow as pa

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, arrow.schema) as stream:
        stream.write_table(arrow)
    data: bytes = sink.getvalue().to_pybytes()
    return LENGTH.pack(len(data)) + data


def unpack(data: bytes) -> Any:
    """Read what `pack` wrote behind the length."""
    import pyarrow as pa

    return pa.ipc.open_stream(data).read_all().to_pandas()


def main(place: str, device: str) -> None:
    """Load the bundle, then answer pieces until stdin ends."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a plugin prints is talk
    from medtasks import bundle
    from medtasks.cases import Molecules
    from medtasks.model import Context

    context = Context(device=device)
    try:
        predictor = bundle.load(Path(place), context=context)
        sink.write(ANSWER + LENGTH.pack(0))  # ready
        sink.flush()
        while head := source.read(LENGTH.size):
            piece = unpack(source.read(*LENGTH.unpack(head)))
            reading = Molecules.read_piece(piece, predictor.schema, tick=lambda row: _tick(sink, row))
            _tick(sink, NO_ROW)
            sink.write(ANSWER + pack(predictor.table(reading, context=context)))
            sink.flush()
    except MedtasksError as error:
        told = f"{error.message}\n{error.hint or ''}".encode()
        sink.write(FAULT + LENGTH.pack(len(told)) + told)
        sink.flush()


def _tick(sink: BinaryIO, row: int) -> None:
    sink.write(TICK + LENGTH.pack(row))
    sink.flush()


if __name__ == "__main__":
    main(*sys.argv[1:3])
