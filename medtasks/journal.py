"""The fits of a comparison that have ended: they outlive an interruption."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from medtasks.errors import UsageError

Done = dict[tuple[str, int, int], dict[str, Any]]
"""Of each model, repeat and fold (from 0) the measures and the seconds of the fit."""


def fits_of(out: Path) -> Path:
    """Return the file that keeps the fits of a comparison whose result is to be the folder ``out``."""
    return out.absolute().with_name(f".{out.absolute().name}.fits.jsonl")


class Journal:
    """The fits that have ended, a line of JSON each, in a hidden file beside the folder of the result."""

    def __init__(self, out: Path | None, key: dict[str, Any], resume: bool) -> None:
        self.place = None if out is None else fits_of(out)
        self.done: Done = {}
        if resume:
            self._read(key)
        elif self.place is not None:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            self.place.write_text(json.dumps(key) + "\n", encoding="utf-8")

    def add(self, name: str, repeat: int, number: int, found: dict[str, Any]) -> None:
        """Keep a fit."""
        if self.place is not None:
            with self.place.open("a", encoding="utf-8") as file:
                file.write(json.dumps([name, repeat, number, found], allow_nan=False) + "\n")

    def tidy(self) -> None:
        """Remove the file if no fit stands in it: there is nothing to go on with."""
        if not self.done:
            self.end()

    def end(self) -> None:
        """Remove the file: the result is whole."""
        if self.place is not None:
            self.place.unlink(missing_ok=True)

    def _read(self, key: dict[str, Any]) -> None:
        if self.place is None or not self.place.is_file():
            raise UsageError(
                "there is no interrupted comparison to resume", hint="give its --out, or leave --resume out"
            )
        head, *lines = self.place.read_text(encoding="utf-8").splitlines() or [""]
        if head != json.dumps(key):
            raise UsageError(
                "the interrupted comparison had other settings, models, data or versions",
                hint="repeat its command word for word with --resume, or leave --resume out",
            )
        for line in lines:
            with contextlib.suppress(ValueError):  # the last line may be cut short
                name, repeat, number, found = json.loads(line)
                self.done[name, repeat, number] = found
        whole = [json.dumps([*place, found]) for place, found in self.done.items()]
        self.place.write_text("\n".join([head, *whole, ""]), encoding="utf-8")
