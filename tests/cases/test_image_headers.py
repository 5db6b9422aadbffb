"""Whose images DICOM files are: told by their headers, and by nothing that could name somebody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medtasks.cases import Images
from medtasks.cases.image_headers import owners

GREY = np.full((4, 4), 7, dtype=np.uint8)


@pytest.fixture
def films(tmp_path: Path, make_dicom: Any) -> Any:
    """Write a DICOM file for each (PatientID, study, series)."""

    def write(*headers: tuple[str, str, str]) -> Images:
        paths = [
            make_dicom(tmp_path / f"IM{i}", GREY, PatientID=who, StudyInstanceUID=study, SeriesInstanceUID=series)
            for i, (who, study, series) in enumerate(headers)
        ]
        return Images([path.name for path in paths], paths)

    return write


def test_the_patient_id_comes_first(films: Any) -> None:
    found = owners(films(("A", "1.1", "1.2"), ("B", "1.3", "1.4"), ("A", "1.5", "1.6")))
    assert found is not None
    assert found.numbers.tolist() == [0, 1, 0]
    assert (found.tag, found.files, found.count) == ("PatientID", 3, 2)


@pytest.mark.parametrize("form", ["ANON{:04}", "anon_{}", "AnonPat{:03}", "anonymized_patient_{}", "anon-{:x}f"])
def test_pseudonyms_name_patients(films: Any, form: str) -> None:
    one, other = form.format(10), form.format(11)
    found = owners(films((one, "1.1", "1.2"), (other, "1.3", "1.4"), (one, "1.5", "1.6")))
    assert found is not None
    assert (found.numbers.tolist(), found.tag, found.count) == ([0, 1, 0], "PatientID", 2)


@pytest.mark.parametrize("blank", ["", "ANONYMOUS", "Anonymized_Patient", "anon", "anon0", "same"])
def test_where_it_says_nothing_studies_and_series_do(films: Any, blank: str) -> None:
    found = owners(films((blank, "1.1", "1.2"), (blank, "1.1", "1.3"), (blank, "1.4", "1.5")))
    assert found is not None
    assert (found.numbers.tolist(), found.tag) == ([0, 0, 1], "StudyInstanceUID")
    found = owners(films((blank, "1.1", "1.2"), (blank, "1.1", "1.2"), (blank, "1.1", "1.5")))
    assert found is not None
    assert (found.numbers.tolist(), found.tag) == ([0, 0, 1], "SeriesInstanceUID")


def test_where_nothing_tells_files_apart_or_joins_them_no_tag_is_told(films: Any) -> None:
    for headers in ([("same", "1.1", "1.2")] * 3, [("", "", "")] * 3, [("", f"1.{i}", f"1.{i}") for i in range(3)]):
        found = owners(films(*headers))
        assert found is not None
        assert found.tag == ""


def test_a_blank_patient_is_known_by_the_study_or_stands_alone(films: Any) -> None:
    found = owners(films(("A", "1.1", "1"), ("", "1.1", "2"), ("B", "1.3", "3"), ("", "", ""), ("", "", "")))
    assert found is not None
    assert found.numbers.tolist() == [0, 0, 1, 2, 3]


def test_images_that_are_no_dicom_have_no_owner_and_are_not_opened(
    films: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = [*films(("A", "1.1", "1.2"), ("A", "1.3", "1.4"), ("B", "1.5", "1.6")).files(), tmp_path / "x.png"]
    found = owners(Images(list("abcd"), mixed))
    assert found is not None
    assert (found.numbers.tolist(), found.files, found.count) == ([0, 0, 1, 2], 3, 2)
    monkeypatch.setattr(Path, "open", None)
    assert owners(Images(["x"], [tmp_path / "x.png"])) is None
    assert owners(Images(["x"], GREY[None])) is None
