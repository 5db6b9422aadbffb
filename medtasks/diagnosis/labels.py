"""Reading what a data set says about each case: class, patient, id, split."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Images, Records
from medtasks.cases.columns import alike_notes, natural
from medtasks.cases.image_headers import owners
from medtasks.cases.tables import is_table
from medtasks.dataset import Dataset
from medtasks.diagnosis.options import DiagnosisOptions
from medtasks.errors import DataError, UsageError, suggest
from medtasks.words import joined, plain, plural

MAX_CLASSES = 100
"""More different values than this are a measurement, not a diagnosis."""
LOST = "No case of the class"
"""How the note begins that a class is lost with its rows."""
SHOWN = 8
"""So many classes a hint lists at most."""
NEGATIVE = (
    r"non[- ].+",
    r"benign\b.*|gutartig\b.*",
    r"(normal|healthy|negative|unremarkable|controls?|absent)\b.+",
    r"(no|not|without|free of|absence of|kein|keine|keinen|ohne|nicht)\b.+",
    r"normal|healthy|well|negative|controls?|no|none|absent|unremarkable|unaffected|uninfected|0|-|false|"
    r"survived|survivors?|alive|gesund|negativ|nein|unauffällig|kontrolle|überlebt",
)
"""How the negative one of two classes is called (lower case, ``_`` as a blank), the plainer the further down.

Of "no tumour" and "benign tumour", "normal" and "benign", "healthy" and "not healthy" the plainer one is negative;
where neither name or both say so alike, the first in order is."""


def encode(labels: npt.NDArray[Any], where: str) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Turn labels (text, none missing) into class codes; of two classes the positive one is 1.

    Raises
    ------
    DataError
        If there is none, or so many that they are measurements.
    """
    classes, codes = np.unique(labels.astype(str), return_inverse=True)
    if len(classes) == 0:
        raise DataError(f"{where} has no usable labelled case", hint="see the reasons given for its rows")
    if len(classes) > MAX_CLASSES:
        raise DataError(
            f"the target of {where} has {len(classes)} different values",
            hint="a diagnosis has classes: name another --target, or cut the values into ranges",
        )
    names = sorted(classes.tolist(), key=natural)
    if len(names) == 2 and _negative(names[1], names[0]) > _negative(names[0], names[1]):
        names.reverse()
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[name] for name in classes], dtype=np.int64)[codes], tuple(names)


def _negative(name: str, other: str) -> int:
    """Return how plainly a name says that it is the negative class beside the other one; 0 where it does not."""
    words = plain(name)
    if words == "non" + plain(other):  # as in nonsmoker
        return 1
    return max((i for i, names in enumerate(NEGATIVE, start=1) if re.fullmatch(names, words)), default=0)


def names_negative(name: str) -> bool:
    """Say whether a name is one of a negative class.

    >>> names_negative("No_Finding"), names_negative("fold1")
    (True, False)
    """
    return _negative(name, "") > 0


def relabel(dataset: Dataset, options: DiagnosisOptions) -> Dataset:
    """Apply the options ``classes`` (names) and ``positive`` (two classes made of several).

    Raises
    ------
    UsageError
        If a class does not exist, or the number of names differs from the number of classes.
    """
    if options.classes:
        if len(options.classes) != len(dataset.classes):
            raise UsageError(
                f"{len(options.classes)} names are given for {len(dataset.classes)} classes",
                hint=f"the classes are {', '.join(dataset.classes)}, in this order",
            )
        if len(set(options.classes)) < len(options.classes):
            raise UsageError("two classes are given one name", hint="join classes with --positive instead")
        dataset = replace(dataset, classes=options.classes)
    if not options.positive:
        return dataset
    positive = _whole(options.positive, dataset.classes)
    for name in positive:
        if name not in dataset.classes:
            raise UsageError(f"no class is called {name!r}", hint=suggest(name, dataset.classes))
    others = [name for name in dataset.classes if name not in positive]
    if not others:
        raise UsageError("every class is named as positive", hint="leave at least one class out of --positive")
    codes = np.isin(dataset.targets, [dataset.classes.index(name) for name in positive])
    return replace(dataset, targets=codes.astype(np.int64), classes=("/".join(others), "/".join(positive)))


def _whole(parts: tuple[str, ...], classes: tuple[str, ...]) -> tuple[str, ...]:
    """Put together again the names of classes that hold commas, which were read as several names."""
    if set(parts) <= set(classes):
        return parts
    names = {tuple(part.strip() for part in name.split(",") if part.strip()): name for name in classes}
    found, start = [], 0
    while start < len(parts):
        ends = [end for end in range(len(parts), start, -1) if parts[start:end] in names]
        end = ends[0] if ends else start + 1
        found.append(names[parts[start:end]] if ends else parts[start])
        start = end
    return tuple(found)


def check_known(classes: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Refuse classes of new data that a model does not know, and say how ``--classes`` names them as it does.

    Raises
    ------
    DataError
        Naming one of them.
    """
    unknown = sorted(set(classes) - set(known))
    if not unknown:
        return
    meant = _meant(classes, known)
    if meant:
        each = " and ".join(f"{name!r} is {other!r}" for name, other in zip(classes, meant, strict=True))
        hint = f"if {each}, say so with --classes {shlex.quote(joined(meant, ','))}"
    else:
        ours, theirs = (", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "") for names in (classes, known))
        hint = f"--classes names the data's classes ({ours}, in this order) as the model's are called ({theirs})"
    raise DataError(f"the model knows no class {unknown[0]!r}", hint=hint)


def _meant(classes: tuple[str, ...], known: tuple[str, ...]) -> list[str]:
    """Return which known class each may be: the one written alike, else that in the same place; none if unclear."""
    alike = {plain(name): name for name in known}
    found = [alike.get(plain(name), "") for name in classes]
    if not all(found) and len(classes) == len(known):
        found = [mine or other for mine, other in zip(found, known, strict=True)]
    return found if all(found) and len(set(found)) == len(found) <= SHOWN else []


def lost_notes(labels: npt.NDArray[Any], kept: npt.NDArray[np.int64], reasons: Sequence[str | None]) -> list[str]:
    """Say which classes no usable row has, and why; ``kept`` are the rows that are used, ``reasons`` are each row's."""
    gone = sorted({str(label) for label in labels if label is not None} - set(labels[kept].astype(str)), key=natural)
    found = []
    for name in gone[:SHOWN]:
        why = Counter(reason for label, reason in zip(labels, reasons, strict=True) if label == name and reason)
        found.append(
            f"{LOST} {name!r} can be used: {plural(why.total(), 'row')}, most often since {why.most_common(1)[0][0]}"
        )
    return found


def with_notes(dataset: Dataset) -> Dataset:
    """Note which classes may be one, written differently."""
    notes = tuple(f"{note}." for note in alike_notes(dataset.classes, "classes"))
    return replace(dataset, origin=replace(dataset.origin, notes=(*dataset.origin.notes, *notes))) if notes else dataset


_PATIENT = re.compile(r"(?<![a-z])(patient|person|participant|subject|subj|sub|pat|pt)([-_ ]?)([0-9]+)", re.IGNORECASE)
"""How paths of images name patients: ``patient00001/study1/view1.jpg``, ``person12_virus_3.jpeg``, ``sub-01``."""


def _named_patients(names: Sequence[str]) -> list[str]:
    """Ask of images whether their paths name patients, where several are of one."""
    found = [match for match in map(_PATIENT.search, names) if match]
    kinds = Counter((match[1].lower(), match[3]) for match in found)
    if len(kinds) < 2 or len(kinds) == len(found):
        return []
    word, mark, _ = found[0].groups()
    told = f"{len(found)} of {plural(len(names), 'path')} hold {word!r} and a number, {len(kinds)} different ones"
    if len({(match[1], match[2]) for match in found}) == 1 and len(found) == len(names):
        mend = f"--group-pattern '{word}{mark}([0-9]+)' keeps the images of one on the same side of a split"
    else:
        mend = "a manifest with a column patient_id keeps the images of one on the same side of a split"
    return [f"{told}: if they name the patient, {mend}."]


NO_GROUP = "none"
"""What ``--group`` says where images are not to be told apart by patient."""


def with_patients(dataset: Dataset, options: DiagnosisOptions) -> Dataset:
    """Group images by the patients that the headers of DICOM files name, where nothing else tells them.

    Patients are numbered: no identifier of a header is kept.
    """
    if dataset.groups is not None or options.group or options.group_pattern or not isinstance(dataset.cases, Images):
        return dataset
    found = owners(dataset.cases)
    if found is None:
        notes = (*dataset.origin.notes, *_named_patients(dataset.cases.ids.tolist()))
        return replace(dataset, origin=replace(dataset.origin, notes=notes))
    groups = dataset.groups
    files = plural(found.files, "DICOM file")
    if found.tag == "PatientID":
        note = (
            f"{files} of {plural(found.count, 'patient')}, by the PatientID in the headers: no patient stands on two "
            "sides of a split (--group none splits by image)."
        )
    elif found.tag:
        note = (
            f"In {files} the PatientID is blank or always the same: those of one {found.tag} ({found.count} different "
            "ones) stand on one side of a split, yet a patient may have several; --group-pattern names the patients "
            "by their paths, --group by a column of a manifest."
        )
    else:
        note = (
            f"The headers of {files} do not tell patients apart: the split is by image; --group-pattern names the "
            "patients by their paths, --group by a column of a manifest."
        )
    if found.tag:
        groups = np.array([f"patient {number + 1}" for number in found.numbers], dtype=object)
    return replace(dataset, groups=groups, origin=replace(dataset.origin, notes=(*dataset.origin.notes, note)))


def check_options(options: DiagnosisOptions, source: object, dataset: Dataset) -> None:
    """Refuse options that would have no effect on these data.

    Raises
    ------
    UsageError
        Naming the option.
    """
    table = isinstance(source, pd.DataFrame) or (isinstance(source, (str, Path)) and is_table(Path(source)))
    columns = [name for name in ("target", "group", "id", "split", "ignore") if getattr(options, name)]
    if columns and not table and not (columns == ["group"] and options.group == NO_GROUP):
        raise UsageError(
            f"--{columns[0]} names a column, and {dataset.origin.source} is no table",
            hint="for images in folders, --group-pattern reads the patient off the paths"
            if columns[0] == "group"
            else "leave it out, or give a table",
        )
    if options.group_pattern is not None and (dataset.cases.kind != "images" or options.group):
        raise UsageError("--group-pattern is for the paths of images", hint="name the patients' column with --group")
    if options.within is not None:
        known = [field.name for field in dataset.cases.fields] if isinstance(dataset.cases, Records) else []
        if options.within not in known and dataset.cases.cohorts is None:
            raise UsageError(f"--within: no field is called {options.within!r}", hint=suggest(options.within, known))
    if options.pixel_range is not None and not _deep(dataset):
        raise UsageError(
            "--pixel-range is for images of 16 or 32 bits in PNG, TIFF or .npz and DICOM without a window, and there "
            "is none",
            hint="leave it out: 8 bits and a window of DICOM say by themselves what is black and white",
        )
    if len(dataset.classes) > 2 and options.threshold != DiagnosisOptions().threshold:
        raise UsageError(
            f"--threshold is for two classes, and these are {len(dataset.classes)}",
            hint="join classes with --positive, or leave it out: the most probable class is taken",
        )


def _deep(dataset: Dataset) -> bool:
    return isinstance(dataset.cases, Images) and any(fact.bits for fact in dataset.cases.facts())


def check_classes(dataset: Dataset) -> None:
    """Refuse data of which some class cannot stand in train, validation and test.

    Raises
    ------
    DataError
        If there is one class only, naming the class and its number of cases or patients, or if the data's
        own split trains without a class.
    """
    if len(dataset.classes) == 1:
        raise DataError(
            f"{dataset.origin.source} has one class only ({dataset.classes[0]!r})",
            hint=" ".join(note for note in dataset.origin.notes if note.startswith(LOST))
            or "a diagnosis needs cases of at least two classes" + _deeper(dataset),
        )
    unit = "cases" if dataset.groups is None else "patients"
    units = dataset.cases.ids if dataset.groups is None else dataset.groups
    for code, name in enumerate(dataset.classes):
        mine = dataset.targets == code
        count = int(mine.sum()) if dataset.groups is None else len(set(units[mine].tolist()))
        if count < 3:
            raise DataError(
                f"class {name!r} has {count} {unit[:-1] if count == 1 else unit}: "
                "at least 3 are needed to train, validate and test",
                hint="add cases, join classes with --positive, or leave the class out",
            )
        if dataset.split is not None and not (mine & (dataset.split == "train")).any():
            raise DataError(
                f"class {name!r} has no case in the training part of the data's own split",
                hint="mend the split, or leave it out and let medtasks split",
            )


def _deeper(dataset: Dataset) -> str:
    """Say that the one folder may hold those of the classes, where it has several."""
    if not Path(dataset.origin.source).is_dir():
        return ""
    parts = [str(name).split("/") for name in dataset.cases.ids]
    below = {part[1] for part in parts if len(part) > 2 and part[0] == dataset.classes[0]}
    return f"; if the folders in {dataset.classes[0]!r} are the classes, name that folder" if len(below) > 1 else ""
