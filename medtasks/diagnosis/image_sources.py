"""Reading images for a diagnosis, from a folder or from a manifest that names the files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Images
from medtasks.cases.columns import clean, cohorts_in, names_in, patient_notes
from medtasks.cases.image_files import FLOATING, WINDOWLESS, ImageError, Range
from medtasks.cases.image_places import Places, find_images, manifest_paths
from medtasks.cases.images import ImageFacts, inspect_files
from medtasks.cases.naming import names_of
from medtasks.cases.tables import row_errors, spare_cut, why_missing
from medtasks.dataset import Dataset, Origin
from medtasks.diagnosis.labels import encode, lost_notes
from medtasks.diagnosis.layouts import lay_out
from medtasks.diagnosis.options import DiagnosisOptions
from medtasks.errors import DataError, UsageError
from medtasks.evaluation.splits import read_split
from medtasks.model import Context

Columns = tuple[str, str | None, str | None, str | None]
"""The columns of a table that hold the target, the group, the split and the id."""


def read_folder(folder: Path, options: DiagnosisOptions, context: Context) -> Dataset:
    """Read a folder with a sub-folder per class, or train, val and test folders of such; see `lay_out`."""
    files = find_images(folder)
    if not files:
        raise DataError(f"no images in {folder}", hint="give a folder of PNG, JPEG, TIFF, BMP or DICOM files")
    parts = [file.relative_to(folder).parts for file in files]
    layout = lay_out(folder, parts)
    ids = ["/".join(parts[i]) for i in layout.rows]
    return _images(
        [files[i] for i in layout.rows],
        ids,
        layout.labels,
        _groups_from_paths(ids, options),
        layout.split,
        Origin(str(folder), notes=layout.notes),
        context,
        options.pixel_range,
    )


def read_manifest(
    table: pd.DataFrame,
    options: DiagnosisOptions,
    root: Path,
    where: str,
    context: Context,
    columns: Columns,
) -> Dataset:
    """Read a table that holds the paths of images; ``columns`` are those of target, group, split and id."""
    target, group, split, name = columns
    places = Places(root)
    paths = manifest_paths(table, places, where, options.path)
    ids = names_of(table, name or options.path)
    labels = clean(table[target])
    whole = spare_cut(table, {group: "cut", split: "train"})
    groups = names_in(whole, group, where)
    splits = read_split(whole[split], where) if split else None
    cohorts = cohorts_in(table, options.within, where) if options.within else None
    lacking = zip(row_errors(table), paths, why_missing(table[target], "label"), strict=True)
    reasons = [
        error or ("the row has no path" if path is None else missing or (path if isinstance(path, str) else None))
        for error, path, missing in lacking
    ]
    found = [(i, path) for i, path in enumerate(paths) if reasons[i] is None and isinstance(path, Path)]
    told = [array for array in (groups, splits, cohorts) if array is not None]
    copies, contradicting = _repeats(found, ids, labels, told)
    for i in contradicting:
        reasons[i] = "the image stands in several rows with different labels"
    rows = np.array([i for i, _ in found if i not in copies | contradicting], dtype=np.int64)
    asked = () if groups is not None or options.group_pattern else (target, options.path, split, *options.ignore)
    notes = [f"{note}." for note in patient_notes(table, [*filter(None, asked)])] if asked else []
    notes += [note] if (note := places.note()) else []
    if copies:
        notes.append(f"Rows that repeat an image with its label are one case: {len(copies)} were joined to the first.")
    return _images(
        [paths[i] for i in rows],
        [ids[i] for i in rows],
        labels[rows],
        groups[rows] if groups is not None else _groups_from_paths([ids[i] for i in rows], options),
        splits[rows] if splits is not None else None,
        Origin(
            where,
            invalid=tuple((f"row {i + 1}", reason) for i, reason in enumerate(reasons) if reason),
            notes=tuple(notes),
        ),
        context,
        options.pixel_range,
        cohorts[rows] if cohorts is not None else None,
    )


def _repeats(
    found: Sequence[tuple[int, Path]], ids: Sequence[str], labels: npt.NDArray[Any], told: Sequence[npt.NDArray[Any]]
) -> tuple[set[int], set[int]]:
    """Return the rows that say the same of an image as one before (of each lesion a row), and those that contradict.

    Rows with ids of their own are cases of their own: the audit tells of equal images.
    """
    rows_of: dict[tuple[str, str], list[int]] = {}
    for i, path in found:
        rows_of.setdefault((str(path), ids[i]), []).append(i)
    copies: set[int] = set()
    contradicting: set[int] = set()
    for rows in rows_of.values():
        if len({labels[i] for i in rows}) > 1:
            contradicting |= set(rows)
            continue
        first = {tuple(values[i] for values in told): i for i in reversed(rows)}
        copies |= set(rows) - set(first.values())
    return copies, contradicting


def _images(
    paths: Sequence[Any],
    ids: list[str],
    labels: npt.NDArray[Any],
    groups: npt.NDArray[Any] | None,
    split: npt.NDArray[Any] | None,
    origin: Origin,
    context: Context,
    within: Range | None,
    cohorts: npt.NDArray[Any] | None = None,
) -> Dataset:
    """Look at every file once; those that cannot be decoded are listed in the origin, with the reason."""
    facts: list[ImageFacts] = []
    keep, invalid = [], list(origin.invalid)
    looks = context.progress.track(inspect_files(paths, within), "reading images", len(paths))
    for i, found in enumerate(looks):
        if isinstance(found, ImageError):
            invalid.append((ids[i], str(found)))
        else:
            keep.append(i)
            facts.append(found)
    rows = np.array(keep, dtype=np.int64)
    why = dict(invalid)
    lost = [f"{note}." for note in lost_notes(labels, rows, [why.get(name) for name in ids])]
    notes = (*origin.notes, *scaling_notes([fact.bits for fact in facts], within), *lost)
    origin = Origin(origin.source, invalid=tuple(invalid), notes=notes)
    if not keep:
        raise DataError(
            f"no image of {origin.source} can be read: {_commonest(invalid)}",
            hint="paths count from the folder of the table, and --path names their column; a suffix or a folder may be "
            "left out only where one file fits"
            if any(reason.startswith("no such file") for _, reason in invalid)
            else "give PNG, JPEG, TIFF, BMP or DICOM files, each with a label",
        )
    codes, classes = encode(labels[rows], origin.source)
    cohorts = None if cohorts is None else cohorts[rows]
    images = Images([ids[i] for i in keep], [paths[i] for i in keep], facts, within, cohorts)
    return Dataset(
        images,
        codes,
        classes=classes,
        groups=None if groups is None else groups[rows],
        split=None if split is None else split[rows],
        origin=origin,
    )


def _commonest(invalid: Sequence[tuple[str, str]]) -> str:
    """Tell the commonest reasons, how often each holds, and where first."""
    first: dict[str, str] = {}
    for name, reason in invalid:
        first.setdefault(reason, name)
    counts = Counter(reason for _, reason in invalid).most_common(3)
    return "; ".join(f"{reason} ({count} of {len(invalid)}, the first: {first[reason]})" for reason, count in counts)


def scaling_notes(bits: Sequence[int], within: Range | None) -> list[str]:
    """Say how images of more than 8 bits were scaled, which a file does not say by itself."""
    deep, floating = [n for n in bits if 0 < n < FLOATING], sum(n == FLOATING for n in bits)
    windowless = sum(n == WINDOWLESS for n in bits)
    if within is not None:
        but = ", but for DICOM with a window of its own" if windowless else ""
        return [f"Images of more than 8 bits are scaled from {within[0]:g} (black) to {within[1]:g} (white){but}."]
    notes = []
    if deep and max(deep) < 16:
        top = 2 ** max(deep) - 1
        notes.append(
            f"The {len(deep)} images of 16 bits use no value above {top}, yet are scaled by the range of their type, "
            f"which makes them dark; --pixel-range 0,{top} scales all by what they use."
        )
    if floating:
        notes.append(
            f"{floating} images of 32 bits hold values outside [0, 1] and are each stretched between their own "
            "extremes; --pixel-range LOW,HIGH scales all alike, so that a value means the same in each."
        )
    if windowless:
        notes.append(
            f"{windowless} DICOM files have no window and are scaled by the whole range that their bits can hold, "
            "which can leave little contrast; --pixel-range LOW,HIGH says what is black and white in them (after the "
            "rescale, in CT Hounsfield units)."
        )
    return notes


def _groups_from_paths(ids: Sequence[str], options: DiagnosisOptions) -> npt.NDArray[Any] | None:
    if options.group_pattern is None:
        return None
    try:
        pattern = re.compile(options.group_pattern)
    except re.error as error:
        raise UsageError(f"--group-pattern is no regular expression: {error}", hint="as in 'person([0-9]+)'") from None
    if pattern.groups < 1:
        raise UsageError("--group-pattern has no group in brackets", hint="as in 'person([0-9]+)'")
    found = [pattern.search(name) for name in ids]
    lacking = sum(match is None for match in found)
    if lacking:
        raise DataError(
            f"--group-pattern does not match {lacking} of {len(ids)} paths",
            hint="write it so that it matches every path",
        )
    return np.array([match.group(1) for match in found if match], dtype=object)
