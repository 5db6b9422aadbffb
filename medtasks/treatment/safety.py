"""Rules that guard any recommended set: interactions, duplicates, allergies; what they block is shown, never dropped.

The knowledge comes from a table that the user brings (a hospital has its own): nothing is shipped. A table names pairs
of medicines, and may say how severe a pair is and who says so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Cases, Field, Patients
from medtasks.cases.tables import is_missing, read_table
from medtasks.errors import DataError
from medtasks.words import plain, plural

FIRST, SECOND = ("a", "name1", "atc_a", "drug1", "medicine1"), ("b", "name2", "atc_b", "drug2", "medicine2")
ALLERGIC, DUPLICATE = "the patient is allergic to it", "duplicate of class"
"""Why a medicine is held back beside interactions."""
UNTOLD = "not told"
"""The severity in a cell where the table of interactions, or the rule, says none."""
SEPARATOR = "; "
"""What stands between medicines in a cell of a table."""
ALLERGY = re.compile(r"allerg(?:y|ic)(?:\s+to)?\s*:?\s*(.+)", re.IGNORECASE)
"""How a field says what a patient is allergic to: ``allergy: penicillin``."""
BRACKET = re.compile(r"(.+?)\s*\([^()]*\)")
"""A name with a bracket behind: code (``RxNorm 7984``) or kind (``substance``), where it is no part of the name."""
NAMED = 5
"""Fields that a note names at most."""


@dataclass(frozen=True)
class Rule:
    """Why two medicines must not meet: how severe it is and who says so, as the table has it."""

    severity: str = ""
    source: str = ""

    def __str__(self) -> str:
        told = ", ".join(part for part in (self.severity, self.source) if part)
        return f" ({told})" if told else ""


@dataclass(frozen=True)
class Knowledge:
    """What is known of D medicines.

    Attributes
    ----------
    pairs : (i, j) with i < j -> why these must not meet
    classes : (D,) the class of each medicine ("" where none is named): two of one class are a duplicate
    origin : file, SHA-256, rows and the number of medicines that the table knows, as plain JSON
    """

    pairs: Mapping[tuple[int, int], Rule] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)

    def matrix(self, count: int) -> npt.NDArray[np.bool_]:
        """Return (D, D): whether two medicines interact."""
        found = np.zeros((count, count), dtype=bool)
        for i, j in self.pairs:
            found[i, j] = found[j, i] = True
        return found

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON; `of_json` takes it back."""
        pairs = [[i, j, rule.severity, rule.source] for (i, j), rule in self.pairs.items()]
        return {"pairs": pairs, "classes": list(self.classes), "origin": dict(self.origin)}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Knowledge:
        """Rebuild it from `as_json`."""
        pairs = {(i, j): Rule(severity, source) for i, j, severity, source in stored["pairs"]}
        return cls(pairs, tuple(stored["classes"]), stored["origin"])


def read_knowledge(path: Path, medicines: Sequence[str], classes: Sequence[str] = ()) -> Knowledge:
    """Read a table of pairs of medicines that must not meet.

    Parameters
    ----------
    path
        A CSV, TSV or Parquet file with the columns ``a`` and ``b`` (or ``name1``, ``name2``; ``atc_a``, ``atc_b``), and
        if known ``severity`` and ``source``. Names are compared without case, and ``_`` counts as a blank.
    medicines
        The medicines that can be recommended; other rows say nothing about them.

    Raises
    ------
    DataError
        If the file cannot be read, lacks the columns, or knows none of the medicines.
    """
    table = read_table(path)
    one, two = (_column(table, names, path) for names in (FIRST, SECOND))
    place = {plain(name): i for i, name in enumerate(medicines)}
    pairs: dict[tuple[int, int], Rule] = {}
    known: set[int] = set()
    columns = [table[name] if name in table else pd.Series([""] * len(table)) for name in ("severity", "source")]
    texts = [values.where(~is_missing(values), "").astype(str) for values in columns]
    for a, b, severity, source in zip(table[one], table[two], *texts, strict=True):
        i, j = place.get(plain(str(a))), place.get(plain(str(b)))
        known |= {number for number in (i, j) if number is not None}
        if i is not None and j is not None and i != j:
            pairs.setdefault((min(i, j), max(i, j)), Rule(severity.strip(), source.strip()))
    if not known:
        raise DataError(
            f"{path} names none of the {len(medicines)} medicines of the data",
            hint=f"both must use the same names; the data have {', '.join(list(medicines)[:3])} (--medicines renames)",
        )
    origin = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "rows": len(table),
        "known": len(known),
        "pairs": len(pairs),
    }
    return Knowledge(pairs, tuple(classes), origin)


def allergens(cases: Cases | None, medicines: Sequence[str], classes: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return (n, D): whether a patient's fields name an allergy to the medicine, or to its class."""
    if not isinstance(cases, Patients):
        return np.zeros((0, len(medicines)), dtype=bool)
    found = np.zeros((len(cases), len(medicines)), dtype=bool)
    for item in cases.fields:
        hit = _forbids(item, medicines, classes)
        if hit.any():
            allergic = cases.frame[item.name].fillna(0).to_numpy(dtype=np.float64) > 0
            found |= allergic[:, None] & hit
    return found


def allergy_notes(fields: Sequence[Field], medicines: Sequence[str], classes: Sequence[str] = ()) -> list[str]:
    """Say which fields of allergies hold nothing back, so that silence is not taken for safety."""
    about = [item for item in fields if item.name.lower().startswith("allerg")]
    idle = [item.name for item in about if not _forbids(item, medicines, classes).any()]
    if not idle:
        return []
    named = ", ".join(map(repr, idle[:NAMED])) + (" and others" if len(idle) > NAMED else "")
    return [
        f"nothing is held back for {len(idle)} of {plural(len(about), 'field')} of allergies, which name none of the "
        f"medicines in the words of the data, or are no `allergy: NAME` of yes and no: {named}"
    ]


def _forbids(item: Field, medicines: Sequence[str], classes: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return (D,) the medicines that a field names an allergy to; none where it is about something else."""
    hit = np.zeros(len(medicines), dtype=bool)
    match = ALLERGY.match(item.name)
    if match is None or item.type == "category":
        return hit
    names = [plain(name) for name in medicines]
    kinds = [plain(name) for name in classes] if classes else [""] * len(names)
    for to in _called(plain(match.group(1))):
        hit = np.array([_same(to, name) or to == kind for name, kind in zip(names, kinds, strict=True)], dtype=bool)
        if hit.any():
            break
    return hit


def _called(text: str) -> Iterator[str]:
    """Yield what an allergen may be called: as it stands, then with one bracket after the other cut off its end.

    Event tables put the code there, as in ``Allergy to penicillin V (finding) (SNOMED 294499007)``; a name with a
    bracket of its own is tried before that is cut.
    """
    match: re.Match[str] | None
    while text:
        within = ALLERGY.match(text)
        yield within.group(1) if within else text
        match = BRACKET.fullmatch(text)
        text = match.group(1) if match else ""


def _same(allergen: str, medicine: str) -> bool:
    """Say whether the allergen is the medicine, or a word of its name: salts and strengths stand behind it."""
    return re.search(rf"(?<!\w){re.escape(allergen)}(?!\w)", medicine) is not None


def _column(table: pd.DataFrame, names: Sequence[str], path: Path) -> str:
    found = next((name for name in table.columns if str(name).strip().lower() in names), None)
    if found is None:
        raise DataError(
            f"{path} has no column {names[0]!r}", hint="a table of interactions has the columns a, b, severity, source"
        )
    return str(found)
