"""What a folder of images says by its sub-folders: classes, a split, masks that are no cases."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
SHOWN = 5
"""Folders up to which an error names them."""
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
    names: dict[tuple[str, ...], list[str]] = defaultdict(list)  # of the folders below this one
    for here in folders:
        names[here[:-1]].append(here[-1])
    inner = [here for here in folders if len(here) > depth + 1 and is_mask_folder(here[-1])]
    for here, rows in folders.items():
        stems = {PurePath(parts[i][-1]).stem for i in rows}
        found |= {i for i in rows if _unmasked(PurePath(parts[i][-1]).stem) in stems}
        beside[here] |= stems
        if not is_mask_folder(here[-1]):
            beside[here[:-1]] |= stems
    for here in inner:
        if _denied(here[-1], names[here[:-1]]):
            continue
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
    """Refuse class folders that hold folders of the same names, which may be the classes, a split or masks instead.

    A class may lack in one of them. What stands below a class without saying anything (numbered patients or visits) is
    left alone, and so is what stands below classes of which one is called as a negative one is (``normal``,
    ``benign``), or of which one holds its images directly.
    """
    below: dict[str, set[str]] = defaultdict(set)
    for part in parts:
        below[part[depth]].add(part[depth + 1] if len(part) > depth + 2 else "")
    tops = sorted(below)
    _check_masks(folder, parts, depth, tops)
    for top in tops:
        if len(names := sorted(below[top] - {""})) > 1 and all(map(split_named, names)):
            raise DataError(
                f"the class folder {top!r} of {folder} holds a split ({', '.join(names[:SHOWN])})",
                hint="put the folders of the split above those of the classes, or give a manifest with a column split",
            )
    inner = _recurring(below)
    if not inner or (_numbered(inner) and not _numbered(tops)):
        return
    if pair := _same_files(parts, depth, inner):
        raise DataError(
            f"in the class folders of {folder}, {pair[0]!r} and {pair[1]!r} hold files of the same names",
            hint="if one holds masks, move it away or call it masks; if they are the classes, call the outer folders "
            "train, val and test; else give a manifest (path, label)",
        )
    if any(map(names_negative, tops)) and not any(map(names_negative, inner)):
        return
    raise DataError(
        f"in {folder}, {_shown(tops)} hold folders of the same names ({_shown(inner)}): which are the classes "
        "cannot be told",
        hint="if the inner ones are, call the outer ones train, val and test, give one of them alone, or give a "
        "manifest (path, label, and patient_id if the outer ones are patients); if the outer ones are, give a manifest "
        "(path, label)",
    )


def _recurring(below: Mapping[str, set[str]]) -> list[str]:
    """Return the names of folders that stand in several of the class folders, where they may be the classes.

    None where they hardly can: one alone, those of a few patients among many who have several classes, or where a
    class holds its images directly.
    """
    found = Counter(name for names in below.values() for name in names)
    shared = sorted(name for name, count in found.items() if count > 1)
    if "" in found or len(found) < 2 or not shared:
        return []
    if _numbered([*below]) and len(found) < len(below) and not _numbered([*found]):
        return sorted(found)  # patients of whom a single one has the rarer class
    words = [name for name in shared if not re.search(r"\d", name)]
    return shared if len(shared) > 1 and (len(words) > 1 or len(shared) >= MOSTLY * len(found)) else []


def _shown(names: Sequence[str]) -> str:
    """Name a few folders; many or numbered ones are counted, for they may be patients."""
    return plural(len(names), "folder") if len(names) > SHOWN or _numbered(names) else ", ".join(names)


def _check_masks(folder: Path, parts: Parts, depth: int, tops: Sequence[str]) -> None:
    """Refuse a class folder of masks beside one of their images."""
    stems = {top: {PurePath(part[-1]).stem for part in parts if part[depth] == top} for top in tops}
    for top in tops:
        if not ONLY_MASKS.fullmatch(plain(top)) or _denied(top, tops):
            continue
        for other in tops:
            if other != top and _share(stems[top], stems[other]) >= MOSTLY:
                raise DataError(
                    f"{folder} has {top!r} beside {other!r} with files of the same names, where classes are expected",
                    hint="give a folder with a sub-folder per class, or a manifest (path, label)",
                )


def _denied(name: str, others: Iterable[str]) -> bool:
    """Say whether another folder is called as what this one is not (``no_mask`` beside ``mask``): both are classes."""
    one = plain(name.replace("-", " ")).removeprefix("with ").removesuffix("s")
    not_one = re.compile(rf"(no|not|non|un|without) ?{re.escape(one)}(s|ed)?")
    return any(not_one.fullmatch(plain(other.replace("-", " "))) for other in others)


def _numbered(names: Sequence[str]) -> bool:
    """Say whether names differ in their numbers only, as patients, visits and magnifications do."""
    return len({re.sub(r"\d+", "0", name) for name in names}) == 1


def _same_files(parts: Parts, depth: int, inner: Sequence[str]) -> tuple[str, str] | None:
    """Return two of the sub-folders whose files have the same names in each class that has both, if there are such."""
    stems: dict[tuple[str, str], set[str]] = defaultdict(set)
    for part in parts:
        stems[part[depth], part[depth + 1]].add("/".join(part[:depth] + part[depth + 2 : -1]) + PurePath(part[-1]).stem)
    tops = {top for top, _ in stems}
    for one, other in combinations(inner, 2):
        if _denied(one, [other]) or _denied(other, [one]):
            continue
        both = [(stems[top, one], stems[top, other]) for top in tops if {(top, one), (top, other)} <= stems.keys()]
        if both and all(len(a & b) >= MOSTLY * min(len(a), len(b)) for a, b in both):
            return one, other
    return None
