"""Faults planted in images; the clean set stands beside each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

import medtasks
from medtasks.auditing import audit
from medtasks.cases import Images

from .conftest import drawn, film_set, only, seen

Films = npt.NDArray[np.uint8]


def test_clean_films_have_no_finding(films: Films) -> None:
    assert audit(film_set(films)) == ()


def test_a_copy_on_another_side_is_severe(films: Films) -> None:
    films[6] = films[1]  # valid, well; train, well
    films[7] = films[1]
    found = only(audit(film_set(films)), "duplicates")
    assert found.title == "2 valid images are equal to train images"
    assert found.severity == "severe"
    assert len(found.rows) == 3 or len(found.rows) == 2


@pytest.mark.parametrize("change", ["noise", "brightness", "equal"])
def test_near_copies_with_opposite_labels_are_severe(films: Films, change: str) -> None:
    twin = films[1].astype(np.float64)
    twin += {"noise": np.random.default_rng(1).normal(0, 3, twin.shape), "brightness": -0.2 * twin, "equal": 0}[change]
    films[3] = twin.clip(0, 255).astype(np.uint8)  # ill, of another row
    found = only(audit(film_set(films)), "contradictions")
    assert (found.severity, found.count) == ("severe", 2)
    assert "different label" in found.title


def test_near_copies_with_one_label(films: Films) -> None:
    films[10] = (films[1] * 0.9 + 5).astype(np.uint8)  # test, train
    found = only(audit(film_set(films)), "near-duplicates")
    assert (found.severity, found.parts) == ("warning", ("train", "test"))
    named = film_set(films, split=None, groups=np.array([f"g{max(i, 1)}" for i in range(90)], dtype=object))
    assert seen(audit(named)) == {("warning", "near-duplicates")}
    groups = named.groups
    assert groups is not None
    groups[10] = groups[1]  # two films of one patient are alike
    assert audit(named) == ()


def test_films_that_are_all_alike_are_no_copies() -> None:
    rng = np.random.default_rng(0)
    common = 60 * gaussian_filter(rng.normal(size=(24, 24)), 2)
    films = (128 + 20 * common + 4 * drawn(90, 2).astype(float) / 25).clip(0, 255).astype(np.uint8)
    assert not any(one.check == "near-duplicates" for one in audit(film_set(films)))


def test_one_lit_corner_pixel_tells_the_label(films: Films) -> None:
    films[::3, 0, -1] = 255
    found = only(audit(film_set(films)), "leaks")
    assert "corners" in found.title
    assert found.severity in ("severe", "warning")


def test_a_blank_film_is_told_of(films: Films) -> None:
    films[4] = 17
    assert only(audit(film_set(films)), "values").count == 1


def test_brighter_test_films_are_a_shift(films: Films) -> None:
    data = film_set(drawn(240))
    assert audit(data) == ()
    test = data.split == "test"
    brighter = drawn(240)
    brighter[test] = (brighter[test] * 0.7 + 60).astype(np.uint8)
    found = audit(film_set(brighter))
    assert {one.parts for one in found if one.check == "shift"} >= {("train", "test"), ("valid", "test")}


def write(folder: Path, *, size: tuple[int, int] = (24, 24), name: str = "film") -> Path:
    """Write films into folders of two classes; the ill ones with the given size and name."""
    rng = np.random.default_rng(4)
    numbers = iter(rng.permutation(60))
    for label, films in (("well", drawn(30, 7)), ("ill", drawn(30, 8))):
        (folder / label).mkdir(parents=True)
        for film in films:
            picture = Image.fromarray(film)
            stem = name if label == "ill" else "film"
            picture = picture.resize(size) if label == "ill" else picture
            picture.save(folder / label / f"{stem}-{next(numbers):03d}.png")
    return folder


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"size": (32, 24)}, {("severe", "leaks")}),
        ({"name": "xray"}, {("warning", "names")}),
    ],
)
def test_size_and_file_names_that_tell_the_label(
    tmp_path: Path, changes: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    assert seen(medtasks.audit("diagnosis", write(tmp_path / "films", **changes)).findings) == expected


def test_colour_is_told_of_beside_size(tmp_path: Path) -> None:
    folder = write(tmp_path / "films", size=(32, 24))
    for path in (folder / "ill").iterdir():
        picture = np.stack([np.asarray(Image.open(path))] * 3, axis=2)
        picture[:, :, 2] //= 2
        Image.fromarray(picture).save(path)
    titles = [one.title for one in medtasks.audit("diagnosis", folder).findings if one.check == "leaks"]
    assert len(titles) == 2, titles
    assert "width" in " ".join(titles)
    assert "colour mode" in " ".join(titles)


def test_few_images_do_not_fail() -> None:
    few = film_set(drawn(4), split=None)
    assert all(one.check == "classes" for one in audit(few))
    assert isinstance(few.cases, Images)
