"""Numbers as laboratories write them: with a sign before (``<1.0``) or a unit behind (``97 %``, ``80 kg``)."""

from __future__ import annotations

import pandas as pd

AMOUNT = (
    r"(?P<sign><=|>=|[<>=≤≥])?\s*"
    r"(?P<number>[-+]?(?!0\d)(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
    r"(?P<unit>[%‰°]|[gLlmshd](?![A-Za-z0-9])|[%°A-Za-zµμΩ][A-Za-zµμΩ%/·*^²³][-A-Za-zµμΩ%°/·*^²³.0-9 ]{0,18})?"
)
"""A sign, a number, a unit. Other single letters than those of SI units end stages and wards (3B), leading zeros begin
identifiers."""
COMMA = r"(\d),(\d)"
"""A comma that may stand for a decimal point."""


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
