"""What CXSMILES write behind a SMILES, as in ``CC=CC |t:1|``: which of it belongs to the molecule."""

from __future__ import annotations

import re

EXTENSION = re.compile(r"\|[^|]*\|(?=\s|$)")
"""An extension, with blanks or nothing behind."""
_ATOMS = re.compile(r"\$[^$]*\$")
_PLACES = re.compile(r"\([^()]*\)")
_OPEN_LABEL = re.compile(r"_(?!AV:).*|\*|R\d*|.*_[pe]", re.DOTALL)
"""Labels of atoms that stand for more than one: R groups, attachment points, polymers, atoms of a query. Others are
names, and ``_AV:`` begins values."""
_CONTINUED = re.compile(r"\s*[-\d.].*", re.DOTALL)
"""What goes on with the feature before, as 3 does in ``c:1,3``."""
_OPEN = re.compile(r"(Sg|m|LN|RG|rb|s|u):")
"""Repeated units, bonds to any of several atoms, link nodes, R groups, and what a query asks of an atom."""
_NEEDED = re.compile(r"(c|t|\^[1-7]):\d+(,\d+)*,?")
"""Double bonds that are cis or trans, and radicals: RDKit reads them."""
_SPARE = re.compile(r"a(:.*)?|r|[&o]\d+:.*|(w[UD]?|ctu|lp|f|h[ab]|LO|SgD|atomProp):.*", re.DOTALL)
"""What the molecule is the same without: groups of stereocentres, how bonds are drawn, electron pairs, data."""
OPEN = "the CXSMILES extension leaves the molecule open (R groups, attachment points, polymers, queries)"
UNREAD = "the CXSMILES extension holds what is not read here, such as bonds of other kinds"


def split_extension(text: str) -> tuple[str, str]:
    """Part a text into a SMILES and the extension behind it, empty where there is none.

    >>> split_extension("CC=CC |t:1|"), split_extension("CCO")
    (('CC=CC', '|t:1|'), ('CCO', ''))
    """
    whole = text.rstrip()
    start = whole.rfind("|", 0, -1)
    if start < 1 or not whole.endswith("|") or not whole[start - 1].isspace():
        return text, ""
    return whole[:start].rstrip(), whole[start:]


def needed(extension: str) -> str:
    """Return the part of an extension without which the molecule would be another one; nothing where it would not be.

    Raises
    ------
    ValueError
        If it says something that a single molecule cannot have; the message is the reason.

    Examples
    --------
    >>> needed("|(1.5,0,;2,1,),&1:2,c:1,3|"), needed("|&1:2|")
    ('|c:1,3|', '')
    >>> needed("|$;;_R1$|")
    Traceback (most recent call last):
    ...
    ValueError: the CXSMILES extension leaves the molecule open (R groups, attachment points, polymers, queries)
    """
    inner = extension.strip("|")
    labels = [label for found in _ATOMS.findall(inner) for label in found.strip("$").split(";")]
    if any(_OPEN_LABEL.fullmatch(label.strip()) for label in labels):
        raise ValueError(OPEN)
    features: list[str] = []
    for part in _PLACES.sub("", _ATOMS.sub("", inner)).split(","):
        if features and _CONTINUED.fullmatch(part):
            features[-1] += f",{part.strip()}"
        elif part.strip():
            features.append(part.strip())
    if any(_OPEN.match(one) for one in features):
        raise ValueError(OPEN)
    if not all(_NEEDED.fullmatch(one) or _SPARE.fullmatch(one) for one in features):
        raise ValueError(UNREAD)
    kept = [one for one in features if _NEEDED.fullmatch(one)]
    return f"|{','.join(kept)}|" if kept else ""
