"""Where images stand: in a folder, behind a glob, in a manifest; and by what names."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy.typing as npt
import pandas as pd

from medtasks.cases.base import Source
from medtasks.cases.columns import cohorts_in
from medtasks.cases.image_files import SUFFIXES, UNREAD, is_image
from medtasks.cases.naming import names_of, written
from medtasks.cases.tables import is_missing, is_table, iterate_table, row_errors, suggest_column
from medtasks.errors import DataError, UsageError
from medtasks.words import plain, plural

MASK = r"(masks?|seg|segs|segmentations?|gt|ground ?truths?|annotations?|contours?)"
"""How masks are called (lower case)."""
_MASK_FOLDER = re.compile(rf"(?!with |without |no |non |not )(\S+ )?({MASK}|labels?)")
NAMES = (*SUFFIXES, *UNREAD)
"""Suffixes of what may be meant by a name without one."""
DEEPEST = 3
"""Folders below a manifest's in which its images are looked for: ``images_001/images`` are two."""
MOST_NAMES = 1_000_000
"""Files below a manifest's folder above which nothing is looked for: it is no collection, but a disk."""
NAMED = 5
"""Folders up to which a note names them; of fewer files each, their names could be those of patients."""
_WAYS = (
    ("sign", "with"),
    ("own", "without the leading"),
    ("suffix", "with the suffix"),
    ("folder", "found in"),
    ("case", "in another"),
)
"""How a note tells of each way to complete a path, before the names of what it was completed by."""


def is_mask_folder(name: str) -> bool:
    """Say whether a folder is called as one of masks.

    >>> [is_mask_folder(name) for name in ("Masks", "lung_masks", "labels", "images", "without_mask")]
    [True, True, True, False, False]
    """
    return _MASK_FOLDER.fullmatch(plain(name.replace("-", " "))) is not None


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


class Places:
    """Finds the files that the paths of a manifest mean, which count from its folder ``root``.

    Public collections write images without their suffix, without the sub-folder, from the folder above, or as Windows
    does. What leads to no file as written is looked for with ``/`` for ``\\``, with a suffix added, without ``root``'s
    own name in front, in the folders below, and at last in another case; it is found only where one file fits. What a
    path means depends on no other path. Absolute paths and those with ``..`` are taken as written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.completed: Counter[tuple[str, str]] = Counter()
        """How many paths were completed by what: a ``suffix``, a ``folder`` below, ``root``'s ``own`` name left off,
        the ``case`` of letters or the ``sign`` between folders."""
        self._count = 0
        self._listed: dict[Path, dict[str, list[Path]]] = {}
        self._below: dict[str, list[Path]] | None = None

    def find(self, texts: Sequence[str | None]) -> list[Path | str | None]:
        """Return the file of each path; a text says why there is none, and None stands where no path is."""
        return [None if text is None else self._find(text) for text in texts]

    def note(self) -> str | None:
        """Say how paths were completed; None where none was."""
        if not self.completed:
            return None
        ways: dict[str, list[str]] = defaultdict(list)
        for kind, name in sorted(self.completed):
            ways[kind].append(name)
        folders = ways["folder"]
        if len(folders) > NAMED or any(self.completed["folder", name] < NAMED for name in folders):
            folders[:] = [plural(len(folders), "folder") + " below"]
        told = [f"{words} {', '.join(ways[kind])}" for kind, words in _WAYS if ways[kind]]
        count = plural(self._count, "path")
        return (
            f"Paths that lead to no file as written were completed by the one that fits ({count}): {'; '.join(told)}."
        )

    def _find(self, text: str) -> Path | str:
        whole, meant = self.root / text, text.replace("\\", "/")
        if _is_file(whole):
            return whole
        found = self.root / meant if _is_file(self.root / meant) else self._complete(meant)
        if isinstance(found, Path):
            self._count += 1
            if meant != text:
                self.completed["sign", "/ for \\"] += 1
        return found or whole

    def _complete(self, text: str) -> Path | str | None:
        path = PurePath(text)
        if path.is_absolute() or ".." in path.parts or not path.name:
            return None
        own = self.root.resolve().name
        tails = [path]
        if len(path.parts) > 1 and path.parts[0].lower() == own.lower():
            tails.append(PurePath(*path.parts[1:]))
        for key in (str, str.lower):
            for tail in tails:
                found = self._fitting(tail, key)
                if len(found) > 1:
                    shown = ", ".join(sorted({one.relative_to(self.root).parent.as_posix() for one in found})[:NAMED])
                    names = f"{len(found)} files could be meant (in {shown})" if shown != "." else f"{len(found)} fit"
                    return f"no such file as written, and {names}: write the whole path"
                if found:
                    self._tell(found[0], tail, own if tail is not path else None, key)
                    return found[0]
        return None

    def _fitting(self, tail: PurePath, key: Callable[[str], str]) -> list[Path]:
        """Return the files that a path may mean, in its folder or else in those below; ``key`` is how names compare."""
        if key is str and _is_file(self.root / tail):
            return [self.root / tail]
        folder = self.root / tail.parent
        if folder not in self._listed:
            self._listed[folder] = _by_name(folder, _listed(folder))
        # What is called exactly so is no file, or was found before: a suffix lacks.
        here = [path for path in self._listed[folder].get(tail.name.lower(), ()) if _called(path, tail.name, key)]
        if here := [path for path in here if path.name != tail.name and _is_file(path)]:
            return here
        if self._below is None:
            self._below = _names_below(self.root)
        return [
            path
            for path in self._below.get(tail.name.lower(), ())
            if _called(path, tail.name, key) and _ends(path.relative_to(self.root).parent, tail.parent, key)
        ]

    def _tell(self, found: Path, tail: PurePath, own: str | None, key: Callable[[str], str]) -> None:
        folder = found.relative_to(self.root).parent
        if own is not None:
            self.completed["own", own] += 1
        if key(found.name) != key(tail.name):
            self.completed["suffix", found.suffix] += 1
        if key(str(folder)) != key(str(tail.parent)):
            self.completed["folder", folder.as_posix()] += 1
        if key is not str:
            self.completed["case", "case of letters"] += 1


def _called(path: Path, name: str, key: Callable[[str], str]) -> bool:
    """Say whether a file is called so, with or without its suffix."""
    return key(name) in (key(path.name), key(path.name.removesuffix(path.suffix)))


def _ends(folder: PurePath, tail: PurePath, key: Callable[[str], str]) -> bool:
    """Say whether a folder's path ends as another one does."""
    parts, ends = ([key(part) for part in one.parts] for one in (folder, tail))
    return len(parts) >= len(ends) and parts[len(parts) - len(ends) :] == ends


def _by_name(folder: Path, names: Sequence[str]) -> dict[str, list[Path]]:
    """Return a folder's files by their names in lower case, images also without suffix."""
    found: dict[str, list[Path]] = defaultdict(list)
    for name in names:
        found[name.lower()].append(folder / name)
        if (suffix := PurePath(name).suffix).lower() in NAMES:
            found[name.removesuffix(suffix).lower()].append(folder / name)
    return found


def _names_below(root: Path) -> dict[str, list[Path]]:
    """List the files in the folders below as `_by_name` does; not hidden ones, and no masks."""
    found: dict[str, list[Path]] = defaultdict(list)
    seen = 0
    for here, folders, files in os.walk(root):
        depth = len(Path(here).relative_to(root).parts)
        folders[:] = [
            name for name in sorted(folders) if depth < DEEPEST and name[0] != "." and not is_mask_folder(name)
        ]
        seen += len(files)
        if seen > MOST_NAMES:
            return {}
        for name, paths in _by_name(Path(here), files).items() if depth else ():
            found[name] += paths
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or in a folder that may not be entered
        return False


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except (OSError, ValueError):
        return []


def manifest_paths(table: pd.DataFrame, places: Places, where: str, column: str = "path") -> list[Path | str | None]:
    """Return the path in each row of a manifest; None where none is written, a text where it says why no file fits."""
    if column not in table.columns:
        raise UsageError(f"{where} has no column {column!r}", hint=suggest_column(column, table))
    missing = is_missing(table[column])
    texts = [None if gone else written(value).strip() for value, gone in zip(table[column], missing, strict=True)]
    return places.find(texts)


Located = tuple[list[str], list[Path | str], npt.NDArray[Any] | None]
"""Ids, paths (a text is the reason why there is none) and, where a manifest was asked for them, cohorts."""


def locate(source: Source, chunk: int, columns: tuple[str, str, str | None]) -> Iterator[Located]:
    """Yield ids, paths and cohorts, ``chunk`` at a time; ``columns`` are a manifest's of paths, ids and cohorts."""
    if isinstance(source, pd.DataFrame):
        places = Places(Path())
        for start in range(0, len(source), chunk):
            yield _of_manifest(source[start : start + chunk], places, "the table", columns, start)
        return
    path = Path(source)
    if path.is_dir():
        files = find_images(path)
        if not files:
            raise DataError(f"no images in {path}", hint="give a folder of PNG, JPEG, TIFF, BMP or DICOM files")
        ids = [file.relative_to(path).as_posix() for file in files]
    elif is_table(path) and path.is_file():
        places, start = Places(path.parent), 0
        for part in iterate_table(path, chunk):
            yield _of_manifest(part, places, str(path), columns, start)
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
    table: pd.DataFrame, places: Places, where: str, columns: tuple[str, str, str | None], start: int
) -> Located:
    path, name, cohort = columns
    if path not in table.columns and "path" in table.columns:  # other manifests than the one trained on may have it
        path = "path"
    found = zip(row_errors(table), manifest_paths(table, places, where, path), strict=True)
    paths = [error or place or "the row has no path" for error, place in found]
    ids = names_of(table, name if name in table.columns else path, start)
    return ids, paths, None if cohort is None else cohorts_in(table, cohort, where)
