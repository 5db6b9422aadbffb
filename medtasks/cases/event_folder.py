"""A folder of event tables: found by name in any case, read a part at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from medtasks.cases.event_tables import numbered
from medtasks.cases.tables import check_header, is_table, iterate_table, row_errors, suggest_column
from medtasks.errors import DataError, suggest

ROWS = 200_000
"""Rows of a table held as text at a time: some 100 MB."""


class Folder:
    """The tables in a folder, by their names in lower case (``admissions`` for ``ADMISSIONS.csv.gz``).

    A table may also be a folder of that name, with its rows shared out among files.
    """

    def __init__(self, path: Path, title: str = "") -> None:
        self.path, self.title = path, title
        self.files: dict[str, list[Path]] = {}
        for place in sorted(path.iterdir()):
            inside = sorted(p for p in place.rglob("*") if p.is_file() and is_table(p)) if place.is_dir() else []
            for file in [place] if place.is_file() and is_table(place) else inside:
                self.files.setdefault(self._stem(place), []).append(file)

    @staticmethod
    def _stem(path: Path) -> str:
        return path.name.split(".")[0].lower()

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def parts(
        self, name: str, needed: Sequence[str], wanted: Sequence[str] = (), *, required: bool = False
    ) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield the number of the first row and the columns of each part of a table, their names in lower case.

        A table that is not there has no rows, unless it is ``required``; of ``wanted`` columns come those there are.
        A needed column may be told as ``a|b``: the first of them that is there, under the name ``a``.

        Raises
        ------
        DataError
            If a required table or a needed column is missing.
        """
        if name not in self.files:
            if required:
                raise DataError(
                    f"{self.path} lacks the table {name} ({self.title})",
                    hint=f"put {name}.csv, .csv.gz or .parquet beside the others; {suggest(name, self.files)}",
                )
            return
        yield from numbered(
            chosen(part, file, needed, wanted)
            for file in self.files[name]
            for part in iterate_table(file, ROWS, bare=True)
        )

    def whole(
        self, name: str, needed: Sequence[str], wanted: Sequence[str] = (), *, required: bool = False
    ) -> pd.DataFrame:
        """Return a table as one; with no rows and the needed columns if it is not there."""
        parts = [part for _, part in self.parts(name, needed, wanted, required=required)]
        names = [column.split("|")[0] for column in (*needed, *wanted)]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({n: pd.Series(dtype=str) for n in names})


def chosen(part: pd.DataFrame, file: Path, needed: Sequence[str], wanted: Sequence[str]) -> pd.DataFrame:
    """Return the needed columns of a part of a table and those of the wanted ones that are there; see `Folder.parts`.

    A row with fewer fields than the header comes empty: it may be cut anywhere, so what it still has is not to be
    trusted.

    Raises
    ------
    DataError
        If a needed column is missing.
    """
    part = part.rename(columns=lambda name: str(name).strip().lower())
    check_header(str(file), list(part.columns))
    found = {}
    for column in (*needed, *wanted):
        name = next((name for name in column.split("|") if name in part), None)
        if name is not None:
            found[column.split("|")[0]] = part[name]
        elif column in needed:
            missing = column.replace("|", " or ")
            raise DataError(f"{file} lacks the column {missing}", hint=suggest_column(column.split("|")[0], part))
    cut = [error is not None for error in row_errors(part)]
    return pd.DataFrame(found).mask(pd.Series(cut, part.index)) if any(cut) else pd.DataFrame(found)
