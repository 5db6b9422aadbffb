"""Classes, their order and their names; and the data that cannot carry a diagnosis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtasks.cases import Records
from medtasks.cases.columns import clean, column
from medtasks.dataset import Dataset
from medtasks.diagnosis.labels import check_classes, check_known, encode, relabel, with_notes
from medtasks.diagnosis.options import DiagnosisOptions
from medtasks.errors import DataError, MedtasksError, UsageError
from medtasks.evaluation.splits import read_split
from medtasks.model import checked


def options(**values: Any) -> DiagnosisOptions:
    return checked(DiagnosisOptions, values, "option")


def dataset(labels: list[str], **parts: Any) -> Dataset:
    codes, classes = encode(np.array(labels, dtype=object), "the test")
    records = Records.from_table(pd.DataFrame({"x": np.arange(len(labels))}))
    return Dataset(records, codes, classes=classes, **parts)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 0.0, np.nan], ["1", "0", None]),
        (["1.0", " 0 ", "?"], ["1", "0", None]),
        (pd.Series([1, None, 0], dtype="Int64"), ["1", None, "0"]),
        ([0.5, 1.0], ["0.5", "1.0"]),
        (["1", "high"], ["1", "high"]),
        ([" malignant", "benign ", ""], ["malignant", "benign", None]),
        (pd.Categorical(["b", "a"]), ["b", "a"]),
        (["nan", None], [None, None]),
    ],
)
def test_labels_are_read_as_one_would(values: Any, expected: list[str | None]) -> None:
    assert clean(pd.Series(values)).tolist() == expected


def test_truth_values_are_the_same_classes_from_memory_as_from_a_file() -> None:
    in_memory = clean(pd.Series([True, False]))
    assert in_memory.tolist() == clean(pd.Series(["True", "False"])).tolist()
    assert encode(in_memory, "")[1] == ("False", "True")


@pytest.mark.parametrize("kind", ["boolean", "bool[pyarrow]"])
def test_a_missing_truth_value_is_no_class(kind: str) -> None:
    assert clean(pd.Series([True, None, False], dtype=kind)).tolist() == ["True", None, "False"]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["1", "0"], ("0", "1")),
        (["abnormal", "normal"], ("normal", "abnormal")),
        (["Disease", "Healthy"], ("Healthy", "Disease")),
        (["malignant", "benign"], ("benign", "malignant")),
        (["yes", "no"], ("no", "yes")),
        (["Covid", "No finding"], ("No finding", "Covid")),
        (["10", "9", "2"], ("2", "9", "10")),
        (["2", "b", "a"], ("2", "a", "b")),
        (["b", "a"], ("a", "b")),
        (["disease", "no disease"], ("no disease", "disease")),
        (["COVID-19", "non-COVID"], ("non-COVID", "COVID-19")),
        (["died", "survived"], ("survived", "died")),
        (["positive", "unremarkable"], ("unremarkable", "positive")),
        (["pneumonia", "without_finding"], ("without_finding", "pneumonia")),
        (["Sepsis, schwer", "kein Befund"], ("kein Befund", "Sepsis, schwer")),
        (["Demented", "NonDemented"], ("NonDemented", "Demented")),
        (["benign", "normal"], ("normal", "benign")),
        (["benign tumour", "no tumour"], ("no tumour", "benign tumour")),
        (["unhealthy", "healthy"], ("healthy", "unhealthy")),
        (["stable", "unstable"], ("stable", "unstable")),
        (["high", "NO2 low"], ("NO2 low", "high")),
    ],
)
def test_of_two_classes_the_negative_one_comes_first(labels: list[str], classes: tuple[str, ...]) -> None:
    codes, found = encode(np.array(labels, dtype=object), "")
    assert found == classes
    assert [classes[code] for code in codes] == labels


def test_too_many_classes_and_none_are_refused() -> None:
    assert len(encode(np.array([str(i) for i in range(100)], dtype=object), "t.csv")[1]) == 100
    with pytest.raises(DataError, match=r"t\.csv has 101 different values"):
        encode(np.array([f"secret {i}" for i in range(101)], dtype=object), "t.csv")
    with pytest.raises(DataError, match="no usable labelled case"):
        encode(np.array([], dtype=object), "t.csv")


def test_classes_get_names() -> None:
    named = relabel(dataset(["0", "1", "0"]), options(classes="normal, pneumonia"))
    assert named.classes == ("normal", "pneumonia")
    assert named.targets.tolist() == [0, 1, 0]


def test_positive_joins_classes_and_makes_the_rest_negative() -> None:
    joined = relabel(dataset(["a", "b", "c", "d"]), options(positive="d,b"))
    assert joined.classes == ("a/c", "d/b")
    assert joined.targets.tolist() == [0, 1, 0, 1]


def test_positive_turns_two_classes_round() -> None:
    turned = relabel(dataset(["benign", "malignant"]), options(positive="benign"))
    assert turned.classes == ("malignant", "benign")
    assert turned.targets.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("given", "positive"),
    [
        ("Sepsis, schwer", "Sepsis, schwer"),
        ('"Sepsis, schwer",flu', "Sepsis, schwer/flu"),
        ("flu,Sepsis, schwer", None),
    ],
)
def test_a_class_whose_name_holds_a_comma_can_be_positive(given: str, positive: str | None) -> None:
    turned = relabel(dataset(["Sepsis, schwer", "flu", "well"]), options(positive=given))
    assert turned.classes[1] == (positive or "flu/Sepsis, schwer")
    assert turned.targets[0] == 1


def test_classes_that_differ_in_case_are_noted() -> None:
    found = with_notes(dataset(["benign", "BENIGN", "malignant"])).origin.notes
    assert found == ("'BENIGN', 'benign' differ in case or space only, and are classes of their own.",)
    assert with_notes(dataset(["benign", "malignant"])).origin.notes == ()


def test_names_come_before_positive() -> None:
    found = relabel(dataset(["0", "1", "2"]), options(classes="healthy,flu,cold", positive="flu,cold"))
    assert found.classes == ("healthy", "flu/cold")
    assert found.targets.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("given", "says", "hint"),
    [
        ({"positive": "malignent"}, "'malignent'", "'malignant'"),
        ({"positive": "benign,malignant"}, "every class", "at least one"),
        ({"classes": "a,b,c"}, "3 names", "benign, malignant"),
        ({"classes": "a,a"}, "one name", "--positive"),
    ],
)
def test_names_that_do_not_fit_are_refused(given: dict[str, str], says: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        relabel(dataset(["benign", "malignant"]), options(**given))
    assert says in caught.value.message
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("rule", ["youden", "sensitivity=0.95", "0.5", 0.25])
def test_threshold_rules_are_checked_with_the_options(rule: Any) -> None:
    assert options(threshold=rule).threshold == str(rule)
    with pytest.raises(MedtasksError) as caught:
        options(threshold="sensitivty=0.9")
    assert "sensitivity=0.95" in str(caught.value.hint)


def test_split_names_are_understood_whatever_the_case() -> None:
    values = pd.Series([" Train", "TRAINING", "val", "dev", "validation", "Test", "testing "])
    assert read_split(values, "").tolist() == ["train", "train", "valid", "valid", "valid", "test", "test"]


@pytest.mark.parametrize("bad", ["holdout", "", None])
def test_another_split_name_is_refused_with_its_row(bad: str | None) -> None:
    with pytest.raises(DataError, match=r"t\.csv, row 2"):
        read_split(pd.Series(["train", bad]), "t.csv")


def test_a_column_that_is_not_there_is_told_with_the_nearest() -> None:
    table = pd.DataFrame(columns=["diagnosis", "age"])
    assert column(table, None, ("label", "diagnosis"), "") == "diagnosis"
    assert column(table, None, ("label",), "") is None
    with pytest.raises(UsageError) as caught:
        column(table, "diagnosys", ("label",), "t.csv")
    assert "did you mean 'diagnosis'" in str(caught.value.hint)


def test_enough_of_every_class_is_let_through() -> None:
    check_classes(dataset(["a"] * 3 + ["b"] * 3))


@pytest.mark.parametrize(
    ("labels", "groups", "says"),
    [
        (["a"] * 5, None, "one class only ('a')"),
        (["a"] * 5 + ["b"], None, "class 'b' has 1 case:"),
        (["a"] * 5 + ["b"] * 2, None, "class 'b' has 2 cases:"),
        (["a"] * 5 + ["b"] * 5, list("pqrstuuuvv"), "class 'b' has 2 patients:"),
        (["a"] * 5 + ["b"] * 5, list("pqrst") + ["u"] * 5, "class 'b' has 1 patient:"),
    ],
)
def test_a_class_that_cannot_stand_on_every_side_is_refused(
    labels: list[str], groups: list[str] | None, says: str
) -> None:
    parts = {} if groups is None else {"groups": np.array(groups, dtype=object)}
    with pytest.raises(DataError) as caught:
        check_classes(dataset(labels, **parts))
    assert says in caught.value.message


def test_a_class_that_the_own_split_does_not_train_is_refused() -> None:
    split = np.array(["train", "valid", "test", "valid", "test", "test"], dtype=object)
    with pytest.raises(DataError, match="class 'b' has no case in the training part"):
        check_classes(dataset(["a"] * 3 + ["b"] * 3, split=split))


@pytest.mark.parametrize(
    ("classes", "known", "hint"),
    [
        (
            ("0", "1"),
            ("normal", "pneumonia"),
            "if '0' is 'normal' and '1' is 'pneumonia', say so with --classes normal,",
        ),
        (("NORMAL", "Viral_Pneumonia"), ("viral pneumonia", "normal"), "--classes 'normal,viral pneumonia'"),
        (("no", "yes"), ("no", "flu, severe"), "--classes 'no,\"flu, severe\"'"),
        (("b", "x"), ("a", "b"), "--classes names the data's classes (b, x, in this order) as the model's are called"),
        (("1",), ("normal", "pneumonia"), "--classes names the data's classes (1, in this order)"),
    ],
)
def test_classes_called_otherwise_are_named_as_the_models(classes: Any, known: Any, hint: str) -> None:
    with pytest.raises(DataError, match="the model knows no class") as caught:
        check_known(classes, known)
    assert hint in str(caught.value.hint)
    check_known(known[:1], known)
