"""Whether a result is better than another: which way a measure points is the task's to say."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import medtasks
from medtasks import outcome
from medtasks.diagnosis.task import Diagnosis
from medtasks.evaluation.bootstrap import Measure
from medtasks.task import Task
from medtasks.testing import learning
from medtasks.testing.bench import Bench
from medtasks.testing.report import Broken

LESS, MORE = Measure(-0.5, -0.6, -0.4), Measure(0.5, 0.4, 0.6)


@pytest.mark.parametrize("name", ["rmse", "mse", "medae", "mape", "log_loss", "pehe"])
def test_less_of_an_error_is_better(name: str) -> None:
    assert "better than the baseline" in outcome.verdict(LESS, name)
    assert "worse than the baseline" in outcome.verdict(MORE, name)


@pytest.mark.parametrize("name", ["auroc", "r2", "time_to_diagnosis"])
def test_more_of_anything_else_is_better(name: str) -> None:
    assert "worse than the baseline" in outcome.verdict(LESS, name)


def test_a_task_adds_its_own_measures() -> None:
    own = Task.lower_is_better | {"time_to_diagnosis"}
    assert "better than the baseline" in outcome.verdict(LESS, "time_to_diagnosis", own)


def test_comparisons_reports_and_checks_ask_the_task(
    plugins: Any, constant: str, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    plugins.model("acme-constant", constant)
    monkeypatch.setattr(Diagnosis, "lower_is_better", frozenset({"auroc"}))
    found = medtasks.compare("diagnosis", table, models=["acme-constant"], repeats=1, folds=3)
    assert found.summary["lower_is_better"] is True
    assert found.comparison.leaders == ("diagnosis.acme-constant",)
    run = medtasks.run("diagnosis", table, model="acme-constant", out=tmp_path / "r", folds=2)
    assert "The model is better than the baseline" in run.report.read_text(encoding="utf-8")
    with pytest.raises(Broken, match=r"auroc is .* no better than"):
        learning.learns(Bench("diagnosis.linear-record"))
