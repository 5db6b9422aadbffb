"""A plugin's mistakes are told as its own, with the place and what to write, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks import registry
from medtasks.errors import PluginError
from medtasks.model import model_class
from medtasks.preparing import named_dataset

SAVE = "def save(self, folder)"


@pytest.mark.parametrize(
    ("written", "instead", "mend"),
    [
        ("def fit(self, train, valid, *, context)", "def fit(self, train, valid)", None),
        ("def fit(self, train, valid, *, context)", "def fit(self, train, *, context)", None),
        ("def predict(self, cases, *, context)", "def predict(self, cases, extra, *, context)", None),
        (SAVE, "def save(self)", None),
        (
            "@classmethod\n    def load(cls, folder, *, context)",
            "def load(cls, folder, *, context)",
            "@classmethod def",
        ),
        (
            "def save(self, folder)",
            "def __init__(self): pass\n    def save(self, folder)",
            "def __init__(self, config)",
        ),
        (
            "def save(self, folder)",
            "def explain(self, cases): pass\n    def save(self, folder)",
            "cases, target, *, co",
        ),
        (SAVE, "def embed(self, cases): pass\n    " + SAVE, "cases, *, context"),
    ],
)
def test_a_method_that_cannot_be_called_is_told_with_its_place(
    plugins: Any, constant: str, written: str, instead: str, mend: str | None
) -> None:
    assert written in constant
    code = constant.replace(written, instead)
    plugins.model("acme-calls", code)
    with pytest.raises(PluginError, match=r"model 'diagnosis\.acme-calls' \(acme-calls 1\.0\) cannot be") as caught:
        model_class("diagnosis.acme-calls")
    name, line = caught.value.message.rpartition("in ")[2].split(":")
    lines = code.splitlines()
    assert name == "acme_calls.py"
    assert instead.partition("def ")[2].partition("(")[0] in lines[int(line) - 1]
    assert (mend or written) in str(caught.value.hint)


def test_a_method_that_takes_more_than_asked_is_as_good(plugins: Any, constant: str) -> None:
    code = constant.replace("def fit(self, train, valid, *, context)", "def fit(self, *data, more=3, **named)")
    plugins.model("acme-more", code)
    assert model_class("diagnosis.acme-more").task == "diagnosis"


def test_a_data_set_that_cannot_be_asked_is_told(plugins: Any) -> None:
    code = "from medtasks.dataset import NamedDataset\nclass It(NamedDataset):\n    def load(self): pass\n"
    plugins.install("acme-data", {"medtasks.datasets": {"diagnosis.acme-data": "acme_data:It"}}, code)
    with pytest.raises(PluginError, match=r"`load` of data set .* in acme_data\.py:3") as caught:
        named_dataset("diagnosis.acme-data")
    assert "def load(self, variant, *, cache, seed)" in str(caught.value.hint)


def test_a_config_that_no_bundle_can_hold_is_told_before_training(plugins: Any, constant: str) -> None:
    fields = (
        "    class Config(Model.Config):\n"
        "        model_config = {'arbitrary_types_allowed': True}\n"
        "        rate: float = 0.1\n"
        "        what: np.ndarray = np.zeros(3)\n"
    )
    plugins.model("acme-array", constant.replace("    def fit(", f"{fields}\n    def fit("))
    with pytest.raises(PluginError, match=r"cannot be written as JSON: what \(.*acme_array\.py:\d+") as caught:
        model_class("diagnosis.acme-array")
    assert "rate" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("code", "reason", "line"),
    [
        ("x = 1\ndef f(:\n    pass\n", "SyntaxError", 2),
        ("x = {}\nx['centre']\n", "KeyError", 2),
        (
            "from medtasks.model import Model\nclass It(Model):\n    class Config(Model.Config):\n        rate = 3\n",
            "PydanticUserError: A non-annotated attribute",
            3,
        ),
        ("from numpy import nothing_of_this_name\n", "ImportError", 1),
    ],
)
def test_an_import_that_fails_tells_where_in_one_line(plugins: Any, code: str, reason: str, line: int) -> None:
    plugins.model("acme-import", code)
    with pytest.raises(PluginError) as caught:
        registry.find("model", "diagnosis.acme-import").load()
    assert reason in caught.value.message
    assert caught.value.message.endswith(f"in acme_import.py:{line}")
    assert "\n" not in caught.value.message
    assert f"tell its author of acme_import.py:{line}" in str(caught.value.hint)


def test_the_file_of_a_package_is_told_by_its_folder(plugins: Any) -> None:
    plugins.install("acme-pack", {"medtasks.models": {"diagnosis.acme-pack": "acme_pack.models:It"}})
    package = plugins.folder / "acme_pack"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "models.py").write_text("\nclass It\n", encoding="utf-8")
    with pytest.raises(PluginError, match=r"in acme_pack/models\.py:2"):
        registry.find("model", "diagnosis.acme-pack").load()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("np.zeros(len(cases))", r"shape \(\) for a case that needs \(4,\)"),
        ("np.zeros((len(cases), 3))", r"shape \(3,\) for a case that needs \(4,\)"),
        ("np.zeros((len(cases) + 1, 4))", "arrays for"),
        ("np.full((len(cases), 4), 'a')", "not numbers"),
        ("None", "a NoneType"),
        ("3.0", "a float"),
    ],
)
def test_explanations_of_a_wrong_shape_are_the_models_fault(
    plugins: Any, constant: str, table: pd.DataFrame, value: str, reason: str
) -> None:
    explain = f"    def explain(self, cases, target, *, context):\n        return {value}\n\n    def save("
    plugins.model("acme-explains", constant.replace("    def save(", explain))
    predictor = medtasks.train("diagnosis", table, model="acme-explains")
    assert len(predictor.parts) == 4
    with pytest.raises(PluginError, match=rf"breaks its contract: explain returned .*{reason}.*acme_explains\.py:\d+"):
        medtasks.explain(predictor, table)


def test_explanations_of_molecules_have_a_number_for_each_atom(molecules: pd.DataFrame) -> None:
    predictor = medtasks.train("activity", molecules, target="pIC50", model="linear-fingerprint")
    kind: Any = type(predictor.model)
    wrong: Callable[..., Any] = lambda self, cases, target, *, context: [np.zeros(3)] * len(cases)  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "explain", wrong)
        with pytest.raises(PluginError, match=r"shape \(3,\) for a case that needs \(\d+,\)"):
            medtasks.explain(predictor, ["c1ccccc1O"])


DECORATED = """
import functools
def seeded(method):
    @functools.wraps(method)
    def call(self, *given, context, **named):
        return method(self, *given, context=context, rng=context.rng, **named)
    return call
"""


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("def fit(self, train, valid, *, context)", "@seeded\n    def fit(self, train, valid, *, context, rng)"),
        (
            "@classmethod\n    def load(cls, folder, *, context):\n        model = cls(cls.Config())",
            "def load(folder, *, context):\n        model = It(It.Config())",
        ),
        ("def predict(self, cases, *, context)", "def predict(self, *given, **named)"),
    ],
)
def test_a_method_that_can_be_called_is_taken_however_it_is_written(
    plugins: Any, constant: str, written: str, instead: str
) -> None:
    assert written in constant
    plugins.model("acme-odd", DECORATED + constant.replace(written, instead))
    assert model_class("diagnosis.acme-odd").__name__ == "It"
