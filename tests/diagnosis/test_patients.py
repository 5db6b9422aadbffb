"""A patient is never on two sides of a split: with DICOM, the headers say who it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtasks.dataset import Dataset
from medtasks.diagnosis.task import Diagnosis
from medtasks.evaluation.splits import Plan
from medtasks.model import Context

TASK = Diagnosis()
SECRET = "Zacharias"


@pytest.fixture
def scans(tmp_path: Path, make_dicom: Any) -> Path:
    """30 patients of two classes, three slices of each in a folder of their class."""
    rng = np.random.default_rng(0)
    for i in range(90):
        folder = tmp_path / "scans" / ("ill" if i // 3 % 2 else "normal")
        folder.mkdir(parents=True, exist_ok=True)
        make_dicom(folder / f"{i}.dcm", rng.integers(0, 255, (6, 6), dtype=np.uint8), PatientID=f"{SECRET}{i // 3}")
    return tmp_path / "scans"


def taken(source: Any, **given: Any) -> Dataset:
    options = TASK.Options(**given)
    return TASK.adapt(TASK.read(source, options, context=Context()), options)


def owners_of(data: Dataset) -> list[int]:
    return [int(Path(name).stem) // 3 for name in data.cases.ids]


def test_slices_of_a_patient_stand_on_one_side(scans: Path) -> None:
    data = taken(scans)
    (fold,) = TASK.split(data, Plan(), TASK.Options(), 0)
    sides = [{owners_of(data)[i] for i in rows} for rows in (fold.train, fold.valid, fold.test)]
    assert sum(map(len, sides)) == 30
    assert data.origin.notes[-1].startswith("90 DICOM files of 30 patients, by the PatientID")
    assert SECRET not in f"{data.groups} {data.origin}"


def test_manifests_and_data_in_memory_are_grouped_alike(scans: Path, tmp_path: Path) -> None:
    files = sorted(scans.rglob("*.dcm"))
    table = pd.DataFrame({"path": list(map(str, files)), "label": [path.parent.name for path in files]})
    table.to_csv(tmp_path / "m.csv", index=False)
    whole = taken(scans)
    for data in (taken(table), taken(tmp_path / "m.csv"), TASK.adapt(replace(whole, groups=None), TASK.Options())):
        assert data.groups is not None
        assert len({*zip(owners_of(data), data.groups, strict=True)}) == len(set(data.groups)) == 30


def test_what_the_user_says_of_patients_wins(scans: Path) -> None:
    files = sorted(scans.rglob("*.dcm"))
    table = pd.DataFrame({"path": list(map(str, files)), "label": [path.parent.name for path in files]})
    named = taken(table.assign(patient_id=[f"p{i // 2}" for i in range(90)]))
    assert named.groups is not None
    assert len(set(named.groups)) == 45
    assert taken(scans, group_pattern=r"(\d)\.dcm").groups is not None
    for data in (named, taken(scans, group="none"), taken(table.assign(patient_id="p"), group="none")):
        assert not any("PatientID" in note for note in data.origin.notes)
    assert taken(scans, group="none").groups is None
    assert taken(table.assign(patient_id="p"), group="none").groups is None


def test_anonymised_files_are_split_by_study_or_image_and_say_so(scans: Path, make_dicom: Any) -> None:
    for i, path in enumerate(sorted(scans.rglob("*.dcm"))):
        make_dicom(path, np.full((6, 6), i, dtype=np.uint8), PatientID="ANON", StudyInstanceUID=f"1.{i // 2}")
    data = taken(scans)
    assert data.groups is not None
    assert len(set(data.groups)) == 45
    assert "StudyInstanceUID (45 different ones)" in data.origin.notes[-1]
    for path in scans.rglob("*.dcm"):
        make_dicom(path, np.full((6, 6), 1, dtype=np.uint8), PatientID="")
    data = taken(scans)
    assert data.groups is None
    assert "do not tell patients apart: the split is by image" in data.origin.notes[-1]


def test_a_run_says_it_and_audits_by_it(scans: Path, cli: Any) -> None:
    done = cli("run", "diagnosis", "--data", scans, "--model", "linear-image", "--dry-run")
    assert "90 DICOM files of 30 patients" in done.err
    assert "patients or groups" in done.out
    assert "patients" not in cli("run", "diagnosis", "--data", scans, "--dry-run", "--group", "none").out
    for name in ("ill", "normal"):
        for i, path in enumerate(sorted((scans / name).glob("*.dcm"))):
            there = scans / ("train", "test")[i % 2] / name
            there.mkdir(parents=True, exist_ok=True)
            path.rename(there / path.name)
        (scans / name).rmdir()
    done = cli("audit", scans, "--task", "diagnosis")
    assert "groups" in done.out
    assert SECRET not in done.out + done.err


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            "patient{0:05d}/study1/view{1}.png",
            "20 different ones: if they name the patient, --group-pattern 'patient([0-9]+)' keeps",
        ),
        ("sub-{0}_run-{1}.png", "20 different ones: if they name the patient, --group-pattern 'sub-([0-9]+)' keeps"),
        (
            "person{0}_view{1}.png IM-{0}-{1}.png",
            "10 different ones: if they name the patient, a manifest with a column patient_id keeps",
        ),
        ("patient{0}{1}.png", None),  # one image each
        ("pattern{0}_{1}.png", None),
    ],
)
def test_paths_that_seem_to_name_patients_are_asked_about(tmp_path: Path, names: str, said: str | None) -> None:
    for i in range(40):
        form = names.split()[i // 2 % len(names.split())]
        path = tmp_path / ("ill" if i // 2 % 3 else "well") / form.format(i // 2 + 1, i % 2)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 6), i, dtype=np.uint8)).save(path)
    notes = [note for note in taken(tmp_path).origin.notes if "name the patient" in note]
    assert len(notes) == (said is not None)
    assert all(str(said) in note for note in notes)
    assert not any("name the patient" in note for note in taken(tmp_path, group="none").origin.notes)
