"""Measurements as laboratories write them: qualifiers, units, replicates."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases.amounts import AMOUNT, UNCLEAR, has_commas, with_points
from medtasks.cases.records import FALSE, TRUE
from medtasks.cases.tables import is_missing

Values = npt.NDArray[np.float64]
Censoring = npt.NDArray[np.int8]

ACTIVE, INACTIVE = (*TRUE, "active", "a", "toxic", "1", "1.0"), (*FALSE, "inactive", "i", "nontoxic", "0", "0.0")
POWERS = {"M": 0, "mM": 3, "uM": 6, "nM": 9, "pM": 12, "fM": 15}
"""How many units make one mol/L, as powers of ten."""
WEIGHTS = {
    **dict.fromkeys(["g/L", "mg/mL", "ug/uL"], 0),
    **dict.fromkeys(["ug/mL", "mg/L", "ng/uL"], 3),
    **dict.fromkeys(["ng/mL", "ug/L"], 6),
    **dict.fromkeys(["pg/mL", "ng/L"], 9),
}
"""How many units make one g/L, as powers of ten: these need the molecular weight."""
CONTRADICTION = 1.0
"""Replicates further apart than this contradict each other: a factor of ten in a pIC50, twice the standard deviation
between laboratories (Kramer et al. 2012, doi:10.1021/jm300131x, found 0.54)."""
SIGNS = {
    **dict.fromkeys(["<", "<=", "=<", "<<", "≤", "≦", "⩽", "≪"], -1),
    **dict.fromkeys([">", ">=", "=>", ">>", "≥", "≧", "⩾", "≫"], 1),
    **dict.fromkeys(["=", "==", "~", "≈", "≃", "≅", "\N{TILDE OPERATOR}"], 0),
}
"""What the relations of measurements are written as, and whether the true value is at most (-1) or at least (1) it."""
_SAID = {
    **dict.fromkeys(["less than", "at most", "below", "lt", "le", "less than or equal", "less than or equal to"], -1),
    **dict.fromkeys(["greater than", "more than", "at least", "above", "gt", "ge"], 1),
    **dict.fromkeys(["greater than or equal", "greater than or equal to"], 1),
    **dict.fromkeys(["equal", "equals", "equal to", "eq", "exact", "about", "approximately"], 0),
}
"""Relations in words, in lower case; see `SIGNS`."""
_SIGN = "|".join(sorted(map(re.escape, SIGNS), key=len, reverse=True))
_QUALIFIED = re.compile(rf"\s*({_SIGN})?\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")
_SIGNED = re.compile(rf"\s*({_SIGN})")
_QUOTES = " \t'\"`"
_LOGARITHM = re.compile(
    r"(?<![a-z])(?:p[ _-]?(?:[a-z]{2}50|k[a-z]?|mic|chembl|activity|affinity|potency)"
    r"|(?:neg)?log(?:10)?(?:[a-z]{2}50|k[a-z])?)(?![a-z])",
    re.IGNORECASE,
)
LOGARITHMS = (2.0, 12.0)
"""Where the negative logarithms of measured affinities lie, from 10 mM to 1 pM."""
_PREFIXES = {"": "", "milli": "m", "micro": "u", "nano": "n", "pico": "p", "femto": "f"}
_SPELT = {f"{prefix}molar": f"{letter}M" for prefix, letter in _PREFIXES.items()}
_FACTOR = r"(?:[fpnumckM]?(?:mol(?:es?)?|M|g|[lL]|m|s)|h|hr|min|day|U|IU|kcal|Da|ppm|ppb)"
_UNIT = re.compile(rf"%.*|{_FACTOR}(?:[\^]?-?\d)?(?:[./*·]{_FACTOR}(?:[\^]?-?\d)?)*")
"""What is written as a unit, of concentration or another quantity: a column of anything else is none of units."""


@dataclass(frozen=True)
class Measured:
    """The values of one target.

    Attributes
    ----------
    values : (n,) float64, NaN where missing
    censoring : (n,) -1 where the true value is at most ("<"), 1 where it is at least (">") the one given, else 0
    errors : (n,) None, or why a row's text is no measurement (never the text itself)
    """

    values: Values
    censoring: Censoring
    errors: tuple[str | None, ...]


def read_column(column: pd.Series) -> Measured:
    """Read numbers with qualifiers (``>10000``, ``<= 5``, ``~3``) or decimal commas, or words for active and inactive.

    >>> found = read_column(pd.Series([">10", "5", "", "n.d."]))
    >>> found.values.tolist(), found.censoring.tolist(), found.errors[3]
    ([10.0, 5.0, nan, nan], [1, 0, 0, 0], 'is no measurement')
    """
    n = len(column)
    values, censoring = np.full(n, np.nan), np.zeros(n, dtype=np.int8)
    errors: list[str | None] = [None] * n
    missing = is_missing(column).to_numpy()
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        values = np.array(column.astype("float64").to_numpy(na_value=np.nan), dtype=np.float64)
        values[~np.isfinite(values)] = np.nan
        return Measured(values, censoring, tuple(errors))
    written = column.astype("string").str.replace("\N{MINUS SIGN}", "-")
    written, unclear = with_points(written, has_commas(written))
    for i, (one, open_) in enumerate(zip(written, unclear, strict=True)):
        if missing[i]:
            continue
        if open_:
            errors[i] = UNCLEAR
            continue
        text = str(one)
        word = text.strip().lower()
        if (match := _QUALIFIED.fullmatch(text)) is not None and np.isfinite(float(match[2])):
            values[i], censoring[i] = float(match[2]), SIGNS.get(match[1] or "", 0)
        elif word in ACTIVE or word in INACTIVE:
            values[i] = float(word in ACTIVE)
        else:
            errors[i] = _why(text)
    return Measured(values, censoring, tuple(errors))


def _why(text: str) -> str:
    """Say why a text is no measurement, without showing it."""
    if re.fullmatch(AMOUNT, text.strip()):
        return "has a unit behind its number; one in all rows is named by --unit, and left out of the cells"
    return "is no measurement"


def plain_texts(column: pd.Series) -> list[str]:
    """Return what stands in the cells of a column without blanks and quotation marks around; "" where it is missing.

    >>> plain_texts(pd.Series(["'>'", " µM", None, "NA"]))
    ['>', 'μM', '', '']
    """
    text = column.astype("string").fillna("").map(lambda one: unicodedata.normalize("NFKC", one).strip(_QUOTES))
    return [str(one) for one in text.mask(is_missing(text), "")]


def with_relation(measured: Measured, written: pd.Series, relation: pd.Series) -> Measured:
    """Make bounds of the values beside whose cell another column has ``>`` or ``<``.

    Parameters
    ----------
    measured, written
        What was read from the column of values, and that column.
    relation
        The column of signs; a value beside one that is none, or that contradicts its own, cannot be used.

    >>> found = with_relation(read_column(column := pd.Series(["10", ">5"])), column, pd.Series([">", "<"]))
    >>> found.censoring.tolist(), found.errors[1]
    ([1, 0], "has another sign than its relation (column '')")
    """
    known = np.isfinite(measured.values)
    values, censoring, errors = measured.values.copy(), measured.censoring.copy(), list(measured.errors)
    named = f"(column {relation.name or ''!r})"
    own = written.astype("string").str.match(_SIGNED).fillna(False).to_numpy(dtype=bool)
    for i, text in enumerate(plain_texts(relation)):
        if not known[i] or not text:
            continue
        sign = sign_of(text)
        if sign is None:
            errors[i] = f"has a relation that is none of <, <=, =, ~, >=, > {named}"
        elif own[i] and sign != censoring[i]:
            errors[i] = f"has another sign than its relation {named}"
        else:
            censoring[i] = sign
            continue
        values[i], censoring[i] = np.nan, 0
    return Measured(values, censoring, tuple(errors))


def sign_of(text: str) -> int | None:
    """Return -1, 1 or 0 for a relation in signs or words, as `SIGNS` does; None where a text is none.

    >>> [sign_of(text) for text in (">=", "Less than", "exact", "racemic")]
    [1, -1, 0, None]
    """
    return SIGNS.get(text, _SAID.get(" ".join(re.split(r"[\s_]+", text.lower()))))


def unit_of(text: str) -> str | None:
    """Return the unit of concentration that a text means, a key of `POWERS` or `WEIGHTS`; None where it is none.

    >>> [unit_of(text) for text in ("nm", "µM", "umol/L", "MICROMOLAR", "ug.mL-1", "mm", "%")]
    ['nM', 'uM', 'uM', 'uM', 'ug/mL', None, None]
    """
    spelt = re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).replace("μ", "u").replace("mcg", "ug")
    spelt = re.sub(r"[.·*]?([mM]?[lL])\^?-1$", r"/\1", spelt)
    spelt = re.sub(r"mol(e|es)?/[lL]$", "M", spelt)
    known = [*POWERS, *WEIGHTS]
    if spelt in known:
        return spelt
    if spelt.lower() in _SPELT:
        return _SPELT[spelt.lower()]
    found = {unit.lower(): unit for unit in known}.get(spelt.lower())
    return None if found in ("M", "mM") else found  # m and M differ by their case alone


def is_unit(text: str) -> bool:
    """Say whether a text is written as a unit, of concentration or of another quantity.

    >>> [is_unit(text) for text in ("nM", "% inhibition", "mL/min", "µg.mL-1", "h", "ward 3", "Chemistry")]
    [True, True, True, True, True, False, False]
    """
    spelt = re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).replace("μ", "u")
    return unit_of(text) is not None or _UNIT.fullmatch(spelt) is not None


def is_binary(measured: Measured) -> bool:
    """Say whether every known value is 0 or 1, none with a qualifier."""
    known = measured.values[np.isfinite(measured.values)]
    return bool(len(known) and np.isin(known, (0, 1)).all() and not measured.censoring.any())


def is_logarithm(name: str) -> bool:
    """Say whether a column's name tells that it holds (negative) logarithms already.

    >>> [is_logarithm(name) for name in ("pIC50", "EGFR_pKi", "-log10(Ki)", "logEC50", "pchembl_value")]
    [True, True, True, True, True]
    >>> [is_logarithm(name) for name in ("IC50", "Ki (pM)", "catalogue", "potency", "pKiller")]
    [False, False, False, False, False]
    """
    return _LOGARITHM.search(name) is not None


def looks_logarithmic(measured: Measured) -> bool:
    """Say whether every known value lies where negative logarithms do; see `LOGARITHMS`."""
    known = measured.values[np.isfinite(measured.values)]
    return bool(len(known) and (known >= LOGARITHMS[0]).all() and (known <= LOGARITHMS[1]).all())


def to_p(measured: Measured, units: str | Sequence[str], weights: Values) -> Measured:
    """Turn concentrations into -log10 of mol/L; a bound changes its side with the sign.

    Parameters
    ----------
    units
        A key of `POWERS` or `WEIGHTS`, or one for each value.
    weights
        (n,) molecular weights in g/mol, for units of mass.

    >>> one = Measured(np.array([10000.0]), np.array([1], dtype=np.int8), (None,))
    >>> found = to_p(one, "nM", np.array([300.0]))
    >>> found.values.tolist(), found.censoring.tolist()
    ([5.0], [-1])
    """
    known = np.isfinite(measured.values)
    positive = known & (measured.values > 0)
    errors = tuple(
        error or ("is a concentration that is not above 0" if bad else None)
        for error, bad in zip(measured.errors, known & ~positive, strict=True)
    )
    each = np.full(len(known), units) if isinstance(units, str) else np.asarray(units)
    values = np.full(len(known), np.nan)
    for unit in np.unique(each[positive]):
        rows = positive & (each == unit)
        values[rows] = {**POWERS, **WEIGHTS}[unit] - np.log10(measured.values[rows])
        if unit in WEIGHTS:
            values[rows] += np.log10(weights[rows])
    return Measured(values, np.where(positive, -measured.censoring, 0).astype(np.int8), errors)


def merge(values: Values, censoring: Censoring, binary: bool) -> tuple[float, int, bool]:
    """Make one measurement of replicates, all known: its value, its censoring, and whether they contradict each other.

    Numbers give the median of the exact ones, and bounds that say no more are dropped. Of bounds alone on one side the
    tightest is kept. Bounds on both sides give the middle where they are at most `CONTRADICTION` apart, as near as
    replicates that agree; of a wider interval the lower bound, since a value is bounded on one side here. Classes that
    differ, and bounds that exclude each other, give NaN.

    >>> merge(np.array([5.0, 5.6]), np.array([1, -1], dtype=np.int8), False)
    (5.3, 0, False)
    >>> merge(np.array([5.0, 9.0]), np.array([1, -1], dtype=np.int8), False)
    (5.0, 1, False)
    """
    if binary:
        agree = bool((values == values[0]).all())
        return (float(values[0]) if agree else float("nan")), 0, not agree
    exact = values[censoring == 0]
    above, below = values[censoring > 0], values[censoring < 0]
    if not len(exact):
        return _between(float(above.max(initial=-np.inf)), float(below.min(initial=np.inf)))
    middle = float(np.median(exact))
    broken = bool((above > middle).any() or (below < middle).any())
    return middle, 0, broken or float(np.ptp(exact)) > CONTRADICTION


def _between(low: float, high: float) -> tuple[float, int, bool]:
    if low > high:
        return float("nan"), 0, True
    if high - low <= CONTRADICTION:
        return (low + high) / 2, 0, False
    return (low, 1, False) if np.isfinite(low) else (high, -1, False)
