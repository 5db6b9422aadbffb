"""What a report is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table; ``numeric`` aligns columns but the first to the right; with ``remarks`` the last holds sentences."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numeric: bool = True
    remarks: bool = False


@dataclass(frozen=True)
class Figure:
    """A picture as SVG text, with what it shows and how to read it."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Picture:
    """A picture of a case as PNG bytes: personal, left out of the report that a bundle carries.

    ``wide`` ones are two pictures beside each other and take the room of two.
    """

    png: bytes
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class Row:
    """Figures or pictures side by side; ``wide`` puts two figures on a line instead of three."""

    items: Sequence[Figure | Picture]
    wide: bool = False


Block = Text | Bullets | Table | Figure | Row


@dataclass(frozen=True)
class Section:
    """A part of a report. ``personal`` ones show single cases and stay out of a bundle's report."""

    title: str
    blocks: Sequence[Block]
    personal: bool = False
