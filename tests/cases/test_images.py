"""Images from every source: one row in, one row out, and nothing in memory that need not be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtasks.cases import Images, Reading
from medtasks.cases import images as module
from medtasks.cases.image_places import Places, find_images, manifest_paths
from medtasks.cases.images import check_image_array, load_npz
from medtasks.errors import DataError, UsageError


def draw(path: Path, seed: int = 0, size: tuple[int, int] = (6, 8), channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, channels), dtype=np.uint8)
    Image.fromarray(np.squeeze(pixels)).save(path)
    return path


def read(source: Any, **options: Any) -> list[Reading[Images]]:
    return list(Images.read(source, {"kind": "images"}, **options))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good images, and between them each kind of bad one."""
    draw(tmp_path / "a.png", 1)
    (tmp_path / "b.png").touch()
    draw(tmp_path / "c" / "d.png", 2)
    (tmp_path / "c" / "e.jpg").write_text("text")
    draw(tmp_path / "f.png", 3)
    draw(tmp_path / ".hidden.png")
    draw(tmp_path / ".thumbs" / "x.png")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_find_images_is_sorted_and_leaves_hidden_ones_out(folder: Path) -> None:
    found = [path.relative_to(folder).as_posix() for path in find_images(folder)]
    assert found == ["a.png", "b.png", "f.png", "c/d.png", "c/e.jpg"]


def test_linked_folders_are_followed_once(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = draw(tmp_path_factory.mktemp("disk") / "g.png").parent
    (folder / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)  # a ring
    names = [path.name for path in find_images(folder)]
    assert sorted(names) == ["a.png", "b.png", "d.png", "e.jpg", "f.png", "g.png"]


def test_a_folder_is_read_once_whatever_links_lead_to_it(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    disk = tmp_path_factory.mktemp("disk")
    draw(disk / "deep" / "h.png")
    draw(tmp_path / "ill" / "x.png")
    draw(tmp_path / ".store" / "y.png")
    for name, target in {
        "also": tmp_path / "ill",
        "ill2": tmp_path / "ill",
        "kept": tmp_path / ".store",
        "one": disk / "deep",
        "two": disk,
        "whole": disk,
    }.items():
        (tmp_path / name).symlink_to(target)
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert found == ["ill/x.png", "kept/y.png", "one/h.png"]


def test_the_home_folder_is_told_by_a_tilde(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    for source in (f"~/{folder.name}", Path("~", folder.name)):
        assert [name for part in read(source) for name in part.ids][:3] == ["a.png", "b.png", "f.png"]
    assert [name for part in read(f"~/{folder.name}/c/*.png") for name in part.ids] == ["d.png"]
    np.savez(folder / "some.npz", images=np.zeros((2, 4, 4), np.uint8))
    assert len(read(f"~/{folder.name}/some.npz")[0].ids) == 2


@pytest.mark.parametrize("chunk", [1, 2, 256])
def test_a_folder_is_one_row_in_one_row_out(folder: Path, chunk: int) -> None:
    readings = read(folder, chunk=chunk)
    assert [name for part in readings for name in part.ids] == ["a.png", "b.png", "f.png", "c/d.png", "c/e.jpg"]
    errors = [error for part in readings for error in part.errors]
    assert [error is None for error in errors] == [True, False, True, True, False]
    cases = [part.cases for part in readings if part.cases is not None]
    assert [name for part in cases for name in part.ids] == ["a.png", "f.png", "c/d.png"]
    expected = [np.asarray(Image.open(folder / name)) for name in ("a.png", "f.png", "c/d.png")]
    assert np.array_equal([part.pixels(i)[:, :, 0] for part in cases for i in range(len(part))], expected)


def test_a_chunk_of_large_images_is_cut_short(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 6 * 8 + 1)
    readings = read(folder)
    assert len(readings) > 1
    assert [name for part in readings for name in part.ids] == ["a.png", "b.png", "f.png", "c/d.png", "c/e.jpg"]


def test_a_file_and_a_glob(folder: Path) -> None:
    (one,) = read(folder / "a.png")
    assert one.ids == ("a.png",)
    (several,) = read(f"{folder}/*.png")
    assert [Path(name).name for name in several.ids] == ["a.png", "b.png", "f.png"]
    (deep,) = read(f"{folder}/**/*.png")
    assert [Path(name).name for name in deep.ids] == ["a.png", "b.png", "d.png", "f.png"]


def test_ids_are_the_same_however_the_files_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,), (deep,) = read(folder), read(f"{folder}/**/*.[pj]*g")
    assert set(deep.ids) == set(whole.ids) == {"a.png", "b.png", "f.png", "c/d.png", "c/e.jpg"}
    (one,) = read(f"{folder}/?/*.png")
    assert one.ids == ("c/d.png",)
    monkeypatch.chdir(folder.parent)
    (here,) = read(f"./{folder.name}/**/*.[pj]*g")
    assert set(here.ids) == set(whole.ids)
    monkeypatch.chdir(folder)
    (bare,) = read("*.png")
    assert bare.ids == ("a.png", "b.png", "f.png")


@pytest.mark.parametrize("name", ["none.png", "*.bmp", "none.csv", "none.npz"])
def test_a_source_that_is_not_there_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        read(f"{folder}/{name}")
    assert name in caught.value.message


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["m.csv", "m.parquet", "memory"])
def test_a_manifest_is_one_row_in_one_row_out(folder: Path, name: str) -> None:
    table = pd.DataFrame({"path": ["f.png", "", "gone.png", str(folder / "a.png")], "id": ["p", "q", "r", "s"]})
    source: Any = folder / name
    if name == "memory":
        source = table.assign(path=[str(folder / path) if path else None for path in table["path"]])
    elif name == "m.csv":
        table.to_csv(source, index=False)
    else:
        table.to_parquet(source)
    (reading,) = read(source)
    assert reading.ids == ("p", "q", "r", "s")
    assert reading.errors == (None, "the row has no path", "no such file", None)
    assert reading.cases is not None
    assert reading.cases.ids.tolist() == ["p", "s"]
    assert np.array_equal(reading.cases.pixels(0)[:, :, 0], np.asarray(Image.open(folder / "f.png")))


def test_a_manifest_in_memory_comes_in_chunks(folder: Path) -> None:
    readings = read(pd.DataFrame({"path": [str(folder / "a.png")] * 5}), chunk=2)
    assert [len(part.ids) for part in readings] == [2, 2, 1]


def test_the_schema_may_name_the_columns_of_a_manifest(folder: Path) -> None:
    table = pd.DataFrame({"file": [str(folder / "a.png")], "case": ["p"]})
    (reading,) = Images.read(table, {"kind": "images", "path": "file", "id": "case"})
    assert reading.ids == ("p",)
    assert reading.errors == (None,)


def test_a_manifest_without_paths_says_what_is_near() -> None:
    with pytest.raises(UsageError) as caught:
        manifest_paths(pd.DataFrame({"paths": ["a"]}), Places(Path()), "m.csv")
    assert "'paths'" in str(caught.value.hint)


def places(root: Path, *paths: str) -> tuple[list[Any], str | None]:
    found = Places(root)
    return [path.relative_to(root).as_posix() if isinstance(path, Path) else path for path in found.find(paths)], (
        found.note()
    )


def test_paths_without_suffix_or_from_the_folder_above_are_completed(tmp_path: Path) -> None:
    root = tmp_path / "set-v1"
    for name in ("a.jpg", "train/p1/b.PNG", "c.png", "c.jpg", "d.csv", "1.2.840.113"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    found, note = places(root, "a", "set-v1/train/p1/b.PNG", "set-v1/train/p1/b", "1.2.840.113", "c", "d", "e.png")
    assert found[:4] == ["a.jpg", "train/p1/b.PNG", "train/p1/b.PNG", "1.2.840.113"]
    assert found[4].startswith("no such file as written, and 2 fit")  # never one of two
    assert found[5:] == ["d", "e.png"]  # which then are no such file
    assert note is not None
    assert "(3 paths)" in note
    assert "without the leading set-v1" in note
    assert ".jpg" in note


def test_images_in_folders_below_are_found_where_one_fits(tmp_path: Path) -> None:
    for name in (
        "part_1/a.jpg",
        "part_2/b.jpg",
        "part_2/c.jpg",
        "part_1/c.jpg",
        "masks/d.png",
        ".old/e.jpg",
        "1/2/3/f.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, note = places(tmp_path, "a", "b.jpg", "part_2/c", "2/3/f", "d.png", "e", "../a", "c", "x" * 5000)
    assert found[:4] == ["part_1/a.jpg", "part_2/b.jpg", "part_2/c.jpg", "1/2/3/f.jpg"]
    assert found[4:7] == ["d.png", "e", "../a"]
    assert "2 files could be meant (in part_1, part_2)" in found[7]
    assert note is not None
    assert "found in 3 folders below" in note  # few files each: a folder may be called by a patient


def test_what_a_path_means_depends_on_no_other(tmp_path: Path) -> None:
    for name in ("images/1.png", "images/2.png"):
        draw(tmp_path / name)
    paths = ["1.png", "images/2.png", "gone.png", "2.png"]
    for order in (paths, paths[::-1]):
        pd.DataFrame({"path": order}).to_csv(tmp_path / "m.csv", index=False)
        for chunk in (1, 256):
            readings = read(tmp_path / "m.csv", chunk=chunk)
            errors = [error for part in readings for error in part.errors]
            assert errors == [None if path != "gone.png" else "no such file" for path in order]


def test_numbers_beside_a_gap_are_the_names_of_their_files(tmp_path: Path) -> None:
    for name in ("0.png", "7.png"):
        draw(tmp_path / name)
    table = pd.DataFrame({"image_id": [0, None, 7]})
    found = manifest_paths(table, Places(tmp_path), "m.csv", "image_id")
    assert found == [tmp_path / "0.png", None, tmp_path / "7.png"]


def test_paths_of_windows_and_in_another_case_are_completed(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("images/img1.png", "images/P1/b.PNG", "Both.png", "BOTH.png", "x.csv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "folder.d").mkdir()
    assert places(root, "images\\img1.png") == (
        ["images/img1.png"],
        "Paths that lead to no file as written were completed by the one that fits (1 path): with / for \\.",
    )
    found, note = places(root, "images/IMG1.png", "Images\\p1\\B", "SET/images/img1.PNG", "IMG1", "Folder.d", "X")
    assert found == ["images/img1.png", "images/P1/b.PNG", "images/img1.png", "images/img1.png", "Folder.d", "X"]
    assert note is not None
    assert "in another case of letters" in note
    found, note = places(root, "both.png", "C:\\images\\img1.png", "..\\set\\Both.png", "..\\set\\none")
    assert "2 fit" in found[0]  # never one of two
    assert found[1] == "C:\\images\\img1.png"
    assert found[2:] == ["../set/Both.png", "..\\set\\none"]


def test_a_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    for i in range(20):
        (tmp_path / "images" / f"{i}.jpg").touch()
    calls: list[Any] = []
    walk, listing = os.walk, Path.iterdir
    monkeypatch.setattr(os, "walk", lambda *args, **more: calls.append(args) or walk(*args, **more))
    monkeypatch.setattr(Path, "iterdir", lambda self: calls.append(self) or listing(self))
    found = Places(tmp_path)
    for start in (0, 10):  # as in chunks
        assert all(isinstance(path, Path) for path in found.find([str(i) for i in range(start, start + 10)]))
    assert len(calls) == 2
    assert found.note() is not None
    assert str(found.note()).endswith("with the suffix .jpg; found in images.")


def test_predicting_takes_the_column_of_training_or_path(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1)
    for name in ("path", "image"):
        (tmp_path / f"{name}.csv").write_text(f"{name}\na\n")
        (reading,) = Images.read(tmp_path / f"{name}.csv", {"kind": "images", "path": "image"})
        assert reading.errors == (None,)


def test_predicting_finds_what_training_found(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png", 1)
    (tmp_path / "m.csv").write_text("path\na\nb\na\n")
    (reading,) = read(tmp_path / "m.csv")
    assert reading.ids == ("a", "b", "a")
    assert reading.errors == (None, "no such file", None)


def test_a_file_that_vanishes_between_reading_and_loading_is_named(tmp_path: Path) -> None:
    files = [draw(tmp_path / f"{i}.png", i) for i in range(3)]
    images = Images(["a", "b", "c"], files)
    assert images.load((4, 4)).shape == (3, 4, 4, 1)
    files[1].unlink()
    with pytest.raises(DataError) as caught:
        images.load((4, 4))
    assert "'b'" in caught.value.message
    assert "no such file" in caught.value.message


# --- npz ---


def test_npz_rows_come_in_order(tmp_path: Path) -> None:
    pixels = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4)
    np.savez(tmp_path / "m.npz", train_images=pixels[:3], test_images=pixels[3:], train_labels=np.zeros(3))
    readings = read(tmp_path / "m.npz", chunk=2)
    assert [name for part in readings for name in part.ids] == ["train-0", "train-1", "train-2", "test-0", "test-1"]
    found = np.concatenate([part.cases.load((4, 4)) for part in readings if part.cases])
    assert np.array_equal(np.round(found[..., 0] * 255), pixels)


def test_npz_of_python_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="not a readable"):
        load_npz(tmp_path / "m.npz")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
def test_a_damaged_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"m\.npz"):
        load_npz(tmp_path / "m.npz")


def test_an_npz_without_images_says_what_it_has(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", x=np.zeros(3))
    with pytest.raises(DataError) as caught:
        read(tmp_path / "m.npz")
    assert "x" in str(caught.value.hint)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((3, 4), dtype=np.uint8),
        np.zeros((3, 4, 4, 2), dtype=np.uint8),
        np.zeros((3, 4, 4, 4, 1), dtype=np.uint8),
        np.zeros((3, 0, 4), dtype=np.uint8),
        np.zeros((3, 4, 4), dtype=np.int64),
        np.full((3, 4, 4), 1.5),
        np.full((3, 4, 4), np.nan),
        np.array(["a"]),
    ],
    ids=lambda images: f"{images.dtype}{images.shape}",
)
def test_arrays_that_are_no_images_are_refused(images: Any) -> None:
    with pytest.raises(DataError, match="here"):
        check_image_array(images, "here")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 4, 4, 1), (2, 4, 4, 3)])
def test_arrays_of_images_are_taken(dtype: Any, shape: tuple[int, ...]) -> None:
    images = check_image_array(np.ones(shape, dtype=dtype), "here")
    assert Images(["a", "b"], images).load((2, 2), channels=3).shape == (2, 2, 2, 3)


# --- the cases themselves ---


def test_load_gives_the_size_and_channels_asked_for(tmp_path: Path) -> None:
    images = Images(["g", "c"], [draw(tmp_path / "g.png"), draw(tmp_path / "c.png", 1, channels=3)])
    grey, colour = images.load((5, 7)), images.load((5, 7), channels=3)
    assert grey.shape == (2, 5, 7, 1)
    assert grey.dtype == np.float32
    assert np.array_equal(colour[0, :, :, 0], colour[0, :, :, 2])
    assert not np.array_equal(colour[1, :, :, 0], colour[1, :, :, 2])
    assert 0 <= grey.min() < grey.max() <= 1
    assert np.array_equal(images.load((5, 7), rows=np.array([1])), grey[[1]])


def test_grey_of_a_colour_image_is_pillows(tmp_path: Path) -> None:
    path = draw(tmp_path / "c.png", 1, channels=3)
    expected = np.asarray(Image.open(path).convert("L")) / 255
    assert Images(["c"], [path]).load((6, 8))[0, :, :, 0] == pytest.approx(expected, abs=1 / 255)  # it rounds


def test_take_keeps_images_and_ids_together() -> None:
    pixels = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), dtype=np.uint8)
    part = Images(list("abcd"), pixels).take(np.array([3, 1, 2])).take(np.array([2, 0]))
    assert part.ids.tolist() == ["c", "d"]
    assert [part.pixels(i)[0, 0, 0] for i in range(2)] == [2, 3]


def test_schema_tells_median_size_and_colour(tmp_path: Path) -> None:
    files = [draw(tmp_path / f"{i}.png", i, size) for i, size in enumerate([(4, 4), (6, 10), (8, 30)])]
    assert Images(list("abc"), files).schema() == {"kind": "images", "channels": 1, "height": 6, "width": 10}
    files.append(draw(tmp_path / "c.png", channels=3))
    assert Images(list("abcd"), files).schema()["channels"] == 3


def test_digests_know_the_pixels_and_not_the_file(tmp_path: Path) -> None:
    one, other = draw(tmp_path / "a.png", 1), draw(tmp_path / "b.png", 2)
    Image.open(one).save(tmp_path / "a.bmp")
    digests = Images(list("abc"), [one, tmp_path / "a.bmp", other]).digests()
    assert digests[0] == digests[1] != digests[2]


def test_parallel_keeps_the_order_and_passes_errors_on() -> None:
    assert list(module.parallel(lambda i: i * i, range(100))) == [i * i for i in range(100)]
    with pytest.raises(ZeroDivisionError):
        list(module.parallel(lambda i: 1 // i, [1, 0]))


def test_parallel_stays_a_bounded_stretch_ahead() -> None:
    started: list[int] = []
    results = module.parallel(started.append, range(10_000))
    next(results)
    assert len(started) <= 4 * (os.cpu_count() or 1) + 1
    results.close()  # type: ignore[attr-defined]  # a generator, as every function with yield
    assert len(started) < 10_000
