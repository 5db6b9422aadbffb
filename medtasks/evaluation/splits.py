"""Splitting cases so that no patient (or other group) stands on two sides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.dataset import SPLITS, Dataset, group_numbers
from medtasks.errors import DataError

Rows = npt.NDArray[np.int64]
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
"""What a split column or folder may say (lower case), and the part that it means; see `split_named`."""
_SPELLED = re.compile(rf"({'|'.join(SPLIT_NAMES)})([\W_]*(data)?[\W_]*(sets?|data|images?|imgs?|split))?")
"""How they are written, as in ``train_set``, ``test-data``, ``validation images``."""


@dataclass(frozen=True)
class Fold:
    """Row numbers of three parts that share no case and no group."""

    train: Rows
    valid: Rows
    test: Rows


@dataclass(frozen=True)
class Plan:
    """How to split: shares of the whole, or the number of folds.

    ``folds`` of 1 is one hold-out; 0 lets the task choose. ``even`` deals large groups to all parts in proportion, as
    patients with many images need it: else the largest go where most is lacking, to training.
    """

    test: float = 0.2
    valid: float = 0.15
    folds: int = 0
    even: bool = False


def holdout(strata: npt.NDArray[Any], groups: npt.NDArray[Any] | None, plan: Plan, seed: int) -> Fold:
    """Split once into train, validation and test, each stratum (class) in proportion.

    Raises
    ------
    DataError
        If a part would be empty.
    """
    shares = (1 - plan.test - plan.valid, plan.valid, plan.test)
    parts = _assign(strata, groups, shares, seed, plan.even)
    fold = Fold(*(np.flatnonzero(parts == i) for i in range(3)))
    for name, rows in zip(SPLITS, (fold.train, fold.valid, fold.test), strict=True):
        if len(rows) == 0:
            raise DataError(
                f"the {name} part of the split is empty: there are too few cases or groups",
                hint="give more data, or a column that splits them (--split)",
            )
    return fold


def kfold(strata: npt.NDArray[Any], groups: npt.NDArray[Any] | None, plan: Plan, seed: int) -> list[Fold]:
    """Split into ``plan.folds`` folds: each case is tested once; validation is taken from the rest."""
    parts = _assign(strata, groups, (1 / plan.folds,) * plan.folds, seed, plan.even)
    folds = []
    for i in range(plan.folds):
        test, rest = np.flatnonzero(parts == i), np.flatnonzero(parts != i)
        inner = _assign(
            strata[rest],
            None if groups is None else groups[rest],
            (1 - plan.valid, plan.valid),
            seed + 1 + i,
            plan.even,
        )
        if not len(test) or not (inner == 0).any() or not (inner == 1).any():
            raise DataError(f"{plan.folds} folds are too many for {len(strata)} cases", hint="use fewer --folds")
        folds.append(Fold(rest[inner == 0], rest[inner == 1], test))
    return folds


def official(dataset: Dataset, strata: npt.NDArray[Any], plan: Plan, seed: int) -> Fold:
    """Follow the data's own split; a validation part that it lacks is taken from its training part.

    Raises
    ------
    DataError
        If it has no training or no test rows, or a group stands on two sides.
    """
    split = np.asarray(dataset.split)
    rows = {name: np.flatnonzero(split == name) for name in SPLITS}
    for name in ("train", "test"):
        if not len(rows[name]):
            raise DataError(
                f"the data's own split has no {name!r} rows",
                hint="mark them, or leave the split column out and let medtasks split",
            )
    if not len(rows["valid"]):
        train = rows["train"]
        groups = None if dataset.groups is None else dataset.groups[train]
        inner = _assign(strata[train], groups, (1 - plan.valid, plan.valid), seed, plan.even)
        rows["train"], rows["valid"] = train[inner == 0], train[inner == 1]
        if not len(rows["train"]) or not len(rows["valid"]):
            raise DataError(
                "the training part of the data's own split is too small to take a validation part from it",
                hint="mark 'valid' rows, or leave the split column out and let medtasks split",
            )
    fold = Fold(rows["train"], rows["valid"], rows["test"])
    check_groups(fold, dataset.groups)
    return fold


def split_named(text: str) -> str | None:
    """Return the part of a split that a text means, ``train``, ``valid`` or ``test``; None where it means none.

    >>> [split_named(text) for text in ("Training", "test_set", "val-data", "trainset", "normal")]
    ['train', 'test', 'valid', 'train', None]
    """
    match = _SPELLED.fullmatch(text.strip().lower())
    return SPLIT_NAMES[match[1]] if match else None


def read_split(values: pd.Series, where: str) -> npt.NDArray[Any]:
    """Read a split column into ``train``, ``valid``, ``test``.

    Raises
    ------
    DataError
        If a row says something else, naming the first.
    """
    text = values.astype("string")
    found = text.map({value: split_named(value) for value in text.dropna().unique()})
    wrong = np.flatnonzero(found.isna().to_numpy())
    if len(wrong):
        raise DataError(
            f"{where}, row {wrong[0] + 1}: the split column does not say train, valid or test",
            hint="fill it for every row, or remove the column and let medtasks split",
        )
    return found.astype(object).to_numpy()


def check_groups(fold: Fold, groups: npt.NDArray[Any] | None) -> None:
    """Refuse a split in which a group stands on two sides; groups are counted, never named."""
    if groups is None:
        return
    sides = {name: set(groups[getattr(fold, name)].tolist()) for name in SPLITS}
    for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
        shared = len(sides[one] & sides[other])
        if shared:
            raise DataError(
                f"{shared} groups (patients) stand in both {one} and {other} of the data's own split",
                hint="mend the split (its column or folders), or leave it out and let medtasks split by group",
            )


def _assign(
    strata: npt.NDArray[Any], groups: npt.NDArray[Any] | None, shares: Sequence[float], seed: int, even: bool
) -> Rows:
    """Give each row a part, groups whole, so that each stratum fills the shares.

    Rare strata go first. Of each, every part first gets one group (the smallest), then groups go, the
    largest first, where most is lacking; this is the greedy of iterative stratification (Sechidis et al.
    2011, doi:10.1007/978-3-642-23808-6_10), for one label, with groups. With ``even``, a group goes to the part that
    is emptiest in proportion among those with room for it.
    """
    rng = np.random.default_rng(seed)
    units = group_numbers(len(strata), groups)
    order = rng.permutation(int(units.max()) + 1 if len(units) else 0)
    part_of = np.full(len(order), -1)
    codes = np.unique(strata, return_inverse=True)[1]
    counts = np.bincount(codes)
    for code in np.argsort(counts, kind="stable"):
        held = np.bincount(units[codes == code], minlength=len(order))  # cases of the stratum in each unit
        mine = order[held[order] > 0]
        have = np.array([held[(part_of == p)].sum() for p in range(len(shares))], dtype=float)
        free = mine[part_of[mine] < 0]
        free = free[np.argsort(-held[free], kind="stable")]
        _fill(free, held, have, np.asarray(shares) * counts[code], part_of, even)
    return part_of[units]


def _fill(
    free: Rows, held: Rows, have: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], part_of: Rows, even: bool
) -> None:
    small = list(free)
    order = np.argsort(wanted, kind="stable")
    if len(small) < (have == 0).sum():  # too few for every part: what cannot be learnt need not be judged
        order = order[::-1]
    for part in order:
        if have[part] == 0 and small:
            unit = small.pop()
            part_of[unit] = part
            have[part] += held[unit]
    for unit in small:
        room = wanted - have >= held[unit]
        part = int(
            np.argmin(np.where(room, have / wanted, np.inf)) if even and room.any() else np.argmax(wanted - have)
        )
        part_of[unit] = part
        have[part] += held[unit]
