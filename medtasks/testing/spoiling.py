"""Inputs with cases that cannot be read, and with odd ones that can, between ordinary ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from medtasks.cases import Cases, Images, Molecules, Records, Source

ORDINARY = 3
"""Ordinary cases: one before, between and behind the others."""


@dataclass(frozen=True)
class Spoilt:
    """An input, and the same without the cases in question.

    ``places`` are the rows of ``mixed`` that ``plain`` holds too, ``bad`` the row that cannot be read.
    """

    mixed: Source
    plain: Source
    places: list[int]
    bad: int


def spoil(cases: Cases, folder: Path) -> Spoilt | None:
    """Put a case that cannot be read, and an odd one, between three ordinary ones; None for an unknown kind.

    Odd is what is valid and rarely thought of: a record with one field known, an image of another size, methane.
    """
    some = cases.take(np.arange(ORDINARY))
    if isinstance(some, Records):
        return _records(some)
    if isinstance(some, Molecules):
        return _molecules(some)
    return _images(some, folder) if isinstance(some, Images) else None


def _records(cases: Records) -> Spoilt | None:
    number = next((field.name for field in cases.fields if field.type == "number"), None)
    if number is None:
        return None
    rows: list[dict[str, Any]] = [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in cases.frame.to_dict("records")
    ]
    bad = {**rows[0], number: "not a number"}
    odd = {name: value if name == number else None for name, value in rows[0].items()}
    return _tables([rows[0], bad, rows[1], odd, rows[2]])


def _molecules(cases: Molecules) -> Spoilt:
    texts = cases.smiles()
    return _tables([{"smiles": text} for text in (texts[0], "no molecule", texts[1], "C", texts[2])])


def _tables(rows: list[dict[str, Any]]) -> Spoilt:
    mixed = pd.DataFrame(rows, dtype=object)
    mixed.insert(0, "id", [f"row {i}" for i in range(len(rows))])
    places = [0, 2, 4]
    return Spoilt(mixed, mixed.iloc[places].reset_index(drop=True), places, 1)


def _images(cases: Images, folder: Path) -> Spoilt:
    mixed, plain = folder / "mixed", folder / "plain"
    pictures = [np.squeeze(cases.pixels(row)) for row in range(len(cases))]
    odd = np.zeros((5, 9), dtype=np.uint8)
    for place in (mixed, plain):
        place.mkdir(parents=True)
    for name, pixels in zip("aceg", [*pictures, odd], strict=True):
        for place in (mixed, plain):
            if place is mixed or name != "g":
                Image.fromarray(pixels).save(place / f"{name}.png")
    (mixed / "b.png").write_bytes(b"no image")
    return Spoilt(mixed, plain, [0, 2, 3], 1)
