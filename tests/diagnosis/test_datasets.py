"""The named data sets: what they hold, and what they say when they cannot be had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest
import requests

from medtasks.cases import Images, Records
from medtasks.diagnosis.datasets import BreastCancer, PneumoniaMNIST
from medtasks.errors import DataError

CACHED = Path.home() / ".cache" / "medtasks" / "pneumoniamnist.npz"


def archive(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    parts = {"train": 6, "val": 4, "test": 4}
    path = folder / "pneumoniamnist.npz"
    np.savez(
        path,
        **{f"{name}_images": rng.integers(0, 255, (n, 28, 28), dtype=np.uint8) for name, n in parts.items()},
        **{f"{name}_labels": (np.arange(n) % 2).astype(np.uint8)[:, None] for name, n in parts.items()},
    )
    return path


def test_breast_cancer_has_malignant_as_the_positive_class() -> None:
    data = BreastCancer().load(None, cache=Path("unused"), seed=0)
    assert isinstance(data.cases, Records)
    assert len(data) == 569
    assert data.classes == ("benign", "malignant")
    assert np.bincount(data.targets).tolist() == [357, 212]
    assert len(data.cases.fields) == 30
    radius = data.cases.frame["mean radius"]
    assert radius[data.targets == 1].mean() > radius[data.targets == 0].mean()  # malignant nuclei are larger
    assert not data.origin.synthetic
    assert "10.24432" in data.origin.citation


def test_pneumoniamnist_keeps_its_split_and_names_its_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def retrieve(url: str, **options: Any) -> str:
        asked.update(options, url=url)
        return str(archive(tmp_path))

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    data = PneumoniaMNIST().load(None, cache=tmp_path, seed=0)
    assert isinstance(data.cases, Images)
    assert data.classes == ("normal", "pneumonia")
    assert data.split is not None
    assert data.split.tolist() == ["train"] * 6 + ["valid"] * 4 + ["test"] * 4
    assert asked["known_hash"].startswith("md5:")
    assert asked["path"] == tmp_path
    assert data.origin.licence == "CC BY 4.0"
    assert data.origin.notes


@pytest.mark.parametrize("error", [requests.ConnectionError("no route"), requests.Timeout(), PermissionError("cache")])
def test_offline_says_where_the_file_is_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(DataError, match="cannot be downloaded") as caught:
        PneumoniaMNIST().load(None, cache=tmp_path, seed=0)
    assert PneumoniaMNIST.url in str(caught.value.hint)
    assert "--data" in str(caught.value.hint)


def test_a_download_with_another_checksum_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The download itself is pooch's; only the network is replaced."""

    def damaged(url: str, output_file: str, *_: Any, **__: Any) -> None:
        Path(output_file).write_bytes(b"damaged")

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *args, **options: damaged)
    cache = tmp_path / "cache"
    with pytest.raises(DataError, match="checksum"):
        PneumoniaMNIST().load(None, cache=cache, seed=0)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("kind", [BreastCancer, PneumoniaMNIST])
def test_a_variant_that_does_not_exist_is_refused(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(DataError, match="no variant 'big'"):
        kind().load("big", cache=tmp_path, seed=0)


def test_the_real_archive_where_it_is_cached() -> None:
    if not CACHED.exists():
        pytest.skip(f"{CACHED} is not here")
    data = PneumoniaMNIST().load(None, cache=CACHED.parent, seed=0)
    assert len(data) == 5856
    assert data.split is not None
    assert (data.split == "test").sum() == 624
