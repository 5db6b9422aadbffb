"""Words for people."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """Count a noun.

    >>> plural(1, "row"), plural(2, "row"), plural(3, "class")
    ('1 row', '2 rows', '3 classes')
    """
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{ending}"
