"""Values that cannot be: below zero, placeholders for "missing", other units, far outside."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from medtasks.auditing.findings import Finding, Subject
from medtasks.cases import Records
from medtasks.treatment.sources import beside_binary
from medtasks.words import plural

Values = npt.NDArray[np.float64]

NEVER_NEGATIVE = re.compile(
    r"\b(age|years?|height|weight|bmi|pressure|sbp|dbp|pulse|(heart|respiratory) rate|saturation|spo2|glucose|hba1c|"
    r"creatinine|urea|bun|bilirubin|albumin|protein|ha?emoglobin|ha?ematocrit|platelets?|leu[ck]ocytes|wbc|rbc|"
    r"lymphocytes|neutrophils|sodium|potassium|calcium|chloride|cholesterol|ldl|hdl|triglycerides?|crp|ferritin|"
    r"troponin|lactate|alt|ast|ggt|alp|tsh|psa|inr|cd4|cd8|count|dose|volume|area|radius|perimeter|duration|days)\b"
)
"""Names of what has no value below zero."""
AGE = re.compile(r"\bage\b")
OLDEST = 123.0
"""Years: nobody became older (Jeanne Calment, 122)."""
PLACEHOLDERS = (
    -1.0,
    *(sign * float(str(digit) * length) for digit in (7, 8, 9) for length in range(1, 7) for sign in (1, -1)),
)
"""What is written where nothing was measured: 9, 99, 999 ... for unknown, 7 and 8 for refused and not asked."""
GAP = 3
"""How far from the nearest grade a placeholder lies at least: counts thin out, and leave no gap of two."""
FAR = 8.0
"""Robust standard deviations, of the values or of their logarithms: the log-normal reaches 5 in a million."""
REPEATED = 3
"""Rows with one placeholder from which it is taken for one."""
FACTORS = (10.0, 100.0, 1000.0)
DISTINCT = 10
"""Different values below which a number is a grade or a count, about whose spread nothing can be said."""
SMALLEST_SHARE = 0.01
"""Share of the rows that must be in the other unit: fewer are single errors, which are told as outliers."""
CLEFT = 1.5
"""Empty stretch between two units, as a multiple (the next value above is at least half as large again)."""


def strange(subject: Subject, records: Records) -> list[Finding]:
    """Tell of values that cannot be right, field by field, naming rows but no value."""
    found = []
    constant = []
    for field in records.fields:
        column = records.frame[field.name]
        if column.nunique(dropna=True) <= 1 and not (column.isna().any() and column.notna().any()):
            constant.append(field.name)
        elif field.type == "number":
            found += _numbers(subject, repr(field.name), column.to_numpy(dtype=np.float64, na_value=np.nan))
    if constant:
        shown = ", ".join(map(repr, constant[:10])) + (f" and {len(constant) - 10} more" if len(constant) > 10 else "")
        found.append(Finding("note", "values", f"{plural(len(constant), 'field')} without any variation: {shown}",
                             "they say nothing; leave them out (--ignore)"))  # fmt: skip
    return found


def answers(subject: Subject) -> list[Finding]:
    """Ask the same of outcomes, doses and other answers that are numbers: one wrong by far outweighs all others."""
    found = []
    for amount in subject.amounts():
        further = beside_binary(amount.values)
        if further.any():
            rows = amount.rows[further]
            near = bool(np.isin(amount.values[further], (-1.0, 2.0)).all())  # which a third grade may be
            title = f"{amount.what} is 0 or 1 but for {plural(len(rows), 'row')} with one further value"
            advice = (
                "leave the cell empty if it means that nothing is known: as a number it can turn round which is best"
            )
            severity = "warning" if near else "severe"
            found.append(
                Finding(severity, "values", title[0].upper() + title[1:], advice, len(rows), subject.ids(rows))
            )
            continue
        values = np.full(len(subject), np.nan)
        values[amount.rows] = amount.values
        found += _numbers(subject, amount.what, values, missing="severe")
    return found


def _numbers(subject: Subject, name: str, values: Values, missing: str = "warning") -> list[Finding]:
    words = re.sub(r"[^a-z0-9]+", " ", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    holders = _placeholders(values)
    if len(holders):
        told = _finding(subject, name, holders, "hold what looks like a placeholder for a missing value",
                        "write an empty cell instead: as a number it is wrong by far", missing)  # fmt: skip
        rest = values.copy()
        rest[holders] = np.nan
        return [told, *_impossible(subject, name, words, rest)]
    return _impossible(subject, name, words, values)


def _impossible(subject: Subject, name: str, words: str, values: Values) -> list[Finding]:
    if NEVER_NEGATIVE.search(words) and (bad := np.flatnonzero(values < 0)).size and bad.size < (values > 0).sum():
        # a field that is mostly below zero is a difference or standardised
        standardised = abs(np.nanmean(values)) < np.nanstd(values) and bad.size > 0.1 * len(values)
        if not standardised:
            return [_finding(subject, name, bad, "are below zero, which cannot be", "mend them or leave them empty")]
    if AGE.search(words) and (old := np.flatnonzero(values > OLDEST)).size and old.size < len(values) / 2:
        return [_finding(subject, name, old, "are an age that nobody reached", "mend them or leave them empty")]
    mixed = _other_unit(values)
    if mixed is not None:
        rows, factor = mixed
        return [_finding(subject, name, rows, f"seem to be in another unit: they lie apart by a factor of {factor:g}",
                         "bring all rows to one unit")]  # fmt: skip
    far = outliers(values)
    if len(far):
        return [_finding(subject, name, far, "lie far outside of all others", "check them: units, decimal points, "
                         "typing errors", "note")]  # fmt: skip
    return []


def _finding(
    subject: Subject, name: str, rows: npt.NDArray[np.int64], what: str, advice: str, severity: str = "warning"
) -> Finding:
    title = f"{plural(len(rows), 'value')} of {name} {what}"
    return Finding(severity, "values", title, advice, len(rows), subject.ids(rows))


def robust(values: Values) -> Values:
    """Return (n,) the distance to the median in robust standard deviations; 0 where nothing spreads, or it is missing.

    The larger of 1.4826 median absolute deviations and of what the middle 80 % say: half of the values may be one.
    """
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values))
    middle = np.median(values[known])
    low, high = np.quantile(values[known], (0.1, 0.9))
    spread = max(1.4826 * np.median(np.abs(values[known] - middle)), (high - low) / 2.563)  # of a normal distribution
    if spread == 0:
        return np.zeros(len(values))
    return np.where(known, np.abs(np.where(known, values, middle) - middle) / spread, 0.0)


def outliers(values: Values) -> npt.NDArray[np.int64]:
    """Return the rows whose value lies far outside, also after a logarithm where all are positive."""
    known = np.isfinite(values)
    if len(np.unique(values[known])) < DISTINCT:
        return np.empty(0, dtype=np.int64)
    far = robust(values) > FAR
    if (values[known] >= 0).all():  # skewed, as counts and concentrations are
        least = values[known & (values > 0)].min()
        logs = np.log(np.where(known, np.maximum(values, least / 2), np.nan))
        far &= robust(logs) > FAR
    else:
        far &= robust(values) > 2 * FAR  # nothing tells how skewed it is
    return np.flatnonzero(far)


def _placeholders(values: Values) -> npt.NDArray[np.int64]:
    """Return the rows that hold a placeholder: one that stands there several times, apart from all that is none."""
    known = values[np.isfinite(values)]
    often = [one for one in PLACEHOLDERS if REPEATED <= np.count_nonzero(known == one) <= len(known) / 2]
    rest = known[~np.isin(known, often)]
    if not often or not len(rest):
        return np.empty(0, dtype=np.int64)
    found = []
    for holder in sorted(often, key=lambda one: max(rest.min() - one, one - rest.max())):
        if _apart(holder, rest):
            found.append(holder)
        else:  # a 7 on a scale from 0 to 10, beside which 8 is none either
            rest = np.concatenate([rest, known[known == holder]])
    return np.flatnonzero(np.isin(values, found))


def _apart(holder: float, rest: Values) -> bool:
    low, high = float(rest.min()), float(rest.max())
    distance, levels = max(low - holder, holder - high), np.unique(rest)
    if distance <= 0:
        return False
    spread = float(np.subtract(*np.quantile(rest, (0.95, 0.05))))
    if holder == -1:  # before 0, 1, 2 it is a code; before 40 to 200 it is a gap
        return len(levels) >= DISTINCT and distance > 0.2 * spread and low > 1
    if holder < 0 and low >= 0 and len(levels) > 1:  # the only one below zero
        return True
    if len(levels) >= DISTINCT:
        return distance > spread
    steps = np.diff(levels)
    graded = bool((levels == np.round(levels)).all() and (steps == 1).all())
    far = distance > high - low and holder >= 10  # of other steps a 7 or 9 may be one more
    return len(steps) > 0 and holder > high and (far or (graded and distance >= GAP))


def _other_unit(values: Values) -> tuple[npt.NDArray[np.int64], float] | None:
    """Find two clusters of positive values a factor of 10, 100 or 1000 apart, of like spread, with a cleft between."""
    rows = np.flatnonzero(np.isfinite(values) & (values > 0))
    logs = np.log10(values[rows])
    order = np.argsort(logs)
    ranked = logs[order]
    if len(np.unique(ranked)) < 2 * DISTINCT:
        return None
    few = int(np.ceil(max(REPEATED, SMALLEST_SHARE * len(ranked))))
    widths = np.diff(ranked)[few - 1 : len(ranked) - few]  # cuts that leave enough on either side
    if not len(widths) or widths.max() < np.log10(CLEFT):
        return None
    cut = int(np.argmax(widths)) + few
    low, high = ranked[:cut], ranked[cut:]
    apart = float(np.median(high) - np.median(low))
    spreads = sorted((float(low.std()), float(high.std())))
    for factor in FACTORS:
        # within a quarter of the factor, and both clusters as wide as the same measurement would be
        if abs(apart - np.log10(factor)) < np.log10(1.25) and spreads[1] < 3 * max(spreads[0], 0.02):
            smaller = order[:cut] if len(low) <= len(high) else order[cut:]
            return np.sort(rows[smaller]), factor
    return None
