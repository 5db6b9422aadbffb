"""The medication set, as the core and a user meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtasks.cases import Patients
from medtasks.dataset import Dataset
from medtasks.errors import BundleError, DataError
from medtasks.model import Context, configure
from medtasks_treatment_set import MedicationSet
from medtasks_treatment_set.explaining import integrated_gradients
from medtasks_treatment_set.linear import base_rates, deal, expit, fit_linear, losses, weigh
from medtasks_treatment_set.structures import describe, read_structures

CPU = Context(seed=3, device="cpu")
QUICK: dict[str, Any] = {"folds": 2, "repeats": 1, "hidden": 32, "rate": 0.01, "penalties": (3.0, 30.0)}
NAMES = ("aspirin", "insulin", "amoxicillin", "paracetamol")


def planted(n: int = 240, seed: int = 0) -> Dataset:
    """Draw patients: insulin for the diabetic, amoxicillin for one of fever and cough, not both, others by chance."""
    rng = np.random.default_rng(seed)
    diabetes, fever, cough = (rng.random(n) < share for share in (0.3, 0.5, 0.5))
    crp = rng.normal(20, 10, n)
    table = pd.DataFrame(
        {"diabetes": diabetes, "fever": fever, "cough": cough, "age": rng.normal(60, 15, n), "crp": crp}
    )
    table["ward"] = rng.choice(["north", "south"], n)
    table.loc[::7, "crp"] = np.nan
    chance = np.column_stack(
        [
            np.full(n, 0.4),
            np.where(diabetes, 0.9, 0.05),
            np.where(fever != cough, 0.95, 0.05),
            np.full(n, 0.2),
        ]
    )
    given = (rng.random(chance.shape) < chance).astype(float)
    cases = Patients.from_table(table, [f"v{i}" for i in range(n)])
    return Dataset(cases, given, names=NAMES, kinds=("set",) * 4, groups=np.arange(n) // 2)


def fitted(data: Dataset, valid: Dataset | None = None, **settings: Any) -> MedicationSet:
    model = MedicationSet(MedicationSet.Config.model_validate({**QUICK, **settings}))
    model.fit(data, data.take(np.arange(0)) if valid is None else valid, context=CPU)
    return model


@pytest.fixture(scope="module")
def learnt() -> MedicationSet:
    data = planted()
    return fitted(data.take(np.arange(180)), data.take(np.arange(180, 240)))


def loss(model: MedicationSet, data: Dataset) -> float:
    told = model.predict(data.cases, context=CPU)
    return float(losses(np.log(told / (1 - told)), data.targets).mean())


@pytest.mark.slow
def test_it_learns_better_than_popularity_and_than_a_line(learnt: MedicationSet) -> None:
    new = planted(600, seed=9)
    told = learnt.predict(new.cases, context=CPU)
    assert told.shape == (600, 4)
    assert ((told > 0) & (told < 1)).all()
    popular = np.tile(base_rates(planted().targets), (600, 1))
    alone = learnt.linear.logits(learnt.features.transform(new.cases))
    assert loss(learnt, new) < losses(alone, new.targets).mean() - 0.05 < losses(popular, new.targets).mean() - 0.1
    assert learnt.weight > 0.5  # one of two, but not both, is no line
    assert learnt.predict(new.cases.take(np.arange(0)), context=CPU).shape == (0, 4)


@pytest.mark.slow
def test_validation_patients_are_answered_by_those_that_never_saw_them(learnt: MedicationSet) -> None:
    data = planted()
    assert learnt.left_out is not None
    assert learnt.left_out.shape == (60, 4)
    seen = learnt.predict(data.cases.take(np.arange(180, 240)), context=CPU)
    assert not np.allclose(learnt.left_out, seen, atol=1e-4)
    insulin = learnt.left_out[:, 1]
    given = data.targets[180:, 1] == 1
    assert insulin[given].mean() > insulin[~given].mean() + 0.3


@pytest.mark.slow
def test_the_planted_fields_explain(learnt: MedicationSet) -> None:
    new = planted(60, seed=5)
    names = [field.name for field in new.cases.fields]
    parts = learnt.explain(new.cases, 1, context=CPU)
    assert parts.shape == (60, 6)
    sick = new.cases.frame["diabetes"].to_numpy() == 1
    assert (np.abs(parts[sick]).argmax(axis=1) == names.index("diabetes")).mean() > 0.9
    assert (parts[sick, names.index("diabetes")] > 0).all()
    told = learnt.predict(new.cases, context=CPU)[:, 1]
    odds = np.log(told / (1 - told))
    # rows differ by what their fields add: the sum starts from one and the same patient
    assert np.allclose(odds - parts.sum(axis=1), (odds - parts.sum(axis=1))[0], atol=1e-4)


def test_integrated_gradients_are_complete() -> None:
    rng = np.random.default_rng(0)
    hidden = [(rng.normal(size=(5, 8)), rng.normal(size=8)), (rng.normal(size=(8, 6)), rng.normal(size=6))]
    kernel, x = rng.normal(size=6), rng.normal(size=(70, 5))

    def score(x: Any) -> Any:
        for weights, bias in hidden:
            x = np.maximum(x @ weights + bias, 0)
        return x @ kernel

    parts = integrated_gradients(hidden, kernel, x)
    assert np.allclose(parts.sum(axis=1), score(x) - score(np.zeros((1, 5))))


@pytest.mark.slow
def test_a_stored_model_answers_alike_in_another_process(learnt: MedicationSet, tmp_path: Path) -> None:
    learnt.save(tmp_path)
    out = tmp_path.parent / f"{tmp_path.name}.npy"
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r});"
        "from test_treatment_set import *;"
        "model = MedicationSet.load(Path(sys.argv[1]), context=CPU);"
        "np.save(sys.argv[2], model.predict(planted().cases, context=CPU))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path, out], check=True, timeout=120)
    assert np.array_equal(np.load(out), learnt.predict(planted().cases, context=CPU))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npz"}
    assert np.array_equal(
        MedicationSet.load(tmp_path, context=CPU).explain(planted(9).cases, 0, context=CPU),
        learnt.explain(planted(9).cases, 0, context=CPU),
    )
    about = json.loads((tmp_path / "set.json").read_text())
    (tmp_path / "set.json").write_text(json.dumps({**about, "weight": 3.0}))
    with pytest.raises(BundleError):
        MedicationSet.load(tmp_path, context=CPU)
    about["config"]["hidden"] = 20
    (tmp_path / "set.json").write_text(json.dumps(about))
    with pytest.raises(BundleError):
        MedicationSet.load(tmp_path, context=CPU).predict(planted(9).cases, context=CPU)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_answers() -> None:
    data = planted(120)
    one, two = (fitted(data, data.take(np.arange(5))).predict(data.cases, context=CPU) for _ in range(2))
    assert np.array_equal(one, two)


@pytest.mark.slow
def test_a_rare_medicine_learns_from_one_alike_in_structure(tmp_path: Path) -> None:
    """Two twins answer one rule; the rare one was given in a handful of wards only, so its own data say little."""
    rng = np.random.default_rng(1)
    n = 400
    table = pd.DataFrame({f"f{i}": rng.random(n) < 0.5 for i in range(12)})
    rule = np.where(table["f0"] != table["f1"], 0.9, 0.03)
    given = np.column_stack([rng.random(n) < rule, rng.random(n) < rule, rng.random((n, 3)) < 0.3]).astype(float)
    given[8:, 1] = np.nan  # of the twin hardly anything is known
    data = Dataset(Patients.from_table(table), given, names=("Twin_One", "twin two", "x", "y", "z"), kinds=("set",) * 5)
    path = tmp_path / "structures.csv"
    path.write_text(
        "name,smiles\ntwin one,CC(=O)Oc1ccccc1C(=O)O\nTWIN TWO,CCC(=O)Oc1ccccc1C(=O)O\n"
        "x,C1CCNCC1\ny,OCC(O)CO\nz,FC(F)(F)c1ncco1\n"
    )
    truth = (table["f0"] != table["f1"]).to_numpy()

    def gap(**settings: Any) -> float:
        told = fitted(data, **settings).predict(data.cases, context=CPU)[:, 1]
        return float(told[truth].mean() - told[~truth].mean())

    assert gap(structures=str(path)) > gap() + 0.1


def test_structures_are_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "structures.csv"
    path.write_text("name,smiles\nFerrous_X,CCO\nother,CCC\n")
    counts, found = read_structures(path, ["ferrous x", "unheard-of"])
    assert found == 1
    assert counts[0].sum() > 0
    assert not counts[1].any()
    assert np.isfinite(describe(counts)).all()
    with pytest.raises(DataError, match="no structure of any"):
        read_structures(path, ["nothing"])
    path.write_text("name,smiles\na,not a molecule\n")
    with pytest.raises(DataError):
        read_structures(path, ["a"])
    path.write_text("drug,smiles\na,C\n")
    with pytest.raises(DataError, match="lacks the columns"):
        read_structures(path, ["a"])


@pytest.mark.slow
def test_odd_data_are_learnt_from() -> None:
    data = planted(40)
    table = data.cases.frame.assign(diabetes=1.0, age=np.nan, crp=5.0)
    cases = Patients(data.cases.ids, table, data.cases.fields)
    targets = data.targets.copy()
    targets[:, 0], targets[:, 2] = 0, 1
    targets[::3, 1] = np.nan
    odd = Dataset(cases, targets, names=NAMES, kinds=("set",) * 4)
    told = fitted(odd, least_steps=20, epochs=1).predict(odd.cases, context=CPU)
    assert np.isfinite(told).all()
    assert told[:, 0].max() < 0.2 < 0.8 < told[:, 2].min()
    one = odd.take(np.arange(1))
    assert np.isfinite(fitted(one).predict(odd.cases, context=CPU)).all()
    with pytest.raises(DataError):
        fitted(odd.take(np.arange(0)))


def test_logistic_regression_is_scikit_learns() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = (rng.random(300) < expit(X @ [1, -1, 0.5, 0] - 0.5)).astype(float)
    ours = fit_linear(X, y[:, None], 5.0)
    theirs = LogisticRegression(C=1 / 5.0, tol=1e-8).fit(X, y)
    assert np.allclose(ours.coef[:, 0], theirs.coef_[0], atol=2e-3)
    assert np.allclose(ours.bias[0], theirs.intercept_[0], atol=2e-3)


def test_networks_without_a_sure_gain_do_not_count() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random((400, 3)) < 0.5).astype(float)
    good, noise = 3 * (2 * y - 1), rng.normal(size=(400, 3))
    assert weigh(good, noise, y) == 0
    assert weigh(noise, good, y) == 1


def test_a_patient_is_in_one_fold_only() -> None:
    groups = np.repeat(np.arange(10), 3)
    parts = deal(30, groups, 4, np.random.default_rng(0))
    assert sorted(np.concatenate(parts)) == list(range(30))
    assert all(not set(groups[a]) & set(groups[b]) for a in parts for b in parts if a is not b)
    assert len(deal(2, None, 5, np.random.default_rng(0))) == 2


def test_settings_are_checked() -> None:
    assert configure(MedicationSet, {"hidden": "64"}, "m").hidden == 64  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_same_code_runs_on_jax() -> None:
    pytest.importorskip("jax")
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r});"
        "from test_treatment_set import *; import pytest;"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '--import-mode=importlib', '-k',"
        " 'fields_explain or same_seed', sys.argv[1]]))"
    )
    environment: dict[str, Any] = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code, __file__],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
