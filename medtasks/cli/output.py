"""Rendering: results on stdout, talk on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from medtasks.cli import STOPPED
from medtasks.errors import Interrupted

if TYPE_CHECKING:
    from medtasks.model import Progress

T = TypeVar("T")


def note(text: str) -> None:
    """Say a sentence on stderr."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def stopped(kept: Callable[[], bool]) -> Iterator[None]:
    """Tell of Ctrl-C within it, and of ``--resume`` only if something was ``kept`` that it can use.

    Raises
    ------
    Interrupted
        In place of `KeyboardInterrupt`.
    """
    try:
        yield
    except KeyboardInterrupt:
        rest = "; fits that had ended, and what a model kept, are used again by --resume" if kept() else ""
        raise Interrupted("interrupted", hint=f"{STOPPED}{rest}") from None


def emit_json(content: Any) -> None:
    """Print one JSON object on one line; NaN is an error."""
    typer.echo(json.dumps(content, allow_nan=False, ensure_ascii=False))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns; the last one is never cut."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())


OTHERS = ("baseline", "difference")


def measures(ours: Mapping[str, Any], baseline: Mapping[str, Any]) -> None:
    """Print measures, as the JSON object holds them, beside the baseline's."""
    rows = [
        [name, _measure(found), _measure(baseline[name]) if name in baseline else ""] for name, found in ours.items()
    ]
    table(["measure", "model (95 % interval)", "baseline"], rows)


def repeated(found: Mapping[str, Any]) -> None:
    """Print what repeated cross-validation says."""
    rows = [
        [name, _measure(one), f"{one['sd']:.3g}", *(_measure(one[key]) if one[key] else "" for key in OTHERS)]
        for name, one in found["metrics"].items()
    ]
    heading = f"mean over {found['repeats']} x {found['folds']} folds (95 % interval)"
    table(["measure", heading, "SD of folds", *OTHERS], rows)


def validity(found: Mapping[str, Any] | None) -> None:
    """Warn where the cases judged are not like those that sets, intervals and thresholds were calibrated on."""
    if found is not None and found["status"] == "shifted":
        where = f" (most in the class {found['where']})" if found["where"] else ""
        note(
            f"note: the cases judged differ from those calibrated on{where}: sets, intervals and thresholds need not "
            "hold as promised; the report says more."
        )


def in_training(found: Mapping[str, Any] | None, n: int) -> None:
    """Warn where molecules judged stand in the training data, and print the measures without them."""
    if found is None or not found["n"]:
        return
    from medtasks.overlap import told

    text, without = told(found["n"], n, found["whole"]), found["without"]
    if without is None:
        note(f"note: {text}: these measures say nothing of new molecules.")
        return
    note(f"note: {text}.")
    typer.echo(f"without them: {without['n']} cases judged")
    measures(without["metrics"], without["baseline"])


def progress() -> Progress:
    """Return bars on stderr, or silence where stderr is no terminal."""
    from medtasks.model import Progress

    if not sys.stderr.isatty():
        return Progress()
    from rich.console import Console

    return _bars(Console(stderr=True))


def _bars(console: Any) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Rich

    from medtasks.model import Progress

    bars = Rich(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    depth = 0

    class Bars(Progress):
        """Draws a bar for each loop, one inside the other."""

        def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
            nonlocal depth
            length = total if total is not None else len(items) if isinstance(items, Sequence) else None
            bar = bars.add_task(label, total=length)
            depth += 1
            if depth == 1:
                bars.start()
            try:
                for item in items:
                    yield item
                    bars.advance(bar)
            finally:
                bars.remove_task(bar)
                depth -= 1
                if depth == 0:
                    bars.stop()

        def note(self, text: str) -> None:
            bars.console.print(text, highlight=False, markup=False)

    return Bars()


def _measure(found: Mapping[str, float | None]) -> str:
    from medtasks.evaluation.bootstrap import Measure

    return str(Measure(found["value"], found["low"], found["high"]))
