"""Repeating a run from its record, and telling whether it gives the same answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtasks import pipeline, record, registry
from medtasks.errors import DataError
from medtasks.model import Progress
from medtasks.pipeline import Run
from medtasks.preparing import prepare
from medtasks.settings import resolve

CLOSE = 1e-6
"""How far numbers of the same answers may lie apart where software or machine changed."""


@dataclass(frozen=True)
class Rerun:
    """A repeated run.

    Attributes
    ----------
    run : what the repetition left
    same : ``identical`` (to the bit), ``close`` (to `CLOSE`), ``different``, or ``unknown`` where the answers of the
        first run are not beside its record
    changed : the software whose version is another now, as ``name old -> new``
    """

    run: Run
    same: str
    changed: tuple[str, ...]


def rerun(place: str | Path, *, out: str | Path | None = None, progress: Progress | None = None) -> Rerun:
    """Repeat a run as its record says, with the same data, settings and seed.

    Parameters
    ----------
    place
        ``run.json`` of a run, or the folder that holds it.
    out
        The folder of the repetition; one beside the first where None.

    Raises
    ------
    DataError
        If there is no record, or the data are not those of the run.
    """
    path = Path(place).expanduser()
    path = path / record.RECORD if path.is_dir() else path
    stored = _read(path)
    target = Path(out).expanduser() if out is not None else path.parent.with_name(f"{path.parent.name}-again")
    settings = resolve({**stored["settings"], **_claimed(stored), "out": str(target)})
    prepared = prepare(settings, progress=progress)
    pipeline.check_out(prepared)
    if prepared.dataset.digest() != stored["facts"]["data"]["sha256"]:
        raise DataError(
            "the data are not those of the run: their SHA-256 differs", hint="give the file that the run was made from"
        )
    old, new = stored["facts"]["versions"], record.versions(prepared.model_id)
    names = dict.fromkeys([*old, *new])
    changed = tuple(
        f"{name} {old.get(name, 'none')} -> {new.get(name, 'none')}" for name in names if old.get(name) != new.get(name)
    )
    done = pipeline.run(prepared, progress=progress, out=target)
    return Rerun(done, _compare(path.parent / "predictions.csv", done.folder / "predictions.csv"), changed)


def _claimed(stored: dict[str, Any]) -> dict[str, str]:
    """Name the model with its distribution where another has come that claims its name, too."""
    distribution = stored["facts"].get("plugin")
    name = registry.of_distribution("model", str(stored["model"]), str(distribution))
    return {"model": name} if distribution and ":" in name else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(stored, dict)
        stored["settings"], stored["model"], stored["facts"]["data"]["sha256"], stored["facts"]["versions"]
    except FileNotFoundError:
        raise DataError(f"no record {str(path)!r}", hint="give run.json of a run, or the run's folder") from None
    except (OSError, ValueError, KeyError, TypeError, AssertionError):
        raise DataError(f"{path} is no record of a run", hint="give run.json as `medtasks run` leaves it") from None
    return stored


def _compare(first: Path, second: Path) -> str:
    if not first.is_file():
        return "unknown"
    if first.read_bytes() == second.read_bytes():
        return "identical"
    one, two = pd.read_csv(first), pd.read_csv(second)
    if list(one) != list(two) or len(one) != len(two):
        return "different"
    for name in one:
        if pd.api.types.is_float_dtype(one[name]) and pd.api.types.is_float_dtype(two[name]):
            if not np.allclose(one[name], two[name], rtol=CLOSE, atol=CLOSE, equal_nan=True):
                return "different"
        elif not one[name].equals(two[name]):
            return "different"
    return "close"
