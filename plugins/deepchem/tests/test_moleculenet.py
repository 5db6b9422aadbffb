"""MoleculeNet's data sets by name; nothing here imports DeepChem or uses the network."""

from __future__ import annotations

import ast
import gzip
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest
import requests

from medtasks.dataset import Dataset
from medtasks.errors import DataError
from medtasks_deepchem import MoleculeNet
from medtasks_deepchem.moleculenet import ALIASES, BASE, SOURCES, fetch

BACE = """mol,CID,Class,Model,pIC50
CCO,BACE_1,1,Train,9.15
CC(C,BACE_2,0,Train,4.5
CCN,BACE_3,,Test,5
c1ccccc1,BACE_4,0,Test,4
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache folder; a download is a failure."""

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("a test tried to download")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    monkeypatch.delenv("DEEPCHEM_DATA_DIR", raising=False)
    (tmp_path / "moleculenet").mkdir()
    return tmp_path


def load(name: str | None, cache: Path) -> Dataset:
    return MoleculeNet().load(name, cache=cache, seed=0)


def test_no_row_is_lost_and_a_missing_label_is_missing(cache: Path) -> None:
    (cache / "moleculenet" / "bace.csv").write_text(BACE, encoding="utf-8")
    data = load("bace", cache)
    assert data.cases.ids.tolist() == ["BACE_1", "BACE_4"]
    assert data.targets.tolist() == [[1], [0]]
    assert data.kinds == ("binary",)
    assert dict(data.origin.invalid) == {
        "row 2": "the SMILES cannot be parsed",
        "row 3": "the row has no measurement",
    }
    assert data.origin.source == "moleculenet/bace"
    assert "10.1021/acs.jcim.6b00290" in data.origin.citation
    numbers = load("bace-regression", cache)
    assert numbers.targets[:, 0].tolist() == [9.15, 5, 4]
    assert numbers.kinds == ("number",)
    assert numbers.names == ("pIC50",)


def test_several_targets_keep_their_gaps(cache: Path) -> None:
    names = SOURCES["tox21"].targets
    rows = [",".join([*names, "mol_id", "smiles"]), ",".join(["1", *[""] * 11, "TOX1", "CCO"])]
    rows.append(",".join(["", *["0"] * 11, "TOX2", "CCN"]))
    with gzip.open(cache / "moleculenet" / "tox21.csv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(rows))
    data = load("tox21", cache)
    assert data.names == names
    assert np.isnan(data.targets).tolist() == [[False, *[True] * 11], [True, *[False] * 11]]


def test_a_name_with_commas_is_one_target(cache: Path) -> None:
    names = SOURCES["sider"].targets
    quoted = ",".join(f'"{name}"' for name in names)
    with gzip.open(cache / "moleculenet" / "sider.csv.gz", "wt", encoding="utf-8") as file:
        file.write(f"smiles,{quoted}\nCCO,{','.join(['1'] * 27)}\nCCN,{','.join(['0'] * 27)}\n")
    assert load("sider", cache).names == names


def test_the_first_content_is_pinned(cache: Path) -> None:
    path = cache / "moleculenet" / "bace.csv"
    path.write_text(BACE, encoding="utf-8")
    load("bace", cache)
    assert (cache / "moleculenet" / "bace.csv.sha256").is_file()
    load("bace", cache)
    path.write_text(BACE.replace("9.15", "1.95"), encoding="utf-8")
    with pytest.raises(DataError, match="not the file that was read first") as caught:
        load("bace", cache)
    assert str(path) in str(caught.value.hint)


def test_the_folder_of_deepchem_is_looked_into(
    cache: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("deepchem")
    (folder / "bace.csv").write_text(BACE, encoding="utf-8")
    monkeypatch.setenv("DEEPCHEM_DATA_DIR", str(folder))
    assert len(load("bace", cache)) == 2
    assert [path.name for path in folder.iterdir()] == ["bace.csv"]
    assert sorted(path.name for path in (cache / "moleculenet").iterdir()) == ["bace.csv", "bace.csv.sha256"]


@pytest.mark.parametrize("error", [requests.ConnectionError("no route"), requests.HTTPError("404"), PermissionError()])
def test_offline_says_where_the_file_is_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(pooch, "retrieve", fail)
    monkeypatch.delenv("DEEPCHEM_DATA_DIR", raising=False)
    with pytest.raises(DataError, match="cannot be downloaded") as caught:
        load("esol", tmp_path)
    assert f"{BASE}delaney-processed.csv" in str(caught.value.hint)
    assert str(tmp_path / "moleculenet" / "delaney-processed.csv") in str(caught.value.hint)
    assert list((tmp_path / "moleculenet").iterdir()) == []


def test_a_download_goes_to_the_cache_and_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def retrieve(url: str, *, fname: str, path: Path, **options: Any) -> str:
        asked.update(options, url=url)
        (path / fname).write_text(BACE, encoding="utf-8")
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.delenv("DEEPCHEM_DATA_DIR", raising=False)
    path = fetch(SOURCES["bace"], tmp_path)
    assert asked["url"] == f"{BASE}bace.csv"
    assert path.read_text(encoding="utf-8") == BACE
    assert (tmp_path / "bace.csv.sha256").is_file()


@pytest.mark.parametrize(("name", "told"), [(None, "many data sets"), ("bcae", "no data set 'bcae'")])
def test_an_unknown_name_is_told(tmp_path: Path, name: str | None, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        load(name, tmp_path)
    assert "bace" in str(caught.value.hint)


def test_every_other_name_is_of_a_data_set() -> None:
    assert set(ALIASES.values()) <= set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_files_and_columns_are_those_of_deepchems_loaders(name: str) -> None:
    found = importlib.util.find_spec("deepchem")
    if found is None or not found.submodule_search_locations:
        pytest.skip("DeepChem is not installed: it needs Python < 3.12")
    source = SOURCES[name]
    folder = Path(found.submodule_search_locations[0], "molnet", "load_function")
    tree = ast.parse((folder / f"{source.module}_datasets.py").read_text(encoding="utf-8"))
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert tuple(ast.literal_eval(constants[source.tasks])) == source.targets
    urls = {ast.literal_eval(value) for key, value in constants.items() if key.endswith("_URL")}
    assert BASE + source.file in urls
    fields = [
        ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "feature_field"
    ]
    assert source.smiles in fields
