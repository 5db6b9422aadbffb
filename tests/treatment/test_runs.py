"""The three questions from the data to the report and back, as a user runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.dataset import Dataset
from medtasks.errors import DataError, UsageError

RIDGES = """
from sklearn.linear_model import Ridge
class It(Model):
    task, accepts = "treatment", "patients/arm"
    def fit(self, train, valid, *, context):
        self.coef = []
        for column in train.targets.T:
            rows = np.isfinite(column)
            model = Ridge(30.0).fit(self.features(train.cases)[rows], column[rows])
            self.coef.append([*model.coef_, model.intercept_])
    def features(self, cases):
        return cases.frame.to_numpy(float)
    def predict(self, cases, *, context):
        whole = np.array(self.coef)
        return self.features(cases) @ whole[:, :-1].T + whole[:, -1]
    def save(self, folder):
        np.savez(folder / "m.npz", coef=np.array(self.coef))
    @classmethod
    def load(cls, folder, *, context):
        model = cls(cls.Config())
        model.coef = np.load(folder / "m.npz")["coef"].tolist()
        return model
"""


@pytest.fixture
def ridges(plugins: Any) -> None:
    """Install a model of arms that gives expected outcomes and nothing else."""
    plugins.model("ridges", "import numpy as np\nfrom medtasks.model import Model\n" + RIDGES, task="treatment")


def test_two_methods_give_an_author_everything_about_arms(
    ridges: None, trial: Dataset, as_a_table: Any, tmp_path: Path
) -> None:
    table = as_a_table(trial)
    run = medtasks.run("treatment", table, model="ridges", out=tmp_path / "r", folds=2, randomised=True)
    gain = run.evaluation.metrics["gain_over_best_arm"]
    assert gain.low is not None
    assert gain.low > 0
    page = run.report.read_text("utf-8")
    assert "Choosing for each patient helps: against the best treatment for everybody" in page
    assert page.index("Choosing for each patient helps") < page.index("Judged on 1000 cases")
    for title in ("The treatments, for everybody", "What patients are told", "Overlap"):
        assert title in page
    answers = medtasks.predict(run.bundle, table.drop(columns=["treatment", "outcome"]))
    assert answers["id"].tolist() == table["id"].tolist()
    assert {"decision", "reason", "recommended", "benefit_low", "A vs B", "A vs B_high"} <= set(answers)
    judged = pd.read_csv(run.folder / "predictions.csv")
    assert {"target_A", "target_B", "decision"} <= set(judged)
    again = medtasks.evaluate(run.bundle, table)
    assert again.evaluation.metrics["gain_over_best_arm"].value > 0  # type: ignore[operator]


def test_no_patient_stands_in_the_bundle(ridges: None, trial: Dataset, as_a_table: Any, tmp_path: Path) -> None:
    table = as_a_table(trial)
    run = medtasks.run("treatment", table, model="ridges", out=tmp_path / "r", folds=1)
    for path in run.bundle.rglob("*"):
        if path.is_file():
            assert b"PATIENTMARK" not in path.read_bytes()


def test_one_arm_for_all_is_the_floor(trial: Dataset, as_a_table: Any, cli: Any, tmp_path: Path) -> None:
    as_a_table(trial).to_csv(tmp_path / "trial.csv", index=False)
    done = cli("run", "treatment", "--data", tmp_path / "trial.csv", "--model", "best-arm", "--randomised", "yes",
               "--out", tmp_path / "r", "--json")  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["metrics"]["gain_over_best_arm"]["value"] == 0
    page = (tmp_path / "r" / "report.html").read_text("utf-8")
    assert "there is nothing individual to judge" in page
    assert re.search(r"The treatments were drawn by lot", page)


def test_a_models_question_must_be_that_of_the_data(trial: Dataset, as_a_table: Any) -> None:
    with pytest.raises(UsageError, match="takes patients/dose for treatment, not patients/arm"):
        medtasks.run("treatment", as_a_table(trial), model="linear-dose")


def test_doses_from_table_to_report(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight, site = rng.normal(75, 12, 300), rng.choice(["north", "south"], 300)
    table = pd.DataFrame({"weight": weight, "site": site, "mg": (0.4 * weight + rng.normal(0, 3, 300)).clip(5)})
    run = medtasks.run("treatment", table, dose="mg", within="site", model="linear-dose", out=tmp_path / "r")
    assert run.evaluation.metrics["within_20pct"].value > 0.8  # type: ignore[operator]
    assert run.evaluation.metrics["coverage"].value == pytest.approx(0.9, abs=0.06)
    page = run.report.read_text("utf-8")
    assert "of patients are given a dose within 20 %" in page
    assert "south" in page
    answers = medtasks.predict(run.bundle, table.drop(columns="mg").assign(site=["north"] * 299 + ["west"]))
    assert (answers["low"] < answers["mg"])[:299].all()
    assert answers["status"].tolist()[-1] == "invalid"  # a site that training never saw
    slip = medtasks.predict(run.bundle, table.drop(columns="mg").head(2).assign(weight=[780.0, 78.0]))
    assert slip["decision"].tolist() == ["abstain", "recommend"]
    assert slip["reason"][0] == "unlike the cases that the model was trained on"
    explained = medtasks.explain(run.bundle, table.drop(columns="mg").head(3))
    assert explained[0].parts == ("weight", "site")


def test_sets_from_event_tables_to_report(hospital: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.csv"
    rules.write_text("a,b,severity,source\nheparin,aspirin,major,ours\n")
    run = medtasks.run("treatment", hospital, model="linear-set", out=tmp_path / "r", interactions=str(rules), budget=0)
    found = {name: measure.value for name, measure in run.evaluation.metrics.items()}
    assert found["ddi_rate"] == 0
    assert found["jaccard"] > 0.5  # type: ignore[operator]
    page = run.report.read_text("utf-8")
    assert "imitates what clinicians gave; it does not say what helps" in page
    assert "what the patient received at the last visit" in page
    judged = pd.read_csv(run.folder / "predictions.csv")
    assert judged["fold"].groupby(judged["id"].str[8:11]).nunique().eq(1).all()  # a patient is on one side
    answers = medtasks.predict(run.bundle, hospital)
    assert len(answers) == 120
    assert (answers["status"] == "ok").all()
    second = answers[answers["id"].str.endswith("1")]
    ill = second["id"].str[8:11].astype(int) % 2 == 0
    assert second["recommended"][ill].str.contains("metoprolol").all()
    assert not second["recommended"][~ill].str.contains("metoprolol").any()
    for path in run.bundle.rglob("*"):
        if path.is_file():
            assert not re.search(rb"SUBJECTMARK|STAYMARK", path.read_bytes())


def test_allergies_of_event_tables_hold_medicines_back(synthea: Path, tmp_path: Path) -> None:
    run = medtasks.run("treatment", synthea, model="linear-set", out=tmp_path / "r", folds=1)
    answers = medtasks.predict(run.bundle, synthea)
    allergic = answers["id"].str[1:].astype(int) % 3 == 0
    assert (answers["blocked"][allergic] == "penicillin v: the patient is allergic to it").all()
    assert not answers["recommended"][allergic].str.contains("penicillin").any()
    assert answers["recommended"][~allergic].str.contains("penicillin").all()
    page = run.report.read_text("utf-8")
    assert "Nothing is held back for 1 of 2 fields of allergies" in page
    assert "allergy: Peanut (substance) (SNOMED 256349002)" in page
    assert "1 of them allergies, for which nothing can be held back" in page


def test_medicines_may_be_renamed_and_a_bundle_needs_the_tables_no_more(hospital: Path, tmp_path: Path) -> None:
    names = tmp_path / "atc.csv"
    names.write_text("name,atc\nheparin,B01AB01\nmetoprolol,C07AB02\namoxicillin,J01CA04\naspirin,B01AC06\n")
    run = medtasks.run(
        "treatment", hospital, model="linear-set", out=tmp_path / "r", medicines=str(names), atc_level=3, folds=1
    )
    assert run.predictor.outputs.names == ("B01A", "C07A", "J01C")
    names.unlink()
    assert (medtasks.predict(run.bundle, hospital)["status"] == "ok").all()


def test_a_wrong_table_of_interactions_is_told_before_training(hospital: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        medtasks.run("treatment", hospital, model="linear-set", interactions=str(tmp_path / "none.csv"))
