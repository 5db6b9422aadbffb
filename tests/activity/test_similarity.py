"""What a test asks: nearest training molecules, leakage, activity cliffs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.activity import judging
from medtasks.activity.similarity import nearest, with_cliffs
from medtasks.cases import Molecules
from medtasks.dataset import Dataset

TWINS = ["c1ccccc1CCN", "c1ccccc1CCCN", "CCO", "CCCCCO"]


def test_the_nearest_training_molecule_is_found() -> None:
    known = Molecules.from_smiles(["CCO", "c1ccccc1CCN", "CCCCCC"])
    found = nearest(Molecules.from_smiles(["CCO", "c1ccccc1CCCN"]), known)
    assert found.place.tolist() == [0, 1]
    assert found.similarity[0] == 1
    assert 0.3 < found.similarity[1] < 1


def test_twins_on_one_scaffold_that_differ_ten_fold_are_a_cliff() -> None:
    data = Dataset(
        Molecules.from_smiles(TWINS), np.array([[5.0], [6.2], [5.0], [9.0]]), names=("pIC50",), kinds=("number",)
    )
    assert with_cliffs(data, 1.0).extra["cliff"][:, 0].tolist() == [True, True, False, False]
    assert not with_cliffs(data, 1.5).extra["cliff"].any()
    assert "cliff" not in with_cliffs(data, 0).extra


def test_a_scaffold_that_cannot_be_read_back_is_like_none() -> None:
    odd = "Cc1c2ccccc2n[c-](CCCO)[n+]1=O"  # RDKit writes its scaffold as a text that it refuses to read
    molecules = Molecules.from_smiles([odd, odd.replace("CCCO", "CCCCCCN"), "CCO"])
    data = Dataset(molecules, np.array([[1.0], [9.0], [1.0]]), names=("y",), kinds=("number",))
    assert not with_cliffs(data, 1.0).extra["cliff"].any()


def test_bounds_gaps_and_classes_make_no_cliff() -> None:
    values = np.array([[5.0, 0.0], [6.2, 1.0], [np.nan, 0.0], [9.0, 1.0]])
    data = Dataset(
        Molecules.from_smiles(TWINS),
        values,
        names=("pIC50", "toxic"),
        kinds=("number", "binary"),
        extra={"censoring": np.array([[1, 0], [0, 0], [0, 0], [0, 0]], dtype=np.int8)},
    )
    assert not with_cliffs(data, 1.0).extra["cliff"].any()


def test_the_error_on_cliffs_is_that_of_their_molecules_alone() -> None:
    cases = Molecules.from_smiles(["C" * (i + 1) for i in range(20)])
    steep = (np.arange(20) < 6)[:, None]
    data = Dataset(cases, np.zeros((20, 1)), names=("y",), kinds=("number",), extra={"cliff": steep})
    answers = pd.DataFrame({"y": np.where(steep[:, 0], 2.0, 1.0)})
    found = judging.evaluate(data, answers, 0).metrics["rmse_cliff"]
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)
    few = replace(data, extra={"cliff": (np.arange(20) < 2)[:, None]})
    assert "rmse_cliff" not in judging.evaluate(few, answers, 0).metrics


@pytest.mark.parametrize("folds", [0, 2])
def test_the_report_says_how_new_the_test_molecules_are(tmp_path: Path, folds: int) -> None:
    rings = ("c1ccc({})cc1", "C1CCN({})CC1", "C1CCC({})CC1", "C1CN({})CCO1", "c1ccc2cc({})ccc2c1")
    tails = ("C", "CC", "CCC", "CC(C)C", "CCO", "CCN", "CCCl", "CC#N", "C(=O)O", "CCOC")
    texts = [ring.format(tail) for ring in rings for tail in tails]
    table = pd.DataFrame({"smiles": texts, "target": [float(len(text)) for text in texts]})
    table.to_csv(tmp_path / "t.csv", index=False)
    result = medtasks.run(
        "activity", tmp_path / "t.csv", model="linear-fingerprint", split_by="random", folds=folds, out=tmp_path / "out"
    )
    page = result.report.read_text()
    assert "How new the test molecules are" in page
    assert "Errors by similarity to the nearest training molecule" in page
    assert "Nearest in training: " in page
    n = 50 if folds else 10
    assert f"0 of {n} (0%)" in page  # a random split keeps the same molecule on one side
