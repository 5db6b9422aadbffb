"""Rows that repeat each other: on two sides of a split, with opposite labels, or merely twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.auditing.findings import Codes, Finding, Subject
from medtasks.cases import Molecules, Source
from medtasks.cases.columns import patient_columns
from medtasks.cases.records import table_of
from medtasks.dataset import SPLITS, Dataset
from medtasks.words import plural

Sets = list[Codes]
COMMON = 0.2
"""Where more than a fifth of the rows have a near twin, being alike is what these data are, not an accident."""


def equal(digests: Sequence[Any] | npt.NDArray[Any]) -> Sets:
    """Return the sets of rows with one digest, two rows or more in each."""
    _, own, counts = np.unique(np.asarray(digests), return_inverse=True, return_counts=True)
    rows = np.flatnonzero(counts[own] > 1)
    if not len(rows):
        return []
    rows = rows[np.argsort(own[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(own[rows])) + 1)


def joined(pairs: npt.NDArray[np.int64], n: int) -> Sets:
    """Return the sets of rows that (p, 2) pairs connect."""
    if not len(pairs):
        return []
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return equal_among(connected_components(graph, directed=False)[1], np.unique(pairs))


def equal_among(own: npt.NDArray[Any], rows: Codes) -> Sets:
    """Return the sets of those ``rows`` that have one value of ``own``."""
    return [rows[found] for found in equal(own[rows])]


def copies(subject: Subject, sets: Sets, noun: str) -> list[Finding]:
    """Tell of rows that are equal; ``noun`` is what a row is called."""
    found = _opposite(subject, sets, noun, "equal", "severe")
    found += _crossing(subject, sets, noun, "equal", "duplicates", "severe" if subject.own else "warning")
    inside = [rows for rows in sets if len(_sides(subject, rows)) == 1]
    if inside:
        repeated = sum(len(rows) - 1 for rows in inside)
        found.append(
            Finding(
                "warning",
                "duplicates",
                f"{plural(repeated, noun)} repeat{'s' if repeated == 1 else ''} another one"
                + (" of the same part" if subject.parts is not None else ""),
                "keep one of each"
                if subject.own
                else "keep one of each, or give copies one group, so that no split tears them apart",
                repeated,
                *_ids(subject, inside),
            )
        )
    return found


def near(subject: Subject, pairs: npt.NDArray[np.int64], noun: str) -> list[Finding]:
    """Tell of rows that are nearly equal; pairs of one patient are expected and passed over."""
    if subject.dataset.groups is not None and len(pairs):
        groups = subject.dataset.groups
        pairs = pairs[groups[pairs[:, 0]] != groups[pairs[:, 1]]]
    if not len(pairs):
        return []
    usual = len(np.unique(pairs)) > COMMON * len(subject)
    clash = np.array([subject.differ(pair) for pair in pairs])
    across = np.array([len(_sides(subject, pair)) > 1 for pair in pairs])
    n = len(subject)
    found = _opposite(subject, joined(pairs[clash], n), noun, "nearly equal", "warning" if usual else "severe")
    found += _crossing(
        subject, joined(pairs[across], n), noun, "nearly equal", "near-duplicates", "note" if usual else "warning"
    )
    inside = joined(pairs[~across & ~clash], n)
    if inside:
        count = sum(len(rows) - 1 for rows in inside)
        found.append(
            Finding(
                "note" if usual or subject.own else "warning",
                "near-duplicates",
                f"{plural(count, noun)} {'is' if count == 1 else 'are'} nearly equal to another one"
                + (" of the same part" if subject.parts is not None else ""),
                "if they are one patient's or edited copies, name their group, so that no split tears them apart",
                count,
                *_ids(subject, inside),
            )
        )
    return found


def _opposite(subject: Subject, sets: Sets, noun: str, how: str, severity: str) -> list[Finding]:
    clashing = [rows for rows in sets if subject.differ(rows)]
    if not clashing:
        return []
    count = sum(map(len, clashing))
    return [
        Finding(
            severity,
            "contradictions",
            f"{plural(count, noun)} {how} to another one {'has' if count == 1 else 'have'} a different label",
            "look at each: one of the labels is wrong, or the data lack what tells them apart; mend them or leave "
            "them out",
            count,
            *_ids(subject, clashing),
            parts=_named(subject, clashing),
        )
    ]


def _crossing(subject: Subject, sets: Sets, noun: str, how: str, check: str, severity: str) -> list[Finding]:
    torn = [rows for rows in sets if len(_sides(subject, rows)) > 1]
    if not torn:
        return []
    assert subject.parts is not None
    advice = (
        "what is tested or tuned on must be new: leave the copies out of all parts but one"
        if subject.own
        else "give copies one group (--group): what is tested must be new"
    )
    if not set(subject.parts.tolist()) <= set(SPLITS):
        count = sum(map(len, torn))
        title = f"{plural(count, noun)} {'is' if count == 1 else 'are'} {how} to one of another fold"
        return [Finding(severity, check, title, advice, count, *_ids(subject, torn))]
    found = []
    for one, other in combinations(SPLITS, 2):
        shared = [rows for rows in torn if {one, other} <= _sides(subject, rows)]
        if shared:
            count = int(sum((subject.parts[rows] == other).sum() for rows in shared))
            title = f"{plural(count, f'{other} {noun}')} {'is' if count == 1 else 'are'} {how} to {one} {noun}s"
            only = [rows[np.isin(subject.parts[rows], (one, other))] for rows in shared]
            found.append(Finding(severity, check, title, advice, count, *_ids(subject, only), parts=(one, other)))
    return found


def _sides(subject: Subject, rows: Codes) -> set[str]:
    return {""} if subject.parts is None else set(subject.parts[rows].tolist())


def _named(subject: Subject, sets: Iterable[Codes]) -> tuple[str, ...]:
    sides = {side for rows in sets for side in _sides(subject, rows) if side}
    return tuple(sorted(sides, key=lambda side: (SPLITS.index(side) if side in SPLITS else len(SPLITS), side)))


def _ids(subject: Subject, sets: Sets) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    together = tuple(subject.ids(rows) for rows in sets)
    return tuple(name for ids in together for name in ids), together


def shared_groups(subject: Subject) -> list[Finding]:
    """Tell of patients (groups) that stand on two sides of the data's own split; they are counted, never named."""
    groups, parts = subject.dataset.groups, subject.parts
    if groups is None or parts is None or not subject.own:
        return []
    sides = {name: set(groups[parts == name].tolist()) for name in SPLITS}
    found = []
    for one, other in combinations(SPLITS, 2):
        shared = sides[one] & sides[other]
        if shared:
            rows = np.flatnonzero(np.isin(groups, list(shared)) & np.isin(parts, (one, other)))
            found.append(
                Finding(
                    "severe",
                    "groups",
                    f"{plural(len(shared), 'patient')} (or other group) "
                    f"{'stands' if len(shared) == 1 else 'stand'} in both {one} and {other} of the data's own split",
                    "mend the split column, or leave it out and let medtasks split by patient",
                    len(rows),
                    subject.ids(rows),
                    parts=(one, other),
                )
            )
    return found


def ungrouped(source: Source | Dataset, dataset: Dataset, options: Any) -> list[Finding]:
    """Tell which columns of a table may name patients who have several rows, where no column was named.

    A data set lacks columns of identifiers, so the source is looked at again.
    """
    if dataset.groups is not None or isinstance(dataset.cases, Molecules) or isinstance(source, Dataset):
        return []
    table = table_of(source)
    if table is None:
        return []
    settled = {key: value for key, value in options.model_dump().items() if key != "id"}
    named = {name for value in settled.values() for name in (value if isinstance(value, tuple) else (value,))}
    return [
        Finding(
            "warning",
            "groups",
            f"The column {name!r} has {kinds} values in {rows} rows: does it name the patient?",
            f"name it with --group {name!r} if so: else rows of one patient stand on two sides of a split, and what is "
            "tested is not new",
        )
        for name, kinds, rows in patient_columns(table, {*dataset.names, *map(str, named)})
    ]
