"""Reading data for a diagnosis: folders of images, manifests, ``.npz`` files, tables of records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Images, Records, Schema, Source
from medtasks.cases.columns import apart_notes, clean, column, names_in, patient_notes
from medtasks.cases.images import check_image_array, load_npz
from medtasks.cases.naming import names_of
from medtasks.cases.records import check_columns, fields_of, infer_fields, parse, with_names
from medtasks.cases.tables import is_table, read_table, row_errors, spare_cut, suggest_column, why_missing
from medtasks.dataset import Dataset, Origin
from medtasks.diagnosis.image_sources import Columns, read_folder, read_manifest, scaling_notes
from medtasks.diagnosis.labels import NO_GROUP, encode, lost_notes
from medtasks.diagnosis.options import DiagnosisOptions
from medtasks.errors import DataError, UsageError
from medtasks.evaluation.splits import read_split
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
    images = options.path in table.columns and options.path != target
    if images and options.group == NO_GROUP and NO_GROUP not in table.columns:
        group = None
    else:
        group = column(table, options.group, ("patient_id",), where)
    split = column(table, options.split, ("split",), where)
    name = column(table, options.id, ("id",), where)
    for ignored in options.ignore:
        column(table, ignored, (), where)
    if options.path != DiagnosisOptions().path:  # the user named it, so it must be there
        column(table, options.path, (), where)
    if images and options.path != group:
        return read_manifest(table, options, root, where, context, (target, group, split, name))
    return _records(table, options, where, (target, group, split, name), schema)


def _records(
    table: pd.DataFrame, options: DiagnosisOptions, where: str, columns: Columns, schema: Schema | None
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
    apart = apart_notes(frame, np.array([label is not None for label in labels]), "a label")
    if not len(rows):
        hint = apart[0] if apart else "mend the table"
        raise DataError(f"{where} has no usable row (the first: {invalid[0][1]})", hint=hint)
    notes += [*apart, *lost_notes(labels, rows, reasons)]
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
