"""What an audit asks of records: copies, near copies, missing and impossible values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.auditing.findings import Finding, Subject
from medtasks.auditing.repeats import Sets
from medtasks.cases import RecordEncoder, Records
from medtasks.evaluation.probing import LEAST, area
from medtasks.words import plural

Values = npt.NDArray[np.float64]
Pairs = npt.NDArray[np.int64]

NEAR = 0.05
"""Of a field's robust standard deviation: rows whose numbers all differ by less than this were copied and retouched."""
CHANCE = 0.05
"""Share of what is told of as copies that may be coincidence (a false discovery rate)."""
BOUND_UP = 0.9
"""Share of what fields would say were they independent that they are taken to say: they hang together."""
MOST = 20_000
"""Rows compared for near copies: beyond them the search in many fields takes minutes, and the first are taken."""
MOST_PAIRS = 200_000
"""Pairs kept of one field: rounded values make many, none of which means anything."""
FINEST = 8
"""Columns with the most values, by which near rows are searched: a tree of a hundred takes ten times as long."""
MOSTLY = 0.5
"""Share of missing values from which a field is told of."""
TELLING, TOLD = 0.65, 0.9
"""AUROC of "missing or not" alone from which it is told of, and from which it is severe."""


def coincidences(records: Records, sets: Sets) -> tuple[Sets, Sets]:
    """Part sets of equal rows into copies and coincidences, such as patients with the same three symptoms.

    Those that chance makes least come first, and are copies as long as chance would make a twentieth as many.
    """
    if not sets:
        return [], []
    by_chance = _equal_by_chance(_codes(records))
    levels = np.sort(by_chance)
    expected = np.cumsum(levels) / 2  # each pair is counted from both of its rows
    own = np.array([by_chance[rows[0]] for rows in sets])
    order = np.argsort(own, kind="stable")
    observed = np.cumsum([len(sets[i]) - 1 for i in order])
    made = expected[np.searchsorted(levels, own[order], side="right") - 1]
    last = _last(made, observed)
    return [sets[i] for i in order[:last]], [sets[i] for i in order[last:]]


def _equal_by_chance(codes: Pairs) -> Values:
    """Return (n,) how many rows equal to each one chance makes.

    The larger of two estimates: what the commonness of its values says, and how many rows differ from it in one field
    only, times how often two rows agree in that field. The second knows how fields hang together.
    """
    n = len(codes)
    found = n * np.exp(-BOUND_UP * _rarity(codes).sum(axis=1))
    words = _words(codes)
    whole = np.asarray(np.sum(words, axis=0, dtype=np.uint64))
    same = _times(whole)
    for word, column in zip(words, codes.T, strict=True):
        agree = float(((np.bincount(column) / n) ** 2).sum())
        if agree < 1:
            others = _times(whole - word) - same
            # a row without such neighbours is taken to have as many as others have, one at most
            found = np.maximum(found, (others + min(1.0, float(others.mean()))) * agree / (1 - agree))
    return np.asarray(found)


def _times(values: npt.NDArray[np.uint64]) -> Pairs:
    """Return (n,) how often each value stands there."""
    _, own, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(counts[own])


def _words(codes: Pairs) -> list[npt.NDArray[np.uint64]]:
    """Return for each field (n,) a random word of 64 bits for each value: rows are compared by sums (Zobrist 1970)."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 2**63, int(column.max()) + 1, dtype=np.uint64)[column] for column in codes.T]


def _last(expected: Values, observed: Pairs) -> int:
    """Return how many of the rarest are told of: the most of which chance makes at most a twentieth."""
    fine = np.flatnonzero(expected <= CHANCE * observed)
    return int(fine[-1]) + 1 if len(fine) else 0


def _codes(records: Records) -> Pairs:
    """Return (n, fields): each value as a number of its own, missing too."""
    columns = [pd.factorize(records.frame[field.name], use_na_sentinel=False)[0] for field in records.fields]
    return np.column_stack(columns).astype(np.int64) if columns else np.empty((len(records), 0), dtype=np.int64)


def _rarity(codes: Pairs) -> Values:
    """Return (n, fields) minus the logarithm of how common each value is."""
    columns = [-np.log(np.bincount(column)[column] / len(column)) for column in codes.T]
    return np.column_stack(columns) if columns else np.zeros(codes.shape)


def chance(subject: Subject, sets: Sets) -> list[Finding]:
    """Tell of rows that are equal by coincidence: what no model can get right, and what a split tears apart."""
    found = []
    clashing = [rows for rows in sets if subject.differ(rows)]
    parts = subject.parts if subject.own else None
    torn = [rows for rows in sets if parts is not None and len(set(parts[rows].tolist())) > 1]
    for chosen, check, title, advice in (
        (
            clashing,
            "contradictions",
            "have the fields of another one with a different label, which few or coarse fields make likely",
            "no model can tell them apart: add a field that does, or expect errors there",
        ),
        (
            torn,
            "duplicates",
            "have an equal on another side of the split, which few or coarse fields make likely",
            "fine if they are different patients; else leave the copies out",
        ),
    ):
        if chosen:
            together = tuple(subject.ids(rows) for rows in chosen)
            ids = tuple(name for own in together for name in own)
            found.append(Finding("note", check, f"{len(ids)} rows {title}", advice, len(ids), ids, together))
    return found


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
    rarity = _closeness(found, codes, scaled, numbers)
    order = np.argsort(-rarity, kind="stable")
    expected = len(keep) ** 2 / 2 * np.exp(-BOUND_UP * rarity[order])
    return np.asarray(found[order[: _last(expected, np.arange(1, len(order) + 1))]])


def _closeness(pairs: Pairs, codes: Pairs, scaled: Values, numbers: list[int]) -> Values:
    """Return (p,) minus the logarithm of the chance that two rows are as close as each pair, were fields independent.

    That is the chance that all numbers lie as close as the farthest does; where one field alone differs, that the
    others are equal and this one is as close.
    """
    one, other = pairs.T
    near = _rarity(codes)[one]
    within = np.full((len(pairs), len(numbers)), np.inf)
    for place, i in enumerate(numbers):
        known = np.sort(scaled[np.isfinite(scaled[:, place]), place])
        value, gap = scaled[one, place], np.abs(scaled[one, place] - scaled[other, place])
        both = np.isfinite(gap)
        span = gap[both] * (1 + 1e-9)  # rounding must not leave the other one out
        held = np.searchsorted(known, value[both] + span, "right") - np.searchsorted(known, value[both] - span)
        within[both, place] = near[both, i] = -np.log(np.maximum(held, 1) / len(codes))
        near[codes[one, i] != codes[other, i], i] *= both[codes[one, i] != codes[other, i]]  # a gap says nothing
    counted = np.isfinite(within)
    others = [word for i, word in enumerate(_words(codes)) if i not in numbers]
    # How many rows besides have the same values of all other fields: so it is known how those hang together.
    alike = _times(np.sum(others, axis=0, dtype=np.uint64))[one] if others else np.full(len(one), len(codes))
    rest = -np.log(np.maximum(alike - 2, 0.5) / len(codes)) if others else np.zeros(len(one))
    farthest = np.where(counted.any(axis=1), within.min(axis=1, initial=np.inf), 0.0)
    ball = counted.sum(axis=1) * farthest
    single = (codes[one] != codes[other]).sum(axis=1) == 1
    return np.asarray(rest + np.where(single, np.maximum(ball, near[:, numbers].sum(axis=1)), ball))


def _scaled(values: Values) -> Values:
    known = values[np.isfinite(values)]
    if not len(known):
        return values
    spread = np.subtract(*np.quantile(known, (0.75, 0.25))) / 1.349  # a normal distribution's, in standard deviations
    spread = spread if spread > 0 else known.std()
    return np.asarray(values / (spread if spread > 0 else 1.0))


def _in_one_field(codes: Pairs, scaled: Values, numbers: list[int]) -> Pairs:
    """Find rows equal in all fields but one number."""
    words = _words(codes)
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
    finest = np.argsort([-len(np.unique(column)) for column in distinct.T], kind="stable")
    for chosen in (finest[:FINEST], finest):  # few columns are searched quickly, all leave fewer to compare
        pairs = cKDTree(distinct[:, chosen]).query_pairs(NEAR, p=np.inf, output_type="ndarray")
        if len(pairs) <= MOST_PAIRS:
            close = (np.abs(distinct[pairs[:, 0]] - distinct[pairs[:, 1]]) <= NEAR).all(axis=1)
            return np.asarray(first[pairs[close]].reshape(-1, 2), dtype=np.int64)
    return np.empty((0, 2), dtype=np.int64)


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
