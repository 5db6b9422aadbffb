"""Explaining models that do not explain themselves, and telling good explanations from bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.cases import Images, Molecules, Records
from medtasks.cases.describing import Describer
from medtasks.occlusion import GRID, faithfulness, occlude, without


def test_the_field_that_decides_is_found() -> None:
    rng = np.random.default_rng(0)
    records = Records.from_table(
        pd.DataFrame({"a": rng.normal(size=40), "b": rng.normal(size=40), "c": ["x", "y"] * 20})
    )
    describer = Describer.fit(records)

    def score(cases: Any) -> np.ndarray:
        return np.asarray(3.0 * cases.frame["b"].to_numpy() + (cases.frame["c"] == "y").to_numpy())

    values = occlude(score, records, describer)
    median = float(records.frame["b"].median())
    assert np.allclose(values[:, 1], 3 * (records.frame["b"] - median))
    assert np.allclose(values[:, 0], 0)
    assert np.allclose(values[:, 2], (records.frame["c"] == "y").astype(float))
    assert faithfulness(score, records, list(values), describer) > 0.7  # type: ignore[operator]
    assert faithfulness(score, records, list(-values), describer) < 0.4  # type: ignore[operator]


def test_the_place_of_a_lesion_is_found() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.uniform(0.2, 0.4, (12, 32, 32)).astype(np.float32)
    places = rng.integers(0, GRID, (12, 2))
    for picture, (down, across) in zip(pictures, places, strict=True):
        picture[down * 4 : down * 4 + 4, across * 4 : across * 4 + 4] = 1.0
    images = Images([str(i) for i in range(12)], list(pictures))

    def score(cases: Any) -> np.ndarray:
        return np.asarray(cases.load((32, 32), 1).reshape(len(cases), -1).max(axis=1), dtype=np.float64)

    heat = occlude(score, images, None)
    assert heat.shape == (12, GRID, GRID)
    found = np.array([np.unravel_index(one.argmax(), one.shape) for one in heat])
    assert (found == places).all()  # the pointing game
    assert faithfulness(score, images, list(heat), None) > 0.8  # type: ignore[operator]  # chance hides it too at times
    fine = [np.kron(one, np.ones((4, 4))) for one in heat]  # a map at any resolution can be tested
    assert faithfulness(score, images, fine, None) > 0.8  # type: ignore[operator]


def test_what_is_hidden_is_filled_from_around_it() -> None:
    ramp = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (48, 1))  # no square, and larger than it is filled at
    spot = ramp.copy()
    spot[18:24, 36:48] = 1.0
    mask = np.zeros((GRID, GRID), dtype=bool)
    mask[3, 3] = True
    (filled,) = (without(Images(["a"], [spot]), [mask], None).pixels(0),)  # type: ignore[attr-defined]
    assert np.abs(filled[18:24, 36:48, 0] - ramp[18:24, 36:48]).max() < 0.1  # the mean of the image would be 0.15 off
    assert np.array_equal(filled[:18, :, 0], ramp[:18])
    whole = without(Images(["a"], [spot]), [np.ones((GRID, GRID), dtype=bool)], None)
    assert np.allclose(whole.pixels(0), spot.mean(), atol=1e-4)  # type: ignore[attr-defined]


def aligned(n: int = 60, size: int = 64, seed: int = 0) -> np.ndarray:
    """Pictures of one view: a bright half below, each at a brightness, contrast and noise of its own."""
    rng = np.random.default_rng(seed)
    view = np.linspace(0.2, 0.6, size)[:, None] * np.ones(size)
    gain, shift = rng.uniform(0.7, 1.2, (2, n, 1, 1))
    return np.asarray(gain * view + 0.2 * (shift - 1) + rng.normal(0, 0.02, (n, size, size)), dtype=np.float32)


def test_of_aligned_images_a_patch_is_filled_by_what_is_usual_there() -> None:
    known = Images([str(i) for i in range(60)], list(np.clip(aligned(), 0, 1)))
    describer = Describer.fit(known)
    assert describer is not None
    assert describer.usual is not None
    (plain,) = 0.8 * aligned(1, seed=5)  # darker than any learnt from: brightness is the image's own
    ill = plain.copy()
    ill[40:64, 8:40] += 0.3  # larger than a patch: its surroundings are ill too
    mask = np.zeros((GRID, GRID), dtype=bool)
    mask[6, 2] = True
    (by_usual, by_around) = (without(Images(["a"], [ill]), [mask], one).pixels(0) for one in (describer, None))  # type: ignore[attr-defined]
    place = (slice(48, 56), slice(16, 24))
    assert np.abs(by_usual[..., 0][place] - plain[place]).mean() < 0.15  # what is ill moves the fit
    assert np.abs(by_around[..., 0][place] - plain[place]).mean() > 0.25

    def score(cases: Any) -> np.ndarray:
        return np.asarray(cases.load((64, 64), 1)[:, 40:64, 8:40, 0].mean(axis=(1, 2)), dtype=np.float64)

    (heat,) = occlude(score, Images(["a"], [ill]), describer)
    down, across = np.unravel_index(heat.argmax(), heat.shape)
    assert 5 <= down < 8
    assert 1 <= across < 5
    again = Describer.from_arrays(describer.to_arrays(), {"kind": "images"})
    assert np.array_equal(again.usual, describer.usual)  # type: ignore[arg-type]
    coloured = Images(["a"], [np.repeat(ill[:, :, None], 3, axis=2)])
    assert np.allclose(without(coloured, [mask], describer).pixels(0)[..., 1:2], by_usual, atol=1e-6)  # type: ignore[attr-defined]


def test_what_is_usual_is_known_of_aligned_images_alone() -> None:
    names = [str(i) for i in range(60)]
    pictures = aligned()
    turned = [np.rot90(one, i % 4) for i, one in enumerate(pictures)]
    assert Describer.fit(Images(names, [np.clip(one, 0, 1) for one in turned])).usual is None  # type: ignore[union-attr]
    few = Images(names[:10], list(np.clip(pictures[:10], 0, 1)))
    assert Describer.fit(few).usual is None  # type: ignore[union-attr]  # one patient could be seen in the mean
    known = Images(names, list(np.clip(pictures, 0, 1)))
    patients = np.array([f"p{i % 10}" for i in range(60)])
    assert Describer.fit(known, patients).usual is None  # type: ignore[union-attr]  # 60 films, but of 10 patients
    assert Describer.fit(known, np.array([f"p{i % 30}" for i in range(60)])).usual is not None  # type: ignore[union-attr]
    coloured = np.stack([pictures, pictures / 2, pictures / 3], axis=3).clip(0, 1)
    assert Describer.fit(Images(names, list(coloured))).usual.shape == (64, 64, 3)  # type: ignore[union-attr]


def test_an_image_is_read_once_however_often_it_is_hidden_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    for i in range(3):
        Image.fromarray(np.full((40, 40), 60 * i, dtype=np.uint8)).save(tmp_path / f"{i}.png")
    images = Images(["a", "b", "c"], [tmp_path / f"{i}.png" for i in range(3)])
    read, reads = Images.pixels, []
    monkeypatch.setattr(Images, "pixels", lambda self, row: (reads.append(row), read(self, row))[1])
    rows = np.repeat(np.arange(3), 20)
    hidden = without(images, [np.eye(GRID, dtype=bool)] * 60, None, rows)
    assert reads == [0, 1, 2]
    assert hidden.ids.tolist() == np.repeat(["a", "b", "c"], 20).tolist()


def test_of_no_image_there_is_no_explanation() -> None:
    nothing = Images(["a"], [np.zeros((32, 32), dtype=np.float32)]).take(np.arange(0))
    assert occlude(lambda cases: np.zeros(len(cases)), nothing, None).shape == (0, GRID, GRID)


def test_the_atoms_that_decide_are_found() -> None:
    molecules = Molecules.from_smiles(["CCCCO", "CCNCC", "OCCCCN"])

    def score(cases: Any) -> np.ndarray:
        return np.array([sum(atom.GetSymbol() == "O" for atom in mol.GetAtoms()) for mol in cases.mols()], dtype=float)

    values = occlude(score, molecules, None)
    assert values[0].tolist() == [0, 0, 0, 0, 1]
    assert values[1].tolist() == [0] * 5
    assert values[2].tolist() == [1, 0, 0, 0, 0, 0]
    ringed = Molecules.from_smiles(["c1ccc2[nH]ccc2c1", "C[N+](C)(C)C"])
    for row, mol in enumerate(ringed.mols()):  # aromatic and charged atoms too
        masks = [np.arange(mol.GetNumAtoms()) == i for i in range(mol.GetNumAtoms())]
        hidden = without(ringed.take(np.full(len(masks), row)), masks, None)
        assert [other.GetNumAtoms() for other in hidden.mols()] == [mol.GetNumAtoms()] * len(masks)  # type: ignore[attr-defined]


def test_what_changes_nothing_cannot_be_tested() -> None:
    records = Records.from_table(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}))
    assert faithfulness(lambda cases: np.zeros(len(cases)), records, [np.ones(2)] * 2, None) is None
    assert faithfulness(lambda cases: np.zeros(len(cases)), records, [np.ones(1)] * 2, None) is None


def test_a_model_of_two_methods_is_explained(
    plugins: Any, records_csv: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    plugins.model("acme-crp", CRP)
    run = medtasks.run("diagnosis", records_csv, model="acme-crp", out=tmp_path / "r", folds=1)
    (one, *_) = medtasks.explain(run.bundle, table.head(8), "sick")
    assert one.parts[int(np.abs(np.mean(one.values, axis=0)).argmax())] == "crp"
    from medtasks.explaining import write

    told = write(medtasks.load(run.bundle), table.head(30), tmp_path / "why")
    assert told["faithfulness"] == pytest.approx(1.0, abs=0.35)
    assert "explains nothing itself" in (tmp_path / "why" / "report.html").read_text("utf-8")


def test_a_number_between_0_and_1_is_no_probability() -> None:
    from medtasks.task import Outputs, load_task

    activity, treatment = load_task("activity"), load_task("treatment")
    mixed = Outputs(("logS", "toxic"), kinds=("number", "binary"))
    assert [activity.in_odds(mixed, t) for t in (0, 1)] == [False, True]
    assert load_task("diagnosis").in_odds(Outputs(("target",), ("well", "ill")), 1)
    assert treatment.in_odds(Outputs(("a", "b"), kinds=("set",) * 2), 0)
    assert not treatment.in_odds(Outputs(("mg",), kinds=("dose",)), 0)


CRP = """
import numpy as np
from medtasks.model import Model

class It(Model):
    task, accepts = "diagnosis", "records"
    def fit(self, train, valid, *, context):
        self.cut = float(train.cases.frame["crp"].median())
    def predict(self, cases, *, context):
        sick = 1 / (1 + np.exp(-(cases.frame["crp"].to_numpy(float) - self.cut) / 10))
        return np.column_stack([1 - sick, sick])
    def save(self, folder):
        np.savez(folder / "model.npz", cut=self.cut)
    @classmethod
    def load(cls, folder, *, context):
        model = cls(cls.Config())
        model.cut = float(np.load(folder / "model.npz")["cut"])
        return model
"""
