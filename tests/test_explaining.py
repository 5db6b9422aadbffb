"""Explaining new cases: each is answered once, and values are written as they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import medtasks
from medtasks import explaining
from medtasks.cases import Images
from medtasks.errors import UsageError
from medtasks.predictor import Predictor


def test_cases_are_answered_once_beside_the_test_of_some(
    record_run: Path, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, asked, plain = medtasks.load(record_run), [0], Predictor.scores

    def scores(self: Predictor, cases: medtasks.cases.Cases, **options: object) -> npt.NDArray[np.float64]:
        asked[0] += len(cases)
        return plain(self, cases, **options)  # type: ignore[arg-type]

    many = pd.concat([table] * 7, ignore_index=True)  # 630 cases, three chunks
    monkeypatch.setattr(Predictor, "scores", scores)
    told = explaining.write(predictor, many, tmp_path / "e")
    assert told["explained"] == len(many)
    assert asked[0] <= len(many) + 5 * explaining.TESTED  # itself, the parts named hidden, and three draws
    written = pd.read_csv(tmp_path / "e" / "values.csv")
    assert written["id"].tolist() == many["id"].tolist()
    found = medtasks.explain(predictor, table)
    each = {name: (one.target, value) for one in found for name, value in zip(one.ids, one.values, strict=True)}
    assert written["explains"][:90].tolist() == [each[name][0] for name in table["id"]]
    expected = np.array([each[name][1] for name in table["id"]])
    assert written.iloc[:90, 2:].to_numpy(dtype=float) == pytest.approx(expected)


def test_a_class_that_is_not_there_is_told_before_anything_is_answered(
    record_run: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no class or target"):
        explaining.write(medtasks.load(record_run), table, tmp_path / "e", target="sik")
    assert not (tmp_path / "e").exists()


def test_values_of_images_are_as_numpy_reads_them(
    image_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = medtasks.load(image_run)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), dtype=np.uint8)
    np.savez(tmp_path / "four.npz", images=pixels)
    read = Images.read

    def twins(cls: type[Images], *arguments: object, **options: object) -> object:
        for reading in read(*arguments, **{**options, "chunk": 2}):  # type: ignore[arg-type]
            assert reading.cases is not None
            reading.cases.ids = np.array(["one", "two"], dtype=object)
            yield reading

    monkeypatch.setattr(Images, "read", classmethod(twins))
    told = explaining.write(predictor, str(tmp_path / "four.npz"), tmp_path / "e", target="opacity")
    assert (told["explained"], Path(told["values"]).name) == (4, "values.npz")
    with np.load(tmp_path / "e" / "values.npz", allow_pickle=False) as file:
        assert set(file.files) == {f"{name}::opacity{twin}" for name in ("one", "two") for twin in ("", "::2")}
        shapes = {file[name].shape for name in file.files}
        assert len(shapes) == 1
    assert {path.name for path in (tmp_path / "e").iterdir()} == {"report.html", "values.npz"}
