"""Estimators as models: what is stored answers as the estimator did, under the checks of the kit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import (
    ElasticNet,
    ElasticNetCV,
    Lasso,
    LassoCV,
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import medtasks
from medtasks.adapting import SUPPORTED, Goal, SklearnModel, from_sklearn
from medtasks.adapting.estimators import Fitted
from medtasks.cases import Patients, Records
from medtasks.dataset import Dataset
from medtasks.errors import BundleError, PluginError
from medtasks.model import Context, Model
from medtasks.testing import State, checks
from medtasks.testing.bench import toy_data

CLASSIFIERS = [
    LogisticRegression(),
    LinearDiscriminantAnalysis(),
    SGDClassifier(loss="log_loss"),
    SGDClassifier(loss="modified_huber"),
    GaussianNB(),
    MLPClassifier((6, 5), solver="lbfgs", max_iter=3000),
    MLPClassifier((6,), activation="tanh", solver="lbfgs", max_iter=3000),
    DecisionTreeClassifier(max_depth=4),
    ExtraTreesClassifier(8),
    RandomForestClassifier(8, class_weight="balanced"),
]
REGRESSORS = [
    LinearRegression(),
    Ridge(),
    RidgeCV(),
    Lasso(0.01),
    LassoCV(),
    ElasticNet(0.01),
    ElasticNetCV(),
    SGDRegressor(),
    MLPRegressor(hidden_layer_sizes=(6,), activation="logistic", solver="lbfgs", max_iter=3000),
    DecisionTreeRegressor(max_depth=4),
    ExtraTreesRegressor(8),
    RandomForestRegressor(8, criterion="absolute_error", max_depth=4),
]
REFUSED = [
    KNeighborsClassifier(),
    SVC(),
    GradientBoostingClassifier(),
    SGDClassifier(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    CalibratedClassifierCV(LogisticRegression()),
    LogisticRegression,
]
TOY = {
    "diagnosis": from_sklearn(ExtraTreesClassifier(50, min_samples_leaf=3)),
    "activity": from_sklearn(
        Ridge(10.0), task="activity", classifier=RandomForestClassifier(50, min_samples_leaf=2, max_features=0.2)
    ),
    "arm": from_sklearn(RidgeCV(), task="treatment", accepts="patients/arm"),
    "set": from_sklearn(LogisticRegression(), task="treatment", accepts="patients/set"),
    "dose": from_sklearn(Ridge(), task="treatment", accepts="patients/dose"),
}
FOR_THE_ENTRY_POINT = """
from medtasks.adapting import from_sklearn
from sklearn.ensemble import RandomForestClassifier

forest = RandomForestClassifier(60, min_samples_leaf=3)
It = from_sklearn(forest, settings={"n_estimators": int, "max_depth": int | None}, about="A forest of ours.")
"""


def _name(value: Any) -> str:
    return type(value).__name__


def _columns(classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(classes)
    x = rng.normal(size=(90, 5))
    codes = np.digitize(x[:, 0] + rng.normal(0, 0.3, 90), np.linspace(-1, 1, classes + 1)[1:-1])
    return x, codes


def _seeded(estimator: Any) -> Any:
    """Return it unfitted, with a seed if it takes one: whether it converges must not hang on the tests before."""
    fresh = clone(estimator)
    return fresh.set_params(random_state=0) if "random_state" in fresh.get_params() else fresh


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=_name)
def test_a_classifier_taken_apart_answers_as_it_did(estimator: Any, classes: int) -> None:
    x, codes = _columns(classes)
    fitted = _seeded(estimator).fit(x, codes)
    new = np.random.default_rng(9).normal(size=(40, 5)) * 3
    assert np.allclose(Fitted.of(fitted, x).predict(new), fitted.predict_proba(new), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("estimator", REGRESSORS, ids=_name)
def test_a_regressor_taken_apart_answers_as_it_did(estimator: Any) -> None:
    x, _ = _columns(2)
    fitted = _seeded(estimator).fit(x, x[:, 0] * 2 + x[:, 1] ** 2)
    new = np.random.default_rng(9).normal(size=(40, 5)) * 3
    assert np.allclose(Fitted.of(fitted, x).predict(new)[:, 0], fitted.predict(new), rtol=1e-12, atol=1e-12)


def test_every_supported_estimator_is_tried_here() -> None:
    assert {type(one).__name__ for one in (*CLASSIFIERS, *REGRESSORS)} == set(SUPPORTED)


@pytest.mark.parametrize("estimator", REFUSED, ids=_name)
def test_what_is_not_plain_arrays_is_refused(estimator: Any) -> None:
    with pytest.raises(PluginError) as caught:
        from_sklearn(estimator)
    assert caught.value.hint


def test_estimators_that_keep_patients_are_refused_for_that() -> None:
    with pytest.raises(PluginError, match="keeps its training cases") as caught:
        from_sklearn(KNeighborsClassifier())
    assert "RandomForestClassifier" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("estimator", "options", "said"),
    [
        (Ridge(), {}, "no classifier"),
        (GaussianNB(), {"task": "treatment", "accepts": "patients/dose"}, "asks for numbers"),
        (GaussianNB(), {"accepts": "images"}, "for images"),
        (Ridge(), {"task": "triage"}, "'triage'"),
        (Ridge(), {"task": "activity", "classifier": Ridge()}, "classifier="),
    ],
)
def test_an_estimator_that_does_not_fit_the_question_is_refused(
    estimator: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(PluginError, match=said):
        from_sklearn(estimator, **options)


def test_an_estimator_whose_parts_answer_otherwise_is_refused() -> None:
    x, codes = _columns(2)
    fitted = LogisticRegression().fit(x, codes)
    fitted.predict_proba = lambda x: np.full((len(x), 2), 0.5)
    with pytest.raises(PluginError, match="does not answer"):
        Fitted.of(fitted, x)


def _fit(model: type[Model], data: Dataset) -> Any:
    one = model(model.Config())
    one.fit(data, data, context=Context(7))
    return one


@pytest.mark.parametrize("name", TOY)
def test_the_kit_passes(name: str, plugins: Any, without_processes: None) -> None:
    model = TOY[name]
    code = f"from adapted import TOY\nIt = TOY[{name!r}]\n"
    plugins.install("adapted", {"medtasks.models": {f"{model.task}.mine-{name}": "mine:It"}}, code, module="mine")
    (plugins.folder / "adapted.py").write_text("TOY = {}\n", encoding="utf-8")
    import adapted  # type: ignore[import-not-found]

    adapted.TOY[name] = model
    report = checks.check(f"{model.task}.mine-{name}")
    bad = (State.FAILED, State.SKIPPED)
    assert not [f"{one.check}: {one.reason}" for one in report.outcomes if one.state in bad]
    assert sum(one.state is State.PASSED for one in report.outcomes) >= 18


@pytest.mark.parametrize("name", TOY)
def test_what_is_loaded_answers_the_same_to_the_bit(name: str, tmp_path: Path) -> None:
    model = TOY[name]
    data = toy_data(model.task, model.accepts)
    fitted = _fit(model, data.take(np.arange(100)))
    fitted.save(tmp_path)
    rest = data.cases.take(np.arange(100, 200))
    again = model.load(tmp_path, context=Context())
    assert np.array_equal(fitted.predict(rest, context=Context()), again.predict(rest, context=Context()))
    assert {path.suffix for path in tmp_path.iterdir()} == {".npz", ".json"}


def test_a_model_of_few_lines_runs(plugins: Any, records_csv: Path, tmp_path: Path) -> None:
    assert len(FOR_THE_ENTRY_POINT.strip().splitlines()) <= 10
    plugins.model("our-forest", FOR_THE_ENTRY_POINT)
    options: dict[str, Any] = {"out": tmp_path / "out", "config": {"n_estimators": "20"}, "folds": 1, "seed": 3}
    medtasks.run("diagnosis", records_csv, model="our-forest", **options)
    with np.load(next((tmp_path / "out" / "bundle").rglob("estimators.npz"))) as arrays:
        assert len(arrays["0_roots"]) == 20
    held = b"".join(path.read_bytes() for path in (tmp_path / "out" / "bundle").rglob("*") if path.is_file())
    assert b"CASEMARK" not in held
    assert b"PATIENTMARK" not in held
    answers = medtasks.load(tmp_path / "out" / "bundle").predict(pd.read_csv(records_csv).drop(columns="target"))
    assert (answers["status"] == "ok").all()


def test_the_seed_is_set_and_the_authors_estimator_left_alone() -> None:
    data = toy_data("diagnosis", "records")
    estimator = ExtraTreesClassifier(5)
    model = from_sklearn(estimator)
    one, other = (_fit(model, data).predict(data.cases, context=Context()) for _ in range(2))
    assert np.array_equal(one, other)
    assert not hasattr(estimator, "classes_")
    assert estimator.random_state is None


def test_a_class_that_no_training_case_has_is_never_answered() -> None:
    x, codes = _columns(2)
    cases = Records.from_table(pd.DataFrame(x, columns=list("abcde")))
    found = _fit(from_sklearn(GaussianNB()), Dataset(cases, codes * 2, classes=("a", "b", "c")))
    said = found.predict(cases, context=Context())
    assert said.shape == (90, 3)
    assert (said[:, 1] == 0).all()
    alone = _fit(from_sklearn(GaussianNB()), Dataset(cases, codes * 0 + 1, classes=("a", "b", "c")))
    assert alone.predict(cases, context=Context())[0].tolist() == [0, 1, 0]


def test_an_arm_that_nobody_received_and_a_medicine_of_everybody_are_answered() -> None:
    x, _ = _columns(2)
    cases = Patients.from_table(pd.DataFrame(x, columns=list("abcde")))
    outcome = np.column_stack([x[:, 0] * 3 + 10, np.full(90, np.nan)])
    arms = _fit(TOY["arm"], Dataset(cases, outcome, ("old", "new"), kinds=("arm", "arm")))
    assert np.allclose(arms.predict(cases, context=Context())[:, 1], outcome[:, 0].mean())
    given = np.column_stack([np.ones(90), x[:, 0] > 0]).astype(float)
    sets = _fit(TOY["set"], Dataset(cases, given, ("aspirin", "statin"), kinds=("set", "set")))
    assert np.allclose(sets.predict(cases, context=Context())[:, 0], 91 / 92)


def test_a_classifier_does_not_answer_numbers() -> None:
    with pytest.raises(PluginError, match="'pIC50' is a number"):
        _fit(from_sklearn(GaussianNB(), task="activity"), toy_data("activity", "molecules"))


def test_a_regressor_answers_classes_by_probabilities() -> None:
    data = toy_data("activity", "molecules")
    said = _fit(from_sklearn(Ridge(), task="activity"), data).predict(data.cases, context=Context())
    assert said[:, 1].min() >= 0
    assert said[:, 1].max() <= 1
    known = np.isfinite(data.targets[:, 0])
    assert np.corrcoef(said[known, 0], data.targets[known, 0])[0, 1] > 0.9


def _spoil_goal(folder: Path) -> None:
    about = json.loads((folder / "estimators.json").read_text())
    about["goal"]["spread"][0] = -1.0
    (folder / "estimators.json").write_text(json.dumps(about))


def _spoil(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with np.load(folder / "estimators.npz") as file:
            arrays = dict(file)
        arrays[name] = change(arrays[name])
        np.savez(folder / "estimators.npz", **arrays)

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        _spoil_goal,
        _spoil("0_feature", lambda values: values + 1000),
        _spoil("0_left", lambda values: np.where(values > 0, 0, values)),
        _spoil("0_value", lambda values: values[:, :1]),
        _spoil("0_classes", lambda values: values + 5),
        _spoil("0_classes", lambda values: values.astype(str)),
        _spoil("columns_mean", lambda values: values[1:]),
    ],
)
def test_what_somebody_changed_is_refused(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    model = TOY["diagnosis"]
    _fit(model, toy_data("diagnosis", "records")).save(tmp_path)
    spoil(tmp_path)
    with pytest.raises(BundleError):
        model.load(tmp_path, context=Context())


def test_the_goal_comes_back_and_doses_keep_their_unit() -> None:
    data = toy_data("treatment", "patients/dose")
    goal = Goal.fit(data, "patients/dose")
    assert Goal.read(json.loads(json.dumps(goal.as_json()))) == goal
    assert np.allclose(goal.answers(goal.wanted(data))[:, 0, 0], data.targets[:, 0])


def test_a_setting_that_the_estimator_lacks_is_refused() -> None:
    with pytest.raises(PluginError, match="no parameter 'max_itr'") as caught:
        from_sklearn(LogisticRegression(), settings={"max_itr": int})
    assert "'max_iter'" in str(caught.value.hint)


def test_the_class_says_what_it_is() -> None:
    assert issubclass(TOY["dose"], SklearnModel)
    assert TOY["dose"].__name__ == "RidgeModel"
    assert "Ridge" in str(TOY["dose"].__doc__)
