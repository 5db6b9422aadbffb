"""Rendering a report: one HTML file, nothing fetched, readable on paper too."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any

from medtasks.errors import UsageError
from medtasks.report.blocks import Figure, Row, Section

START = 64
"""Bytes of a file in which HTML says that it is HTML."""


def render(title: str, lead: Sequence[str], sections: Sequence[Section], footer: str, warning: str = "") -> str:
    """Return a report as the text of one HTML file.

    Parameters
    ----------
    title
        The heading.
    lead
        The paragraphs that stand first: the result in words.
    sections
        What follows, in order.
    footer
        One line about the software.
    warning
        A sentence in a box above everything (synthetic data, say), or nothing.
    """
    from jinja2 import Environment, select_autoescape

    environment = Environment(autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True)
    environment.tests["kind"] = lambda block, name: type(block).__name__ == name
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    template = environment.from_string(resources.files(__package__).joinpath("template.html").read_text("utf-8"))
    return template.render(
        title=title, lead=lead, sections=_unique(sections), footer=footer, warning=warning, anchor=_anchor
    )


def check_target(path: Path) -> None:
    """Refuse to write a report where it would take the place of anything but a report.

    Raises
    ------
    UsageError
        If there is a file that is no HTML, or a folder, or no folder to write into; nothing is changed.
    """
    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder", hint="name a file, as in -o audit.html")
    if not path.parent.is_dir():
        raise UsageError(f"no folder {str(path.parent)!r} to write into", hint="make it first")
    if path.exists():
        with path.open("rb") as file:
            head = file.read(START).lstrip().lower()
        if not head.startswith((b"<!doctype html", b"<html")):
            raise UsageError(
                f"{path} exists and is no HTML file", hint="choose another -o, as in -o audit.html; nothing was changed"
            )


def write(path: Path, text: str) -> None:
    """Write a report into a file, which appears when it is whole."""
    fresh = path.with_name(f".{path.name}.writing")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def public(sections: Sequence[Section]) -> list[Section]:
    """Leave out what shows single cases: for the report inside a bundle, which travels."""
    return [section for section in sections if not section.personal]


def _unique(sections: Sequence[Section]) -> list[Section]:
    """Make the ids inside each SVG unique: the figures share one document."""
    numbers = count()

    def own(block: Any) -> Any:
        if isinstance(block, Row):
            return Row([own(item) for item in block.items], block.wide)
        if not isinstance(block, Figure):
            return block
        svg, prefix = block.svg, f"f{next(numbers)}-"
        for before in ('id="', 'href="#', "url(#"):
            svg = svg.replace(before, before + prefix)
        return Figure(svg, block.caption)

    return [Section(part.title, [own(block) for block in part.blocks], part.personal) for part in sections]


def _anchor(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower()).strip("-")
