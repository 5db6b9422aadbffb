"""``medtasks predict``."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medtasks.cli import output, piped
from medtasks.cli.run import AsJson, Device, OnDevice
from medtasks.errors import DataError, UsageError
from medtasks.words import plural

if TYPE_CHECKING:
    import pandas as pd

INPUT = "A file, a folder, a glob, or a table; - for a table through a pipe."
JSON_LINES = ".jsonl"
SUFFIXES = (".csv", ".tsv", ".parquet", JSON_LINES)


def predict(
    bundle: Annotated[Path, typer.Argument(help="A bundle, or the folder of a run.")],
    source: Annotated[str, typer.Argument(metavar="INPUT", help=INPUT)],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A .csv, .tsv, .parquet or .jsonl file, or a folder; else CSV on stdout."),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that answer molecules into a folder, one for each core.")
    ] = 1,
    timeout: Annotated[
        float,
        typer.Option(min=0.1, help="Into a folder: seconds that reading a molecule, or answering a part, may take."),
    ] = 120.0,
    form: Annotated[
        str | None,
        typer.Option("--as", help="What the task knows beside tables, a JSON object per row: fhir, cds-hooks."),
    ] = None,
    device: OnDevice = Device.AUTO,
    as_json: AsJson = False,
) -> None:
    """Answer every row of an input: exactly its rows, in order, bad ones with their reason.

    Into a folder (a name without suffix) molecules are answered in parts; the same command goes on where it stopped.
    """
    import pandas as pd

    from medtasks.api import load
    from medtasks.model import Context

    if form is not None and out is not None and out.suffix.lower() != JSON_LINES:
        raise UsageError(
            f"--as {form} writes JSON objects", hint=f"name a file ending in {JSON_LINES}, or leave --out out"
        )
    if out is not None and (not out.suffix or out.is_dir()):
        _into_folder(bundle, source, out, workers, timeout, device, as_json)
        return
    if workers > 1:
        raise UsageError("--workers needs a folder to write parts into", hint="name one with --out")
    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"cannot write {out.suffix or 'a file without suffix'!r}", hint=f"use {', '.join(SUFFIXES)}")
    path = Path(source).expanduser()
    if out is not None and out.exists() and path.exists() and out.samefile(path):
        raise UsageError(f"{out} is the input itself", hint="choose another --out")
    bars = output.progress()
    predictor = load(bundle, device=device)
    if form is not None and form not in predictor.task.forms:
        predictor.task.export(pd.DataFrame(), form, predictor.outputs)  # which says what the task knows
    rows = invalid = 0
    with piped.readable(source, predictor.schema["kind"]) as given, _writer(out, as_json or form is not None) as write:
        tables = predictor.iterate(given, context=Context(device=device, progress=bars))
        for table in bars.track(tables, "answering"):
            rows += len(table)
            invalid += int((table["status"] != "ok").sum())
            write(table if form is None else predictor.task.export(table, form, predictor.outputs))
    where = f" to {out}" if out else ""
    output.note(
        f"{plural(rows, 'row')} answered{where}"
        + (f", {invalid} of them invalid (see the column error)" if invalid else "")
    )
    if rows and invalid == rows:
        raise DataError("no row of the input could be used", hint="the column error says why for each")


def _into_folder(
    bundle: Path, source: str, out: Path, workers: int, timeout: float, device: Device, as_json: bool
) -> None:
    from medtasks.bulk import into_folder

    found = into_folder(
        bundle, source, out, workers=workers, timeout=timeout, device=device, progress=output.progress()
    )
    if as_json:
        output.emit_json({**found, "out": str(out)})
        return
    kept = f" ({plural(found['kept'], 'part')} of the answers stood there already)" if found["kept"] else ""
    output.note(f"{plural(found['rows'], 'row')} answered into {out}, {found['invalid']} of them invalid{kept}")


@contextlib.contextmanager
def _writer(out: Path | None, as_json: bool) -> Iterator[Any]:
    """Give a function that writes tables one after the other; a file appears when it is whole."""
    if out is None:
        yield _to_stream(sys.stdout, "jsonl" if as_json else "csv")
        return
    if not out.parent.is_dir():
        raise UsageError(f"no folder {str(out.parent)!r} to write into", hint="make it first")
    fresh = out.with_name(f".{out.name}.writing")
    try:
        if out.suffix.lower() == ".parquet":
            with _parquet(fresh) as write:
                yield write
        else:
            with fresh.open("w", encoding="utf-8", newline="") as file:
                yield _to_stream(file, out.suffix.lower()[1:])
        fresh.replace(out)
    finally:
        fresh.unlink(missing_ok=True)


def _to_stream(file: Any, form: str) -> Any:
    first = True

    def write(table: pd.DataFrame | list[dict[str, Any]]) -> None:
        nonlocal first
        if form == "jsonl":
            for row in table if isinstance(table, list) else table.to_dict("records"):
                file.write(json.dumps({key: _plain(value) for key, value in row.items()}, ensure_ascii=False) + "\n")
        elif not isinstance(table, list):
            table.to_csv(file, index=False, header=first, sep="\t" if form == "tsv" else ",", lineterminator="\n")
        first = False

    return write


@contextlib.contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with contextlib.ExitStack() as stack:
        writer: Any = None

        def write(table: pd.DataFrame) -> None:
            nonlocal writer
            if writer is None:
                schema = pa.Schema.from_pandas(_typed(table), preserve_index=False)
                writer = stack.enter_context(pq.ParquetWriter(path, schema))
            writer.write_table(pa.Table.from_pandas(_typed(table), schema=writer.schema, preserve_index=False))

        yield write


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Give each column a type that a chunk without valid rows cannot change."""
    return table.astype({name: "string" if table[name].dtype.kind not in "fi" else "float64" for name in table})


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value != value:
        return None
    return value.item() if hasattr(value, "item") else value
