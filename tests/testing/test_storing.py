"""What a folder may hold: no code, no pickle, no training case."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from medtasks.cases import RecordEncoder
from medtasks.testing.bench import TRAIN, toy_data
from medtasks.testing.report import Broken
from medtasks.testing.storing import no_training_rows, safe_files

PICKLE = pickle.dumps({"a": [1, 2]})


def zipped(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo(name), data)  # with no time in it: it is in the names of tests
    return buffer.getvalue()


def array(values: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("model.json", PICKLE, "is a pickle"),
        ("model.pkl", b"{}", "runs code"),
        ("model.bin", gzip.compress(PICKLE, mtime=0), "is a pickle"),
        ("model.bin", zlib.compress(PICKLE), "is a pickle"),
        ("model.npy", array(np.array([{}], dtype=object), allow_pickle=True), "Python objects"),
        ("model.npz", zipped("a.npy", array(np.array([None]), allow_pickle=True)), "Python objects"),
        ("weights.bin", zipped("archive/data.pkl", PICKLE), "runs code"),
        ("weights.bin", zipped("archive/data", PICKLE), "is a pickle"),
        ("model", b"\x7fELF\x02\x01\x01\x00", "unknown kind"),
        ("run", b"#!/bin/sh\n", "unknown kind"),
    ],
)
def test_what_could_run_code_is_found(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / name).write_bytes(data)
    with pytest.raises(Broken, match=reason):
        safe_files(SimpleNamespace(saved=tmp_path))  # type: ignore[arg-type]  # only the folder is looked at


def test_a_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "model.json").symlink_to("/etc/hostname")
    with pytest.raises(Broken, match="link"):
        safe_files(SimpleNamespace(saved=tmp_path))  # type: ignore[arg-type]  # only the folder is looked at


def test_what_is_read_without_running_code_is_good(tmp_path: Path) -> None:
    header = b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    files = {
        "about.json": b'{"classes": 2}',
        "trees.txt": b"tree\nversion=v4\n",
        "a.npy": array(np.arange(3.0)),
        "b.npz": zipped("a.npy", array(np.arange(3))),
        "weights.h5": b"\x89HDF\r\n\x1a\n\0\0",
        "net.keras": zipped("config.json", b"{}"),
        "w.safetensors": struct.pack("<Q", len(header)) + header + struct.pack("<f", 1.5),
        "packed.json.gz": gzip.compress(b"{}"),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    safe_files(SimpleNamespace(saved=tmp_path))  # type: ignore[arg-type]  # only the folder is looked at


def bench(task: str, accepts: str, folder: Path) -> Any:
    return SimpleNamespace(train=toy_data(task, accepts).take(np.arange(TRAIN)), saved=folder)


@pytest.mark.parametrize("form", ["ids", "float64", "float32", "text", "packed", "file name"])
def test_training_records_are_found_in_any_form(tmp_path: Path, form: str) -> None:
    found = bench("diagnosis", "records", tmp_path)
    rows = found.train.cases.frame[["marker", "sodium"]].to_numpy()
    if form == "ids":
        np.save(tmp_path / "a.npy", found.train.cases.ids.astype(str))
    elif form == "packed":
        np.savez_compressed(tmp_path / "a.npz", rows=rows)
    elif form == "text":
        (tmp_path / "a.json").write_text(json.dumps(rows.tolist()))
    elif form == "file name":
        (tmp_path / f"{found.train.cases.ids[3]}.json").write_text("{}")
    else:
        np.save(tmp_path / "a.npy", rows.astype(form))
    with pytest.raises(Broken, match=r"training cases"):
        no_training_rows(found)


@pytest.mark.parametrize("form", ["rows", "columns", "of numbers"])
def test_training_records_are_found_on_another_scale(tmp_path: Path, form: str) -> None:
    """A model of nearest neighbours that keeps what its encoder made of the cases."""
    found = bench("diagnosis", "records", tmp_path)
    encoder = RecordEncoder.fit(found.train.cases)
    encoded = encoder.transform(found.train.cases)
    if form == "of numbers":
        encoded = (found.train.cases.frame[["sodium"]].to_numpy() / 140).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=encoded.T if form == "columns" else encoded, **encoder.to_arrays())
    with pytest.raises(Broken, match="on another scale"):
        no_training_rows(found)


def test_training_images_and_molecules_are_found(tmp_path: Path) -> None:
    images = bench("diagnosis", "images", tmp_path / "images")
    molecules = bench("activity", "molecules", tmp_path / "molecules")
    for place in (images.saved, molecules.saved):
        place.mkdir()
    np.savez_compressed(images.saved / "a.npz", x=images.train.cases.load((16, 16)))
    (molecules.saved / "a.json").write_text(json.dumps(molecules.train.cases.smiles()))
    for found in (images, molecules):
        with pytest.raises(Broken, match=f"holds {TRAIN} of {TRAIN} training cases"):
            no_training_rows(found)


def test_what_was_learnt_is_no_training_case(tmp_path: Path) -> None:
    found = bench("diagnosis", "records", tmp_path)
    frame = found.train.cases.frame[["marker", "sodium"]]
    learnt = {name: getattr(frame, name)().tolist() for name in ("mean", "median", "min", "max")}
    (tmp_path / "about.json").write_text(json.dumps(learnt))
    np.savez(tmp_path / "a.npz", **learnt)
    no_training_rows(found)
