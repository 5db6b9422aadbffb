"""Watching a model's code: what it writes to stdout and whether it reaches for the network."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from medtasks.guarding import flush_c

SHOWN = 60
"""Characters of what was written that a message repeats."""


@dataclass
class Seen:
    """What was seen: (during what, what) for each text on stdout, each attempt to connect, and each input changed."""

    written: list[tuple[str, str]] = field(default_factory=list)
    connected: list[tuple[str, str]] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)


@contextlib.contextmanager
def watched(during: str, seen: Seen) -> Iterator[None]:
    """Keep stdout (the file descriptor too, which C++ writes to) and the network from a model while the block runs."""
    with _stdout(during, seen), _no_network(during, seen):
        yield


@contextlib.contextmanager
def _stdout(during: str, seen: Seen) -> Iterator[None]:
    sys.stdout.flush()
    kept = os.dup(1)
    with tempfile.TemporaryFile() as file, open(os.dup(file.fileno()), "w", encoding="utf-8") as text:  # noqa: PTH123
        os.dup2(file.fileno(), 1)
        try:
            with contextlib.redirect_stdout(text):
                yield
        finally:
            text.flush()
            flush_c()
            os.dup2(kept, 1)
            os.close(kept)
            file.seek(0, io.SEEK_SET)
            said = file.read().decode("utf-8", "replace")
            if said:
                seen.written.append((during, said.strip()[:SHOWN]))


@contextlib.contextmanager
def _no_network(during: str, seen: Seen) -> Iterator[None]:
    def refuse(where: object) -> None:
        seen.connected.append((during, str(where)[:SHOWN]))
        raise OSError("the network is blocked while the model is checked")

    def guarded(plain: Any) -> Any:
        def connect(own: socket.socket, address: Any) -> Any:
            if own.family in (socket.AF_INET, socket.AF_INET6):
                refuse(address)
            return plain(own, address)

        return connect

    def look_up(host: Any, *more: Any, **named: Any) -> Any:
        return refuse(host)

    with (
        mock.patch.object(socket.socket, "connect", guarded(socket.socket.connect)),
        mock.patch.object(socket.socket, "connect_ex", guarded(socket.socket.connect_ex)),
        mock.patch.object(socket, "getaddrinfo", look_up),
    ):
        yield
