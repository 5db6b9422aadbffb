"""Columns that stand beside measurements, as databases export them: their relation, unit and type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.activity.measurements import (
    POWERS,
    WEIGHTS,
    Measured,
    is_binary,
    is_logarithm,
    is_unit,
    plain_texts,
    sign_of,
    unit_of,
    with_relation,
)
from medtasks.activity.options import ActivityOptions
from medtasks.cases.tables import column_names, suggest_column
from medtasks.errors import DataError, UsageError
from medtasks.words import plural

Rows = npt.NDArray[np.bool_]

RELATIONS = (
    *("relation", "relations", "qualifier", "operator", "modifier", "sign", "prefix"),
    *("inequality", "censor", "censored", "censoring"),
)
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
"""Share of a column's texts that must be signs, or units of concentration, for it to be found by a name that is not the
target's own or generic: an operator can be a person, and a qualifier a remark."""
GENERIC = frozenset({"standard", "published", "activity", "measurement", "result", "value"})
"""First words of columns' names that say nothing of what is measured, as in ``Standard Units``."""
_ENDPOINT = re.compile(
    r"(?<![a-z])p?(ic|ec|ac|cc|lc|tc|xc|ed|gi|ld)_?\d\d|(?<![a-z])p?k[idbm]\b|\bmic\d*\b|inhibition|potency|efficacy",
    re.IGNORECASE,
)
"""What types of measurements are called."""
_VALUES = frozenset({"value", "values", "result", "results", "mean", "average", "median"})
"""Last words of a measurement's name that say nothing of what is measured."""
_RANKS = {"own": 0, "near": 1, "generic": 1, "apart": 2, "other": 3}
_CLEAR = ("own", "generic")
"""Places where a few signs are enough; see `_Beside`."""
SHOWN = 4
"""Types and units told in a note."""


@dataclass(frozen=True)
class _Beside:
    name: str
    place: str
    """Whose it is by its name: the target's ``own``, ``near`` where the target's name begins or ends so (``EGFR unit``
    beside ``EGFR IC50``), ``generic``, ``apart`` where it is of something that is no column, ``other`` where it is of
    another column."""


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
    if found is None or found.place == "apart" or (found.place == "other" and not is_logarithm(target)):
        told = options.relation is None and not _is_classes(read, options)
        return read, _overlooked(table, target, options) if told else []
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
    if found.place != "other" and len(options.target) <= 1:
        raise UsageError(
            f"{told}: what is more than a concentration is less than its negative logarithm; which of them is meant?",
            hint=f"add --relation {found.name!r} if the signs are those of {target} itself, or --relation {NONE} to "
            "take its values as exact; or predict the concentrations, with --target and --unit",
        )
    whose = "which is another column's" if found.place == "other" else "which is no single target's"
    return [f"{told}, {whose} by its name: they count as exact."]


def _overlooked(table: pd.DataFrame, target: str, options: ActivityOptions) -> list[str]:
    """Tell of columns with > or < that by their names are neither read for the target nor another column's."""
    others = [name for name in column_names(table) if name != target]
    owners = {name: _stem(name) for name in others if _words(name)[-1:] not in _BESIDE}
    notes = []
    for name in others:
        words = _words(name)
        if name in options.target or pd.api.types.is_numeric_dtype(table[name]):
            continue
        if any(stem and words[: len(stem)] == stem and owner != name for owner, stem in owners.items()):
            continue
        texts = [text for text in plain_texts(table[name].astype("string").drop_duplicates()) if text]
        signs = [sign_of(text) for text in texts]
        known = words[-1:] in _BESIDE or sum(sign is not None for sign in signs) > MOST * len(signs)
        if known and any(signs):
            mend = f"add --relation {name!r}" if len(options.target) <= 1 else f"call it '{target} relation'"
            notes.append(
                f"The column {name!r} holds > or < and is not read: {mend} if that is the relation of {target}."
            )
    return notes


def read_units(
    table: pd.DataFrame, target: str, read: Measured, options: ActivityOptions, usable: Rows, where: str
) -> tuple[Measured, list[str] | None, list[str]]:
    """Return the values of a target that have a unit, the unit of each where a column says it, and notes.

    See `read_relation`. Without ``--unit`` the numbers stay as they are, whose unit must be one then.
    """
    found = _asked(table, target, options.unit_column, "--unit-column", options, where)
    numbers = not is_logarithm(target) and not _is_classes(read, options)
    if found is not None and not numbers:
        raise UsageError(
            f"--unit-column {found.name}: the column {target!r} does not hold concentrations",
            hint=f"leave it out, or say --unit-column {NONE}",
        )
    if found is None and options.unit_column != NONE and numbers:
        found = _find(table, target, options, UNITS, partial(_are_units, wanted=options.unit is not None))
        if options.unit is not None and (found is None or found.place == "other"):
            found = _find(table, target, options, UNITS, _are_said) or found
    if found is None or found.place == "other":
        return read, None, []
    texts = plain_texts(table[found.name])
    if found.place == "apart" or (found.place == "generic" and not any(map(is_unit, texts))):
        return read, None, _unread_units(target, found, set(texts), options)
    meant = {text: unit_of(text) for text in set(texts)}
    known = np.isfinite(read.values)
    counts = Counter(meant[text] or text for text, row in zip(texts, known & usable, strict=True) if row and text)
    if options.unit is None:
        return read, None, _one_unit(target, found.name, counts, where)
    lost = known & np.array([bool(text) and meant[text] is None for text in texts])
    if lost.any() and (lost == known).all():
        raise DataError(
            f"no value of {target!r} in {where} is in a unit of concentration that is known (column {found.name!r})",
            hint=f"known are {', '.join((*POWERS, *WEIGHTS))}; --unit-column {NONE} takes all for {options.unit}",
        )
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


def _unread_units(target: str, found: _Beside, texts: set[str], options: ActivityOptions) -> list[str]:
    """Tell of a column of units that is not read where the values are converted by another."""
    if options.unit is None or {unit_of(text) for text in texts if text} == {options.unit}:
        return []
    if found.place == "generic":
        return [f"The column {found.name!r} holds no units: all values of {target} are taken for {options.unit}."]
    return [
        f"The column {found.name!r} holds units and is not read, since it is not {target}'s by its name: all values "
        f"are taken for {options.unit}."
    ]


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
        unlike = UNITS if flag == "--relation" else RELATIONS
        never = [name for name in column_names(table) if name in options.target or "".join(_words(name)[-1:]) in unlike]
        raise UsageError(
            f"{flag}: {where} has no column {named!r}",
            hint=f"{flag} {NONE} reads none; {suggest_column(named, table.drop(columns=never))}",
        )
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
    fits: Callable[[Sequence[str], str], bool],
) -> _Beside | None:
    """Find a column by the last word of its name: the target's own, the one with the most words in common, any other.

    Parameters
    ----------
    fits
        Whether texts can be what is looked for, in a column of this place; see `_Beside`.
    """
    others = [name for name in column_names(table) if name != target]
    wanted, owners = _stem(target), [_stem(name) for name in others if _words(name)[-1:] not in _BESIDE]
    found: list[tuple[int, int, _Beside]] = []
    for name in others:
        words = _words(name)
        if name in options.target or not words or words[-1] not in terms:
            continue
        stem = _stem(" ".join(words[:-1]))
        place = _place(stem, wanted, owners)
        if fits([text for text in plain_texts(table[name]) if text], place):
            shared = len(stem) if place == "near" or wanted[: len(stem)] == stem else 0
            found.append((_RANKS[place], -shared, _Beside(name, place)))
    return min(found, key=lambda one: one[:2])[2] if found else None


def _place(stem: list[str], wanted: list[str], owners: list[list[str]]) -> str:
    """Say whose a column is by the first words of its name; see `_Beside`."""
    if stem == wanted:
        return "own"
    if stem in owners:
        return "other"
    if GENERIC.issuperset(stem):
        return "generic"
    if stem in (wanted[: len(stem)], wanted[-len(stem) :]):
        return "near"
    return "other" if any(owner[: len(stem)] == stem for owner in owners) else "apart"


def _are_signs(texts: Sequence[str], place: str) -> bool:
    signs = [sign_of(text) for text in texts]
    return (place in _CLEAR and any(signs)) or sum(sign is not None for sign in signs) > MOST * len(signs)


def _are_units(texts: Sequence[str], place: str, wanted: bool) -> bool:
    """Say whether texts can be units of a column of values, of which one of concentration is ``wanted`` or not."""
    if place == "own":
        return any(texts)
    if place == "generic" and wanted:
        return any(map(is_unit, texts))
    known = sum(unit_of(text) is not None for text in texts)
    return known > 0 if place == "generic" else known > MOST * len(texts)


def _are_said(texts: Sequence[str], place: str) -> bool:
    """Say whether texts stand where units do, whatever they are."""
    return place == "generic" and any(texts)


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
