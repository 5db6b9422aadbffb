"""Taking what users have in memory: tables of other libraries and lists of rows as pandas' tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from medtasks.cases.base import Cases, Source
from medtasks.errors import UsageError


class Tabular(Protocol):
    """A table of another library, such as polars or Arrow, which makes one of pandas'."""

    def to_pandas(self) -> Any:
        """Return it as a table of pandas'."""


Given = Source | Cases | Tabular | Iterable[Any]
"""What can be asked about: beside a `Source` cases, a table of another library, a list of rows (dictionaries), and of
molecules any sequence of SMILES or RDKit molecules."""


def taken(source: Any) -> Any:
    """Return what readers take: tables of other libraries and lists of rows as pandas' tables; all else as it is.

    >>> taken([{"age": 61, "fever": "yes"}, {"age": 70}]).shape, taken(["CCO"])
    ((2, 2), ['CCO'])
    """
    if isinstance(source, (str, pd.DataFrame)):
        return source
    if isinstance(source, os.PathLike):
        return Path(source)
    if callable(getattr(source, "to_pandas", None)):
        return source.to_pandas()
    if isinstance(source, (list, tuple)) and source and all(isinstance(row, Mapping) for row in source):
        return pd.DataFrame(list(source))
    return source


def check_source(source: object, what: str, hint: str | None = None) -> None:
    """Refuse what is neither a path nor a table.

    Parameters
    ----------
    what
        What is read from it and how it is given, for the message.
    hint
        What to do; how a table is made of it where None.

    Raises
    ------
    UsageError
        Naming its type.
    """
    if not isinstance(source, (str, Path, pd.DataFrame)):
        raise UsageError(f"{what}, not as a {type(source).__name__}", hint=hint or _as_table(source))


def _as_table(source: object) -> str:
    if isinstance(source, np.ndarray):
        return "name its columns: pandas.DataFrame(array, columns=[...])"
    if isinstance(source, Mapping):
        return "put it into a list, which has a dictionary for each row; or make a table: pandas.DataFrame(columns)"
    return "make a table of it: pandas.DataFrame(rows)"
