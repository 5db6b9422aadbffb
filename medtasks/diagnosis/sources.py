"""Reading data for a diagnosis: folders of images, manifests, ``.npz`` files, tables of records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Images, Records, Schema, Source
from medtasks.cases.columns import clean, cohorts_in, column, names_in, patient_notes
from medtasks.cases.image_files import FLOATING, WINDOWLESS, ImageError, Range
from medtasks.cases.image_places import find_images, manifest_paths
from medtasks.cases.images import (
    ImageFacts,
    check_image_array,
    inspect_files,
    load_npz,
)
from medtasks.cases.naming import names_of
from medtasks.cases.records import check_columns, fields_of, infer_fields, parse, with_names
from medtasks.cases.tables import is_table, read_table, row_errors, spare_cut, suggest_column, why_missing
from medtasks.dataset import Dataset, Origin
from medtasks.diagnosis.labels import encode
from medtasks.diagnosis.options import DiagnosisOptions
from medtasks.errors import DataError, UsageError
from medtasks.evaluation.splits import SPLIT_NAMES, read_split
from medtasks.model import Context

TARGETS = ("target", "label", "diagnosis")


def read(source: Source, options: DiagnosisOptions, context: Context, schema: Schema | None = None) -> Dataset:
    """Read cases and their classes from whatever ``source`` is, with a fitted model's fields if given."""
    if isinstance(source, pd.DataFrame):
        return read_table_of_cases(source, options, Path(), "the table", context, schema)
    path = Path(source).expanduser()
    if path.is_dir():
        return read_folder(path, options, context)
    if path.suffix.lower() == ".npz":
        return read_npz(path, options)
    if is_table(path):
        return read_table_of_cases(read_table(path), options, path.parent, str(path), context, schema)
    if not path.exists():
        raise DataError(f"no file or folder {str(path)!r}", hint="check the path")
    raise DataError(
        f"{path} is none of the formats that a diagnosis can be trained on",
        hint="give a folder with a sub-folder per class, a CSV, TSV or Parquet table, or an .npz",
    )


def read_folder(folder: Path, options: DiagnosisOptions, context: Context) -> Dataset:
    """Read a folder with a sub-folder per class, or train, val and test folders of such."""
    files = find_images(folder)
    parts = [file.relative_to(folder).parts for file in files]
    own_split = _has_own_split(folder, sorted({part[0] for part in parts if len(part) > 1}))
    depth = 1 if own_split else 0
    kept = [i for i, part in enumerate(parts) if len(part) > depth + 1]
    if not files:
        raise DataError(f"no images in {folder}", hint="give a folder of PNG, JPEG, TIFF, BMP or DICOM files")
    if not kept:
        raise DataError(
            f"the images in {folder} stand in no sub-folders",
            hint="put the images of each class in a sub-folder named after it, or give a manifest",
        )
    labels = np.array([parts[i][depth] for i in kept], dtype=object)
    split = np.array([SPLIT_NAMES[parts[i][0].lower()] for i in kept], dtype=object) if own_split else None
    ids = ["/".join(parts[i]) for i in kept]
    loose = len(files) - len(kept)
    notes = (f"{loose} images stand in no class folder and were left out.",) if loose else ()
    return _images(
        [files[i] for i in kept],
        ids,
        labels,
        _groups_from_paths(ids, options),
        split,
        Origin(str(folder), notes=notes),
        context,
        options.pixel_range,
    )


def read_npz(path: Path, options: DiagnosisOptions) -> Dataset:
    """Read an ``.npz`` with MedMNIST's keys (``train_images``, ``train_labels`` ...) or ``images``, ``labels``."""
    arrays = load_npz(path)
    keys = [("train", "train"), ("val", "valid"), ("test", "test")]
    found = [(key, name) for key, name in keys if f"{key}_images" in arrays]
    own_split = bool(found)
    if not found and "images" in arrays:
        arrays = {f"all_{key}": value for key, value in arrays.items()}
        found = [("all", "all")]
    if not found:
        raise DataError(
            f"{path} has no arrays 'train_images' and so on",
            hint=f"it has: {', '.join(arrays) or 'nothing'}; MedMNIST's keys are expected",
        )
    images, labels, ids, split = [], [], [], []
    for key, name in found:
        images.append(check_image_array(arrays[f"{key}_images"], f"{path}: {key}_images"))
        labels.append(_npz_labels(arrays, key, len(images[-1]), path))
        ids += [f"{key}-{i}" for i in range(len(images[-1]))]
        split += [name] * len(images[-1])
    if len({part.shape[1:] for part in images}) > 1:
        raise DataError(f"the parts of {path} hold images of different sizes", hint="store one size per file")
    whole = np.concatenate(labels)
    rows = np.flatnonzero([label is not None for label in whole])
    codes, classes = encode(whole[rows], str(path))
    cases = Images(ids, np.concatenate(images), within=options.pixel_range).take(rows)
    return Dataset(
        cases,
        codes,
        classes=classes,
        split=np.array(split, dtype=object)[rows] if own_split else None,
        origin=Origin(
            str(path),
            invalid=tuple(
                (name, "the image has no label") for name, label in zip(ids, whole, strict=True) if label is None
            ),
            notes=tuple(scaling_notes([fact.bits for fact in cases.facts()], options.pixel_range)),
        ),
    )


def read_table_of_cases(
    table: pd.DataFrame,
    options: DiagnosisOptions,
    root: Path,
    where: str,
    context: Context,
    schema: Schema | None = None,
) -> Dataset:
    """Read a table: a manifest of images if it has their paths, else records."""
    table = with_names(table, where).reset_index(drop=True)
    if table.empty:
        raise DataError(f"{where} has no rows", hint="give a table with a row per case")
    target = column(table, options.target, TARGETS, where)
    if target is None:
        raise UsageError(
            f"{where} has no column 'target', 'label' or 'diagnosis'",
            hint="name the column that holds the class with --target; " + suggest_column("target", table),
        )
    group = column(table, options.group, ("patient_id",), where)
    split = column(table, options.split, ("split",), where)
    name = column(table, options.id, ("id",), where)
    for ignored in options.ignore:
        column(table, ignored, (), where)
    if options.path != DiagnosisOptions().path:  # the user named it, so it must be there
        column(table, options.path, (), where)
    if options.path in table.columns and options.path not in (target, group):
        return _manifest(table, options, root, where, context, (target, group, split, name))
    return _records(table, options, where, (target, group, split, name), schema)


_Columns = tuple[str, str | None, str | None, str | None]


def _manifest(
    table: pd.DataFrame,
    options: DiagnosisOptions,
    root: Path,
    where: str,
    context: Context,
    columns: _Columns,
) -> Dataset:
    target, group, split, name = columns
    paths = manifest_paths(table, root, where, options.path)
    ids = names_of(table, name or options.path)
    labels = clean(table[target])
    keep, invalid = [], []
    reasons = zip(row_errors(table), paths, why_missing(table[target], "label"), strict=True)
    for i, (error, path, lacking) in enumerate(reasons):
        if reason := error or ("the row has no path" if path is None else lacking):
            invalid.append((f"row {i + 1}", reason))
        else:
            keep.append(i)
    rows = np.array(keep, dtype=np.int64)
    whole = spare_cut(table, {group: "cut", split: "train"})
    groups = names_in(whole, group, where)
    splits = read_split(whole[split], where) if split else None
    cohorts = cohorts_in(table, options.within, where)[rows] if options.within else None
    asked = () if groups is not None or options.group_pattern else (target, options.path, split, *options.ignore)
    notes = patient_notes(table, [*filter(None, asked)]) if asked else []
    return _images(
        [paths[i] for i in keep],
        [ids[i] for i in keep],
        labels[rows],
        groups[rows] if groups is not None else _groups_from_paths([ids[i] for i in keep], options),
        splits[rows] if splits is not None else None,
        Origin(where, invalid=tuple(invalid), notes=tuple(f"{note}." for note in notes)),
        context,
        options.pixel_range,
        cohorts,
    )


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
    notes = (*origin.notes, *scaling_notes([fact.bits for fact in facts], within))
    origin = Origin(origin.source, invalid=tuple(invalid), notes=notes)
    if not keep:
        raise DataError(
            f"no image of {origin.source} can be read (the first: {invalid[0][0]}: {invalid[0][1]})",
            hint="give PNG, JPEG, TIFF, BMP or DICOM files",
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


def _records(
    table: pd.DataFrame, options: DiagnosisOptions, where: str, columns: _Columns, schema: Schema | None
) -> Dataset:
    target, group, split, name = columns
    labels = clean(table[target])
    notes: list[str] = []
    if schema is None:
        fields, notes = infer_fields(table, {*filter(None, columns), *options.ignore})
    else:
        fields = fields_of(schema)
        check_columns(table, fields, where)
    if not fields:
        raise DataError(
            f"{where} has no column that a model can use beside the target",
            hint="; ".join(notes[:3]) or "give symptoms, signs or laboratory values",
        )
    frame, errors = parse(table, fields)
    ids = names_of(table, name)
    reasons = [
        cut or lacking or error
        for cut, lacking, error in zip(row_errors(table), why_missing(table[target], "label"), errors, strict=True)
    ]
    rows = np.array([i for i, reason in enumerate(reasons) if reason is None], dtype=np.int64)
    invalid = tuple((f"row {i + 1}", reason) for i, reason in enumerate(reasons) if reason)
    if not len(rows):
        raise DataError(f"{where} has no usable row (the first: {invalid[0][1]})", hint="mend the table")
    codes, classes = encode(labels[rows], where)
    whole = spare_cut(table, {group: "cut", split: "train"})
    groups = names_in(whole, group, where)
    if groups is None and schema is None:
        notes += patient_notes(table, {target, *filter(None, [split]), *options.ignore})
    splits = read_split(whole[split], where) if split else None
    return Dataset(
        Records([ids[i] for i in rows], frame.iloc[rows], fields),
        codes,
        names=(target,),
        classes=classes,
        groups=None if groups is None else groups[rows],
        split=None if splits is None else splits[rows],
        origin=Origin(where, invalid=invalid, notes=tuple(note + "." for note in notes)),
    )


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


def _npz_labels(arrays: dict[str, npt.NDArray[Any]], key: str, n: int, path: Path) -> npt.NDArray[Any]:
    labels = arrays.get(f"{key}_labels")
    if labels is None or labels.ndim == 0 or len(labels) != n:
        raise DataError(
            f"{path}: {key}_labels is missing or differs in length from {key}_images",
            hint="store one label per image",
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(
            f"{path}: {key}_labels has the shape {labels.shape}: several labels per image",
            hint="a diagnosis is one of several classes; give one label per image",
        )
    return clean(pd.Series(labels))


def _has_own_split(folder: Path, names: Sequence[str]) -> bool:
    """Say whether the sub-folders that hold images are train, val and test; a mixture is refused."""
    others = [name for name in names if name.lower() not in SPLIT_NAMES]
    if others and len(others) < len(names):
        mine = next(name for name in names if name not in others)
        raise DataError(
            f"{folder} has folders of a split ({mine!r}) beside others ({others[0]!r})",
            hint="keep train, val and test with a folder per class in each, or folders of classes only",
        )
    return bool(names) and not others
