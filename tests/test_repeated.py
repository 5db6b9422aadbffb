"""Repeated cross-validation of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.errors import UsageError
from medtasks.evaluation.compare import compare
from medtasks.preparing import prepare
from medtasks.repeated import section, summarise
from medtasks.settings import resolve


@pytest.fixture(scope="module")
def repeated_run(tmp_path_factory: pytest.TempPathFactory, records_csv: Path) -> Any:
    out = tmp_path_factory.mktemp("repeated") / "run"
    return medtasks.run("diagnosis", records_csv, out=out, model="linear-record", folds=3, repeats=2, seed=3)


def test_every_fold_of_every_repeat_counts(repeated_run: Any, records_csv: Path) -> None:
    found = json.loads((repeated_run.folder / "metrics.json").read_text())["repeated"]
    assert found == repeated_run.summary["repeated"]
    assert (found["repeats"], found["folds"]) == (2, 3)
    one = found["metrics"]["auroc"]
    values = np.array(one["values"], dtype=float)
    assert values.shape == (2, 3)
    assert one["value"] == pytest.approx(values.mean())
    assert one["sd"] == pytest.approx(values.std(ddof=1))
    assert one["low"] <= one["value"] <= one["high"] <= 1
    assert one["difference"]["value"] == pytest.approx(one["value"] - one["baseline"]["value"])
    assert "coverage" in found["metrics"]  # of the intervals and sets, which the baseline has none of
    assert found["metrics"]["coverage"]["baseline"] is None
    assert "Repeated cross-validation" in repeated_run.report.read_text()


def test_the_second_repeat_is_the_run_with_the_next_seed(repeated_run: Any, records_csv: Path, tmp_path: Path) -> None:
    following = medtasks.run("diagnosis", records_csv, out=tmp_path / "r", model="linear-record", folds=3, seed=4)
    answers = pd.read_csv(following.folder / "predictions.csv")
    accuracy = [float((part["prediction"] == part["target"]).mean()) for _, part in answers.groupby("fold")]
    assert repeated_run.summary["repeated"]["metrics"]["accuracy"]["values"][1] == pytest.approx(accuracy)


def test_the_result_itself_is_that_of_the_first_repeat(repeated_run: Any, records_csv: Path, tmp_path: Path) -> None:
    once = medtasks.run("diagnosis", records_csv, out=tmp_path / "r", model="linear-record", folds=3, seed=3)
    assert once.summary["metrics"] == repeated_run.summary["metrics"]
    assert "repeated" not in once.summary
    told = [(one.folder / "predictions.csv").read_bytes() for one in (once, repeated_run)]
    assert told[0] == told[1]


def test_groups_are_never_cut(table: pd.DataFrame) -> None:
    settings = resolve({"task": "diagnosis", "folds": 3, "repeats": 3, "options": {"group": "patient_id"}})
    prepared = prepare(settings, table)
    from medtasks.evaluation.splits import Plan

    groups, seen = prepared.dataset.groups, set()
    assert groups is not None
    for seed in range(3):
        for fold in prepared.task.split(prepared.dataset, Plan(folds=3), prepared.options, seed):
            assert not set(groups[fold.test]) & set(groups[np.concatenate([fold.train, fold.valid])])
            seen.add(tuple(fold.test.tolist()))
    assert len(seen) == 9  # each repeat deals anew


def test_one_holdout_is_not_repeated(table: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="hold-out"):
        prepare(resolve({"task": "diagnosis", "folds": 1, "repeats": 3}), table)


def test_molecules_are_dealt_anew_by_scaffold(cli: Callable[..., Any], molecules: pd.DataFrame, tmp_path: Path) -> None:
    data = tmp_path / "molecules.csv"
    molecules.to_csv(data, index=False)
    done = cli("run", "activity", "--data", data, "--target", "pIC50", "--model", "linear-fingerprint", "--folds", 2,
               "--repeats", 2, "--out", tmp_path / "r")  # fmt: skip
    assert done.code == 0, done.err
    assert "2 x 2 folds" in done.out
    values = json.loads((tmp_path / "r" / "metrics.json").read_text())["repeated"]["metrics"]["rmse"]["values"]
    assert len({round(one, 9) for row in values for one in row}) == 4


def test_a_measure_that_folds_do_not_define_is_left_out() -> None:
    model = [[{"auroc": 0.9, "f1": float("nan")}, {"auroc": 0.7}], [{"auroc": 0.8}, {"auroc": float("nan")}]]
    floor = [[{"auroc": 0.95}, {"auroc": 0.8}], [{"auroc": 0.8}, {"auroc": 0.5}]]
    (one,) = summarise(model, floor, 0.25)
    assert one.name == "auroc"
    assert one.deviation == pytest.approx(0.1)
    wanted = compare({"a": np.array([0.9, 0.7, 0.8]), "b": np.array([0.95, 0.8, 0.8])}, 0.25).pairs[0].difference
    assert one.difference is not None
    assert one.difference.value == pytest.approx(-0.05)
    assert wanted.high is not None
    assert one.difference.low == pytest.approx(-wanted.high)
    assert section(()) == []
