"""What a folder of images says by its sub-folders: classes, a split, masks that are no cases."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt

from medtasks.cases.image_places import MASK, is_mask_folder
from medtasks.diagnosis.labels import names_negative
from medtasks.errors import DataError
from medtasks.evaluation.splits import split_named
from medtasks.words import plain, plural

Parts = Sequence[tuple[str, ...]]
"""The path of each image below the folder, as its parts."""

ONLY_MASKS = re.compile(rf"{MASK}|labels?")
"""How a folder is called that holds nothing but masks, even at the level of classes."""
MASK_FILE = re.compile(rf"(?P<stem>.+?)[ _-]{MASK.replace(' ?', '[ _-]?')}([ _-]?\d+)?", re.IGNORECASE)
"""How a mask is called beside its image: ``x_mask``, ``x_mask_1``, ``x-seg`` beside ``x``."""
MOSTLY = 0.5
"""Share of a folder's files with an image of the same name from which the folder goes with these images."""


@dataclass(frozen=True)
class Layout:
    """Which images are cases (``rows``), their classes, the folder's own split if it has one, and what to note."""

    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.object_]
    split: npt.NDArray[np.object_] | None
    notes: tuple[str, ...]


def lay_out(folder: Path, parts: Parts) -> Layout:
    """Tell the class of each image, and its part of the split, by the sub-folders that it stands in.

    Raises
    ------
    DataError
        If no image stands in a class folder, or it cannot be told which level holds the classes.
    """
    tops = sorted({part[0] for part in parts if len(part) > 1})
    _check_height(folder, parts, tops)
    own_split = _has_own_split(folder, tops)
    depth = 1 if own_split else 0
    inside = [i for i, part in enumerate(parts) if len(part) > depth + 1]
    if not inside:
        raise DataError(
            f"the images in {folder} stand in no sub-folders",
            hint="put the images of each class in a sub-folder named after it, or give a manifest",
        )
    masks = _masks(parts, depth)
    rows = [i for i in inside if i not in masks]
    _check_classes(folder, [parts[i] for i in rows], depth)
    notes = []
    if loose := len(parts) - len(inside):
        notes.append(f"{plural(loose, 'image')} in no class folder {'was' if loose == 1 else 'were'} left out.")
    if masks:
        notes.append(
            f"{plural(len(masks), 'mask')} {'was' if len(masks) == 1 else 'were'} left out: an image of the same name "
            "stands beside the file (x beside x_mask) or its folder (images beside masks). A manifest that lists them "
            "makes them cases."
        )
    split = [split_named(parts[i][0]) for i in rows]
    return Layout(
        np.array(rows, dtype=np.int64),
        np.array([parts[i][depth] for i in rows], dtype=object),
        np.array(split, dtype=object) if own_split else None,
        tuple(notes),
    )


def _check_height(folder: Path, parts: Parts, tops: Sequence[str]) -> None:
    """Refuse a folder that holds nothing but one that has a split."""
    if len(tops) != 1 or any(len(part) == 1 for part in parts) or split_named(tops[0]):
        return
    below = {part[1] for part in parts if len(part) > 2}
    if below and all(split_named(name) for name in below):
        raise DataError(
            f"{folder} holds one folder only, {tops[0]!r}, which has a split of its own ({', '.join(sorted(below))})",
            hint=f"name that folder: {folder / tops[0]}",
        )


def _has_own_split(folder: Path, names: Sequence[str]) -> bool:
    """Say whether the sub-folders that hold images are train, val and test; a mixture is refused."""
    others = [name for name in names if split_named(name) is None]
    if others and len(others) < len(names):
        mine = next(name for name in names if name not in others)
        raise DataError(
            f"{folder} has folders of a split ({mine!r}) beside others ({others[0]!r})",
            hint="keep train, val and test with a folder per class in each, or folders of classes only",
        )
    return bool(names) and not others


def _masks(parts: Parts, depth: int) -> set[int]:
    """Return which images are certainly masks: an image of the same name stands where masks have theirs.

    A class folder is never taken for one of masks: faces come with and without a mask.
    """
    folders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, part in enumerate(parts):
        if len(part) > depth + 1:
            folders[part[:-1]].append(i)
    found: set[int] = set()
    beside: dict[tuple[str, ...], set[str]] = defaultdict(set)  # what masks in a folder below this one may belong to
    inner = [here for here in folders if len(here) > depth + 1 and is_mask_folder(here[-1])]
    for here, rows in folders.items():
        stems = {PurePath(parts[i][-1]).stem for i in rows}
        found |= {i for i in rows if _unmasked(PurePath(parts[i][-1]).stem) in stems}
        beside[here] |= stems
        if not is_mask_folder(here[-1]):
            beside[here[:-1]] |= stems
    for here in inner:
        stems = {PurePath(parts[i][-1]).stem for i in folders[here]}
        if _share(stems, beside[here[:-1]]) >= MOSTLY:
            found |= set(folders[here])
    return found


def _unmasked(stem: str) -> str | None:
    """Return what the image is called that a file is the mask of by its name, if it is called as a mask is."""
    match = MASK_FILE.fullmatch(stem)
    return match["stem"] if match else None


def _share(stems: set[str], images: set[str]) -> float:
    """Return the share of files that are called as an image is, or as its mask would be."""
    return sum(stem in images or _unmasked(stem) in images for stem in stems) / len(stems)


def _check_classes(folder: Path, parts: Parts, depth: int) -> None:
    """Refuse class folders that all hold the same sub-folders, which may be the classes, a split or masks instead.

    What stands below a class without saying anything (numbered patients or visits) is left alone, and so is what
    stands below classes of which one is called as a negative one is (``normal``, ``benign``).
    """
    below: dict[str, set[str]] = defaultdict(set)
    for part in parts:
        below[part[depth]].add(part[depth + 1] if len(part) > depth + 2 else "")
    tops = sorted(below)
    _check_masks(folder, parts, depth, tops)
    inner = sorted(below[tops[0]])
    if len(inner) < 2 or "" in inner or any(sorted(found) != inner for found in below.values()):
        return
    shown = ", ".join(inner[:5])
    if all(split_named(name) for name in inner):
        raise DataError(
            f"each class folder of {folder} ({', '.join(tops[:5])}) holds a split ({shown})",
            hint="put the folders of the split above those of the classes, or give a manifest with a column split",
        )
    if _numbered(inner) and not _numbered(tops):
        return
    if len(tops) > 1 and (pair := _same_files(parts, depth, inner)):
        raise DataError(
            f"in every class folder of {folder}, {pair[0]!r} and {pair[1]!r} hold files of the same names",
            hint="if one holds masks, move it away or call it masks; if both hold cases, give a manifest (path, label)",
        )
    if any(map(names_negative, tops)) and not any(map(names_negative, inner)):
        return
    if len(tops) > 1:
        raise DataError(
            f"the folders {', '.join(tops[:5])} of {folder} all hold the same folders ({shown}): which are the classes "
            "cannot be told",
            hint="if the inner ones are, call the outer ones train, val and test, or give one of them alone; if the "
            "outer ones are, give a manifest (path, label)",
        )


def _check_masks(folder: Path, parts: Parts, depth: int, tops: Sequence[str]) -> None:
    """Refuse a class folder of masks beside one of their images."""
    stems = {top: {PurePath(part[-1]).stem for part in parts if part[depth] == top} for top in tops}
    for top in tops:
        for other in tops:
            if other != top and ONLY_MASKS.fullmatch(plain(top)) and _share(stems[top], stems[other]) >= MOSTLY:
                raise DataError(
                    f"{folder} has {top!r} beside {other!r} with files of the same names, where classes are expected",
                    hint="give a folder with a sub-folder per class, or a manifest (path, label)",
                )


def _numbered(names: Sequence[str]) -> bool:
    """Say whether names differ in their numbers only, as patients, visits and magnifications do."""
    return len({re.sub(r"\d+", "0", name) for name in names}) == 1


def _same_files(parts: Parts, depth: int, inner: Sequence[str]) -> tuple[str, str] | None:
    """Return two of the sub-folders whose files have the same names in each class, if there are such."""
    stems: dict[tuple[str, str], set[str]] = defaultdict(set)
    for part in parts:
        stems[part[depth], part[depth + 1]].add("/".join(part[:depth] + part[depth + 2 : -1]) + PurePath(part[-1]).stem)
    tops = {top for top, _ in stems}
    for one, other in combinations(inner, 2):
        both = [(stems[top, one], stems[top, other]) for top in tops]
        if all(len(a & b) >= MOSTLY * min(len(a), len(b)) for a, b in both):
            return one, other
    return None
