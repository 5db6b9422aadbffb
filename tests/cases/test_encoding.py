"""Encoded records: finite, scaled, and "not asked" told from every value."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from medtasks.cases import RecordEncoder, Records


@pytest.fixture
def records() -> Records:
    return Records.from_table(
        pd.DataFrame(
            {
                "age": ["60", "40", "?", "50", "20", "30"],
                "fever": ["yes", "no", "no", "yes", "no", "no"],
                "site": ["left", "right", "left", "", "right", "up"],
                "same": ["7"] * 6,
            }
        )
    )


def test_every_column_has_its_meaning(records: Records) -> None:
    encoder = RecordEncoder.fit(records)
    values = pd.DataFrame(encoder.transform(records), columns=encoder.names)
    assert encoder.names == [
        "age",
        "age missing",
        "fever",
        "site = left",
        "site = right",
        "site = other",
        "site missing",
        "same",
    ]
    assert encoder.owners.tolist() == [0, 0, 1, 2, 2, 2, 2, 3]
    assert values["age missing"].tolist() == [0, 0, 1, 0, 0, 0]
    assert values["age"][2] == 0  # the median, which is the zero of the scale
    assert values["age"][0] == pytest.approx((60 - 40) / np.std([60, 40, 50, 20, 30]))
    assert values["site = left"].tolist() == [1, 0, 1, 0, 0, 0]
    assert values["site = other"].tolist() == [0, 0, 0, 0, 0, 1]
    assert values["site missing"].tolist() == [0, 0, 0, 1, 0, 0]
    assert values["same"].tolist() == [0] * 6
    assert np.isfinite(values.to_numpy()).all()


def test_training_decides_the_scale_and_the_columns(records: Records) -> None:
    encoder = RecordEncoder.fit(records)
    later = records.take(np.array([2]))
    assert encoder.transform(later).tolist() == encoder.transform(records)[[2]].tolist()
    assert RecordEncoder.fit(records.take(np.array([0, 1]))).names[:2] == ["age", "fever"]  # none was missing


def test_a_number_that_never_varied_in_training_tells_nothing_later(records: Records) -> None:
    table = pd.DataFrame({"age": ["60", "40", "50"], "device": ["0.1"] * 3})  # whose mean is not 0.1 to the last bit
    encoder = RecordEncoder.fit(Records.from_table(table))
    later = Records.from_table(table.assign(device=["0.1", "700", "-3"]))
    assert encoder.transform(later)[:, 1] == pytest.approx([0, 0, 0], abs=1e-200)
    assert encoder.transform(later)[:, 0].tolist() == encoder.transform(Records.from_table(table))[:, 0].tolist()


def test_a_field_that_is_wholly_missing_in_training_stays_finite(records: Records) -> None:
    encoder = RecordEncoder.fit(records.take(np.array([2, 2])))
    assert np.isfinite(encoder.transform(records)).all()


def test_a_category_called_other_and_the_pool_are_one_column() -> None:
    records = Records.from_table(pd.DataFrame({"x": ["a", "a", "other", "other", "rare"]}))
    encoder = RecordEncoder.fit(records)
    assert encoder.names == ["x = a", "x = other"]
    assert encoder.transform(records).sum(axis=1).tolist() == [1] * 5


def test_arrays_bring_it_back(records: Records) -> None:
    encoder = RecordEncoder.fit(records)
    file = io.BytesIO()
    np.savez(file, **encoder.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = RecordEncoder.from_arrays(records.fields, dict(arrays))
    assert again.names == encoder.names
    assert np.array_equal(again.transform(records), encoder.transform(records))


def test_no_field_and_no_row_are_no_trouble(records: Records) -> None:
    encoder = RecordEncoder.fit(records)
    assert encoder.transform(records.take(np.array([], dtype=np.int64))).shape == (0, 8)
