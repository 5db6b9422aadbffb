"""Cases with what is known about them: targets, groups, an official split, and where they came from."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import Cases

SPLITS = ("train", "valid", "test")


def group_numbers(n: int, groups: npt.NDArray[Any] | None) -> npt.NDArray[np.int64]:
    """Return (n,) the number of each row's group from 0; each row is its own where there are no ``groups``.

    >>> group_numbers(3, np.array(["p2", "p1", "p2"])).tolist(), group_numbers(2, None).tolist()
    ([1, 0, 1], [0, 1])
    """
    return np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()


@dataclass(frozen=True)
class Origin:
    """Where a data set came from, and what happened on the way.

    ``invalid`` lists the rows that could not be used, as (id, reason), ``remarks`` those that were but deserve a look;
    ``notes`` are sentences a reader of the report should see, which name no case.
    """

    source: str
    title: str = ""
    licence: str = ""
    citation: str = ""
    synthetic: bool = False
    invalid: tuple[tuple[str, str], ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Cases and their targets, row by row.

    Attributes
    ----------
    cases : Cases, n rows
    targets : (n,) int64 class codes, or (n, t) float64 with NaN where a value is missing
    names : the name of each target
    classes : the meaning of the class codes, empty for numbers
    kinds : without classes, what each target is: ``number``, or ``binary`` (0 and 1)
    groups : (n,) patient, scaffold or other unit that must not stand on two sides of a split, or None
    split : (n,) of ``train``, ``valid``, ``test``: the source's own split, or None
    extra : further arrays, each with n rows, that a task needs beside the targets (a treatment given, a
        censoring qualifier, a time, a true lesion mask)
    origin : where all this came from
    """

    cases: Cases
    targets: npt.NDArray[Any]
    names: tuple[str, ...] = ("target",)
    classes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    groups: npt.NDArray[Any] | None = None
    split: npt.NDArray[Any] | None = None
    extra: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    origin: Origin = field(default_factory=lambda: Origin("memory"))

    def __post_init__(self) -> None:
        aligned = {"targets": self.targets, "groups": self.groups, "split": self.split, **self.extra}
        for name, values in aligned.items():
            if values is not None and len(values) != len(self.cases):
                raise ValueError(f"{name} has {len(values)} rows for {len(self.cases)} cases")

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def bounds(self) -> npt.NDArray[np.int8]:
        """Of numbers, shaped as the targets: -1 where the true one is at most, 1 where it is at least this, else 0.

        The ``censoring`` of `extra`; 0 everywhere where there is none.
        """
        found = self.extra.get("censoring")
        return np.zeros(self.targets.shape, dtype=np.int8) if found is None else found

    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """Return the given rows, in the given order."""
        return replace(
            self,
            cases=self.cases.take(rows),
            targets=self.targets[rows],
            groups=None if self.groups is None else self.groups[rows],
            split=None if self.split is None else self.split[rows],
            extra={name: values[rows] for name, values in self.extra.items()},
        )

    def join(self, other: Self) -> Self:
        """Return these rows with those of ``other``, a part of the same data, behind them.

        Raises
        ------
        TypeError
            If this kind of cases cannot be joined.
        """

        def both(mine: npt.NDArray[Any] | None, theirs: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
            return None if mine is None or theirs is None else np.concatenate([mine, theirs])

        return replace(
            self,
            cases=self.cases.join(other.cases),
            targets=np.concatenate([self.targets, other.targets]),
            groups=both(self.groups, other.groups),
            split=both(self.split, other.split),
            extra={name: np.concatenate([values, other.extra[name]]) for name, values in self.extra.items()},
        )

    def digest(self) -> str:
        """Return one SHA-256 (hex) of the cases, their order and their targets, with which of these are bounds."""
        whole = hashlib.sha256(self.cases.digest().encode())
        whole.update(np.ascontiguousarray(self.targets).tobytes())
        if "censoring" in self.extra:
            whole.update(np.ascontiguousarray(self.bounds).tobytes())
        whole.update(repr((self.names, self.classes)).encode())
        return whole.hexdigest()


def impute_bounds(
    values: npt.NDArray[np.float64], bounds: npt.NDArray[np.int8], told: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return values, of which those that are bounds give way to what is ``told`` of them where that lies beyond.

    >>> impute_bounds(np.array([5.0, 5.0, 5.0]), np.array([1, 1, 0], dtype=np.int8), np.array([6.0, 4.0, 9.0])).tolist()
    [6.0, 5.0, 5.0]
    """
    return np.where(bounds > 0, np.maximum(told, values), np.where(bounds < 0, np.minimum(told, values), values))


class NamedDataset(ABC):
    """A data set that can be asked for by name: ``--data NAME`` or ``--data NAME/VARIANT``.

    What an entry point of the group ``medtasks.datasets`` names, as ``task.name``.
    """

    title: ClassVar[str]
    downloads: ClassVar[bool] = False
    """Whether `load` may need the network the first time."""

    @abstractmethod
    def load(self, variant: str | None, *, cache: Path, seed: int) -> Dataset:
        """Return the data set.

        Parameters
        ----------
        variant
            What the user wrote behind the slash, or None.
        cache
            A folder for downloads, kept between runs.
        seed
            For data that are drawn by chance.

        Raises
        ------
        DataError
            If there is no such variant, or the data cannot be had (offline, checksum).
        """
