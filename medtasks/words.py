"""Words for people."""

from __future__ import annotations

import re
from collections.abc import Iterable


def plural(count: int, noun: str) -> str:
    """Count a noun.

    >>> plural(1, "row"), plural(2, "row"), plural(3, "class")
    ('1 row', '2 rows', '3 classes')
    """
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{ending}"


def plain(name: str) -> str:
    """Return a name as it is compared: in lower case, with one blank between words.

    >>> plain("Folic_Acid ")
    'folic acid'
    """
    return re.sub(r"[\s_]+", " ", name).strip().lower()


def joined(names: Iterable[str], separator: str) -> str:
    """Write names into one cell so that `parted` reads the same back, whatever the names are.

    As in CSV, a name that holds the separator's sign, or begins with a quotation mark, stands in quotation marks.

    >>> joined(["A", "B", "C | D"], " | ")
    'A | B | "C | D"'
    """
    sign = separator.strip()
    return separator.join(
        '"' + name.replace('"', '""') + '"' if not name or sign in name or name.startswith('"') else name
        for name in names
    )


def parted(text: str, separator: str) -> list[str]:
    """Return the names that `joined` wrote into a cell; none of an empty one.

    >>> parted('A | B | "C | D"', " | ")
    ['A', 'B', 'C | D']
    """
    found, rest = [], text
    while rest:
        if rest.startswith('"'):
            end = 1
            while rest[end] != '"' or rest[end : end + 2] == '""':
                end += 2 if rest[end] == '"' else 1
            found.append(rest[1:end].replace('""', '"'))
            rest = rest[end + 1 + len(separator) :]
        else:
            name, _, rest = rest.partition(separator)
            found.append(name)
    return found
