"""Measurements as laboratories write them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medtasks.activity.measurements import Measured, is_binary, merge, read_column, to_p
from medtasks.activity.options import ActivityOptions
from medtasks.errors import UsageError
from medtasks.model import checked


def test_qualifiers_are_kept_and_missing_is_missing() -> None:
    found = read_column(pd.Series([">10000", "<= 5", "≥3.5", "=2", "~1e-3", " 7 ", "", "NA", None, "n.d.", "5-6"]))
    assert found.censoring.tolist() == [1, -1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert found.values[:6].tolist() == [10000, 5, 3.5, 2, 0.001, 7]
    assert np.isnan(found.values[6:]).all()
    assert [i for i, error in enumerate(found.errors) if error] == [9, 10]
    assert "n.d." not in str(found.errors)


@pytest.mark.parametrize(
    ("values", "binary"),
    [
        (["active", "Inactive", ""], True),
        (["yes", "no"], True),
        (["1", "0", "1.0"], True),
        ([True, False], True),
        ([1.0, 0.0, np.nan], True),
        (["1", "0", "2"], False),
        ([">1", "0"], False),
        (["", None], False),
    ],
)
def test_classes_are_told_from_numbers(values: list[object], binary: bool) -> None:
    assert is_binary(read_column(pd.Series(values))) is binary


@pytest.mark.parametrize(
    ("unit", "value", "p"),
    [
        ("M", 1e-6, 6),
        ("uM", 1, 6),
        ("nM", 1000, 6),
        ("pM", 1e6, 6),
        ("mM", 0.001, 6),
        ("ug/mL", 0.3, 6),
        ("mg/L", 0.3, 6),
    ],
)
def test_concentrations_become_p_values(unit: str, value: float, p: float) -> None:
    one = Measured(np.array([value, value]), np.array([1, -1], dtype=np.int8), (None, None))
    found = to_p(one, unit, np.array([300.0, 300.0]))
    assert found.values == pytest.approx([p, p])
    assert found.censoring.tolist() == [-1, 1]  # more than 10 uM is less than pIC50 5


def test_a_concentration_of_zero_is_an_error_of_its_row() -> None:
    one = Measured(np.array([0.0, 5.0, np.nan, -1]), np.zeros(4, dtype=np.int8), (None,) * 4)
    found = to_p(one, "nM", np.ones(4))
    assert [bool(error) for error in found.errors] == [True, False, False, True]
    assert np.isfinite(found.values).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("values", "bounds", "binary", "wanted"),
    [
        ([5.0, 5.4, 9.0], [0, 0, 0], False, (5.4, 0, True)),
        ([5.0, 5.4], [0, 0], False, (5.2, 0, False)),
        ([4.0, 5.0], [-1, -1], False, (4.0, -1, False)),
        ([4.0, 5.0], [1, 1], False, (5.0, 1, False)),
        ([6.0, 5.0], [0, 1], False, (6.0, 0, False)),
        ([6.0, 7.0], [0, 1], False, (6.0, 0, True)),
        ([5.0, 5.6], [1, -1], False, (5.3, 0, False)),
        ([4.0, 5.0, 5.6, 9.0], [1, 1, -1, -1], False, (5.3, 0, False)),
        ([5.0, 5.0], [-1, 1], False, (5.0, 0, False)),
        ([5.0, 9.0], [1, -1], False, (5.0, 1, False)),  # from 5 to 9: "at least 5" is what one row can say
        ([1.0, 1.0], [0, 0], True, (1.0, 0, False)),
    ],
)
def test_replicates_are_joined(
    values: list[float], bounds: list[int], binary: bool, wanted: tuple[float, int, bool]
) -> None:
    found = merge(np.array(values), np.array(bounds, dtype=np.int8), binary)
    assert found == (pytest.approx(wanted[0]), *wanted[1:])


def test_classes_and_bounds_that_differ_give_nothing() -> None:
    assert np.isnan(merge(np.array([0.0, 1.0]), np.zeros(2, dtype=np.int8), True)[0])
    assert np.isnan(merge(np.array([4.0, 6.0]), np.array([-1, 1], dtype=np.int8), False)[0])
    assert merge(np.array([4.0, 6.0]), np.array([-1, 1], dtype=np.int8), False)[2]


def test_units_are_read_as_people_write_them() -> None:
    for given, unit in (("nm", "nM"), ("µM", "uM"), ("UM", "uM"), ("M", "M"), ("mM", "mM"), ("UG/ML", "ug/mL")):
        assert checked(ActivityOptions, {"unit": given}, "option").unit == unit
    for given in ("m", "mm", "kg"):
        with pytest.raises(UsageError, match="unit"):
            checked(ActivityOptions, {"unit": given}, "option")
