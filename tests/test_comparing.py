"""Comparing models: the same folds for all, what is told apart, and what is left of a comparison that failed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks import compared
from medtasks.errors import DataError, MedtasksError, PluginError, UsageError

from .conftest import Done, Plugins, records

TWIN = "from medtasks.diagnosis.baseline import LinearRecord\n\nclass It(LinearRecord):\n    pass\n"
RECORDER = """
FITS = []
CONSTANT

class It(It):
    def fit(self, train, valid, *, context):
        super().fit(train, valid, context=context)
        FITS.append([set(train.cases.ids), set(valid.cases.ids), set(), context.seed])
    def predict(self, cases, *, context):
        FITS[-1][2] = set(cases.ids)  # validation first, then the test part
        return super().predict(cases, context=context)
"""
FRAGILE = """
from medtasks.errors import PluginError
FITS = []
HOW = ["raise"]
CONSTANT

class It(It):
    def fit(self, train, valid, *, context):
        FITS.append(context.seed)
        if len(FITS) == 4:
            if HOW[0] == "raise":
                raise ValueError("PATIENTMARK0001 is odd")
            if HOW[0] == "stop":
                raise KeyboardInterrupt
        super().fit(train, valid, context=context)
    def predict(self, cases, *, context):
        found = super().predict(cases, context=context)
        return found[:, :1] if HOW[0] == "breach" else found
"""
MEAN = """
import numpy as np
from medtasks.model import Model

class It(Model):
    '''The mean of what was measured.'''
    task, accepts = "activity", "molecules"
    def fit(self, train, valid, *, context):
        self.mean = np.nanmean(train.targets, axis=0)
    def predict(self, cases, *, context):
        return np.tile(self.mean, (len(cases), 1))
    def save(self, folder): ...
    @classmethod
    def load(cls, folder, *, context): ...
"""
SMALL = {"repeats": 2, "folds": 3}
Cli = Callable[..., Done]


@pytest.fixture
def twin(plugins: Plugins, constant: str) -> Plugins:
    """Install a copy of the baseline, and a model that knows nothing."""
    plugins.model("twin", TWIN)
    plugins.model("flat", constant)
    return plugins


@pytest.fixture
def fragile(plugins: Plugins, constant: str) -> Any:
    """Install a model that fails in its fourth fit; return its module once it is loaded."""
    plugins.model("fragile", FRAGILE.replace("CONSTANT", constant))
    import fragile  # type: ignore[import-not-found]  # made a line above

    return fragile


def test_a_better_model_is_told_from_a_constant_and_a_copy_is_not(twin: Plugins, table: pd.DataFrame) -> None:
    found = medtasks.compare("diagnosis", table, models=["flat", "twin", "linear-record"], **SMALL)
    assert set(found.comparison.leaders) == {"diagnosis.twin", "diagnosis.linear-record"}
    told = {frozenset((pair.first, pair.second)): pair for pair in found.comparison.pairs}
    copies = told[frozenset(("diagnosis.twin", "diagnosis.linear-record"))]
    assert copies.difference.value == 0
    assert not copies.differs
    assert told[frozenset(("diagnosis.twin", "diagnosis.flat"))].differs
    assert found.standing("diagnosis.flat") == "worse"
    assert "cannot be told from" in found.verdict
    assert found.comparison.means["diagnosis.flat"].value == 0.5
    assert found.comparison.ratio == pytest.approx(0.5, abs=0.05)


def test_one_winner_is_named_only_where_it_wins(twin: Plugins, table: pd.DataFrame) -> None:
    found = medtasks.compare("diagnosis", table, models=["flat"], **SMALL)
    assert found.facts["baseline"] == "diagnosis.linear-record"  # compared although not named
    assert found.verdict.startswith("linear-record (baseline) is better than every other model")


def test_all_models_see_the_same_folds(plugins: Plugins, constant: str, table: pd.DataFrame) -> None:
    for name in ("one", "two"):
        plugins.model(f"recorder-{name}", RECORDER.replace("CONSTANT", constant))
    split = np.where(np.arange(len(table)) < 30, "test", "train")
    found = medtasks.compare(
        "diagnosis", table.assign(split=split), models=["recorder-one", "recorder-two"], seed=5, **SMALL
    )
    one, two = (sys.modules[f"recorder_{name}"].FITS for name in ("one", "two"))
    assert one == two
    assert [fit[3] for fit in one] == [5, 5, 5, 6, 6, 6]
    for repeat in (one[:3], one[3:]):
        tested = [name for fit in repeat for name in fit[2]]
        assert sorted(tested) == sorted(table["id"])  # each case once, whatever the data's own split says
    assert [fit[2] for fit in one[:3]] != [fit[2] for fit in one[3:]]
    patient = dict(zip(table["id"], table["patient_id"], strict=True))
    for train, valid, test, _ in one:
        sides = [{patient[name] for name in part} for part in (train, valid, test)]
        assert not sides[0] & sides[1]
        assert not sides[0] & sides[2]
        assert not sides[1] & sides[2]
    assert any("own split" in note for note in found.facts["notes"])


def test_a_comparison_can_be_repeated(twin: Plugins, table: pd.DataFrame) -> None:
    first, again = (medtasks.compare("diagnosis", table, models=["flat"], repeats=1, folds=2) for _ in range(2))
    pd.testing.assert_frame_equal(first.scores, again.scores)
    assert first.comparison == again.comparison
    other = medtasks.compare("diagnosis", table, models=["flat"], seed=1, repeats=1, folds=2)
    assert not first.scores.equals(other.scores)


def test_numbers_are_judged_by_their_error(plugins: Plugins, molecules: pd.DataFrame) -> None:
    plugins.model("mean", MEAN, task="activity")
    table = molecules.head(120)[["smiles", "pIC50"]]
    found = medtasks.compare("activity", table, models=["mean"], target="pIC50", repeats=1, folds=4)
    means = found.comparison.means
    assert found.measure == "rmse"
    assert found.comparison.best == "activity.linear-fingerprint"
    assert means["activity.linear-fingerprint"].value < means["activity.mean"].value  # type: ignore[operator]
    assert (found.comparison.pairs[0].difference.value or 0) < 0
    assert "mae" in found.further


def test_the_command_says_which_models_lead(twin: Plugins, records_csv: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    words = ["compare", "diagnosis", "--data", records_csv, "--models", "flat,twin", "--repeats", 2, "--folds", 2]
    done = cli(*words, "-o", out)
    assert done.code == 0, done.err
    assert done.err.splitlines()[0] == "Comparing 3 models on 2 x 2 folds of 90 cases: 12 fits."
    lines = done.out.splitlines()
    assert lines[0].startswith(f"diagnosis on {records_csv}: 90 cases, 2 x 2 folds")
    rows = {line.split()[0]: line for line in lines[2:5]}
    assert "worse" in rows["flat"]
    assert "best" in lines[2]
    assert "not distinguishable" in lines[3]
    assert "(baseline)" in rows["linear-record"]
    assert lines[-1] == f"report: {out / 'report.html'}"
    assert {path.name for path in out.iterdir()} == {"report.html", "scores.csv", "compare.json"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    scores = pd.read_csv(out / "scores.csv")
    assert scores.columns.tolist() == ["model", "repeat", "fold", "measure", "value"]
    auroc = scores[scores["measure"] == "auroc"]
    assert auroc.groupby("model").size().to_dict() == {
        f"diagnosis.{name}": 4 for name in ("flat", "twin", "linear-record")
    }
    told = json.loads((out / "compare.json").read_text())
    for name, model in told["models"].items():
        assert model["value"] == pytest.approx(auroc.loc[auroc["model"] == name, "value"].mean())
    assert told["versions"]["diagnosis.flat"]["flat"] == "1.0"
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 2
    assert "Nadeau" in page
    assert told["verdict"].split(":")[0] in page
    assert str(records_csv.parent) not in page
    assert "MARK" not in page

    assert cli(*words, "-o", out, "--repeats", 1).code == 0  # an earlier result is replaced
    (out / "mine.txt").touch()
    refused = cli(*words, "-o", out)
    assert refused.code == 2
    assert "no earlier result" in refused.error


def test_json_is_one_object(twin: Plugins, records_csv: Path, cli: Cli) -> None:
    done = cli(
        "compare", "diagnosis", "--data", records_csv, "--models", "flat", "--folds", 3, "--repeats", 1, "--json"
    )
    assert done.code == 0, done.err
    told = json.loads(done.out, parse_constant=pytest.fail)
    assert (told["task"], told["measure"], told["n"], told["repeats"], told["folds"]) == (
        "diagnosis", "auroc", 90, 1, 3,
    )  # fmt: skip
    assert told["best"] == ["diagnosis.linear-record"]
    assert told["models"]["diagnosis.flat"]["differs_from_best"]
    assert told["pairs"][0]["distinguishable"]
    assert 0 <= told["anova"]["p"] < 0.05
    assert told["failures"] == []
    assert told["report"] is None


def test_settings_go_to_the_model_they_name(records_csv: Path, cli: Cli) -> None:
    words = ["compare", "diagnosis", "--data", records_csv, "--models", "linear-record", "--folds", 2, "--repeats", 1]
    done = cli(*words, "--json", "--set", "linear-record.strengths=[0.1]")
    assert json.loads(done.out)["settings"] == {"diagnosis.linear-record": {"strengths": [0.1]}}
    for given, said in (
        ("linear-image.strengths=[0.1]", "not compared"),
        ("strengths=[0.1]", "model.key=value"),
        ("linear-record.strenths=1", "strenths"),
    ):
        done = cli(*words, "--set", given)
        assert (done.code, said in done.error) == (2, True), done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--models", "linear-recrod"], "linear-recrod"),
        (["--models", "linear-image"], "takes images"),
        (["--models", "linear-record,diagnosis.linear-record"], "named twice"),
        (["--models", ","], "no models"),
        (["--models", "linear-record", "--folds", "1"], "1 folds"),
        (["--models", "linear-record", "--repeats", "0"], "0 repeats"),
        (["--models", "linear-record", "--wrong", "1"], "wrong"),
        (["--models", "flat", "--device", "gpu"], "GPU"),
        (["--models", "flat", "--resume"], "no interrupted comparison"),
    ],
)
def test_what_cannot_be_compared_is_refused_at_once(
    words: list[str], said: str, records_csv: Path, cli: Cli, plugins: Plugins, constant: str
) -> None:
    plugins.model("flat", constant.replace("self.share =", "raise AssertionError; self.share ="))
    done = cli("compare", "diagnosis", "--data", records_csv, *words)
    assert done.code == 2
    assert said in done.error
    assert done.hint
    assert done.out == ""


def test_too_few_cases_are_told_before_anything_is_fitted() -> None:
    with pytest.raises(DataError, match="folds are too many"):
        medtasks.compare("diagnosis", records(12), models=["linear-record"], folds=10)


def test_a_model_that_fails_is_named_and_the_others_are_compared(
    fragile: Any, records_csv: Path, cli: Cli, tmp_path: Path
) -> None:
    words = ["compare", "diagnosis", "--data", records_csv, "--models", "fragile,twin", "--folds", 3, "--repeats", 2]
    out = tmp_path / "out"
    Plugins(tmp_path / "site").model("twin", TWIN)
    done = cli(*words, "-o", out, "--json")
    assert done.code == 1
    assert done.error.startswith("diagnosis.fragile failed in repeat 2, fold 1: ValueError in ")
    assert "MARK" not in done.err + done.out
    assert len(fragile.FITS) == 4  # no further fit of it
    told = json.loads(done.out)
    assert set(told["models"]) == {"diagnosis.twin", "diagnosis.linear-record"}
    assert [(one["model"], one["repeat"], one["fold"]) for one in told["failures"]] == [("diagnosis.fragile", 2, 1)]
    assert "failed in repeat 2, fold 1" in (out / "report.html").read_text()
    scores = pd.read_csv(out / "scores.csv").query("measure == 'auroc'").groupby("model").size()
    assert scores.to_dict() == {"diagnosis.fragile": 3, "diagnosis.twin": 6, "diagnosis.linear-record": 6}

    done = cli(*words, "-o", out, "--resume", "--json")  # its fifth fit and what follows go well
    assert done.code == 0, done.err
    assert len(fragile.FITS) == 4 + 3
    assert set(json.loads(done.out)["models"]) == {f"diagnosis.{name}" for name in ("fragile", "twin", "linear-record")}


def test_a_breach_of_contract_ends_with_the_code_of_plugins(fragile: Any, records_csv: Path, cli: Cli) -> None:
    fragile.HOW[0] = "breach"
    done = cli("compare", "diagnosis", "--data", records_csv, "--models", "fragile", "--folds", 3, "--repeats", 1)
    assert done.code == PluginError.exit_code
    assert "repeat 1, fold 1" in done.error
    assert "breaks its contract" in done.error
    assert "linear-record (baseline) has nothing to be compared with" in done.out


def test_an_error_is_raised_where_every_model_fails(
    plugins: Plugins, constant: str, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medtasks.diagnosis.baseline.LinearRecord.fit", lambda *_, **__: 1 / 0)
    with pytest.raises(MedtasksError, match="repeat 1, fold 1: ZeroDivisionError"):
        medtasks.compare("diagnosis", table, models=["linear-record"], **SMALL)


def test_an_interrupted_comparison_goes_on(fragile: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    options: dict[str, Any] = {"models": ["fragile"], "out": tmp_path / "out", **SMALL}
    fragile.HOW[0] = "stop"
    with pytest.raises(KeyboardInterrupt):
        medtasks.compare("diagnosis", table, **options)
    assert not (tmp_path / "out").exists()
    with (tmp_path / ".out.fits.jsonl").open("a") as file:
        file.write('["diagnosis.fragile", 1, 0, {"val')  # as if the power had failed
    with pytest.raises(UsageError, match="other settings"):
        medtasks.compare("diagnosis", table, resume=True, **{**options, "seed": 1})
    resumed = medtasks.compare("diagnosis", table, resume=True, **options)
    assert len(fragile.FITS) == 4 + 3
    whole = medtasks.compare("diagnosis", table, **{**options, "out": tmp_path / "other"})
    pd.testing.assert_frame_equal(resumed.scores, whole.scores)
    assert not (tmp_path / ".out.fits.jsonl").exists()


def test_verdicts_are_in_words() -> None:
    assert compared.probability(0.2) == "0.200"
    assert compared.probability(0.0) == "< 0.001"
