"""Large inputs: in parts, by several processes, going on where a killed run stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks import bulk
from medtasks.bulk import into_folder
from medtasks.errors import DataError, UsageError

RINGS = ("c1ccc({})cc1", "C1CCN({})CC1", "C1CCC({})CC1", "C1CN({})CCO1", "c1ccc2cc({})ccc2c1")
TAILS = ("C", "CC", "CCC", "CC(C)C", "CCO", "CCN", "CCCl", "CC#N", "C(=O)O", "CCOC")
TEXTS = [ring.format(tail) for ring in RINGS for tail in TAILS]
HANGS = "c1ccc(" * 3000 + "c1ccccc1" + ")cc1" * 3000
"""Keeps RDKit busy for minutes."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = pd.DataFrame({"smiles": TEXTS, "target": [float(len(text)) for text in TEXTS]})
    out = tmp_path_factory.mktemp("bulk") / "run"
    loose = {"max_length": 1_000_000, "max_atoms": 1_000_000}
    return medtasks.run("activity", table, model="linear-fingerprint", out=out, **loose).folder


@pytest.fixture
def library(tmp_path: Path) -> Path:
    texts = [*TEXTS * 4, "", "CC OC", "C1CC"]
    path = tmp_path / "library.csv"
    pd.DataFrame({"id": [f"m{i}" for i in range(len(texts))], "smiles": texts}).to_csv(path, index=False)
    return path


def joined(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("part-*.parquet"))], ignore_index=True)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PIECE", 64)


def test_parts_hold_every_row_in_order_however_many_work(trained: Path, library: Path, tmp_path: Path) -> None:
    told = into_folder(trained, str(library), tmp_path / "one")
    assert told == {"rows": 203, "invalid": 3, "kept": 0}
    assert into_folder(trained, str(library), tmp_path / "two", workers=2) == told
    one, two = joined(tmp_path / "one"), joined(tmp_path / "two")
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert one["id"].tolist() == [f"m{i}" for i in range(203)]
    assert np.flatnonzero(one["status"] == "invalid").tolist() == [200, 201, 202]
    assert (one["error"][200:] != "").all()
    usual = medtasks.predict(trained, library)
    assert np.allclose(one["target"][:200].astype(float), usual["target"][:200].astype(float), atol=1e-9)


def test_groups_of_calibration_are_known_to_every_worker(tmp_path: Path) -> None:
    texts = [head + text for text in TEXTS for head in ("C", "CC")]
    series = np.where(np.arange(100) % 2, "a", "b").astype(object)
    noise = np.random.default_rng(0).normal(0, np.where(series == "a", 0.1, 9.0))
    table = pd.DataFrame({"smiles": texts, "series": series, "target": [len(text) for text in texts] + noise})
    run = medtasks.run(
        "activity", table, model="linear-fingerprint", within="series", folds=1, valid=0.4, out=tmp_path / "run"
    )
    new = table.drop(columns="target")
    new.loc[3, "series"], new.loc[4, "series"], new.loc[5, "smiles"] = "met later", None, "C1CC"
    new.to_csv(tmp_path / "new.csv", index=False)
    into_folder(run.folder, str(tmp_path / "new.csv"), tmp_path / "two", workers=2)
    usual, found = medtasks.predict(run.folder, tmp_path / "new.csv"), joined(tmp_path / "two")
    assert len(list((tmp_path / "two").glob("part-*.parquet"))) > 1
    assert found["calibrated_on"].isin(["group", "all cases"]).sum() == 99
    assert found["calibrated_on"][[3, 4]].tolist() == ["all cases"] * 2
    for name in ("low_target", "high_target"):
        assert np.allclose(found[name].astype(float), usual[name].astype(float), atol=1e-9, equal_nan=True)
    wide = (found["high_target"] - found["low_target"]).astype(float)
    assert wide[series == "b"].median() > wide[series == "a"].median()


def test_it_goes_on_where_it_was_stopped_and_repeats_nothing(trained: Path, library: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    into_folder(trained, str(library), out)
    whole = joined(out)
    (out / "part-000001.parquet").unlink()
    (out / "part-000003.writing").write_bytes(b"half")
    kept = {path: path.stat().st_mtime_ns for path in out.glob("part-*.parquet")}
    assert into_folder(trained, str(library), out)["kept"] == 3
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    pd.testing.assert_frame_equal(joined(out), whole)


def test_a_molecule_that_hangs_costs_itself_only(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "hard.csv"
    pd.DataFrame({"smiles": [*TEXTS[:5], HANGS, *TEXTS[5:9]]}).to_csv(path, index=False)
    start = time.monotonic()
    told = into_folder(trained, str(path), tmp_path / "out", timeout=3)
    assert time.monotonic() - start < 60
    assert told == {"rows": 10, "invalid": 1, "kept": 0}
    answers = joined(tmp_path / "out")
    assert answers["error"][5] == "the structure could not be read within 3 s"
    assert answers["id"].tolist() == [str(i + 1) for i in range(10)]
    assert answers["target"].notna().sum() == 9


def test_another_input_another_folder_and_other_kinds_are_refused(trained: Path, library: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="something else"):
        into_folder(trained, str(library), library.parent)
    into_folder(trained, str(library), tmp_path / "out")
    other = tmp_path / "other.csv"
    pd.DataFrame({"smiles": ["CCO"]}).to_csv(other, index=False)
    with pytest.raises(UsageError, match="another"):
        into_folder(trained, str(other), tmp_path / "out")
    with pytest.raises(DataError):
        into_folder(trained, str(tmp_path / "absent.csv"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_sd_files_are_answered_too(trained: Path, tmp_path: Path) -> None:
    from rdkit import Chem

    with Chem.SDWriter(str(tmp_path / "m.sdf")) as writer:
        for i, text in enumerate(TEXTS[:5]):
            mol = Chem.MolFromSmiles(text)
            mol.SetProp("_Name", f"n{i}")
            writer.write(mol)
    assert into_folder(trained, str(tmp_path / "m.sdf"), tmp_path / "out") == {"rows": 5, "invalid": 0, "kept": 0}
    assert joined(tmp_path / "out")["id"].tolist() == [f"n{i}" for i in range(5)]


@pytest.mark.slow
def test_a_killed_command_leaves_whole_parts_and_no_worker(trained: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "big.csv", tmp_path / "out"
    pd.DataFrame({"smiles": TEXTS * 1000}).to_csv(path, index=False)  # 50,000 rows: 25 parts
    command = [sys.executable, "-m", "medtasks", "predict", str(trained), str(path), "-o", str(out), "--workers", "2"]
    child = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    for _ in range(1200):
        if list(out.glob("part-*.parquet")):
            break
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert len(list(out.glob("part-*.parquet"))) >= 1
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert (told["rows"], told["invalid"]) == (50_000, 0)
    assert told["kept"] >= 1
    assert joined(out)["id"].tolist() == [str(i + 1) for i in range(50_000)]
    for _ in range(100):
        if not _working(trained):
            break
        time.sleep(0.1)
    assert not _working(trained)


def _working(place: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "medtasks.worker" in text and str(place) in text:
            found.append(text)
    return found
