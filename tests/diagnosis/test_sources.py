"""Every way to give data for a diagnosis, and every way to give them wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import medtasks
from medtasks.cases import Images, Records
from medtasks.cases.image_files import WINDOWLESS
from medtasks.dataset import Dataset
from medtasks.diagnosis.image_sources import scaling_notes
from medtasks.diagnosis.labels import check_classes
from medtasks.diagnosis.options import DiagnosisOptions
from medtasks.diagnosis.sources import read
from medtasks.errors import DataError, MedtasksError, UsageError
from medtasks.model import Context

Read = Callable[..., Dataset]
Draw = Callable[..., Path]
SECRET = "Zacharias"
REAL = Path(__file__).parents[3] / "shared" / "data" / "diagnosis"


def labels(data: Dataset) -> list[str]:
    return [data.classes[code] for code in data.targets]


# --- folders ---


def test_a_folder_with_a_subfolder_per_class(tmp_path: Path, draw: Draw, read: Read) -> None:
    for i, name in enumerate(["sick/a.png", "sick/deep/b.png", "normal/c.png", "normal/.hidden.png", ".git/d.png"]):
        draw(tmp_path / name, i)
    (tmp_path / "notes.txt").write_text("nothing")
    data = read(tmp_path)
    assert isinstance(data.cases, Images)
    assert data.classes == ("normal", "sick")
    assert dict(zip(data.cases.ids, labels(data), strict=True)) == {
        "sick/a.png": "sick",
        "sick/deep/b.png": "sick",
        "normal/c.png": "normal",
    }
    assert data.split is None
    assert data.groups is None
    assert data.origin.invalid == ()


def test_bad_files_are_listed_and_shift_no_label(tmp_path: Path, draw: Draw, read: Read) -> None:
    for i in range(4):
        draw(tmp_path / "a" / f"{i}.png", i)
        draw(tmp_path / "b" / f"{i}.png", 10 + i)
    (tmp_path / "a" / "1.png").write_bytes(b"")
    (tmp_path / "b" / "0.png").write_text("text")
    data = read(tmp_path)
    assert [name for name, _ in data.origin.invalid] == ["a/1.png", "b/0.png"]
    assert "empty" in data.origin.invalid[0][1]
    assert all(name.startswith(label) for name, label in zip(data.cases.ids, labels(data), strict=True))
    assert len(data) == 6


@pytest.mark.parametrize("loose", [False, True])
def test_a_folder_with_its_own_split(tmp_path: Path, draw: Draw, read: Read, loose: bool) -> None:
    for i, part in enumerate(["train", "Val", "test"]):
        for j, name in enumerate(["normal", "sick"]):
            draw(tmp_path / part / name / "x.png", 2 * i + j)
    if loose:
        draw(tmp_path / "overview.png", 99)
    data = read(tmp_path)
    assert data.classes == ("normal", "sick")
    assert data.split is not None
    assert dict(zip(data.cases.ids, data.split, strict=True))["Val/sick/x.png"] == "valid"
    assert sorted(data.split) == ["test", "test", "train", "train", "valid", "valid"]
    assert len(data.origin.notes) == int(loose)


def test_folders_of_a_split_beside_others_are_refused(tmp_path: Path, draw: Draw, read: Read) -> None:
    for name in ("train/a/x.png", "test/a/x.png", "extra/a/x.png"):
        draw(tmp_path / name)
    with pytest.raises(DataError, match="beside others"):
        read(tmp_path)


def test_images_loose_in_the_root_are_refused_or_noted(tmp_path: Path, draw: Draw, read: Read) -> None:
    draw(tmp_path / "x.png")
    with pytest.raises(DataError, match="no sub-folders"):
        read(tmp_path)
    draw(tmp_path / "a" / "y.png", 1)
    data = read(tmp_path)
    assert data.cases.ids.tolist() == ["a/y.png"]
    assert data.origin.notes[0].startswith("1 image")


def test_a_split_without_class_folders_is_refused(tmp_path: Path, draw: Draw, read: Read) -> None:
    draw(tmp_path / "train" / "x.png")
    draw(tmp_path / "test" / "y.png")
    with pytest.raises(DataError, match="no sub-folders"):
        read(tmp_path)


def test_an_empty_folder_and_one_without_a_good_image(tmp_path: Path, read: Read) -> None:
    with pytest.raises(DataError, match="no images in"):
        read(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").touch()
    with pytest.raises(DataError, match=r"can be read: the file is empty \(0 bytes\) \(1 of 1, the first: a/x.png\)"):
        read(tmp_path)


def test_group_pattern_names_patients_from_paths(tmp_path: Path, draw: Draw, read: Read) -> None:
    for i, name in enumerate(["a/person1_v1.png", "a/person1_v2.png", "b/person22_v1.png"]):
        draw(tmp_path / name, i)
    (tmp_path / "a" / "person9_bad.png").touch()
    data = read(tmp_path, group_pattern="person([0-9]+)")
    assert data.groups is not None
    assert data.groups.tolist() == ["1", "1", "22"]


@pytest.mark.parametrize(
    ("pattern", "kind", "says"),
    [
        ("person(", UsageError, "no regular expression"),
        ("person[0-9]+", UsageError, "no group in brackets"),
        ("patient([0-9]+)", DataError, "does not match 2 of 2"),
    ],
)
def test_a_group_pattern_that_does_not_fit(
    tmp_path: Path, draw: Draw, read: Read, pattern: str, kind: type[MedtasksError], says: str
) -> None:
    draw(tmp_path / "a" / "person1.png")
    draw(tmp_path / "b" / "person2.png")
    with pytest.raises(kind) as caught:
        read(tmp_path, group_pattern=pattern)
    assert says in caught.value.message


@pytest.mark.parametrize("name", ["none", "none.csv", "none.npz", "x.docx"])
def test_what_is_not_there_or_no_format_is_refused(tmp_path: Path, read: Read, name: str) -> None:
    (tmp_path / "x.docx").write_text("a letter")
    with pytest.raises(DataError) as caught:
        read(tmp_path / name)
    assert name in caught.value.message
    assert caught.value.hint


# --- manifests ---


@pytest.fixture
def manifest(tmp_path: Path, draw: Draw) -> pd.DataFrame:
    for i in range(6):
        draw(tmp_path / "img" / f"{i}.png", i)
    (tmp_path / "img" / "3.png").write_text("text")
    paths = [f"img/{i}.png" for i in range(6)]
    paths[1] = ""
    paths[5] = str(tmp_path / "img" / "5.png")
    return pd.DataFrame(
        {
            "path": paths,
            "label": ["1", "0", "", "1", "0", "1"],
            "patient_id": ["p", "p", "q", "q", "r ", "r"],
            "split": ["train", "train", "val", "val", "test", "test"],
            "id": [f"case {i}" for i in range(6)],
        }
    )


@pytest.mark.parametrize("name", ["m.csv", "m.tsv.gz", "m.parquet"])
def test_a_manifest_keeps_good_rows_together_and_lists_the_rest(
    tmp_path: Path, manifest: pd.DataFrame, read: Read, name: str
) -> None:
    path = tmp_path / name
    manifest.to_parquet(path) if name.endswith("parquet") else manifest.to_csv(path, index=False, sep="\t")
    data = read(path)
    assert data.cases.ids.tolist() == ["case 0", "case 4", "case 5"]
    assert labels(data) == ["1", "0", "1"]
    assert data.groups is not None
    assert data.groups.tolist() == ["p", "r", "r"]  # "r " is the same patient
    assert data.split is not None
    assert data.split.tolist() == ["train", "test", "test"]
    assert [reason for _, reason in data.origin.invalid[:2]] == ["the row has no path", "the row has no label"]
    assert [name for name, _ in data.origin.invalid] == ["row 2", "row 3", "case 3"]
    assert data.cases.load((6, 8)).shape == (3, 6, 8, 1)


def test_columns_may_have_other_names(tmp_path: Path, manifest: pd.DataFrame, read: Read) -> None:
    path = tmp_path / "m.csv"
    names = {"path": "file", "label": "finding", "patient_id": "person", "split": "part", "id": "name"}
    manifest.rename(columns=names).to_csv(path, index=False)
    data = read(path, path="file", target="finding", group="person", split="part", id="name")
    assert data.cases.ids.tolist() == ["case 0", "case 4", "case 5"]
    assert data.groups is not None
    assert data.split is not None


@pytest.mark.parametrize("option", ["path", "target", "group", "split", "id", "ignore"])
def test_a_column_that_is_not_there_is_refused(manifest: pd.DataFrame, read: Read, option: str) -> None:
    with pytest.raises(UsageError, match="no column 'labell'") as caught:
        read(manifest, **{option: "labell"})
    assert "'label'" in str(caught.value.hint)


def test_a_table_without_a_target_says_which_option_names_it(read: Read) -> None:
    with pytest.raises(UsageError) as caught:
        read(pd.DataFrame({"age": [1], "class": ["a"]}))
    assert "--target" in str(caught.value.hint)


def test_a_missing_patient_is_refused_with_its_row(manifest: pd.DataFrame, read: Read) -> None:
    manifest.loc[2, "patient_id"] = "?"
    with pytest.raises(DataError, match="row 3: the column 'patient_id' is empty"):
        read(manifest)


def test_a_manifest_of_which_nothing_is_good(read: Read) -> None:
    with pytest.raises(DataError, match=r"the row has no path \(2 of 2, the first: row 1\)"):
        read(pd.DataFrame({"path": ["", ""], "label": ["a", "b"]}))
    with pytest.raises(DataError, match="no rows"):
        read(pd.DataFrame({"path": [], "label": []}))


def test_the_commonest_reason_is_told_with_its_count(tmp_path: Path, read: Read) -> None:
    rows = "".join(f"gone{i}.png,{'' if i == 0 else 'ill'}\n" for i in range(5))
    (tmp_path / "m.csv").write_text("path,label\n" + rows)
    with pytest.raises(
        DataError, match=r"no such file \(4 of 5, the first: gone1.png\); the row has no label"
    ) as caught:
        read(tmp_path / "m.csv")
    assert "--path" in str(caught.value.hint)


def test_rows_of_one_image_are_one_case_and_may_not_contradict(tmp_path: Path, draw: Draw, read: Read) -> None:
    for i in range(4):
        draw(tmp_path / "images" / f"{i}.png", i)
    (tmp_path / "m.csv").write_text("path,x,label\n0,5,1\n0,6,1\n1,,0\n2,7,1\n2,8,0\n3,9,1\n0,7,1\n")
    data = read(tmp_path / "m.csv")
    assert data.cases.ids.tolist() == ["0", "1", "3"]
    assert [name for name, _ in data.origin.invalid] == ["row 4", "row 5"]
    assert "different labels" in data.origin.invalid[0][1]
    assert any("2 were joined to the first" in note for note in data.origin.notes)
    assert any("with the suffix .png" in note for note in data.origin.notes)
    table = pd.read_csv(tmp_path / "m.csv", dtype=str)
    table.assign(split=["train", "test", *["train"] * 5]).to_csv(tmp_path / "n.csv", index=False)
    assert read(tmp_path / "n.csv").cases.ids.tolist() == ["0", "0", "1", "3"]  # the audit tells of two sides
    table.assign(id=range(7)).to_csv(tmp_path / "n.csv", index=False)
    assert len(read(tmp_path / "n.csv")) == 7


def test_a_bundle_reads_the_manifests_that_it_was_trained_on(tmp_path: Path, image_folder: Path, cli: Any) -> None:
    images = sorted(image_folder.rglob("*.png"))
    table = pd.DataFrame(
        {"image_id": [f"IM{i}" for i in range(len(images))], "dx": [path.parent.name for path in images]}
    )
    (tmp_path / "part_1").mkdir()
    for name, path in zip(table["image_id"], images, strict=True):
        (tmp_path / "part_1" / f"{name}.png").write_bytes(path.read_bytes())
    table.to_csv(tmp_path / "m.csv", index=False)
    given, run = ("--path", "image_id", "--target", "dx"), tmp_path / "r"
    done = cli(
        "run", "diagnosis", "--data", tmp_path / "m.csv", "--model", "linear-image", "--out", tmp_path / "r", *given
    )
    assert done.code == 0, done.err
    assert cli("predict", run / "bundle", tmp_path / "m.csv", "-o", tmp_path / "p.csv").code == 0
    said = pd.read_csv(tmp_path / "p.csv")
    assert said["id"].tolist() == table["image_id"].tolist()
    assert (said["status"] == "ok").all()
    done = cli("evaluate", run / "bundle", tmp_path / "m.csv", *given)
    assert f"{len(table)} cases judged" in done.out


def test_a_class_whose_rows_are_all_lost_is_named_with_the_reason(
    tmp_path: Path, manifest: pd.DataFrame, read: Read
) -> None:
    table = pd.DataFrame({"age": [50, 60, None, None, None], "target": ["1", "1", "0", "0", "2"]})
    data = read(table)
    assert data.origin.notes == (
        "No case of the class '0' can be used: 2 rows, most often since every field is missing.",
        "No case of the class '2' can be used: 1 row, most often since every field is missing.",
    )
    with pytest.raises(DataError, match="one class only") as caught:
        check_classes(data)
    assert caught.value.hint == " ".join(data.origin.notes)
    (tmp_path / "img" / "4.png").write_text("text")
    manifest.to_csv(tmp_path / "m.csv", index=False)
    assert any(
        note.startswith("No case of the class '0' can be used") for note in read(tmp_path / "m.csv").origin.notes
    )


@pytest.mark.parametrize("constant", [True, False])
def test_labels_and_fields_in_rows_of_their_own_are_told(constant: bool, read: Read) -> None:
    """As a longitudinal export has them: fields at the first visit, the outcome at the last."""
    none, ages = [None] * 30, [i * 7 % 30 for i in range(30)]
    both = pd.DataFrame({"age": ages + none, "crp": ages + none, "target": [*none, *["a", "b"] * 15]})
    both["event"] = ["first"] * 30 + ["last"] * 30
    if constant:
        notes = read(both).origin.notes
        assert any(note.startswith("2 of 3 fields are missing in the rows with a label") for note in notes)
        found = medtasks.audit("diagnosis", both).findings
        (told,) = [one for one in found if one.title.startswith("2 of 3 fields are missing")]
        assert (told.severity, told.check) == ("warning", "missing")
        assert "join the rows" in told.advice
    else:
        with pytest.raises(DataError, match="no usable row") as caught:
            read(both.drop(columns="event"))
        assert "join the rows" in str(caught.value.hint)
    whole = pd.DataFrame({"age": ages, "target": ["a", "b", None] * 10})
    assert not any("join the rows" in note for note in read(whole).origin.notes)


# --- npz ---


def arrays(n: int = 4, key: str = "train", **more: Any) -> dict[str, Any]:
    pixels = np.random.default_rng(n).integers(0, 256, (n, 4, 4), dtype=np.uint8)
    return {f"{key}_images": pixels, f"{key}_labels": (np.arange(n) % 2)[:, None], **more}


def test_npz_with_medmnists_keys(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "m.npz"
    np.savez(path, **arrays(4), **arrays(3, "val"), **arrays(2, "test"))
    data = read(path)
    assert data.split is not None
    assert data.split.tolist() == ["train"] * 4 + ["valid"] * 3 + ["test"] * 2
    assert data.targets.tolist() == [0, 1, 0, 1, 0, 1, 0, 0, 1]
    assert data.cases.ids.tolist()[4] == "val-0"


def test_npz_with_images_and_labels_leaves_the_split_to_medtasks(tmp_path: Path, read: Read) -> None:
    np.savez(tmp_path / "m.npz", images=np.zeros((3, 4, 4, 3), dtype=np.uint8), labels=np.array(["b", "a", "b"]))
    data = read(tmp_path / "m.npz")
    assert data.split is None
    assert data.classes == ("a", "b")
    assert data.targets.tolist() == [1, 0, 1]


def test_npz_images_without_a_label_are_listed(tmp_path: Path, read: Read) -> None:
    np.savez(tmp_path / "m.npz", images=np.zeros((3, 4, 4), dtype=np.uint8), labels=np.array([0, np.nan, 1]))
    data = read(tmp_path / "m.npz")
    assert data.classes == ("0", "1")
    assert data.cases.ids.tolist() == ["all-0", "all-2"]
    assert data.origin.invalid[0][0] == "all-1"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"x": np.zeros(3)}, "no arrays 'train_images'"),
        (arrays(train_labels=np.zeros((4, 14))), "several labels"),
        (arrays(train_labels=np.zeros(3)), "differs in length"),
        (arrays(train_labels=np.array(3)), "differs in length"),
        ({"train_images": np.zeros((4, 4, 4), dtype=np.uint8)}, "train_labels is missing"),
        (arrays(train_images=np.zeros((4, 4, 4, 4, 1), dtype=np.uint8)), "has the shape"),
        (arrays(train_images=np.zeros((4, 4, 4), dtype=np.int32)), "is of type int32"),
        (arrays(train_labels=np.array([{"a": 1}] * 4, dtype=object)), "not a readable .npz"),
        ({**arrays(4), **arrays(2, "test", test_images=np.zeros((2, 5, 5), dtype=np.uint8))}, "different sizes"),
    ],
)
def test_npz_that_cannot_be_used_says_why(tmp_path: Path, read: Read, content: dict[str, Any], says: str) -> None:
    np.savez(tmp_path / "m.npz", **content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "m.npz")
    assert says in caught.value.message
    assert "m.npz" in caught.value.message


# --- records ---


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ["u", "v", "w", "x", "y"] * 4,
            "age": ["61", "47", SECRET, "50", ""] + ["30", "41", "52", "63", "74"] * 3,
            "fever": ["yes", "no", "no", "?", ""] + ["no", "yes", "no", "no", "yes"] * 3,
            "remark": [f"{SECRET} {i}" for i in range(20)],
            "patient_id": [f"p{i // 2}" for i in range(20)],
            "diagnosis": ["flu", "none", "flu", "", "none"] + ["flu", "none", "flu", "flu", "none"] * 3,
        }
    )


def test_records_keep_good_rows_together_and_list_the_rest(table: pd.DataFrame, read: Read) -> None:
    data = read(table.set_index(table.index + 100))
    assert isinstance(data.cases, Records)
    assert [field.name for field in data.cases.fields] == ["age", "fever"]
    assert data.names == ("diagnosis",)
    assert labels(data)[:3] == ["flu", "none", "flu"]
    assert data.classes == ("none", "flu")
    assert [name for name, _ in data.origin.invalid] == ["row 3", "row 4", "row 5"]
    assert data.cases.ids.tolist()[:3] == ["u", "v", "u"]
    assert data.groups is not None
    assert data.groups.tolist()[:3] == ["p0", "p0", "p2"]
    assert len(data) == 17
    assert "'remark'" in data.origin.notes[0]
    assert SECRET not in str(data.origin)


def test_ignored_columns_are_not_seen(table: pd.DataFrame, read: Read) -> None:
    data = read(table, ignore="age, remark")
    assert isinstance(data.cases, Records)
    assert [field.name for field in data.cases.fields] == ["fever"]
    assert data.origin.notes == ()


def test_with_a_schema_the_fields_are_the_models(table: pd.DataFrame, read: Read) -> None:
    schema = read(table).cases.schema()
    later = table.assign(fever="yes", age="44", new="1")
    data = read(later, schema=schema)
    assert isinstance(data.cases, Records)
    assert [field.type for field in data.cases.fields] == ["number", "boolean"]
    with pytest.raises(DataError, match="lacks the column 'fever'"):
        read(later.drop(columns="fever"), schema=schema)


def test_records_without_a_usable_column_or_row(table: pd.DataFrame, read: Read) -> None:
    with pytest.raises(DataError) as caught:
        read(table[["remark", "diagnosis"]])
    assert "no column that a model can use" in caught.value.message
    assert SECRET not in str(caught.value.hint)
    with pytest.raises(DataError, match="no usable row"):
        read(table.assign(diagnosis=""))


def test_two_columns_of_one_name_are_refused(table: pd.DataFrame, read: Read) -> None:
    with pytest.raises(DataError, match="more than one column called 'age'"):
        read(pd.concat([table, table[["age"]]], axis=1))


def test_a_table_reads_the_same_from_every_format(tmp_path: Path, table: pd.DataFrame, read: Read) -> None:
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_csv(tmp_path / "t.tsv.gz", index=False, sep="\t")
    table.to_parquet(tmp_path / "t.parquet")
    digests = {read(tmp_path / name).digest() for name in ("t.csv", "t.tsv.gz", "t.parquet")}
    assert digests == {read(table).digest()}


@pytest.mark.parametrize(("name", "rows"), [("cleveland.tsv.gz", 303), ("hepatitis.tsv.gz", 155)])
def test_real_tables_are_read_whole(read: Read, name: str, rows: int) -> None:
    if not (REAL / name).exists():
        pytest.skip(f"{os.fspath(REAL / name)} is not here")
    data = read(REAL / name)
    assert len(data) + len(data.origin.invalid) == rows
    assert len(data.origin.invalid) == 0
    assert len(data.classes) >= 2


def deep_films(folder: Path, top: int, kind: str = "png") -> Path:
    """Write 16-bit PNG or 32-bit TIFF films whose values go up to ``top``."""
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for i in range(8):
            values = rng.uniform(0, 0.6 * top, (8, 8)) + (0.4 * top if label == "b" else 0)
            pixels = values.astype(np.float32 if kind == "tif" else np.uint16)
            Image.fromarray(pixels).save(folder / label / f"{i}.{kind}")
    return folder


def test_12_bits_in_16_are_told_and_scaled_by_a_declared_range_for_ever(tmp_path: Path) -> None:
    films = deep_films(tmp_path / "films", 4095)
    plain = read(films, DiagnosisOptions(), Context())
    assert any("no value above 4095" in note and "--pixel-range 0,4095" in note for note in plain.origin.notes)
    assert plain.cases.load((8, 8)).max() < 0.07  # type: ignore[attr-defined]
    told = read(films, DiagnosisOptions(pixel_range="0,4095"), Context())  # type: ignore[arg-type]
    assert told.origin.notes == ("Images of more than 8 bits are scaled from 0 (black) to 4095 (white).",)
    seen = told.cases.load((8, 8))  # type: ignore[attr-defined]
    assert seen == pytest.approx(np.clip(plain.cases.load((8, 8)) * 65535 / 4095, 0, 1), abs=1e-5)  # type: ignore[attr-defined]
    schema = json.loads(json.dumps(told.cases.schema()))  # as a bundle keeps it
    (reading,) = Images.read(films, schema)
    assert reading.cases is not None
    assert np.array_equal(reading.cases.load((8, 8)), seen)
    arrays = np.stack([np.asarray(Image.open(path)) for path in sorted(films.rglob("*.png"))])
    np.savez(tmp_path / "films.npz", images=arrays, labels=np.arange(16) // 8)
    packed = read(tmp_path / "films.npz", DiagnosisOptions(pixel_range=(0, 4095)), Context())
    assert np.array_equal(packed.cases.load((8, 8)), seen)  # type: ignore[attr-defined]


def test_16_bits_that_are_used_need_no_note(tmp_path: Path) -> None:
    assert read(deep_films(tmp_path / "films", 65535), DiagnosisOptions(), Context()).origin.notes == ()


def test_32_bits_beyond_0_1_are_told_and_made_comparable_by_a_declared_range(tmp_path: Path) -> None:
    films = deep_films(tmp_path / "films", 1000, "tif")
    plain = read(films, DiagnosisOptions(), Context())
    assert any("16 images of 32 bits" in note for note in plain.origin.notes)
    told = read(films, DiagnosisOptions(pixel_range=(-1000, 1000)), Context())
    means = told.cases.load((8, 8)).mean(axis=(1, 2, 3))  # type: ignore[attr-defined]
    assert means[told.targets == 0].max() < means[told.targets == 1].min()  # "b" is brighter by 400 everywhere


def test_dicom_without_a_window_is_noted_with_the_way_out() -> None:
    (note,) = scaling_notes([WINDOWLESS, WINDOWLESS, 0], None)
    assert "2 DICOM files have no window" in note
    assert "--pixel-range" in note


def test_a_pixel_range_without_effect_or_sense_is_refused(image_folder: Path, tmp_path: Path, cli: Any) -> None:
    run = ("run", "diagnosis", "--model", "linear-image", "--dry-run", "--data")
    done = cli(*run, image_folder, "--pixel-range", "0,4095")
    assert done.code == 2
    assert "--pixel-range" in done.error
    films = deep_films(tmp_path / "films", 4095)
    for wrong in ("4095,0", "0", "0,much", "0,nan"):
        assert cli(*run, films, "--pixel-range", wrong).code == 2
    assert "no value above 4095" in cli(*run, films).err


def test_a_row_cut_short_is_left_out_with_the_reason(tmp_path: Path, image_folder: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("age,label,patient_id,split\n" + "61,ill,a,train\n47,well,b,train\n" * 3 + "50,ill\n")
    images = sorted(image_folder.rglob("*.png"))[:7]
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        "path,label,patient_id\n"
        + "".join(f"{image},{label}\n" for image, label in zip(images, ["ill,a", "well,b"] * 3 + ["ill"], strict=True))
    )
    for file in (path, manifest):
        data = read(file, DiagnosisOptions(), Context())
        assert len(data) == 6
        ((row, reason),) = data.origin.invalid
        assert row == "row 7"
        assert " 2 of " in reason
        with pytest.raises(UsageError) as caught:
            read(file, DiagnosisOptions(target="sick"), Context())
        assert "cannot be used" not in str(caught.value.hint)  # the reasons are no column of the file
    schema = data.cases.schema()
    (reading,) = Images.read(manifest, schema)
    assert [error is None for error in reading.errors] == [True] * 6 + [False]
    assert "2 of 3 fields" in str(reading.errors[6])


def test_negatives_written_as_a_dash_stay_and_texts_that_mean_missing_are_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("age,label\n" + "61,+\n47,-\n" * 4 + "50,NA\n51,\n")
    data = read(path, DiagnosisOptions(), Context())
    assert data.classes == ("-", "+")
    assert data.targets.tolist() == [1, 0] * 4
    (first, told), (second, empty) = data.origin.invalid
    assert (first, second) == ("row 9", "row 10")
    assert "counts as missing" in told
    assert empty == "the row has no label"
