"""Splits: nobody on two sides, every class on every side, shares roughly kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtasks.cases import Records
from medtasks.dataset import SPLITS, Dataset
from medtasks.errors import DataError
from medtasks.evaluation.splits import Fold, Plan, check_groups, holdout, kfold, official

SEEDS = range(15)


def sides(fold: Fold) -> list[Any]:
    return [getattr(fold, name) for name in SPLITS]


def shapes(seed: int) -> tuple[Any, Any]:
    """Draw classes and patients of a shape that depends on the seed."""
    rng = np.random.default_rng(seed)
    n, classes = int(rng.integers(60, 400)), int(rng.integers(2, 6))
    patients = rng.integers(0, int(rng.integers(30, n)), n)
    own = rng.choice(classes, n, p=rng.dirichlet(np.full(classes, 3)))
    # even seeds: a patient has one class throughout; odd ones: each case its own
    strata = own[patients] if seed % 2 == 0 else own
    return strata, np.array([f"patient {i}" for i in patients], dtype=object)


def check_whole(folds: list[Fold], n: int) -> None:
    for fold in folds:
        assert sorted(np.concatenate(sides(fold)).tolist()) == list(range(n))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("folds", [1, 5])
def test_no_patient_stands_on_two_sides(seed: int, folds: int) -> None:
    strata, groups = shapes(seed)
    found = [holdout(strata, groups, Plan(), seed)] if folds == 1 else kfold(strata, groups, Plan(folds=folds), seed)
    check_whole(found, len(strata))
    for fold in found:
        patients = [set(groups[rows]) for rows in sides(fold)]
        assert not patients[0] & patients[1]
        assert not patients[0] & patients[2]
        assert not patients[1] & patients[2]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("grouped", [False, True])
def test_every_class_stands_on_every_side(seed: int, grouped: bool) -> None:
    rng = np.random.default_rng(seed)
    patients = np.arange(90)
    strata = np.r_[np.zeros(70, dtype=int), np.ones(17, dtype=int), [2, 2, 2]]  # three cases are just enough
    if grouped:
        repeats = rng.integers(1, 5, 90)
        patients, strata = np.repeat(patients, repeats), np.repeat(strata, repeats)
    fold = holdout(strata, patients if grouped else None, Plan(), seed)
    for rows in sides(fold):
        assert set(strata[rows]) == {0, 1, 2}


@pytest.mark.parametrize("seed", SEEDS)
def test_shares_are_kept_in_every_class(seed: int) -> None:
    strata = np.random.default_rng(seed).choice(3, 600, p=[0.7, 0.2, 0.1])
    fold = holdout(strata, None, Plan(test=0.2, valid=0.15), seed)
    for code in range(3):
        counts = [(strata[rows] == code).sum() for rows in sides(fold)]
        assert np.array(counts) / sum(counts) == pytest.approx([0.65, 0.15, 0.2], abs=1.5 / sum(counts))


@pytest.mark.parametrize("seed", SEEDS)
def test_shares_are_roughly_kept_with_patients(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(150), rng.integers(1, 6, 150))
    strata = rng.integers(0, 2, 150)[groups]
    fold = holdout(strata, groups, Plan(test=0.2, valid=0.15), seed)
    shares = np.array([len(rows) for rows in sides(fold)]) / len(strata)
    assert shares == pytest.approx([0.65, 0.15, 0.2], abs=0.02)  # a patient is up to 0.01 of the whole


def test_the_seed_decides() -> None:
    strata = np.arange(100) % 2
    one, same, other = (holdout(strata, None, Plan(), seed) for seed in (1, 1, 2))
    assert np.array_equal(one.test, same.test)
    assert not np.array_equal(one.test, other.test)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_case_is_tested_once(seed: int) -> None:
    strata, groups = shapes(seed)
    for given in (None, groups):
        folds = kfold(strata, given, Plan(folds=4), seed)
        check_whole(folds, len(strata))
        assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(len(strata)))


@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_class_of_three_is_trained_in_every_fold(folds: int, seed: int) -> None:
    strata = np.r_[np.zeros(40, dtype=int), [1, 1, 1]]
    for fold in kfold(strata, None, Plan(folds=folds), seed):
        assert 1 in strata[fold.train]


def test_folds_of_equal_size() -> None:
    sizes = [len(fold.test) for fold in kfold(np.arange(103) % 2, None, Plan(folds=5), 0)]
    assert max(sizes) - min(sizes) <= 2  # one for each class


@pytest.mark.parametrize("groups", [np.array(["p"] * 9), np.array(["p"] * 5 + ["q"] * 4)])
def test_too_few_patients_are_refused(groups: Any) -> None:
    strata = np.arange(9) % 2
    with pytest.raises(DataError, match="empty"):
        holdout(strata, groups, Plan(), 0)
    with pytest.raises(DataError, match="too many"):
        kfold(strata, groups, Plan(folds=2), 0)


def test_too_many_folds_are_refused() -> None:
    with pytest.raises(DataError, match="20 folds are too many for 6 cases"):
        kfold(np.arange(6) % 2, None, Plan(folds=20), 0)


# --- the data's own split ---


def with_split(split: list[str], groups: list[str] | None = None, strata: list[int] | None = None) -> Dataset:
    n = len(split)
    return Dataset(
        Records.from_table(pd.DataFrame({"x": np.arange(n)[::-1]})),
        np.array(strata if strata is not None else np.arange(n) % 2),
        classes=("a", "b"),
        groups=None if groups is None else np.array(groups, dtype=object),
        split=np.array(split, dtype=object),
    )


def test_the_own_split_is_followed() -> None:
    data = with_split(["train", "test", "valid", "train", "test"])
    fold = official(data, data.targets, Plan(), 0)
    assert [rows.tolist() for rows in sides(fold)] == [[0, 3], [2], [1, 4]]


@pytest.mark.parametrize("grouped", [False, True])
def test_a_missing_validation_part_is_taken_from_training(grouped: bool) -> None:
    groups = [f"p{i // 2}" for i in range(50)] if grouped else None
    data = with_split(["train"] * 40 + ["test"] * 10, groups)
    fold = official(data, data.targets, Plan(valid=0.15), 0)
    assert fold.test.tolist() == list(range(40, 50))
    assert len(fold.valid) == 6
    assert sorted([*fold.train, *fold.valid]) == list(range(40))
    assert set(data.targets[fold.valid]) == {0, 1}
    check_groups(fold, data.groups)


def test_the_one_training_case_of_a_class_stays_in_training() -> None:
    data = with_split(["train"] * 20 + ["test"] * 4, strata=[0] * 19 + [1, 0, 1, 0, 1])
    for seed in SEEDS:
        assert 19 in official(data, data.targets, Plan(), seed).train


@pytest.mark.parametrize("lacking", ["train", "test"])
def test_a_split_without_training_or_test_rows_is_refused(lacking: str) -> None:
    data = with_split([name for name in ("train", "valid", "test") if name != lacking] * 3)
    with pytest.raises(DataError, match=f"no '{lacking}' rows"):
        official(data, data.targets, Plan(), 0)


def test_a_training_part_too_small_to_be_halved_is_refused() -> None:
    data = with_split(["train"] * 4 + ["test"] * 4, ["p"] * 4 + ["q"] * 4)
    with pytest.raises(DataError, match="validation"):
        official(data, data.targets, Plan(), 0)


@pytest.mark.parametrize("sides_", [("train", "valid"), ("train", "test"), ("valid", "test")])
def test_an_overlap_is_refused_without_naming_patients(sides_: tuple[str, str]) -> None:
    data = with_split(["train", "valid", "test", *sides_], ["a", "b", "c", "Zacharias", "Zacharias"])
    with pytest.raises(DataError) as caught:
        official(data, data.targets, Plan(), 0)
    assert caught.value.message.startswith("1 ")
    assert all(name in caught.value.message for name in sides_)
    assert "Zacharias" not in caught.value.message + str(caught.value.hint)
