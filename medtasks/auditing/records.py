"""What an audit asks of records: copies, near copies, missing and impossible values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.auditing.findings import Finding, Subject, plural
from medtasks.auditing.probing import LEAST, area
from medtasks.auditing.repeats import Sets
from medtasks.cases import RecordEncoder, Records

Values = npt.NDArray[np.float64]
Pairs = npt.NDArray[np.int64]

NEAR = 0.05
"""Of a field's robust standard deviation: rows whose numbers all differ by less than this were copied and retouched."""
CHANCE = 0.05
"""Expected number of equal rows below which an equal row is no coincidence."""
BOUND_UP = 0.7
"""Share of what fields would say were they independent that they are taken to say: they hang together."""
MOST = 20_000
"""Rows compared for near copies: beyond them the search in many fields takes minutes, and the first are taken."""
MOST_PAIRS = 200_000
"""Pairs kept of one field: rounded values make many, none of which means anything."""
MOSTLY = 0.5
"""Share of missing values from which a field is told of."""
TELLING, TOLD = 0.65, 0.9
"""AUROC of "missing or not" alone from which it is told of, and from which it is severe."""


def coincidences(records: Records, sets: Sets) -> tuple[Sets, Sets]:
    """Part sets of equal rows into copies and coincidences, such as patients with the same three symptoms."""
    rarity = _rarity(_codes(records)).sum(axis=1)
    copied: Sets = []
    chance: Sets = []
    for rows in sets:
        (copied if _is_copy(len(records), rarity[rows[0]]) else chance).append(rows)
    return copied, chance


def _codes(records: Records) -> Pairs:
    """Return (n, fields): each value as a number of its own, missing too."""
    columns = [pd.factorize(records.frame[field.name], use_na_sentinel=False)[0] for field in records.fields]
    return np.column_stack(columns).astype(np.int64) if columns else np.empty((len(records), 0), dtype=np.int64)


def _rarity(codes: Pairs) -> Values:
    """Return (n, fields) minus the logarithm of how common each value is."""
    columns = [-np.log(np.bincount(column)[column] / len(column)) for column in codes.T]
    return np.column_stack(columns) if columns else np.zeros(codes.shape)


def _is_copy(n: int, rarity: Any) -> Any:
    return n * np.exp(-BOUND_UP * rarity) < CHANCE


def chance(subject: Subject, sets: Sets) -> list[Finding]:
    """Tell of rows that are equal by coincidence, and what no model can get right."""
    torn = [rows for rows in sets if subject.differ(rows)]
    if not torn:
        return []
    count = sum(map(len, torn))
    title = f"{plural(count, 'row')} have the fields of another one with a different label, as few fields make likely"
    together = tuple(subject.ids(rows) for rows in torn)
    return [Finding("note", "contradictions", title, "no model can tell them apart: add a field that does, or expect "
                    "errors there", count, tuple(name for ids in together for name in ids), together)]  # fmt: skip


def near_pairs(records: Records) -> Pairs:
    """Return (p, 2) rows that are nearly but not quite equal, coincidences left out."""
    keep = np.arange(min(len(records), MOST))
    codes = _codes(records)[keep]
    if codes.shape[1] < 2 or len(keep) < LEAST:
        return np.empty((0, 2), dtype=np.int64)
    numbers = [i for i, field in enumerate(records.fields) if field.type == "number"]
    frame = records.frame.iloc[keep]
    columns = [_scaled(frame.iloc[:, i].to_numpy(dtype=np.float64)) for i in numbers]
    scaled: Values = np.column_stack(columns) if columns else np.empty((len(keep), 0))
    found = np.concatenate([_in_one_field(codes, scaled, numbers), _in_all(codes, scaled, numbers)])
    if not len(found):
        return found
    found = np.unique(np.sort(found, axis=1), axis=0)
    found = found[(codes[found[:, 0]] != codes[found[:, 1]]).any(axis=1)]
    coarse = codes.copy()  # numbers that lie within NEAR of each other count as equal
    for place, i in enumerate(numbers):
        coarse[:, i] = pd.factorize(np.round(scaled[:, place] / (2 * NEAR)), use_na_sentinel=False)[0]
    exact, roughly, equal = _rarity(codes), _rarity(coarse), codes[found[:, 0]] == codes[found[:, 1]]
    rarity = [np.where(equal, exact[rows], roughly[rows]).sum(axis=1) for rows in found.T]
    return np.asarray(found[_is_copy(len(records), np.minimum(*rarity))])


def _scaled(values: Values) -> Values:
    known = values[np.isfinite(values)]
    if not len(known):
        return values
    spread = np.subtract(*np.quantile(known, (0.75, 0.25))) / 1.349  # a normal distribution's, in standard deviations
    spread = spread if spread > 0 else known.std()
    return np.asarray(values / (spread if spread > 0 else 1.0))


def _in_one_field(codes: Pairs, scaled: Values, numbers: list[int]) -> Pairs:
    """Find rows equal in all fields but one number, by sums of random words of 64 bits (Zobrist hashing)."""
    rng = np.random.default_rng(0)
    words = [rng.integers(0, 2**63, int(column.max()) + 1, dtype=np.uint64)[column] for column in codes.T]
    whole = np.sum(words, axis=0, dtype=np.uint64)
    found = []
    for place, i in enumerate(numbers):
        order = np.lexsort((scaled[:, place], whole - words[i]))
        rest = (whole - words[i])[order]
        values = scaled[order, place]
        # Neighbours in the order of the field: nearly equal ones lie side by side. A gap (NaN) counts as little.
        with np.errstate(invalid="ignore"):
            little = ~(np.abs(np.diff(values)) > NEAR)
        close = (rest[1:] == rest[:-1]) & little & (codes[order[1:], i] != codes[order[:-1], i])
        where = np.flatnonzero(close)[:MOST_PAIRS]
        found.append(np.column_stack([order[where], order[where + 1]]))
    return np.concatenate(found).astype(np.int64) if found else np.empty((0, 2), dtype=np.int64)


def _in_all(codes: Pairs, scaled: Values, numbers: list[int]) -> Pairs:
    """Find rows whose numbers all differ by less than `NEAR`, and whose other fields are equal."""
    from scipy.spatial import cKDTree

    others = [i for i in range(codes.shape[1]) if i not in numbers]
    known = np.isfinite(scaled)
    # Gaps lie apart from every value, and other fields a whole unit from each other.
    columns = np.column_stack([np.where(known, scaled, np.nanmin(scaled, initial=0.0) - 1.0), codes[:, others]])
    distinct, first = np.unique(columns, axis=0, return_index=True)
    pairs = cKDTree(distinct).query_pairs(NEAR, p=np.inf, output_type="ndarray")
    if len(pairs) > MOST_PAIRS:
        return np.empty((0, 2), dtype=np.int64)
    return np.asarray(first[pairs].reshape(-1, 2), dtype=np.int64)


def gaps(subject: Subject, records: Records, telling: frozenset[str] = frozenset()) -> list[Finding]:
    """Tell which fields are mostly missing, and of which the gaps alone tell a label.

    Parameters
    ----------
    telling
        Fields of which it is known already that they tell the label.
    """
    found = []
    missing = {field.name: records.frame[field.name].isna().to_numpy() for field in records.fields}
    mostly = [name for name, gone in missing.items() if gone.mean() > MOSTLY]
    if mostly:
        shown = ", ".join(f"{name!r} ({missing[name].mean():.0%})" for name in mostly[:10])
        more = f" and {len(mostly) - 10} more" if len(mostly) > 10 else ""
        found.append(
            Finding("note", "missing", f"{plural(len(mostly), 'field')} mostly missing: {shown}{more}",
                    "leave them out (--ignore), or make sure that new cases lack them for the same reasons")
        )  # fmt: skip
    for name, gone in missing.items():
        if name in telling or not LEAST <= gone.sum() <= len(gone) - LEAST:
            continue
        found += _telling(subject, name, gone)
    return found


def _telling(subject: Subject, name: str, gone: npt.NDArray[np.bool_]) -> list[Finding]:
    for label in subject.labels():
        for which, truth in label.against_rest(LEAST):
            told = area(truth, gone[label.rows].astype(np.float64))
            if max(told.auroc, 1 - told.auroc) - 3 * told.error > TELLING:  # 3: every field is asked
                severe = max(told.auroc, 1 - told.auroc) >= TOLD
                other = "" if len(label.classes) == 2 else f" {which!r}"
                title = (
                    f"Whether {name!r} is missing tells {label.what}{other} "
                    f"(AUROC {max(told.auroc, 1 - told.auroc):.2f})"
                )
                advice = "ask why: if it was measured because of the answer, leave the column out (--ignore)"
                return [Finding("severe" if severe else "warning", "missing", title, advice)]
    return []


def shift_columns(records: Records) -> Values:
    """Return (n, d): the encoded records, extreme values drawn in so that one does not make a column's scale."""
    limit = 5.0  # standard deviations
    return np.clip(RecordEncoder.fit(records).transform(records), -limit, limit)
