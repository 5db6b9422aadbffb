"""The task: how it splits, what it accepts from a model, how it decides and how it judges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medtasks.cases import Images, Records
from medtasks.dataset import Dataset
from medtasks.diagnosis.task import Diagnosis
from medtasks.errors import DataError
from medtasks.evaluation.splits import Plan
from medtasks.model import Context
from medtasks.task import Outputs

TASK = Diagnosis()
TWO = Outputs(("target",), ("healthy", "ill"))
THREE = Outputs(("target",), ("a", "b", "c"))


def records(n: int, classes: int = 2, **parts: Any) -> Dataset:
    names = ("healthy", "ill") if classes == 2 else tuple("abcdef"[:classes])
    cases = Records.from_table(pd.DataFrame({"x": np.arange(n)[::-1]}))
    return Dataset(cases, np.arange(n) % classes, classes=names, **parts)


def options(**values: Any) -> Any:
    return TASK.Options(**values)


def test_small_tables_are_cross_validated_and_large_ones_held_out() -> None:
    assert len(TASK.split(records(200), Plan(), None, 0)) == 5
    assert len(TASK.split(records(1000), Plan(), None, 0)) == 1
    assert len(TASK.split(records(200), Plan(folds=1), None, 0)) == 1
    assert len(TASK.split(records(1000), Plan(folds=3), None, 0)) == 3


def test_images_are_held_out_once() -> None:
    images = Images([str(i) for i in range(60)], np.zeros((60, 2, 2), dtype=np.uint8))
    data = Dataset(images, np.arange(60) % 2, classes=("healthy", "ill"))
    (fold,) = TASK.split(data, Plan(), None, 0)
    assert [len(fold.train), len(fold.valid), len(fold.test)] == pytest.approx([39, 9, 12], abs=2)


def test_the_own_split_goes_first_and_its_overlap_is_refused() -> None:
    split = np.array((["train"] * 3 + ["valid"] + ["test"]) * 20, dtype=object)
    data = records(100, split=split)
    (fold,) = TASK.split(data, Plan(), None, 0)
    assert np.array_equal(fold.test, np.flatnonzero(split == "test"))
    overlapping = replace(data, groups=np.array([f"p{i // 5}" for i in range(100)], dtype=object))
    with pytest.raises(DataError, match="20 "):
        TASK.split(overlapping, Plan(), None, 0)


def test_probabilities_pass_also_in_half_precision() -> None:
    raw = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    TASK.check(raw, THREE, 50)
    TASK.check(raw.astype(np.float16), THREE, 50)
    TASK.check(np.empty((0, 3)), THREE, 0)


@pytest.mark.parametrize(
    "raw",
    [
        np.ones((4, 3)) / 3,
        np.ones((5, 2)) / 2,
        np.ones(5),
        [[0.2, 0.3, 0.5]] * 5,
        np.full((5, 3), np.nan),
        np.full((5, 3), 0.5),
        np.tile([1.5, -0.5, 0.0], (5, 1)),
        np.full((5, 3), "a"),
    ],
    ids=["rows", "columns", "flat", "a list", "nan", "no sum of one", "negative", "text"],
)
def test_what_is_no_probability_is_refused(raw: Any) -> None:
    with pytest.raises(ValueError):
        TASK.check(raw, THREE, 5)


def test_two_classes_are_decided_by_the_threshold_and_more_by_the_largest() -> None:
    raw = np.array([[0.8, 0.2], [0.7, 0.3], [0.1, 0.9]])
    table = TASK.answer(raw, TWO, {"rule": "0.3", "threshold": 0.3})
    assert table["prediction"].tolist() == ["healthy", "ill", "ill"]
    assert table["probability"].tolist() == pytest.approx([0.8, 0.3, 0.9])  # of what is answered
    assert table["p_ill"].tolist() == pytest.approx([0.2, 0.3, 0.9])
    three = TASK.answer(np.array([[0.2, 0.5, 0.3]]), THREE, {"rule": "most probable"})
    assert three["prediction"].tolist() == ["b"]
    assert list(three.columns) == ["prediction", "probability", "p_a", "p_b", "p_c"]


def test_the_decision_says_how_it_was_made() -> None:
    valid = records(40)
    raw = np.where(valid.targets[:, None] == [0, 1], 0.8, 0.2)
    decision = TASK.decide(valid, raw, options(threshold="sensitivity=0.9"), valid)
    assert decision["rule"] == "sensitivity=0.9"
    assert decision["positive"] == "ill"
    assert decision["cases"] == 40
    assert 0.2 < decision["threshold"] <= 0.8
    assert "threshold" not in TASK.decide(records(40, 3), np.ones((40, 3)) / 3, options(), records(40, 3))


def test_every_measure_comes_with_an_interval_over_patients() -> None:
    rng = np.random.default_rng(0)
    data = records(120, groups=np.array([f"p{i // 3}" for i in range(120)], dtype=object))
    ill = np.clip(0.3 * data.targets + rng.random(120) * 0.7, 0, 1)
    answers = TASK.answer(np.column_stack([1 - ill, ill]), TWO, {"threshold": 0.5})
    by_patient = TASK.evaluate(data, answers, 0).overall.measures()["auroc"]
    by_row = TASK.evaluate(replace(data, groups=None), answers, 0).overall.measures()["auroc"]
    assert by_patient.value == pytest.approx(roc_auc_score(data.targets, ill))
    assert by_patient.low is not None
    assert by_patient.high is not None
    assert by_patient.low < by_patient.value < by_patient.high
    assert (by_patient.low, by_patient.high) != (by_row.low, by_row.high)


def test_several_classes_are_judged_one_by_one_too() -> None:
    data = records(90, 3)
    raw = 0.1 + 0.7 * np.eye(3)[data.targets]
    raw[data.targets == 2] = [0.8, 0.1, 0.1]  # class c is never found
    evaluation = TASK.evaluate(data, TASK.answer(raw, THREE, {"rule": "most probable"}), 0)
    assert evaluation.n == 90
    assert list(evaluation.targets) == ["a", "b", "c"]
    assert evaluation.targets["b"].values["sensitivity"] == 1
    assert evaluation.targets["c"].values["sensitivity"] == 0
    assert evaluation.overall.values["accuracy"] == pytest.approx(2 / 3)


def test_counts_name_every_class() -> None:
    counts = TASK.counts(records(9, 3, groups=np.array(list("ppqqrrsst"), dtype=object)))
    assert counts["a"] == counts["b"] == counts["c"] == 3
    assert 9 in counts.values()
    assert 5 in counts.values()


def test_the_schema_names_the_column_of_ids() -> None:
    assert TASK.schema(records(3), options())["id"] == "id"
    assert TASK.schema(records(3), options(id="case"))["id"] == "case"


def test_reading_and_adapting_follow_the_options() -> None:
    table = pd.DataFrame({"age": [*range(8)], "stage": ["0", "1", "2", "0"] * 2, "case": list("abcdefgh")})
    given = options(target="stage", id="case", classes=("none", "mild", "severe"), positive=("mild", "severe"))
    data = TASK.adapt(TASK.read(table, given, context=Context()), given)
    assert data.classes == ("none", "mild/severe")
    assert data.targets.tolist() == [0, 1, 1, 0] * 2
    assert data.cases.ids.tolist() == list("abcdefgh")
    TASK.check_trainable(data)
    with pytest.raises(DataError, match="one class only"):
        TASK.check_trainable(replace(data, classes=("none",)))
