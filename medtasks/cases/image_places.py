"""Where images stand: in a folder, behind a glob, in a manifest; and by what names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd

from medtasks.cases.base import Source
from medtasks.cases.columns import cohorts_in
from medtasks.cases.image_files import is_image
from medtasks.cases.naming import names_of
from medtasks.cases.tables import is_missing, is_table, iterate_table, row_errors, suggest_column
from medtasks.errors import DataError, UsageError


def find_images(folder: Path) -> list[Path]:
    """List the image files below a folder, sorted, hidden ones left out.

    Every folder is read once, whatever links lead to it: where it stands if it stands below ``folder``, else by the
    first link.
    """
    found: list[Path] = []
    root = folder.resolve()
    seen = {root}
    for here, folders, files in os.walk(folder, followlinks=True):
        kept = []
        for name in sorted(name for name in folders if not name.startswith(".")):
            real = Path(here, name).resolve()
            if real in seen or (Path(here, name).is_symlink() and _stands_below(root, real)):
                continue
            seen.add(real)
            kept.append(name)
        folders[:] = kept
        found += [Path(here, name) for name in sorted(files) if not name.startswith(".") and is_image(Path(here, name))]
    return found


def _stands_below(root: Path, real: Path) -> bool:
    """Say whether a folder is found below another without a link: it stands there, and in no hidden folder."""
    return real.is_relative_to(root) and not any(part.startswith(".") for part in real.relative_to(root).parts)


def manifest_paths(table: pd.DataFrame, root: Path, where: str, column: str = "path") -> list[Path | None]:
    """Return the path in each row of a manifest, relative ones below ``root``; None where there is none."""
    if column not in table.columns:
        raise UsageError(f"{where} has no column {column!r}", hint=suggest_column(column, table))
    missing = is_missing(table[column])
    return [None if gone else root / str(value).strip() for value, gone in zip(table[column], missing, strict=True)]


Located = tuple[list[str], list[Path | str], npt.NDArray[Any] | None]
"""Ids, paths (a text is the reason why there is none) and, where a manifest was asked for them, cohorts."""


def locate(source: Source, chunk: int, columns: tuple[str, str, str | None]) -> Iterator[Located]:
    """Yield ids, paths and cohorts, ``chunk`` at a time; ``columns`` are a manifest's of paths, ids and cohorts."""
    if isinstance(source, pd.DataFrame):
        for start in range(0, len(source), chunk):
            yield _of_manifest(source[start : start + chunk], Path(), "the table", columns, start)
        return
    path = Path(source)
    if path.is_dir():
        files = find_images(path)
        if not files:
            raise DataError(f"no images in {path}", hint="give a folder of PNG, JPEG, TIFF, BMP or DICOM files")
        ids = [file.relative_to(path).as_posix() for file in files]
    elif is_table(path) and path.is_file():
        start = 0
        for part in iterate_table(path, chunk):
            yield _of_manifest(part, path.parent, str(path), columns, start)
            start += len(part)
        return
    elif path.exists():
        files, ids = [path], [path.name]
    else:
        files = sorted(
            Path(name)
            for name in glob.glob(str(source), recursive=True)  # noqa: PTH207 (Path has no absolute globs)
        )
        if not files:
            raise DataError(f"no file, folder or match for {str(source)!r}", hint="check the path")
        root = fixed_part(str(source))
        ids = [file.relative_to(root).as_posix() for file in files]
    for start in range(0, len(files), chunk):
        yield ids[start : start + chunk], list(files[start : start + chunk]), None


def fixed_part(pattern: str) -> Path:
    """Return the folder of a glob above its first wildcard: ids count from there, as they do for a folder.

    >>> [fixed_part(pattern).as_posix() for pattern in ("scans/2024/*.png", "scans/**/*.png", "*.png")]
    ['scans/2024', 'scans', '.']
    """
    parts = Path(pattern).parts
    wild = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:wild])


def _of_manifest(
    table: pd.DataFrame, root: Path, where: str, columns: tuple[str, str, str | None], start: int
) -> Located:
    path, name, cohort = columns
    found = zip(row_errors(table), manifest_paths(table, root, where, path), strict=True)
    paths = [error or place or "the row has no path" for error, place in found]
    ids = names_of(table, name if name in table.columns else path, start)
    return ids, paths, None if cohort is None else cohorts_in(table, cohort, where)
