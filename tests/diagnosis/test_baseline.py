"""The linear baselines: they learn what is linear, and explain themselves exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medtasks.cases import Images, Records
from medtasks.dataset import Dataset
from medtasks.diagnosis.baseline import LinearImage, LinearRecord
from medtasks.errors import BundleError
from medtasks.model import Context

CONTEXT = Context()


def films(n: int, classes: int, size: int = 12, channels: int = 1, seed: int = 0) -> Dataset:
    """Noise with a bright quarter: which one is the class."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % classes
    pixels = rng.integers(0, 80, (n, size, size, channels), dtype=np.uint8)
    half = size // 2
    for i, code in enumerate(targets):
        row, column = divmod(int(code), 2)
        pixels[i, row * half : (row + 1) * half, column * half : (column + 1) * half] += 60
    return Dataset(Images([str(i) for i in range(n)], pixels), targets, classes=tuple("abcd"[:classes]))


def patients(n: int, classes: int = 2, seed: int = 0) -> Dataset:
    """Age and site tell the class; height does not."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % classes
    table = pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.1, np.nan, rng.normal(40 + 15 * targets, 5)),
            "site": np.where(rng.random(n) < 0.8, np.array(["left", "right", "mid"])[targets], "left"),
            "height": rng.normal(170, 10, n),
        }
    )
    return Dataset(Records.from_table(table), targets, classes=tuple("abc"[:classes]))


def split(data: Dataset, at: int) -> tuple[Dataset, Dataset]:
    return data.take(np.arange(at)), data.take(np.arange(at, len(data)))


def fitted(kind: Any, data: Dataset, at: int) -> Any:
    train, valid = split(data, at)
    model = kind(kind.Config())
    model.fit(train, valid, context=CONTEXT)
    return model


CASES = [
    (LinearImage, films(60, 2)),
    (LinearImage, films(80, 4)),
    (LinearImage, films(60, 2, channels=3)),
    (LinearRecord, patients(120)),
    (LinearRecord, patients(150, 3)),
]
over_models = pytest.mark.parametrize(
    ("kind", "data"), CASES, ids=["grey", "four classes", "colour", "records", "records, three classes"]
)


@over_models
def test_it_learns_what_is_linear_and_gives_probabilities(kind: Any, data: Dataset) -> None:
    model = fitted(kind, data, len(data) * 2 // 3)
    later = split(data, len(data) * 2 // 3)[1]
    found = model.predict(later.cases, context=CONTEXT)
    assert found.shape == (len(later), len(data.classes))
    assert found.sum(axis=1) == pytest.approx(np.ones(len(later)))
    for code in range(len(data.classes)):
        assert roc_auc_score(later.targets == code, found[:, code]) > 0.9


@over_models
def test_a_saved_model_answers_the_same(kind: Any, data: Dataset, tmp_path: Path) -> None:
    model = fitted(kind, data, len(data) * 2 // 3)
    model.save(tmp_path)
    again = kind.load(tmp_path, context=CONTEXT)
    assert np.array_equal(again.predict(data.cases, context=CONTEXT), model.predict(data.cases, context=CONTEXT))
    assert np.array_equal(again.embed(data.cases, context=CONTEXT), model.embed(data.cases, context=CONTEXT))
    assert np.array_equal(again.explain(data.cases, 1, context=CONTEXT), model.explain(data.cases, 1, context=CONTEXT))


@over_models
def test_contributions_add_up_to_the_log_odds(kind: Any, data: Dataset) -> None:
    model = fitted(kind, data, len(data) * 2 // 3)
    parts = model.explain(data.cases, 1, context=CONTEXT)
    assert len(parts) == len(data)
    logits = np.log(model.predict(data.cases, context=CONTEXT))
    against = logits[:, 1] - np.delete(logits, 1, axis=1).mean(axis=1)
    rest = against - parts.reshape(len(data), -1).sum(axis=1)
    assert np.ptp(rest) == pytest.approx(0, abs=1e-8)  # what remains is the intercept, the same for every case


def test_what_speaks_for_a_class_is_where_it_shows() -> None:
    data = films(60, 2)
    heat = fitted(LinearImage, data, 40).explain(data.cases, 1, context=CONTEXT)
    mine = heat[data.targets == 1].mean(axis=0)
    assert mine.shape == (12, 12)
    assert mine[:6, 6:].sum() > abs(mine[6:].sum())  # class b is the bright upper right
    fields = fitted(LinearRecord, patients(120), 80).explain(patients(120).cases, 1, context=CONTEXT)
    weight = np.abs(fields).mean(axis=0)
    assert weight[0] > 3 * weight[2]  # age tells, height does not


def test_large_images_are_shrunk_and_small_ones_kept() -> None:
    small, large = films(20, 2, size=12), films(20, 2, size=48)
    assert fitted(LinearImage, small, 12).embed(small.cases, context=CONTEXT).shape == (20, 144)
    assert fitted(LinearImage, large, 12).embed(large.cases, context=CONTEXT).shape == (20, 32 * 32)


def test_images_of_another_size_are_answered_too() -> None:
    model = fitted(LinearImage, films(60, 2), 40)
    larger = films(20, 2, size=30, seed=1)
    found = model.predict(larger.cases, context=CONTEXT)
    assert roc_auc_score(larger.targets, found[:, 1]) > 0.9


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_a_class_that_training_lacks_is_never_probable(absent: int) -> None:
    data = patients(150, 3)
    train, valid = split(data, 100)
    model = LinearRecord(LinearRecord.Config())
    model.fit(train.take(np.flatnonzero(train.targets != absent)), valid, context=CONTEXT)
    found = model.predict(data.cases, context=CONTEXT)
    assert found[:, absent].max() == 0
    assert found.sum(axis=1) == pytest.approx(np.ones(150))


def test_columns_that_do_not_vary_do_no_harm() -> None:
    table = pd.DataFrame({"age": np.arange(40.0), "same": 7.0})
    data = Dataset(Records.from_table(table), (np.arange(40) >= 20).astype(np.int64), classes=("a", "b"))
    found = fitted(LinearRecord, data.take(np.random.default_rng(0).permutation(40)), 30)
    assert np.isfinite(found.predict(data.cases, context=CONTEXT)).all()


def test_a_stored_model_that_does_not_fit_itself_is_refused(tmp_path: Path) -> None:
    fitted(LinearRecord, patients(60), 40).save(tmp_path)
    with np.load(tmp_path / "linear.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "linear.npz", **{**arrays, "mean": arrays["mean"][1:]})
    with pytest.raises(BundleError, match="does not fit itself"):
        LinearRecord.load(tmp_path, context=CONTEXT)


def test_past_the_deadline_the_first_penalty_is_enough() -> None:
    data = patients(120)
    model = LinearRecord(LinearRecord.Config(strengths=(0.01, 1.0)))
    model.fit(data, data, context=Context(deadline=0.0))
    first = LinearRecord(LinearRecord.Config(strengths=(0.01,)))
    first.fit(data, data, context=CONTEXT)
    assert np.array_equal(model.coef, first.coef)
