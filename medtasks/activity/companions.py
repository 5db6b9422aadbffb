"""Columns that stand beside measurements, as databases export them: their relation, unit and type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.activity.measurements import (
    POWERS,
    SIGNS,
    WEIGHTS,
    Measured,
    is_binary,
    is_logarithm,
    plain_texts,
    unit_of,
    with_relation,
)
from medtasks.activity.options import ActivityOptions
from medtasks.cases.tables import column_names, suggest_column
from medtasks.errors import DataError, UsageError
from medtasks.words import plural

Rows = npt.NDArray[np.bool_]

RELATIONS = ("relation", "qualifier", "operator", "modifier")
"""Last words of the names of columns with relations: ChEMBL's, PubChem's and others'."""
UNITS = ("units", "unit")
_BESIDE = [[word] for word in (*RELATIONS, *UNITS, "type")]
_TYPED = frozenset(
    {("standard", "type"), ("activity", "type"), ("measurement", "type"), ("type",), ("activity", "name")}
)
"""Names of columns that say what was measured; so is ``X Type`` beside ``X Value``."""
NONE = "none"
"""What an option says instead of a column where none is to be read."""
MOST = 0.5
"""Share of a column's texts that must be signs, or units of concentration, for it to be found by name: an operator can
be a person, and a qualifier a remark."""
_ENDPOINT = re.compile(
    r"(?<![a-z])p?(ic|ec|ac|cc|lc|tc|xc|ed|gi|ld)_?\d\d|(?<![a-z])p?k[idbm]\b|\bmic\d*\b|inhibition|potency|efficacy",
    re.IGNORECASE,
)
"""What types of measurements are called."""
_VALUES = frozenset({"value", "values", "result", "results", "mean", "average", "median"})
"""Last words of a measurement's name that say nothing of what is measured."""
SHOWN = 4
"""Types and units told in a note."""


@dataclass(frozen=True)
class _Beside:
    name: str
    place: str
    """``own`` of the target, ``free`` where it is of no one column by its name, ``other`` where it is of another."""


def read_relation(
    table: pd.DataFrame, target: str, read: Measured, options: ActivityOptions, usable: Rows, where: str
) -> tuple[Measured, list[str]]:
    """Make bounds of the values of a target by the relations that stand beside them.

    Parameters
    ----------
    read
        What stands in the target's own column.
    usable : (n,) whether a row has a structure

    Returns
    -------
    measured, notes
        The values with their bounds, and what a reader should know.

    Raises
    ------
    UsageError
        If there is no such column, or it is not known what its signs are of.
    """
    found = _asked(table, target, options.relation, "--relation", options, where)
    asked = found is not None
    if found is None and options.relation != NONE and not _is_classes(read, options):
        found = _find(table, target, options, RELATIONS, _are_signs)
    if found is None or (found.place == "other" and not is_logarithm(target)):
        return read, []
    measured = with_relation(read, table[target], table[found.name])
    known = np.isfinite(measured.values) & usable
    above, below = (int((known & (measured.censoring == side)).sum()) for side in (1, -1))
    if asked and is_binary(read) and above + below:
        raise UsageError(
            f"--relation {found.name}: the column {target!r} holds classes, which have no bounds",
            hint=f"leave it out, or say --relation {NONE}",
        )
    if found.place != "own" and (found.place == "other" or len(options.target) > 1 or is_logarithm(target)):
        return read, _unread(target, found, int((known & (measured.censoring != read.censoring)).sum()), options)
    counts = f"{above + below} of {int(known.sum())} values are bounds ({above} with >, {below} with <)"
    return measured, [f"The relation of {target} is read from the column {found.name!r}: {counts}."]


def _unread(target: str, found: _Beside, count: int, options: ActivityOptions) -> list[str]:
    """Tell of signs that are not read, since it is not said what they are of; refuse those of a logarithm."""
    if not count:
        return []
    told = f"{plural(count, 'value')} of {target} stand beside > or < in the column {found.name!r}"
    if found.place == "free" and len(options.target) <= 1:
        raise UsageError(
            f"{told}: what is more than a concentration is less than its negative logarithm; which of them is meant?",
            hint=f"add --relation {found.name!r} if the signs are those of {target} itself, or --relation {NONE} to "
            "take its values as exact; or predict the concentrations, with --target and --unit",
        )
    whose = "which is another column's" if found.place == "other" else "which is no single target's"
    return [f"{told}, {whose} by its name: they count as exact."]


def read_units(
    table: pd.DataFrame, target: str, read: Measured, options: ActivityOptions, usable: Rows, where: str
) -> tuple[Measured, list[str], list[str]]:
    """Return the values of a target that have a unit, the unit of each, and notes; see `read_relation`.

    Without ``--unit`` the numbers stay as they are, whose unit must be one then.
    """
    found = _asked(table, target, options.unit_column, "--unit-column", options, where)
    numbers = not is_logarithm(target) and not _is_classes(read, options)
    if found is not None and not numbers:
        raise UsageError(
            f"--unit-column {found.name}: the column {target!r} does not hold concentrations",
            hint=f"leave it out, or say --unit-column {NONE}",
        )
    if found is None and options.unit_column != NONE and numbers:
        found = _find(table, target, options, UNITS, _are_concentrations, own=any)
    if found is None or (found.place != "own" and (found.place == "other" or len(options.target) > 1)):
        return read, [options.unit or ""] * len(table), []
    texts = plain_texts(table[found.name])
    meant = {text: unit_of(text) for text in set(texts)}
    known = np.isfinite(read.values)
    counts = Counter(meant[text] or text for text, row in zip(texts, known & usable, strict=True) if row and text)
    if options.unit is None:
        return read, [""] * len(table), _one_unit(target, found.name, counts, where)
    lost = known & np.array([bool(text) and meant[text] is None for text in texts])
    why = f"is in a unit that is no known concentration (column {found.name!r})"
    measured = Measured(
        np.where(lost, np.nan, read.values),
        np.where(lost, 0, read.censoring).astype(np.int8),
        tuple(why if gone else error for gone, error in zip(lost, read.errors, strict=True)),
    )
    told = ", ".join(f"{count} in {unit}" for unit, count in counts.most_common() if unit in (*POWERS, *WEIGHTS))
    notes = [f"The unit of each value of {target} is read from the column {found.name!r}: {told or 'none is known'}."]
    blank = sum(bool(row) and not text for text, row in zip(texts, known & usable, strict=True))
    if blank:
        notes.append(f"{plural(blank, 'value')} of {target} without a unit there: taken for {options.unit} (--unit).")
    return measured, [meant[text] or options.unit for text in texts], notes


def _one_unit(target: str, column: str, counts: Counter[str], where: str) -> list[str]:
    """Refuse numbers of several units, and tell of concentrations what --unit would do."""
    units = [unit for unit, _ in counts.most_common() if unit in (*POWERS, *WEIGHTS)]
    if len(counts) > 1:
        others = ["others"] if len(units) < len(counts) else []
        mend = (
            f"add --unit {units[0]}, by which each becomes -log10 of mol/L and other rows are left out; or "
            if units
            else ""
        )
        raise DataError(
            f"the column {target!r} of {where} holds values in several units: {', '.join([*units, *others])} "
            f"(column {column!r})",
            hint=f"{mend}give rows of one unit; --unit-column {NONE} takes the numbers as they are",
        )
    if not units:
        return []
    return [
        f"All values of {target} are in {units[0]} (column {column!r}): --unit {units[0]} predicts -log10 of mol/L."
    ]


def read_types(table: pd.DataFrame, target: str, rows: Rows) -> tuple[npt.NDArray[Any] | None, list[str]]:
    """Return (n,) what was measured in each row (IC50, inhibition), where a column says that several things were.

    Parameters
    ----------
    rows : (n,) whether a row is used
    """
    for name in sorted(column_names(table), key=lambda name: _words(name)[:-1] != _stem(target)):
        words = _words(name)
        if name == target or not (tuple(words) in _TYPED or (words[-1:] == ["type"] and words[:-1] == _stem(target))):
            continue
        texts = np.array(plain_texts(table[name]), dtype=object)
        counts = Counter(text for text in texts[rows] if text)
        if len(counts) > 1 and any(_ENDPOINT.search(text) for text in counts):
            kept = counts.most_common(1)[0][0]
            return texts, [
                f"The measurements of {target} are of several types (column {name!r}): {told_types(counts)}. Keep the "
                f"rows of one if they do not mean the same, as by table[table[{name!r}] == {kept!r}] in pandas."
            ]
    return None, []


def told_types(counts: Counter[str]) -> str:
    """List types of measurements with how many there are of each, the most frequent first.

    >>> told_types(Counter(["Ki", "Ki", "Inhibition"]))
    'Ki (2), Inhibition (1)'
    """
    shown = [f"{text} ({count})" for text, count in counts.most_common(SHOWN)]
    return ", ".join(shown) + (f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")


def _asked(
    table: pd.DataFrame, target: str, named: str | None, flag: str, options: ActivityOptions, where: str
) -> _Beside | None:
    if named is None or named == NONE:
        return None
    if named not in column_names(table):
        raise UsageError(f"{flag}: {where} has no column {named!r}", hint=suggest_column(named, table))
    if len(options.target) > 1:
        raise UsageError(
            f"{flag} names one column for {len(options.target)} targets",
            hint=f"call that of each as in '{target} {flag[2:].partition('-')[0]}', or predict them one by one",
        )
    if named == target:
        raise UsageError(f"{flag}: the column {named!r} is the target", hint="name the one beside it")
    return _Beside(named, "own")


def _find(
    table: pd.DataFrame,
    target: str,
    options: ActivityOptions,
    terms: Sequence[str],
    fits: Callable[[Sequence[str]], bool],
    own: Callable[[Sequence[str]], bool] | None = None,
) -> _Beside | None:
    """Find a column by the last word of its name: the target's own, the one with the most words in common, any other.

    Parameters
    ----------
    fits, own
        Whether texts can be what is looked for; ``own`` of a column that is the target's by its name.
    """
    others = [name for name in column_names(table) if name != target]
    wanted, owners = _stem(target), [_stem(name) for name in others if _words(name)[-1:] not in _BESIDE]
    found: list[tuple[int, int, _Beside]] = []
    for name in others:
        words = _words(name)
        if name in options.target or not words or words[-1] not in terms:
            continue
        stem = _stem(" ".join(words[:-1]))
        place = "own" if stem == wanted else "other" if stem in owners else "free"
        if (own if own and place == "own" else fits)([text for text in plain_texts(table[name]) if text]):
            shared = len(stem) if wanted[: len(stem)] == stem else 0
            found.append((["own", "free", "other"].index(place), -shared, _Beside(name, place)))
    return min(found, key=lambda one: one[:2])[2] if found else None


def _are_signs(texts: Sequence[str]) -> bool:
    return sum(text in SIGNS for text in texts) > MOST * len(texts)


def _are_concentrations(texts: Sequence[str]) -> bool:
    return sum(unit_of(text) is not None for text in texts) > MOST * len(texts)


def _is_classes(read: Measured, options: ActivityOptions) -> bool:
    return options.kind != "regression" and is_binary(read)


def _words(name: str) -> list[str]:
    """Return the words of a column's name in lower case, without what stands in brackets.

    >>> _words("StandardValue"), _words("IC50_nM"), _words("Ki [µM]")
    (['standard', 'value'], ['ic50', 'nm'], ['ki'])
    """
    parted = re.sub(r"(?<=[a-z]{2})(?=[A-Z])", " ", re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", name))
    return re.sub(r"[\W_]+", " ", parted).lower().split()


def _stem(name: str) -> list[str]:
    """Return the words of a name that say what is measured, without those of values and units behind them."""
    words = _words(name)
    while words and (words[-1] in _VALUES or unit_of(words[-1])):
        words.pop()
    return words
