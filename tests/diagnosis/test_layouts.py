"""What folders of images say: classes, a split, masks; and what they leave unclear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medtasks.dataset import Dataset
from medtasks.diagnosis.labels import check_classes
from medtasks.diagnosis.layouts import lay_out
from medtasks.errors import DataError

FOLDER = Path("data")


def spread(*folders: str, files: tuple[str, ...] = ("1.png", "2.png")) -> list[tuple[str, ...]]:
    return [(*folder.split("/"), file) for folder in folders for file in files]


def cases(parts: list[tuple[str, ...]]) -> list[str]:
    return ["/".join(parts[i]) for i in lay_out(FOLDER, parts).rows]


@pytest.mark.parametrize("masks", ["masks", "Mask", "lung masks", "segmentations", "labels", "ground_truth"])
def test_masks_in_a_folder_beside_their_images_are_no_cases(masks: str) -> None:
    images = spread("covid/images", "normal/images")
    layout = lay_out(FOLDER, images + spread(f"covid/{masks}", f"normal/{masks}"))
    assert layout.rows.tolist() == [0, 1, 2, 3]
    assert layout.labels.tolist() == ["covid", "covid", "normal", "normal"]
    (note,) = layout.notes
    assert note.startswith("4 masks were left out")
    assert "manifest" in note


def test_masks_below_their_images_or_with_a_suffix_are_no_cases() -> None:
    assert cases(spread("a/p7", "b/p8", "a/p7/masks", files=("1.png",))) == ["a/p7/1.png", "b/p8/1.png"]
    images = spread("a/images", "b/images", files=("1.jpg",))
    assert cases(images + spread("a/masks", "b/masks", files=("1_mask.png",))) == ["a/images/1.jpg", "b/images/1.jpg"]


@pytest.mark.parametrize("mask", ["x (1)_mask", "x (1)_mask_1", "x (1)-seg", "x (1)_GT", "x (1) segmentation2"])
def test_a_mask_beside_the_image_that_it_is_called_by_is_no_case(mask: str) -> None:
    parts = spread("a", "b", files=("x (1).jpg", f"{mask}.png"))
    assert cases(parts) == ["a/x (1).jpg", "b/x (1).jpg"]
    assert len(cases(spread("a", "b", files=(f"{mask}.png",)))) == 2  # without the image it is none


def test_faces_with_and_without_a_mask_are_classes() -> None:
    layout = lay_out(FOLDER, spread("with_mask", "without_mask"))
    assert layout.labels.tolist() == ["with_mask"] * 2 + ["without_mask"] * 2
    assert layout.notes == ()


def test_masks_and_images_are_no_classes() -> None:
    with pytest.raises(DataError, match="'masks' beside 'images'"):
        lay_out(FOLDER, spread("images", "masks"))


@pytest.mark.parametrize("train", ["train_set", "training-set", "TRAIN", "Training Data", "trainset", "train_images"])
@pytest.mark.parametrize("test", ["test_set", "testing", "test data"])
def test_a_split_may_be_spelled_in_many_ways(train: str, test: str) -> None:
    layout = lay_out(FOLDER, spread(f"{train}/normal", f"{train}/ill", f"{test}/normal", f"{test}/ill"))
    assert layout.split is not None
    assert layout.split.tolist() == ["train"] * 4 + ["test"] * 4
    assert set(layout.labels) == {"normal", "ill"}


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        (("fold1/normal", "fold1/ill", "fold2/normal", "fold2/ill"), "cannot be told"),
        (("fold1/0", "fold1/1", "fold2/0", "fold2/1"), "cannot be told"),
        (("ensayo/sano", "ensayo/enfermo", "entreno/sano", "entreno/enfermo"), "cannot be told"),
        (("ill/train", "ill/test", "normal/train", "normal/test"), "holds a split"),
    ],
)
def test_class_folders_with_the_same_folders_in_each_are_refused(folders: tuple[str, ...], says: str) -> None:
    parts = [part for i, name in enumerate(folders) for part in spread(name, files=(f"{i}.png", f"{i + 9}.png"))]
    with pytest.raises(DataError, match=says) as caught:
        lay_out(FOLDER, parts)
    assert caught.value.hint


def unlike(*folders: str) -> list[tuple[str, ...]]:
    """Give each folder files of other names."""
    return [part for i, name in enumerate(folders) for part in spread(name, files=(f"{i}.png", f"{i + 99}.png"))]


@pytest.mark.parametrize(
    "folders",
    [
        ["AP/covid", "AP/normal", "AP/flu", "PA/covid", "PA/normal", "PA/flu", "LATERAL/normal", "LATERAL/flu"],
        ["fold1/covid", "fold1/normal", "fold1/rare", "fold2/covid", "fold2/normal", "fold3/covid", "fold3/normal"],
        ["one/covid", "one/normal", "one/a", "one/b", "two/covid", "two/normal", "two/c", "two/d", "two/e"],
        [f"patient{i:03}/{'benign' if i % 2 else 'malignant'}" for i in range(10)],
        [f"patient{i:03}/{'benign' if i else 'malignant'}" for i in range(10)],
        [f"fold{i}/{grade}" for i in range(4) for grade in range(3) if (i, grade) != (2, 2)],
    ],
    ids=["views", "folds", "sites", "patients", "patients, one of them ill", "numbered classes"],
)
def test_classes_one_level_down_are_told_though_one_lacks_somewhere(folders: list[str]) -> None:
    with pytest.raises(DataError, match="which are the classes cannot be told") as caught:
        lay_out(FOLDER, unlike(*folders))
    assert "manifest" in str(caught.value.hint)
    assert "patient00" not in str(caught.value)


@pytest.mark.parametrize(
    "folders",
    [["a/train", "a/val", "a/test", "b/train", "b/test"], ["a/train", "a/test", "b"], ["a/train", "a/test", "b/x"]],
)
def test_a_split_below_a_class_is_not_lost(folders: list[str]) -> None:
    with pytest.raises(DataError, match="the class folder 'a' of data holds a split"):
        lay_out(FOLDER, unlike(*folders))


@pytest.mark.parametrize(
    "folders",
    [
        ["covid/AP", "covid/PA", "flu/AP", "flu/PA", "cancer"],
        ["ill/p1", "ill/p2", "ill/p4", "well/p2", "well/p4", "well/p5"],
        ["a/3fb", "a/b77", "a/c01", "a/d2e", "a/e55", "b/3fb", "b/b77", "b/1aa", "b/2cc"],
        ["benign/adenosis", "benign/other", "malignant/ductal", "malignant/other"],
        ["stage1/p1", "stage1/p2", "stage2/p1", "stage2/p3", "stage3/p4", "stage3/p5"],
        ["covid/AP", "covid/PA", "normal/AP", "normal/PA", "flu/AP"],
    ],
    ids=["views of some", "patients", "patients in hexadecimal", "kinds", "patients in several stages", "views"],
)
def test_what_stands_below_classes_is_left_alone(folders: list[str]) -> None:
    assert set(lay_out(FOLDER, unlike(*folders)).labels) == {name.partition("/")[0] for name in folders}


@pytest.mark.parametrize(
    ("one", "other"), [("mask", "no_mask"), ("Masks", "without-mask"), ("mask", "Unmasked"), ("with_mask", "non_mask")]
)
@pytest.mark.parametrize("above", ["", "train/"])
def test_what_is_called_as_no_mask_makes_masks_a_class(one: str, other: str, above: str) -> None:
    parts = spread(above + one, above + other, above + "worn wrongly")
    assert set(lay_out(FOLDER, parts).labels) == {one, other, "worn wrongly"}
    assert len(cases(spread(f"faces/{one}", f"faces/{other}"))) == 4


def test_the_same_files_in_folders_of_a_class_are_refused() -> None:
    with pytest.raises(DataError, match="'img' and 'msk' hold files of the same names"):
        lay_out(FOLDER, spread("ill/img", "ill/msk", "normal/img", "normal/msk"))


def test_numbered_patients_and_views_below_plain_classes_are_left_alone() -> None:
    numbered = spread("ill/p1", "ill/p2", "normal/p1", "normal/p2")
    assert len(cases(numbered)) == 8
    views = [
        part
        for i, name in enumerate(("ill/ap", "ill/lateral", "normal/ap", "normal/lateral"))
        for part in spread(name, files=(f"{i}.png",))
    ]
    assert set(lay_out(FOLDER, views).labels) == {"ill", "normal"}


def test_a_folder_one_level_too_high_is_told(
    tmp_path: Path, draw: Callable[..., Path], read: Callable[..., Dataset]
) -> None:
    for i, name in enumerate(("train/normal", "train/ill", "test/normal", "test/ill")):
        draw(tmp_path / "split" / "chest" / name / "x.png", i)
        draw(tmp_path / "plain" / "chest" / name.replace("/", "_") / "x.png", i)
    with pytest.raises(DataError, match="one folder only, 'chest'") as caught:
        read(tmp_path / "split")
    assert str(tmp_path / "split" / "chest") in str(caught.value.hint)
    data: Any = read(tmp_path / "plain")
    with pytest.raises(DataError, match="one class only") as caught:
        check_classes(data)
    assert "the folders in 'chest' are the classes" in str(caught.value.hint)
