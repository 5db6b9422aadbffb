"""Arms: effects found where there are some, silence where there are none, and no number where nobody compares."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeCV

from medtasks import causal
from medtasks.cases import Patients, RecordEncoder
from medtasks.dataset import Dataset
from medtasks.errors import DataError
from medtasks.report.blocks import Table
from medtasks.task import Evaluation, Judged, Outputs
from medtasks.treatment import arm_sections, policies
from medtasks.treatment.arms import Arm
from medtasks.treatment.effects import calibrate, choose, critical, effects, modified
from medtasks.treatment.options import TreatmentOptions
from medtasks.treatment.support import Support, supported

ARM = Arm()


class Ridges:
    """A model as an author would start with: one regression per arm, two methods, no covariance."""

    def __init__(self, train: Dataset) -> None:
        self.encoder = RecordEncoder.fit(train.cases)  # type: ignore[arg-type]
        features = self.encoder.transform(train.cases)  # type: ignore[arg-type]
        known = [np.isfinite(column) for column in train.targets.T]
        self.models = [
            RidgeCV(np.logspace(-1, 4, 11)).fit(features[rows], train.targets[rows, arm])
            for arm, rows in enumerate(known)
        ]

    def predict(self, cases: Any) -> np.ndarray[Any, Any]:
        features = self.encoder.transform(cases)
        return np.column_stack([model.predict(features) for model in self.models])


def judge(data: Dataset, seed: int = 0, **options: Any) -> tuple[pd.DataFrame, Evaluation, Dataset]:
    """Train on 65 %, decide on 15, answer and judge the rest."""
    order = np.random.default_rng(seed).permutation(len(data))
    first, second = int(0.65 * len(data)), int(0.8 * len(data))
    train, valid, test = (data.take(order[a:b]) for a, b in ((0, first), (first, second), (second, len(data))))
    ARM.check_trainable(data)
    model = Ridges(train)
    decision = ARM.decide(valid, model.predict(valid.cases), TreatmentOptions(**options), train)
    answers = ARM.answer(model.predict(test.cases), Outputs.of(data), decision, test.cases)
    return answers, ARM.evaluate(test, answers, 0), test


def test_a_planted_effect_is_found(trial: Dataset) -> None:
    answers, evaluation, test = judge(trial)
    gain = evaluation.metrics["gain_over_best_arm"]
    assert gain.low is not None
    assert gain.low > 0
    assert isinstance(test.cases, Patients)
    helped = test.cases.frame["b"].to_numpy() > 0.7  # an effect of 2 and more
    clear = (answers["decision"] == "recommend").to_numpy()
    assert (answers["recommended"][helped & clear] == "B").all()
    assert clear[helped].mean() > 0.8
    assert set(answers["estimand"]) == {"effect"}
    assert evaluation.metrics["pehe"].value < 1.0  # type: ignore[operator]


def test_shuffled_outcomes_leave_everybody_without_a_recommendation(trial: Dataset) -> None:
    told = []
    for seed in range(5):
        treatment, outcome = causal.received(trial)
        targets = np.full(trial.targets.shape, np.nan)
        targets[np.arange(len(trial)), treatment] = np.random.default_rng(seed).permutation(outcome)
        shuffled = replace(trial, targets=targets, extra={"propensity": trial.extra["propensity"]})
        told.append((judge(shuffled, seed)[0]["decision"] == "abstain").mean())
    assert min(told) >= 0.95


def test_four_arms_without_an_effect_are_not_told_apart(simulated: Any) -> None:
    told = [(judge(simulated(800, seed, arms=4), seed)[0]["decision"] == "recommend").mean() for seed in range(5)]
    assert np.mean(told) <= 0.05


def repeated(patients: int, visits: int, seed: int) -> Dataset:
    """Draw patients with several rows, who keep their arm and their own level: there is no effect."""
    rng = np.random.default_rng(seed)
    who, n = np.repeat(np.arange(patients), visits), patients * visits
    fields = pd.DataFrame(rng.normal(size=(patients, 2))[who] + 0.05 * rng.normal(size=(n, 2)), columns=["a", "b"])
    arm, level = rng.integers(0, 2, patients)[who], rng.normal(size=patients)[who]
    targets = np.where(arm[:, None] == [0, 1], (level + 0.3 * rng.normal(size=n))[:, None], np.nan)
    extra = {"propensity": np.full((n, 2), 0.5)}
    groups = np.array([f"p{i}" for i in who], dtype=object)
    return Dataset(Patients.from_table(fields), targets, ("A", "B"), kinds=("arm",) * 2, groups=groups, extra=extra)


def test_visits_of_a_patient_are_no_evidence_of_their_own() -> None:
    found = []
    for seed in range(20):
        data = repeated(100, 8, seed)
        own = np.random.default_rng(seed + 50).normal(size=100).repeat(8)  # a model that tells patients apart by chance
        decision = ARM.decide(data, np.column_stack([0 * own, own]), TreatmentOptions(), data)
        found.append((decision["differs"], decision["individual"]))
    # each is to be said of 1 in 200 data sets; counting rows it was said of about a third
    assert np.sum(found, axis=0).max() <= 2


def test_errors_are_those_of_patients_not_of_rows() -> None:
    rng = np.random.default_rng(0)
    values, said = rng.normal(size=(60, 2)), rng.normal(size=(60, 2))
    six, who = np.repeat(np.arange(60), 6), np.repeat(np.arange(60), 6).astype(str)
    alone, again = causal.mean_covariance(values), causal.mean_covariance(values[six], who)
    assert alone == pytest.approx(np.cov(values.T) / 60)
    assert again == pytest.approx(alone)
    assert np.isnan(causal.mean_covariance(values, np.zeros(60))).all()
    blank = np.zeros_like(values)
    (one,) = calibrate(said, causal.Scores(values, blank, blank))
    (many,) = calibrate(said[six], causal.Scores(values[six], blank[six], blank[six]), who)
    factor = (359 / 358) / (59 / 58)  # the small-sample factor knows rows
    assert np.array(many["covariance"]) == pytest.approx(factor * np.array(one["covariance"]))
    (unknown,) = calibrate(said, causal.Scores(values, blank, blank), np.zeros(60))
    assert np.isnan(effects(said, [unknown]).error[:, 0, 1]).all()
    json.dumps(unknown, allow_nan=False)


def test_the_report_speaks_of_the_scores_that_the_measures_are_made_of(simulated: Any) -> None:
    data = simulated(400, effect=lambda table: 1 + 0 * table["a"].to_numpy(), by_choice=True)
    answers, _, test = judge(data)
    evaluation = ARM.evaluate(test, answers, 7)
    assert repr(evaluation).startswith("<Evaluation of 80 cases: ")
    page = arm_sections.write(Judged(test, answers, evaluation, {}))
    (table,) = [block for block in page[1].blocks if isinstance(block, Table) and block.header[0] == "Treatment"]
    value = evaluation.metrics["best_arm_value"].value
    assert value is not None
    mean = {row[0]: row[-1] for row in table.rows}[answers["standard"][0]]
    assert mean.startswith(f"{value:.3f} (")
    assert causal.score(test, 0).values.mean(axis=0) != pytest.approx(causal.score(test, 7).values.mean(axis=0))


def test_the_band_of_uplift_is_that_of_patients(trial: Dataset) -> None:
    answers, _, test = judge(trial)
    groups = np.array([f"p{i % 30}" for i in range(len(test))], dtype=object)
    scores = causal.score(test).values
    for data in (test, replace(test, groups=groups)):
        _, gain, error = policies.uplift(data, answers, scores)
        steps = np.diff(gain) * len(test)
        order = np.argsort(
            -answers["benefit"].where(answers["best"] != answers["standard"], 0).fillna(0), kind="stable"
        )
        for k in (1, 50, len(test)):
            part = np.where(np.arange(len(test)) < k, steps, 0.0)[:, None]
            mine = None if data.groups is None else data.groups[order]
            assert error[k] == pytest.approx(np.sqrt(causal.mean_covariance(part, mine)[0, 0]))


def test_an_arm_given_in_one_group_is_scored_with_rows_left_out(simulated: Any) -> None:
    data = simulated(300, by_choice=True)
    groups = np.where(causal.received(data)[0] == 1, "s0", np.array([f"s{i % 6}" for i in range(300)])).astype(object)
    assert np.isfinite(causal.score(replace(data, groups=groups)).values).all()


def test_patients_whom_nobody_compares_get_no_number(simulated: Any) -> None:
    data = simulated(effect=lambda table: 1.5 + 0 * table["a"].to_numpy(), hole=True)
    answers, _, test = judge(data)
    assert isinstance(test.cases, Patients)
    old = (test.cases.frame["age"] > 70).to_numpy()
    assert (answers["decision"][old] == "insufficient").all()
    assert not (answers["decision"][~old] == "insufficient").any()
    assert answers.loc[old, ["benefit", "expected_B", "A vs B"]].isna().all(axis=None)
    assert answers["reason"][old].str.contains("fewer than 5 received B").all()
    assert (answers["similar"] >= 50).all()


def test_nobody_is_offered_an_arm_they_are_allergic_to(trial: Dataset) -> None:
    assert isinstance(trial.cases, Patients)
    frame = trial.cases.frame.assign(**{"allergy: B": np.arange(len(trial)) % 10 == 0})
    data = replace(trial, cases=Patients.from_table(frame))
    answers, _, test = judge(data)
    assert isinstance(test.cases, Patients)
    allergic = test.cases.frame["allergy: B"].to_numpy() == 1
    assert (answers["blocked"][allergic] == "B: the patient is allergic to it").all()
    assert (answers["decision"][allergic] == "insufficient").all()
    assert (answers["blocked"][~allergic] == "").all()


def test_choice_by_a_field_is_corrected_for(simulated: Any) -> None:
    data = simulated(2000, effect=None, by_choice=True)  # `a` drives both choice and outcome: no true effect
    treatment, outcome = causal.received(data)
    raw = outcome[treatment == 1].mean() - outcome[treatment == 0].mean()
    gap = np.diff(causal.score(data).values, axis=1)[:, 0]
    error = gap.std() / np.sqrt(len(gap))
    assert raw > 0.5
    assert abs(gap.mean()) < 3 * error < 0.5


def test_less_can_be_better(trial: Dataset) -> None:
    kinds = ("arm:minimise",) * 2
    data = Dataset(trial.cases, trial.targets, names=trial.names, kinds=kinds, extra=dict(trial.extra))
    answers, evaluation, test = judge(data)
    assert isinstance(test.cases, Patients)
    helped = (test.cases.frame["b"] < -0.7).to_numpy()
    assert (answers["best"][helped] == "B").mean() > 0.95
    assert evaluation.metrics["gain_over_best_arm"].value > 0  # type: ignore[operator]


def test_effects_of_every_pair_come_from_the_covariance() -> None:
    covariance = np.array([[1.0, 0.5, 0.0], [0.5, 2.0, 0.0], [0.0, 0.0, 4.0]])
    raw = np.column_stack([[5.0, 1.0, 3.0], covariance])[None]
    found = effects(raw, None)
    assert found.difference[0, 0, 1] == 4
    assert found.difference[0, 1, 0] == -4
    assert found.error[0, 0, 1] == pytest.approx(np.sqrt(1 + 2 - 1))
    assert found.error[0, 1, 2] == found.error[0, 2, 1] == pytest.approx(np.sqrt(6))


def test_what_cannot_be_told_apart_is_tied() -> None:
    difference = np.array([[0.0, 1.0, 9.0], [-1.0, 0.0, 8.0], [-9.0, -8.0, 0.0]])[None]
    found = effects(np.array([[9.0, 8.0, 0.0]]), None)
    assert (found.difference == difference).all()
    one = choose(type(found)(difference, np.full((1, 3, 3), 1.0)), np.ones((1, 3), dtype=bool), 0, 1.0, 2.0, True)
    assert (one.status[0], one.best[0], one.tied[0].tolist()) == ("tied", 0, [True, True, False])
    none = choose(type(found)(difference, np.full((1, 3, 3), 9.0)), np.ones((1, 3), dtype=bool), 0, 1.0, 2.0, True)
    assert none.status[0] == "abstain"
    few = choose(type(found)(difference, np.full((1, 3, 3), 1.0)), np.array([[True, False, False]]), 0, 1.0, 2.0, True)
    assert (few.status[0], few.best[0]) == ("insufficient", -1)
    blind = choose(type(found)(difference, np.full((1, 3, 3), 0.1)), np.ones((1, 3), dtype=bool), 0, 1.0, 2.0, False)
    assert blind.status[0] == "abstain"


def test_the_lead_grows_with_the_arms() -> None:
    # Tukey's quantiles for many degrees of freedom, as in any table: 3.314 and 3.633 over the root of 2
    assert critical(2) == pytest.approx(1.96, abs=1e-3)
    assert critical(3) == pytest.approx(3.314 / np.sqrt(2), abs=2e-3)
    assert critical(4) == pytest.approx(3.633 / np.sqrt(2), abs=2e-3)


def test_support_survives_being_written_down(simulated: Any) -> None:
    data = simulated(600, hole=True)
    assert isinstance(data.cases, Patients)
    support = Support.fit(data.cases, causal.received(data)[0], 2, by_lot=False)
    again = Support.read(support.as_json(), data.cases)
    counts = support.of(data.cases)
    assert (again.of(data.cases) == counts).all()
    assert counts.sum(axis=1).min() >= 50  # leaves name nobody
    assert not supported(counts)[(data.cases.frame["age"] > 70).to_numpy(), 1].any()


def test_a_patient_with_many_visits_is_one_patient_like_others(simulated: Any) -> None:
    data = simulated(600, hole=True)
    treatment, people = causal.received(data)[0], np.arange(600) // 10
    for by_lot in (True, False):
        rows = Support.fit(data.cases, treatment, 2, by_lot=by_lot).of(data.cases)
        patients = Support.fit(data.cases, treatment, 2, by_lot=by_lot, groups=people).of(data.cases)
        assert (patients <= np.minimum(rows, 60)).all()
        assert patients.max() > 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(treatment="A"), "every patient received 'A'"),
        (lambda t: t.assign(treatment=["B"] * 12 + ["A"] * (len(t) - 12)), "given to 12 patients"),
        (lambda t: t.assign(outcome=1), "the same for every patient"),
        (lambda t: t.assign(outcome=(t["treatment"] == "A") + t["a"] / 1000), "a leak is suspected"),
        (lambda t: t.assign(after=t["outcome"] * 2), "'after' all but tells the outcome"),
        (
            lambda t: t.assign(patient_id=np.where(t["treatment"] == "B", "s0", [f"s{i % 6}" for i in range(len(t))])),
            "'B' was given in 1 group of rows that belong together; at least 4 are needed",
        ),
        (
            lambda t: t.assign(split=np.where((t["treatment"] == "B") | (t["a"] > 0), "test", "train")),
            "'B' was given to nobody in the training part",
        ),
        (lambda t: t.assign(who=np.where(t["treatment"] == "A", "x", "y")), "no overlap"),
    ],
    ids=[
        "one arm",
        "a small arm",
        "constant",
        "leak by arm",
        "leak by field",
        "an arm in one group",
        "an arm not trained on",
        "no overlap",
    ],
)
def test_data_that_cannot_carry_a_comparison_are_refused(
    trial: Dataset, as_a_table: Any, change: Any, message: str
) -> None:
    from medtasks.treatment.sources import read_patients

    data = read_patients(change(as_a_table(trial)), TreatmentOptions(), "t.csv")
    with pytest.raises(DataError, match=message):
        ARM.check_trainable(data)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (np.zeros((4, 3)), "not the expected outcome"),
        (np.full((4, 2), np.nan), "not finite"),
        (np.tile(np.array([[1.0, -1, 0], [1, 0, 1]]), (4, 1, 1)), "negative variance"),
        ([1, 2], "a list, not the expected outcome"),
    ],
)
def test_a_model_that_breaks_the_contract_is_told(raw: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ARM.check(raw, Outputs(("A", "B"), kinds=("arm", "arm")), 4)


def test_an_effect_that_differs_along_a_field_is_seen_on_all_patients() -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(400, 12))
    noise = rng.normal(size=(400, 3))
    along = noise + np.outer(columns[:, 5], [0.0, 0.5, 0.0])
    assert modified(along, columns) < 1e-6
    assert modified(noise, columns) > 0.05
    visits = np.repeat(np.arange(40), 10)
    shared = rng.normal(size=(40, 3))[visits]
    assert modified(shared, rng.normal(size=(40, 12))[visits], visits) > 0.05
    rare = np.zeros((400, 1))
    rare[:4] = 1
    assert modified(noise + rare * [0, 50, 0], rare) == 1.0  # four patients say nothing


def test_chance_alone_seldom_makes_effects_differ() -> None:
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found.append(modified(np.exp(rng.normal(size=(150, 2))), np.exp(rng.normal(size=(150, 8)))))
    assert np.mean(np.array(found) < 0.05) < 0.1
