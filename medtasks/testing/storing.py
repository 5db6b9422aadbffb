"""Checks of what a model writes: each says what holds and how to mend it."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pydantic

from medtasks.cases import Cases, Images, Molecules, Records
from medtasks.dataset import Dataset
from medtasks.rounding import apart, same
from medtasks.safe_files import PACKED, fault, files, unpacked
from medtasks.saving import read_model
from medtasks.testing.bench import Bench
from medtasks.testing.fresh import answered
from medtasks.testing.report import Broken

FEW = 3
"""Rows of which enough is found to count as stored: a median may be one patient's value, whole rows are none's."""
DISTINCT = 10
"""Different values of a field from which those of all cases, in their order, can be nothing else."""
DIGITS = 9
"""Digits of a number that are looked for in text."""
WINDOW = 48
"""Bytes of an image that are looked for: three rows of a toy image, which noise makes its own."""


def fresh_process(bench: Bench) -> None:
    """A fresh process that loads what `save` wrote gives the same answers, and so does `load` with other settings.

    To mend: write in `save` everything that `predict` uses, and read it back in `load`; `load` gets no Config (it is
    set on the model afterwards), so store what it needs of it.
    """
    before, again = bench.answers, answered(bench, bench.saved).raw
    if not same(before, again):
        raise Broken(f"answers after loading in a fresh process differ: {apart(before, again)}")
    if (other := moved(bench.config)) is not None:
        _set_otherwise(bench, other)


def moved(config: pydantic.BaseModel) -> pydantic.BaseModel | None:
    """Return hyper-parameters of which each number is a little smaller, or larger, if it may be; None where none may.

    0 stays, which often stands for none or for a choice of the model's own.
    """
    kept = {name: getattr(config, name) for name in type(config).model_fields}
    found = dict(kept)
    for name, value in kept.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not (value and math.isfinite(value)):
            continue
        for number in (value - 1 or 2, value + 1) if isinstance(value, int) else (0.75 * value, 1.5 * value):
            try:
                type(config).model_validate({**found, name: number})
            except pydantic.ValidationError:  # a bound, or what its author asks of several together
                continue
            found[name] = number
            break
    return None if found == kept else type(config).model_validate(found)


def _set_otherwise(bench: Bench, config: pydantic.BaseModel) -> None:
    """Fit with other settings, and ask the model before it is saved and after: it may live on its Config's defaults."""
    place = bench.folder / "saved-otherwise"
    place.mkdir()
    try:
        model = bench.fit(bench.train, bench.valid, config)
        before = bench.predict(bench.test.cases, model)
        bench.task.check(before, bench.outputs, len(bench.test))
    except Exception:  # it need not learn with settings that nobody has chosen
        return
    model.save(place)
    again = bench.predict(bench.test.cases, read_model(bench.model, bench.name, place, config, bench.context))
    if not same(before, again):
        told = ", ".join(f"{key}={value!r}" for key, value in config if getattr(bench.config, key) != value)
        raise Broken(f"answers after loading differ where settings do ({told}): {apart(before, again)}")


def safe_files(bench: Bench) -> None:
    """`save` writes only files that can be read without running code: JSON, text, npy, npz, HDF5, Keras and the like.

    To mend: `np.savez(path, **arrays)` for arrays, `json.dumps` for the rest, the library's own text or JSON format
    for trees; no pickle, no joblib, no object arrays, no `torch.save`.
    """
    if found := fault(bench.saved):
        raise Broken(found)


def no_training_rows(bench: Bench) -> None:
    """What `save` writes holds no training case: neither its id nor its values, as text, as numbers or standardised.

    To mend: store what was learnt (coefficients, centres, thresholds), not whom it was learnt from; a model that
    needs its training cases to answer gives patients away with every bundle.
    """
    marks = _marks(bench.train)
    content = [piece for path in files(bench.saved) for piece in _pieces(path.read_bytes())]
    names = [path.relative_to(bench.saved).as_posix().encode() for path in bench.saved.rglob("*")]
    whole = b"\n".join([*content, *names])
    for name in map(str, bench.train.cases.ids):
        if name.encode() in whole or name.encode("utf-32-le") in whole:  # numpy holds text as UTF-32
            raise Broken("it holds the ids of training cases")
    found = [row for row, mark in enumerate(marks) if mark and all(any(way in whole for way in part) for part in mark)]
    if len(found) >= FEW:
        raise Broken(f"it holds {len(found)} of {len(marks)} training cases")
    if column := _scaled(bench, content):
        raise Broken(f"it holds the values of all training cases, of {column!r} for one, on another scale")


def _scaled(bench: Bench, content: list[bytes]) -> str | None:
    """Return the field of which a stored array has the value of every training case, shifted and stretched or not."""
    if not isinstance(bench.train.cases, Records):
        return None
    frame = bench.train.cases.frame.select_dtypes("number").astype("float64")
    known = {str(name): frame[name].to_numpy() for name in frame if frame[name].nunique() >= DISTINCT}
    stored = [column for array in _arrays(content) for column in _columns(array, len(frame))]
    for name, values in known.items():
        held = np.isfinite(values)
        for column in stored:
            if held.sum() >= DISTINCT and np.isfinite(column[held]).all() and np.ptp(column[held]) > 0:
                line = np.polynomial.Polynomial.fit(values[held], column[held], 1)
                if np.abs(line(values[held]) - column[held]).max() < 1e-4 * np.ptp(column[held]):
                    return name
    return None


def _arrays(content: list[bytes]) -> Iterator[Any]:
    for piece in content:
        if piece.startswith(b"\x93NUMPY"):
            try:
                array = np.load(io.BytesIO(piece), allow_pickle=False)
            except ValueError:  # of objects, or damaged: another check's
                continue
            if array.dtype.kind in "fiu" and array.ndim:
                yield array


def _columns(array: Any, rows: int) -> Iterator[Any]:
    """Yield the columns of an array that has one row, or one column, per case."""
    for table in (array, array.T):
        if len(table) == rows:
            yield from table.reshape(rows, -1).T.astype(np.float64)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Yield a file's bytes, and those of what is packed in it."""
    yield data
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for member in packed.namelist():
                yield from _pieces(packed.read(member))
    elif data.startswith(PACKED) and (inner := unpacked(data)) is not None:
        yield from _pieces(inner)


def _marks(data: Dataset) -> list[list[tuple[bytes, ...]]]:
    """Return what tells each case apart: parts that all have to be found, each in any of several forms."""
    cases: Cases = data.cases
    if isinstance(cases, Records):
        rows = cases.frame.select_dtypes("number").to_numpy(dtype=np.float64)
        return [[_forms(value) for value in row if np.isfinite(value) and value != round(value)] for row in rows]
    if isinstance(cases, Molecules):
        return [
            [(text.encode(), text.encode("utf-32-le"), binary)]
            for text, binary in zip(cases.smiles(), cases.binaries, strict=True)
        ]
    if isinstance(cases, Images):
        return [[_image_forms(cases.pixels(row))] for row in range(len(cases))]
    return [[] for _ in range(len(cases))]


def _forms(value: float) -> tuple[bytes, ...]:
    text = f"{abs(value):.{DIGITS}f}".rstrip("0")[:-1]  # its last digit may be rounded another way
    return (struct.pack("<d", value), struct.pack("<f", value), text.encode())


def _image_forms(pixels: Any) -> tuple[bytes, ...]:
    flat = np.ascontiguousarray(pixels).reshape(-1)
    some = flat[len(flat) // 2 :][:WINDOW]
    shares = some / 255 if some.dtype == np.uint8 else some
    return (some.tobytes(), shares.astype("<f4").tobytes(), shares.astype("<f8").tobytes())
