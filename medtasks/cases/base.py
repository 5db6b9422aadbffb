"""What every kind of case shares: rows that are valid and aligned to their ids."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

Source = str | Path | pd.DataFrame
"""Where cases are read from: a path, a glob, or a table in memory."""

Schema = dict[str, Any]
"""What an input must look like, as plain JSON: stored in the bundle, checked at predict time."""

CHUNK = 256
"""Rows read and answered at a time: large enough to keep a network busy, small enough for any memory."""


class Cases(ABC):
    """Rows of one kind, always valid, always aligned to ``ids``.

    A kind of case knows how to read itself, how to describe what it needs (`schema`) and how to hand
    rows to a model. What a model author uses beyond this is each kind's own: `Images.load`,
    `Records.frame`.

    Attributes
    ----------
    ids : (n,) array of str
        The name of each row, as the source gave it.
    cohorts : (n,) array of str, or None
        The group of each row (a site, an assay) that sets and intervals are calibrated within, None in it where it is
        not known; None where no groups were asked for, or they are fields. Models don't see it.
    """

    kind: ClassVar[str]
    cohorts: npt.NDArray[Any] | None = None

    def __init__(
        self,
        ids: Sequence[str] | npt.NDArray[Any],
        cohorts: Sequence[str | None] | npt.NDArray[Any] | None = None,
    ) -> None:
        self.ids = np.asarray(ids, dtype=object)
        self.cohorts = None if cohorts is None else np.asarray(cohorts, dtype=object)
        if self.cohorts is not None and len(self.cohorts) != len(self.ids):
            raise ValueError(f"{len(self.cohorts)} cohorts for {len(self.ids)} cases")

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} {self.kind}>"

    @abstractmethod
    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """Return the given rows, in the given order."""

    def join(self, other: Self) -> Self:
        """Return these rows with those of ``other``, which were read the same way, behind them."""
        raise TypeError(f"{self.kind} cannot be joined")

    @abstractmethod
    def schema(self) -> Schema:
        """Describe these cases so that later input can be read and checked the same way."""

    @abstractmethod
    def digests(self) -> list[str]:
        """Return one SHA-256 (hex) per row, of its content without its id."""

    @classmethod
    @abstractmethod
    def read(cls, source: Source, schema: Schema, *, chunk: int = CHUNK) -> Iterator[Reading[Self]]:
        """Read rows that fit ``schema``, a chunk at a time, keeping a place for each invalid one.

        Raises
        ------
        DataError
            If the source as a whole cannot be read; a bad row is told in `Reading.errors` instead.
        """

    @classmethod  # noqa: B027 (a kind whose schema is only its name needs no check)
    def check_schema(cls, schema: Schema) -> None:
        """Refuse a schema, read back from a bundle, that `read` could not follow.

        Raises
        ------
        BundleError
            Saying what is wrong with it.
        """

    def digest(self) -> str:
        """Return one SHA-256 (hex) of all rows, in order."""
        whole = hashlib.sha256()
        for row in self.digests():
            whole.update(row.encode())
        return whole.hexdigest()

    def chunks(self, size: int = CHUNK) -> Iterator[Self]:
        """Yield the rows in order, ``size`` at a time; themselves where they are no more."""
        if 0 < len(self) <= size:
            yield self
            return
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))


C = TypeVar("C", bound=Cases, covariant=True)


@dataclass(frozen=True)
class Reading(Generic[C]):
    """A stretch of an input: all of its rows, of which the valid ones are cases.

    ``ids`` and ``errors`` have one item for each row of the input (None where the row is valid);
    ``cases`` holds the valid rows in the input's order, or is None where no row is valid.
    """

    ids: tuple[str, ...]
    errors: tuple[str | None, ...]
    cases: C | None

    def __post_init__(self) -> None:
        valid = sum(error is None for error in self.errors)
        if len(self.ids) != len(self.errors) or valid != (0 if self.cases is None else len(self.cases)):
            raise ValueError("a Reading needs one error or one case for each of its rows")

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The positions of the valid rows among all rows."""
        return np.array([i for i, error in enumerate(self.errors) if error is None], dtype=np.int64)
