"""Numbers as laboratories write them: with a sign before (``<1.0``), a unit (``97 %``) or a flag behind (``101 H``)."""

from __future__ import annotations

import numpy as np
import pandas as pd

AMOUNT = (
    r"(?P<sign><=|>=|[<>=≤≥])?\s*"
    r"(?P<number>[-+]?(?!0\d)(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
    r"(?P<unit>[%‰°]|[gLlmshd](?![A-Za-z0-9])|[%°A-Za-zµμΩ][A-Za-zµμΩ%/·*^²³][-A-Za-zµμΩ%°/·*^²³.0-9 ]{0,18})?"
)
"""A sign, a number, a unit. Other single letters than those of SI units end stages and wards (3B), leading zeros begin
identifiers."""
_BEFORE = r"(?P<before>\s*(?:<=|>=|[<>=≤≥])?\s*[-+]?)"
_COMMA = rf"^{_BEFORE}(?P<whole>\d{{1,3}}(?:\.\d{{3}})+|\d+),(?P<part>\d+)(?P<behind>(?![\d.,]).*)$"
"""A number whose last comma may be a decimal comma; points before it part thousands."""
_POINT = rf"^{_BEFORE}\d*\.\d+(?![\d.,])"
_THOUSANDS = rf"^{_BEFORE}[1-9]\d{{0,2}}(?:\.\d{{3}})+(?![\d.,])"
_FLAG = r"HH?|LL?|\*{1,2}|!{1,2}|[↑↓]{1,2}"
_FLAGGED = (
    r"^(?P<value>(?:<=|>=|[<>=≤≥])?\s*[-+]?[\d.,]*\d(?:[eE][-+]?\d+)?(?:\s*[%‰°A-Za-zµμΩ][^\s\d]*\s)?)\s*"
    rf"(?P<flag>{_FLAG}|\((?:{_FLAG}|[-+]{{1,2}})\)|\[(?:{_FLAG})\]|(?<=\s)[-+]{{1,2}})$"
)
"""A number, maybe with a unit, and what says that it is high, low or remarkable. Plus and minus stand apart: 2+ is a
grade."""
POINTS = "write decimals with a point and nothing between thousands"
UNCLEAR = f"may be a fraction or thousands, as 1,234 may; {POINTS}"
CONTRADICTED = 0.1
"""Share of the numbers with a comma that must show what it is, and that those with a point must not exceed, for a
column to be one of decimal commas."""
FORMS = 5
"""Numbers with more different endings are no measurements in several units but identifiers."""
LITRES = 50
"""How many times lower than the others numbers with an L are where it means litres: low ones seldom are so low."""
MOSTLY = 0.9
"""Share of a column's texts that must be numbers for the rest to count as mistakes, not as categories."""


def numbers(values: pd.Series) -> pd.Series:
    """Turn values into float64; what is no finite number becomes NaN."""
    if pd.api.types.is_numeric_dtype(values):
        found = values.astype("float64")
    else:
        found = pd.to_numeric(values.astype("string").str.strip(), errors="coerce").astype("float64")
    return found.where(np.isfinite(found))


def amounts(values: pd.Series, unit: str = "") -> pd.Series:
    """Turn texts that are numbers in ``unit`` into float64, a bound (``<1.0``) into its limit; NaN for what is none.

    >>> amounts(pd.Series(["<1.0", "2.5", "3 mg"])).tolist(), amounts(pd.Series(["97%", "91 %", "80"]), "%").tolist()
    ([1.0, 2.5, nan], [97.0, 91.0, nan])
    """
    parts = parts_of(values)
    found = pd.to_numeric(parts["number"], errors="coerce").astype("float64")
    return found.where((parts["unit"] == unit) & found.abs().lt(float("inf")))


def parts_of(values: pd.Series) -> pd.DataFrame:
    """Split texts into ``sign``, ``number`` and ``unit``, empty where there is none; all three if it is no amount."""
    codes, different = pd.factorize(values.astype("string").str.strip())  # few texts recur in many rows
    found = pd.Series(different, dtype="string").str.extract(f"^{AMOUNT}$").fillna("")
    return (
        pd.DataFrame({str(name): found[name].str.strip() for name in found})
        .reindex(codes, fill_value="")
        .set_axis(values.index)
    )


def with_points(values: pd.Series, comma: bool = False) -> tuple[pd.Series, pd.Series]:
    """Write numbers with a decimal point, and mark those that may mean two numbers.

    A comma is a decimal one where it cannot part thousands: in 1,5, 0,125 and 1.234,5. What 1,234 means can be told
    from other numbers of its column only.

    Parameters
    ----------
    comma
        Whether the column is known to have decimal commas: then 1,234 is below 2, and it is 1.234 that is unclear.

    Returns
    -------
    texts, unclear
        The texts, missing where unclear; and a bool for each.

    Examples
    --------
    >>> with_points(pd.Series(["<1,5 mg", "1,234", "7.5"]))[0].tolist()
    ['<1.5 mg', <NA>, '7.5']
    >>> with_points(pd.Series(["1,5", "1,234", "1.234"]), comma=True)[0].tolist()
    ['1.5', '1.234', <NA>]
    """
    text = values.astype("string").str.strip()
    parts, sure = _commas(text)
    read = parts["whole"].notna() if comma else sure
    unclear = text.str.match(_THOUSANDS).fillna(False) if comma else parts["whole"].notna() & ~sure
    written = parts["before"] + parts["whole"].str.replace(".", "", regex=False) + "." + parts["part"] + parts["behind"]
    return text.where(~read, written).mask(unclear.astype(bool)), unclear.astype(bool)


def has_commas(values: pd.Series) -> bool:
    """Say whether a column's numbers have decimal commas.

    >>> has_commas(pd.Series(["1,5", "1,234"])), has_commas(pd.Series(["1,234", "12,000"]))
    (True, False)
    """
    text = values.astype("string").str.strip()
    parts, sure = _commas(text)
    most = CONTRADICTED * int(parts["whole"].notna().sum())
    return bool(sure.any()) and int(sure.sum()) >= most >= int(text.str.match(_POINT).fillna(False).sum())


def unit_of(values: pd.Series, comma: bool) -> str | None:
    """Return the one unit that nearly all values are numbers in, empty for plain numbers; None where they are none."""
    if not len(values):
        return None
    if float(numbers_in(values, "", comma).notna().mean()) >= MOSTLY:
        return ""
    units = parts_of(with_points(values, comma)[0])["unit"]
    common = units[units != ""].value_counts()
    return str(common.index[0]) if len(common) and common.iloc[0] >= MOSTLY * len(values) else None


def numbers_in(values: pd.Series, unit: str, comma: bool) -> pd.Series:
    """Turn values into float64, with the signs and the unit that laboratories write; what is no number becomes NaN."""
    if unit:
        return amounts(with_points(values, comma)[0], unit)
    if pd.api.types.is_numeric_dtype(values):
        return numbers(values)
    if comma:
        values = with_points(values, comma)[0]
    found = numbers(values)
    rest = found.isna() & values.notna()
    if not rest.any():
        return found
    text = values[rest] if comma else with_points(values[rest])[0]
    return found.where(~rest, numbers(text).fillna(amounts(text)).reindex(values.index))


def split_flags(values: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Take off the flags behind numbers; return the values without, and the flag of each, empty where there is none.

    >>> [list(part) for part in split_flags(pd.Series(["101.1 H", "5.6 mg/l (L)", "2+", "7"]))]
    [['101.1', '5.6 mg/l', '2+', '7'], ['H', '(L)', '', '']]
    """
    text = values.astype("string").str.strip()
    codes, different = pd.factorize(text)
    parts = pd.Series(different, dtype="string").str.extract(_FLAGGED).reindex(codes).set_axis(values.index)
    flags = parts["flag"].fillna("")
    return text.where(flags.eq(""), parts["value"].str.strip()), flags


def has_flags(values: pd.Series) -> bool:
    """Say whether what stands behind some numbers are flags: behind most it could be a unit or a name (3L).

    Letters have to go with the numbers, too: L with the low ones, H with the high ones. Else they are litres, hours,
    sides or stages, as they may be where they touch the number, unless both are there.

    >>> has_flags(pd.Series(["3.1 L", "4.2", "4.5", "4.8", "5.9 H"])), has_flags(pd.Series(["36", "37", "46 L"]))
    (True, False)
    """
    bare, flags = split_flags(values)
    return 0 < float(flags.ne("").mean()) < 0.5 and (bool(_levels(flags).eq("").all()) or _go_with(values, bare, flags))


def may_be_litres(values: pd.Series) -> bool:
    """Say whether L stands behind numbers so far below the others that it may be litres beside millilitres.

    It is a flag where H is one, or behind a bound (``<0.01 L``).

    >>> may_be_litres(pd.Series(["500", "1.5 L", "800"])), may_be_litres(pd.Series(["4.1", "2.9 L", "3.9"]))
    (True, False)
    """
    return _are_litres(*split_flags(values))


def _are_litres(bare: pd.Series, flags: pd.Series) -> bool:
    levels = _levels(flags)
    if levels.eq("H").any() or (levels.eq("L") & (flags.ne("L") | bare.str.match("[<≤]"))).any():
        return False
    medians = _medians(bare, levels)
    return 0 < medians.get("L", 0) * LITRES < medians.get("", 0)


def remarks(name: str, values: pd.Series, unit: str, comma: bool, flagged: bool) -> list[str]:
    """Say what was read into those values of a column that are no plain numbers."""
    if values.empty:
        return []
    found = []
    if flagged:
        values, flags = split_flags(values)
        kinds = sorted(set(flags) - {""})
        litre = "; L as low, not as litre" if "L" in kinds else ""
        found.append(f"flags behind numbers of column {name!r} ({', '.join(kinds)}) are left out{litre}")
    text = with_points(values, comma)[0]
    if (text != values.astype("string").str.strip()).fillna(False).any():
        found.append(f"decimal commas in column {name!r} are read as points")
    if parts_of(text)["sign"].isin(["<", ">", "<=", ">=", "≤", "≥"]).any():
        found.append(f"values of column {name!r} with < or > are read as the limit itself")
    if unit:
        found.append(f"column {name!r} is read as numbers in {unit!r}, which later values have to carry too")
    return found


def letters(name: str, values: pd.Series) -> list[str]:
    """Say of a category whose values are numbers, some with a letter behind, why they were not read as numbers."""
    bare, flags = split_flags(values)
    kinds = sorted(set(flags[_levels(flags).ne("")]))
    if not kinds or float(flags.ne("").mean()) >= 0.5 or unit_of(bare, has_commas(bare)) is None:
        return []
    return [
        f"column {name!r} is read as categories, not as numbers: {', '.join(kinds)} behind some does not go with low "
        "and high ones; write flags, sides and units in a column of their own"
    ]


def no_category(text: pd.Series, kinds: int) -> str:
    """Say why texts are neither numbers nor categories."""
    units = parts_of(text)
    if float(units["number"].ne("").mean()) >= MOSTLY and units["unit"].nunique() <= FORMS:
        return f"its numbers are written in {units['unit'].nunique()} units; write them in one"
    bare, flags = split_flags(text)
    if flags.ne("").any() and unit_of(bare, has_commas(bare)) is not None:
        return "letters or signs stand behind its numbers; write flags such as H and L in a column of their own"
    return f"{kinds} different texts in {len(text)} rows look like an identifier or free text"


def _levels(flags: pd.Series) -> pd.Series:
    """Return H or L for the flags that are letters, empty for others."""
    return flags.str.strip("()[]").str.extract(r"^([HL])", expand=False).fillna("")


def _medians(bare: pd.Series, levels: pd.Series) -> dict[str, float]:
    """Return the median of the numbers of each level."""
    found = pd.to_numeric(parts_of(with_points(bare, has_commas(bare))[0])["number"], errors="coerce")
    return {str(level): float(median) for level, median in found.groupby(levels).median().dropna().items()}


def _go_with(values: pd.Series, bare: pd.Series, flags: pd.Series) -> bool:
    """Say whether the letters behind numbers are those of high and low ones."""
    levels = _levels(flags)
    medians = _medians(bare, levels)
    ordered = [medians[level] for level in ("L", "", "H") if level in medians]
    touching = values.astype("string").str.strip().str.contains(r"\d[HL]{1,2}$").fillna(False).any()
    return (
        "" in medians
        and len(ordered) >= 2
        and bool((np.diff(ordered) > 0).all())
        and not (touching and len(ordered) < 3)
        and not _are_litres(bare, flags)
    )


def _commas(text: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Return the parts of numbers with a comma, missing elsewhere, and which of the commas can only be decimal ones."""
    parts = text.str.extract(_COMMA)
    whole, behind = parts["whole"], parts["part"].str.len()
    sure = behind.ne(3) | whole.str.contains(".", regex=False) | whole.str.startswith("0") | whole.str.len().gt(3)
    return parts, (sure & whole.notna()).fillna(False).astype(bool)
