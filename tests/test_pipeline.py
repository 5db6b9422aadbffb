"""A run: repeatable, judged on cases not seen, without a patient on two sides."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.errors import UsageError


def run(data: Path | pd.DataFrame, out: Path, seed: int = 3, folds: int = 1) -> Path:
    return medtasks.run("diagnosis", data, out=out, model="linear-record", folds=folds, seed=seed).folder


def test_the_same_seed_gives_the_same_answers_to_the_bit(records_csv: Path, record_run: Path, tmp_path: Path) -> None:
    again = run(records_csv, tmp_path / "again")
    assert (again / "predictions.csv").read_bytes() == (record_run / "predictions.csv").read_bytes()
    assert (again / "metrics.json").read_bytes() == (record_run / "metrics.json").read_bytes()
    other = run(records_csv, tmp_path / "other", seed=4)
    assert (other / "predictions.csv").read_bytes() != (record_run / "predictions.csv").read_bytes()


def test_the_deployed_model_gives_the_answers_it_was_judged_by(record_run: Path, table: pd.DataFrame) -> None:
    judged = pd.read_csv(record_run / "predictions.csv").set_index("id")
    asked = medtasks.predict(record_run, table).set_index("id").loc[judged.index]
    # CSV keeps 17 digits; the order of rows may change the last bit of a product of matrices.
    assert np.allclose(asked["p_sick"], judged["p_sick"], atol=1e-12)
    assert (asked["prediction"] == judged["prediction"]).all()


def test_the_stored_baseline_gives_the_answers_it_was_judged_by(record_run: Path, table: pd.DataFrame) -> None:
    predictor = medtasks.load(record_run)
    assert predictor.baseline is not None
    # Here the model is the baseline: both must answer alike after reading back.
    ours, floor = predictor.predict(table), predictor.baseline.predict(table)
    assert np.allclose(ours["p_sick"], floor["p_sick"], atol=1e-12)


def test_no_patient_is_tested_by_a_model_that_saw_them(table: pd.DataFrame, tmp_path: Path) -> None:
    folder = run(table, tmp_path / "cv", folds=3)
    found = pd.read_csv(folder / "predictions.csv").merge(table[["id", "patient_id"]], on="id")
    assert len(found) == len(table)
    assert found["id"].is_unique
    assert found["fold"].nunique() == 3
    assert (found.groupby("patient_id")["fold"].nunique() == 1).all()


def test_the_targets_in_the_predictions_are_those_of_the_data(record_run: Path, table: pd.DataFrame) -> None:
    found = pd.read_csv(record_run / "predictions.csv").set_index("id")["target"]
    assert (found == table.set_index("id")["target"].loc[found.index]).all()


def test_the_measures_are_those_of_the_predictions(record_run: Path) -> None:
    found = pd.read_csv(record_run / "predictions.csv")
    metrics = json.loads((record_run / "metrics.json").read_text())["metrics"]
    assert metrics["accuracy"]["value"] == pytest.approx((found["prediction"] == found["target"]).mean(), abs=1e-9)
    sick = found["target"] == "sick"
    pairs = found.loc[sick, "p_sick"].to_numpy()[:, None] - found.loc[~sick, "p_sick"].to_numpy()[None, :]
    assert metrics["auroc"]["value"] == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean(), abs=1e-9)


def test_the_order_of_the_classes_is_not_that_of_the_rows(table: pd.DataFrame, tmp_path: Path) -> None:
    found = medtasks.load(run(table.iloc[::-1], tmp_path / "r"))
    assert found.outputs.classes == ("healthy", "sick")


def test_the_datas_own_split_is_followed(table: pd.DataFrame, tmp_path: Path) -> None:
    parts = np.array(["train", "train", "valid", "test", "test"], dtype=object)[np.arange(len(table)) // 4 % 5]
    folder = run(table.assign(split=parts), tmp_path / "r", folds=0)
    assert set(pd.read_csv(folder / "predictions.csv")["id"]) == set(table["id"][parts == "test"])


def test_resuming_needs_something_to_resume(records_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no interrupted run"):
        medtasks.run("diagnosis", records_csv, out=tmp_path / "r", model="linear-record", resume=True)
    assert list(tmp_path.iterdir()) == []


def test_facts_tell_where_a_predictor_came_from(record_run: Path, records_csv: Path) -> None:
    facts = medtasks.load(record_run).facts
    assert facts["seed"] == 3
    assert facts["data"]["source"] == records_csv.name
    assert facts["data"]["cases"] == 90
    assert len(facts["data"]["sha256"]) == 64
    assert {"python", "medtasks", "numpy", "scikit-learn"} <= set(facts["versions"])
    assert facts["judged"]["metrics"] == json.loads((record_run / "metrics.json").read_text())["metrics"]
