"""The contract of a model, held against plugins that break it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest

import medtasks
from medtasks.errors import PluginError, UsageError
from medtasks.model import Config, Context, Model, Progress, checked, model_class

Cli = Callable[..., Any]


class Sizes(Config):
    width: int = 3
    names: tuple[str, ...] = ()
    depth: int | None = pydantic.Field(default=None, ge=1)


def run(cli: Cli, data: Path, model: str, out: Path, *more: str) -> Any:
    return cli("run", "diagnosis", "--data", data, "--model", model, "--folds", "1", "--out", out, *more)


def test_a_model_with_four_methods_runs_saves_and_predicts(
    plugins: Any, constant: str, cli: Cli, records_csv: Path, table: Any, tmp_path: Path
) -> None:
    plugins.model("acme-constant", constant)
    done = run(cli, records_csv, "acme-constant", tmp_path / "r")
    assert done.code == 0, done.err
    answers = medtasks.predict(tmp_path / "r", table)
    assert len(answers) == len(table)
    assert answers["p_sick"].nunique() == 1
    assert medtasks.load(tmp_path / "r").facts["versions"]["acme-constant"] == "1.0"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("np.tile(self.share, (len(cases) - 1, 1))", "shape"),
        ("np.tile(self.share, (len(cases), 2))", "shape"),
        ("np.ones(len(cases))", "shape"),
        ("np.full((len(cases), 2), np.nan)", "not finite"),
        ("np.full((len(cases), 2), 0.9)", "sum to 1"),
        ("np.tile([-0.5, 1.5], (len(cases), 1))", "no probabilities"),
        ("np.full((len(cases), 2), 'sick')", "numbers"),
        ("np.full((len(cases), 2), None)", "numbers"),
        ("[[0.5, 0.5]] * len(cases)", "list"),
        ("None", "NoneType"),
    ],
)
def test_a_model_that_breaks_the_contract_is_named_with_what_is_wrong(
    plugins: Any, constant: str, cli: Cli, records_csv: Path, tmp_path: Path, answer: str, reason: str
) -> None:
    plugins.model("acme-wrong", constant.replace("np.tile(self.share, (len(cases), 1))", answer))
    done = run(cli, records_csv, "acme-wrong", tmp_path / "r")
    assert (done.code, done.out) == (3, ""), done.err
    assert "diagnosis.acme-wrong" in done.error
    assert reason in done.error
    assert done.hint
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("It = 3", "not a subclass"),
        ("class It: pass", "not a subclass"),
        ("from medtasks.model import Model\nclass It(Model):\n    def fit(self): pass", "load, predict, save"),
        ("CONSTANT.replace('task = \"diagnosis\"', 'task = \"other\"')", "task"),
        ("CONSTANT.replace('accepts = \"records\"', '')", "accepts"),
    ],
    ids=["a number", "another class", "abstract", "another task", "accepts nothing"],
)
def test_what_is_no_model_is_refused(
    plugins: Any, constant: str, cli: Cli, records_csv: Path, tmp_path: Path, code: str, reason: str
) -> None:
    plugins.model("acme-none", eval(code, {"CONSTANT": constant}) if code.startswith("CONSTANT") else code)
    done = run(cli, records_csv, "acme-none", tmp_path / "r")
    assert (done.code, done.out) == (3, ""), done.err
    assert "acme-none 1.0" in done.error
    assert reason in done.error
    assert done.hint


@pytest.mark.parametrize("where", ["fit", "predict", "save"])
def test_a_plugins_own_mistake_shows_no_data_without_debug(
    plugins: Any, constant: str, cli: Cli, records_csv: Path, tmp_path: Path, where: str
) -> None:
    code = constant.replace(
        f"def {where}(self,", f"def {where}(self, *a, **k): raise TypeError('SECRET')\n    def _{where}(self,"
    )
    plugins.model("acme-fails", code)
    done = run(cli, records_csv, "acme-fails", tmp_path / "r")
    assert (done.code, done.out) == (1, ""), done.err
    assert "SECRET" not in done.err
    assert "Traceback" not in done.err
    assert "TypeError" in done.error
    assert "acme_fails.py" in done.error
    assert "--debug" in done.hint
    assert not (tmp_path / "r").exists()
    told = run(cli, records_csv, "acme-fails", tmp_path / "r", "--debug")
    assert told.code == 1
    assert "Traceback" in told.err
    assert f"in {where}" in told.err


def test_debug_shows_no_local_values(plugins: Any, constant: str, cli: Cli, records_csv: Path, tmp_path: Path) -> None:
    code = constant.replace(
        "        self.share =", "        ages = train.cases.frame.to_dict(); raise KeyError\n        self.share ="
    )
    plugins.model("acme-fails", code)
    done = run(cli, records_csv, "acme-fails", tmp_path / "r", "--debug")
    assert done.code == 1
    assert "KeyError" in done.err
    assert "'crp': {" not in done.err


def test_what_a_model_prints_stays_off_stdout(
    plugins: Any, constant: str, cli: Cli, records_csv: Path, tmp_path: Path
) -> None:
    code = constant
    for method in ("fit", "predict", "save"):
        code = code.replace(
            f"def {method}(self",
            f"def {method}(self, *a, **k): print('NOISE {method}'); return self._{method}(*a, **k)\n"
            f"    def _{method}(self",
        )
    code = code.replace("        model = cls", "        print('NOISE load')\n        model = cls")
    plugins.model("acme-noisy", "print('NOISE import')\n" + code)
    ran = run(cli, records_csv, "acme-noisy", tmp_path / "r", "--json")
    assert ran.code == 0, ran.err
    assert "NOISE" not in ran.out
    assert "NOISE fit" in ran.err
    asked = cli("predict", tmp_path / "r", records_csv)
    assert asked.code == 0
    assert "NOISE" not in asked.out
    assert "NOISE load" in asked.err


def test_the_gpu_is_refused_by_a_model_that_has_none(
    plugins: Any, constant: str, cli: Cli, records_csv: Path, tmp_path: Path
) -> None:
    plugins.model("acme-constant", constant)
    done = run(cli, records_csv, "acme-constant", tmp_path / "r", "--device", "gpu")
    assert done.code == 2
    assert "acme-constant" in done.error
    assert "GPU" in done.error


def test_a_model_without_explanation_is_explained_by_hiding_fields(
    plugins: Any, constant: str, cli: Cli, records_csv: Path, tmp_path: Path
) -> None:
    plugins.model("acme-constant", constant)
    assert run(cli, records_csv, "acme-constant", tmp_path / "r").code == 0
    done = cli("explain", tmp_path / "r", records_csv, "-o", tmp_path / "e")
    assert done.code == 0, done.err
    assert "90 cases explained" in done.out
    assert "faithfulness" not in done.out  # a constant loses nothing by whatever is hidden
    assert "could not be tested" in (tmp_path / "e" / "report.html").read_text("utf-8")


def test_a_conflict_is_settled_by_naming_the_distribution(
    plugins: Any, constant: str, cli: Cli, records_csv: Path, tmp_path: Path
) -> None:
    for name in ("acme-one", "acme-two"):
        module = name.replace("-", "_")
        plugins.install(name, {"medtasks.models": {"diagnosis.twin": f"{module}:It"}}, constant)
    done = run(cli, records_csv, "twin", tmp_path / "r")
    assert (done.code, done.out) == (3, "")
    assert "acme-one and acme-two" in done.error
    assert "acme-one:diagnosis.twin" in done.hint
    done = run(cli, records_csv, "acme-two:twin", tmp_path / "r", "--json")
    assert done.code == 0, done.err
    assert cli("predict", tmp_path / "r", records_csv).code == 0


def test_hyper_parameters_are_read_from_text() -> None:
    sizes = checked(Sizes, {"width": "4", "names": ["a"], "depth": None}, "setting")
    assert (sizes.width, sizes.names, sizes.depth) == (4, ("a",), None)


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"widht": 4}, "unknown setting 'widht'", "did you mean 'width'?"),
        ({"width": "wide"}, "setting 'width'", "list the values"),
        ({"depth": "0"}, "setting 'depth'", "list the values"),
    ],
)
def test_a_wrong_hyper_parameter_is_named(values: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked(Sizes, values, "setting")
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


def test_the_base_cannot_be_used_by_itself() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Model(Model.Config())  # type: ignore[abstract]


def test_a_context_draws_the_same_numbers_for_the_same_seed() -> None:
    assert Context(seed=4).rng.random() == Context(seed=4).rng.random()
    assert Context(seed=4).rng.random() != Context(seed=5).rng.random()


def test_a_deadline_passes() -> None:
    assert not Context().late()
    assert Context(deadline=1.0).late()
    assert not Context(deadline=1e12).late()


def test_the_silent_progress_hands_every_item_on() -> None:
    assert list(Progress().track(iter([1, 2]), "counting")) == [1, 2]


def test_optional_methods_say_that_they_are_lacking() -> None:
    model = model_class("diagnosis.linear-record")
    assert model.explains()
    with pytest.raises(PluginError):
        Model.embed(object.__new__(model), np.zeros(1), context=Context())  # type: ignore[arg-type]


BAD_DEFAULT = """
from acme_fine import It as Fine
from medtasks.model import Config
class It(Fine):
    class Config(Config):
        strength: int = "ten"
        needed: int
"""


def test_a_default_that_does_not_fit_its_type_is_the_authors_error(plugins: Any, constant: str) -> None:
    plugins.model("acme-fine", constant)
    plugins.model("acme-ten", BAD_DEFAULT)
    with pytest.raises(
        PluginError, match=r"model 'diagnosis\.acme-ten' \(acme-ten 1\.0\) .*strength: .*integer"
    ) as caught:
        model_class("diagnosis.acme-ten")
    assert "needed" not in caught.value.message  # it has no default, and is the user's to give
