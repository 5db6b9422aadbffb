import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from medtasks.cases import Records
from medtasks.dataset import Dataset
from medtasks.errors import BundleError
from medtasks.model import Context, Progress, configure
from medtasks_record_ensemble import RecordEnsemble, members
from medtasks_record_ensemble.blend import fold_numbers, sharpen, sharpness, weigh
from medtasks_record_ensemble.members import Plan, _extra_trees, fit_all, hold_out, left_out, threads
from medtasks_record_ensemble.trees import Boosted, Forest

HERE = Context(seed=3)


@pytest.fixture(autouse=True)
def _one_thread():
    with threads(0):
        yield


def planted(n=200, classes=2, seed=0):
    """Records whose class is settled by ``crp``; the other fields are noise."""
    rng = np.random.default_rng(seed)
    crp = rng.normal(size=n)
    table = pd.DataFrame(
        {
            "age": rng.normal(60, 9, n),
            "crp": crp,
            "grade": rng.integers(0, 4, n).astype(float),
            "fever": rng.choice(["yes", "no"], n),
            "ward": rng.choice(["A", "B", "C"], n),
        }
    )
    table.loc[rng.random(n) < 0.1, "age"] = np.nan
    cut = np.quantile(crp, np.linspace(0, 1, classes + 1)[1:-1])
    return make(table, np.searchsorted(cut, crp), classes)


def make(table, targets, classes):
    names = tuple(f"class {i}" for i in range(classes))
    return Dataset(Records.from_table(table), np.asarray(targets, dtype=np.int64), classes=names)


def fitted(data, context=HERE, **settings):
    model = RecordEnsemble(RecordEnsemble.Config(**{"trees": 12, "folds": 2, **settings}))
    model.fit(data, data.take(np.arange(min(5, len(data)))), context=context)
    return model


@pytest.fixture(scope="module")
def full():
    """A model with all three members."""
    data = planted(classes=3)
    with threads(0):
        return data, fitted(data, boosting=True)


def test_learns_and_answers_one_row_per_case_in_order():
    model, test = fitted(planted()), planted(seed=1)
    chances = model.predict(test.cases, context=HERE)
    assert chances.shape == (200, 2)
    assert np.allclose(chances.sum(axis=1), 1)
    assert (chances.argmax(axis=1) == test.targets).mean() > 0.9
    order = np.random.default_rng(0).permutation(200)
    assert np.array_equal(model.predict(test.cases.take(order), context=HERE), chances[order])


def test_one_row_gets_the_same_answer_as_in_a_batch(full):
    data, model = full
    batch = model.predict(data.cases, context=HERE)
    for row in (0, 7, 199):
        assert np.array_equal(model.predict(data.cases.take(np.array([row])), context=HERE)[0], batch[row])


def test_breast_cancer_of_scikit_learn():
    from sklearn.datasets import load_breast_cancer
    from sklearn.metrics import roc_auc_score

    values, targets = load_breast_cancer(return_X_y=True)
    data = make(pd.DataFrame(values, columns=[f"f{i}" for i in range(30)]), targets, 2)
    rows = np.random.default_rng(0).permutation(len(data))
    model, test = fitted(data.take(rows[:400])), data.take(rows[400:])
    assert roc_auc_score(test.targets, model.predict(test.cases, context=HERE)[:, 1]) > 0.98


def test_a_fresh_process_answers_the_same(full, tmp_path):
    data, model = full
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model")
    data.cases.frame.to_parquet(tmp_path / "table.parquet")
    code = (
        "import sys, numpy as np, pandas as pd\nfrom pathlib import Path\n"
        "from medtasks.cases import Records\nfrom medtasks.model import Context\n"
        "from medtasks_record_ensemble import RecordEnsemble\n"
        "place = Path(sys.argv[1])\n"
        "model = RecordEnsemble.load(place / 'model', context=Context())\n"
        "cases = Records([str(i) for i in range(200)], pd.read_parquet(place / 'table.parquet'),"
        " model.features.encoder.fields)\n"
        "answers = [model.predict(cases, context=Context()), model.explain(cases, 1, context=Context())]\n"
        "np.savez(place / 'answers.npz', *answers)\n"
        "assert 'sklearn' not in sys.modules, 'predicting needs no scikit-learn'\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    answers = np.load(tmp_path / "answers.npz")
    assert np.array_equal(answers["arr_0"], model.predict(data.cases, context=HERE))
    assert np.array_equal(answers["arr_1"], model.explain(data.cases, 1, context=HERE))


def test_stores_no_code_and_no_patient(tmp_path):
    data = planted()
    marker = 61.123456789
    data.cases.frame.loc[11, "age"] = marker
    fitted(data, boosting=True).save(tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["boosted.npz", "ensemble.json", "features.npz", "forest.npz", "linear.npz"]
    stored = []
    for name in files:
        if name.endswith(".npz"):
            with np.load(tmp_path / name, allow_pickle=False) as arrays:
                stored += [arrays[key].astype(float).ravel() for key in arrays.files]
    assert np.abs(np.concatenate(stored) - marker).min() > 1e-7
    assert "61.12" not in (tmp_path / "ensemble.json").read_text()


@pytest.mark.parametrize("target", [0, 1, 2])
def test_explanations_add_up_to_the_answer(full, target):
    data, model = full
    assert set(model.members) == {"linear", "forest", "boosted"}
    parts = model.explain(data.cases, target, context=HERE)
    assert parts.shape == (200, 5)
    chances = model.predict(data.cases, context=HERE)[:, target]
    assert np.abs(parts.sum(axis=1) + model.base(target) - chances).max() < 1e-12


def test_the_planted_cause_is_found(full):
    data, model = full
    parts = model.explain(data.cases, 2, context=HERE)
    size = np.abs(parts).mean(axis=0)
    assert size.argmax() == 1
    assert size[1] > 3 * np.delete(size, 1).max()
    crp = data.cases.frame["crp"].to_numpy()
    assert parts[crp > 1, 1].min() > 0 > parts[crp < 0, 1].max()


def test_two_class_contributions_follow_the_log_odds():
    model = fitted(planted(), trees=0, boosting=False)
    cases = planted(seed=2).cases
    linear, features = model.members["linear"], model.features.transform(cases)
    odds = features * (linear.coef[1] - linear.coef[0])
    owners = model.features.owners
    odds = np.stack([odds[:, owners == i].sum(axis=1) for i in range(5)], axis=1)
    change = model.predict(cases, context=HERE)[:, 1] - model.base(1)
    expected = odds * (change / odds.sum(axis=1))[:, None]
    found = model.explain(cases, 1, context=HERE)
    clear = np.abs(odds.sum(axis=1)) > 0.1  # the closed form divides by this
    assert np.abs(found - expected)[clear].max() < 1e-6


def sklearn_data(classes):
    rng = np.random.default_rng(5)
    values = np.round(rng.normal(size=(300, 6)), 1)  # many ties at the thresholds
    return values, np.clip((values[:, 0] * 1.5 + rng.normal(size=300) + classes / 2), 0, classes - 1).astype(int)


@pytest.mark.parametrize("classes", [2, 4])
def test_stored_trees_give_scikit_learns_probabilities(classes):
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier

    values, targets = sklearn_data(classes)
    for model, member in (
        (ExtraTreesClassifier(20, random_state=0), Forest.fit),
        (HistGradientBoostingClassifier(max_iter=30), lambda model: Boosted.fit(model, classes)),
    ):
        model.fit(values, targets)
        ours, theirs = member(model).predict(values), model.predict_proba(values)
        assert np.abs(ours - theirs).max() < 1e-9
        assert theirs.std() > 0.1


def test_a_value_at_a_threshold_goes_scikit_learns_way():
    from sklearn.ensemble import ExtraTreesClassifier

    values, targets = sklearn_data(2)
    model = ExtraTreesClassifier(20, random_state=0).fit(values, targets)
    tree = model.estimators_[0].tree_
    edge = np.tile(values[0], (1000, 1))
    # Within 32-bit rounding of the root's threshold, on both sides of it.
    edge[:, tree.feature[0]] = tree.threshold[0] + np.linspace(-1e-7, 1e-7, 1000)
    assert len(np.unique(edge.astype(np.float32)[:, tree.feature[0]])) < 1000
    assert np.abs(Forest.fit(model).predict(edge) - model.predict_proba(edge)).max() < 1e-9


@pytest.mark.parametrize("cases", [90, 1200])
def test_extra_trees_are_those_of_scikit_learns_forest(cases):
    from sklearn.ensemble import ExtraTreesRegressor

    rng = np.random.default_rng(3)
    values, targets = np.round(rng.normal(size=(cases, 5)), 1), rng.integers(0, 3, cases)
    ours = _extra_trees(Plan(4, trees=8, leaf=2, tries=0.5), values, targets, seed=7)
    theirs = ExtraTreesRegressor(8, min_samples_leaf=2, max_features=0.5, random_state=7)
    theirs.fit(values[:, :4], np.eye(3)[targets])
    assert (ours.predict(values[:, :4]) == theirs.predict(values[:, :4])).all()


def test_same_seed_same_model_and_other_seed_another():
    data = planted()
    first, again = (fitted(data).predict(data.cases, context=HERE) for _ in range(2))
    other = fitted(data, Context(seed=4)).predict(data.cases, context=HERE)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("counts", [(40, 2), (40, 1), (3, 3), (1, 1), (5, 0), (30, 3, 2), (4,) * 20])
def test_rare_classes_and_few_rows(counts):
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(len(counts)), counts)
    data = make(pd.DataFrame({"a": rng.normal(size=len(targets)) + targets, "b": 1.0}), targets, len(counts))
    chances = fitted(data).predict(data.cases, context=HERE)
    assert chances.shape == (len(targets), len(counts))
    assert np.isfinite(chances).all()
    assert np.allclose(chances.sum(axis=1), 1)
    for code, count in enumerate(counts):
        assert (chances[:, code] > 0).any() == (count > 0)


def test_missing_everywhere_constant_columns_and_only_categories():
    data = planted()
    holes = np.random.default_rng(0).random((200, 4)) < 0.5
    frame = data.cases.frame.drop(columns="crp").mask(holes)
    frame["crp"], frame["constant"] = data.cases.frame["crp"].mask(np.arange(200) % 4 == 0), 7.0
    sparse = make(frame.astype(object).where(frame.notna(), None), data.targets, 2)
    chances = fitted(sparse).predict(sparse.cases, context=HERE)
    assert (chances.argmax(axis=1) == data.targets).mean() > 0.75
    words = make(
        pd.DataFrame({"sign": np.where(data.targets == 1, "red", "blue"), "ward": ["A", "B"] * 100}), data.targets, 2
    )
    model = fitted(words)
    assert (model.predict(words.cases, context=HERE).argmax(axis=1) == data.targets).all()
    parts = model.explain(words.cases, 1, context=HERE)
    assert np.abs(parts[:, 0]).min() > np.abs(parts[:, 1]).max()


def test_a_value_far_out_or_unseen_is_answered():
    model, data = fitted(planted()), planted(seed=1)
    data.cases.frame.loc[0, "crp"] = 1e300
    data.cases.frame.loc[1, "grade"] = 99.0
    assert np.isfinite(model.predict(data.cases, context=HERE)).all()


def test_valid_of_many_cases_is_not_learnt_from():
    data, other = planted(1000), planted(seed=9)
    answers = []
    for valid in (data.take(np.arange(20)), other):
        model = RecordEnsemble(RecordEnsemble.Config(trees=5, folds=2, boosting=False))
        model.fit(data, valid, context=HERE)
        assert model.left_out is None
        answers.append(model.predict(data.cases, context=HERE))
    assert np.array_equal(*answers)


def test_few_cases_are_all_learnt_from_and_those_of_valid_answered_left_out():
    data = planted(160)
    train, valid = data.take(np.arange(100)), data.take(np.arange(100, 160))
    model = RecordEnsemble(RecordEnsemble.Config(trees=30, folds=4, boosting=False))
    model.fit(train, valid, context=HERE)
    alone = RecordEnsemble(model.config)
    alone.fit(data, data.take(np.arange(0)), context=HERE)
    assert np.array_equal(
        model.predict(data.cases, context=HERE), alone.predict(data.cases, context=HERE)
    )  # learnt from all, in order
    assert model.left_out.shape == (60, 2)
    assert np.allclose(model.left_out.sum(axis=1), 1)
    seen = model.predict(valid.cases, context=HERE)
    own = np.arange(60), valid.targets
    assert (model.left_out.argmax(axis=1) == valid.targets).mean() > 0.85
    assert np.log(model.left_out[own]).mean() < np.log(seen[own]).mean()  # what was learnt is known better


def test_left_out_answers_know_no_label_of_their_own():
    ranked = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        values, targets = rng.normal(size=(80, 20)), np.tile([0, 1], 40)
        plan, context = Plan(columns=20, trees=5, leaf=3), Context(seed=seed)
        held = hold_out(plan, values, targets, boosting=False, folds=3, context=context)
        said = left_out(plan, held, values, targets, boosting=False, context=context)[:, 1]
        ranked.append((said[targets == 1][:, None] > said[targets == 0]).mean())
    # an AUROC of 40 and 40 cases of noise has a standard error of .065, the mean of 12 one of .02
    assert np.mean(ranked) < 0.5 + 3 * 0.02


@pytest.mark.parametrize("boosting", [False, True])
def test_answers_left_out_come_from_models_that_learnt_from_nearly_all_cases(monkeypatch, boosting):
    learnt = []

    def spied(plan, features, targets, *, context):
        learnt.append(len(targets))
        return fit_all(plan, features, targets, context=context)

    monkeypatch.setattr(members, "fit_all", spied)
    data = planted(120, classes=3)
    model = RecordEnsemble(RecordEnsemble.Config(trees=5, folds=2, boosting=boosting))
    model.fit(data.take(np.arange(80)), data.take(np.arange(80, 120)), context=HERE)
    share = 0.9 if boosting else 0.95
    assert set(learnt) == {round(share * 120)}
    assert sum(120 - n for n in learnt) == 120  # each is left out once


@pytest.mark.parametrize("n", [8, 15, 30])
def test_few_cases_are_answered_left_out_too(n):
    data = planted(n)
    model = RecordEnsemble(RecordEnsemble.Config(trees=5, folds=2, boosting=False))
    model.fit(data.take(np.arange(n - 4)), data.take(np.arange(n - 4, n)), context=HERE)
    assert model.left_out.shape == (4, 2)
    assert np.allclose(model.left_out.sum(axis=1), 1)


def test_rows_of_one_patient_are_held_out_together():
    """Labels are noise that the rows of a patient share: whoever knew one of them would know the others."""
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(50), 3)
    marks = np.repeat(rng.normal(size=(50, 6)), 3, axis=0) + 0.01 * rng.normal(size=(150, 6))
    data = make(pd.DataFrame(marks, columns=list("abcdef")), np.repeat(rng.integers(0, 2, 50), 3), 2)
    data = replace(data, groups=patient)
    model = RecordEnsemble(RecordEnsemble.Config(trees=30, folds=4, boosting=False))
    model.fit(data.take(np.arange(30)), data.take(np.arange(30, 150)), context=HERE)
    assert (model.left_out.argmax(axis=1) == data.targets[30:]).mean() < 0.75
    numbers = fold_numbers(data.targets, 4, rng, patient)
    assert all(len(np.unique(numbers[patient == one])) == 1 for one in range(50))


def test_a_class_with_one_case_keeps_valid_apart():
    data = make(pd.DataFrame({"a": np.arange(31.0)[::-1]}), [0, 1] * 15 + [2], 3)
    model = RecordEnsemble(RecordEnsemble.Config(trees=5, folds=2, boosting=False))
    model.fit(data.take(np.arange(20)), data.take(np.arange(20, 31)), context=HERE)
    assert model.left_out is None  # nothing can be said of the class while its only case is left out
    assert model.predict(data.cases, context=HERE)[:, 2].max() == 0


def test_many_rows_are_sampled_for_the_choices_and_it_is_said():
    said = []

    class Ear(Progress):
        def note(self, text):
            said.append(text)

    fitted(planted(400), Context(progress=Ear()), choosing=150, trees=5)
    assert "150 of 400" in said[0]


def test_settings_from_the_command_line():
    config = configure(RecordEnsemble, {"boosting": "false", "trees": "7"}, "diagnosis.record-ensemble")
    assert config.boosting is False
    model = RecordEnsemble(config)
    data = planted()
    model.fit(data, data, context=HERE)
    assert list(model.members) == ["linear", "forest"]
    assert len(model.members["forest"].trees.roots) == 7


def test_boosting_is_taken_in_only_where_it_helps():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(900, 4))
    table = pd.DataFrame(values, columns=list("abcd"))
    ring = values[:, 0] * values[:, 1] > 0
    assert "boosted" not in fitted(make(table, values[:, 0] + rng.normal(size=900) > 0, 2)).members
    assert "boosted" in fitted(make(table, ring, 2), leaf=40).members


def test_weights_find_the_better_member_and_stay_equal_on_few_cases():
    own = np.column_stack([np.full(2000, 0.9), np.full(2000, 0.3)])
    assert weigh(own)[0] > 0.95
    assert weigh(own).sum() == pytest.approx(1)
    assert abs(weigh(own[:3])[0] - 0.5) < 0.1


def test_modest_probabilities_are_sharpened_and_few_cases_hardly_count():
    rng = np.random.default_rng(0)
    true = sharpen(rng.dirichlet(np.ones(3), 4000), 3.0)
    targets = (true.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    assert sharpness(sharpen(true, 1 / 3), targets) == pytest.approx(3, rel=0.15)  # grid and chance
    assert sharpness(true, targets) == pytest.approx(1, rel=0.15)
    assert sharpness(np.full((2, 3), 1 / 3), targets[:2]) == pytest.approx(1)


def test_every_training_part_has_every_class():
    targets = np.repeat(np.arange(4), [50, 3, 2, 1])
    numbers = fold_numbers(targets, 5, np.random.default_rng(0))
    for fold in range(5):
        assert set(targets[numbers != fold]) == {0, 1, 2, 3}
    assert numbers[-1] == -1


def test_every_training_part_has_every_class_also_where_patients_have_several():
    rng = np.random.default_rng(0)
    for _ in range(200):
        targets, patient = rng.integers(0, 4, 12), rng.integers(0, 6, 12)
        numbers = fold_numbers(targets, 3, rng, patient)
        for fold in range(3):
            assert set(targets[numbers != fold]) == set(targets)


TAMPERED = {
    "child outside": ("forest", "left", lambda a: np.where(a > 0, len(a) + 5, a)),
    "endless path": ("forest", "right", lambda a: np.where(a > 0, 0, a)),
    "column outside": ("boosted", "feature", lambda a: np.where(a >= 0, 99, a)),
    "values lost": ("forest", "value", lambda a: a[:-1]),
    "no shares": ("forest", "value", lambda a: a * 2),
    "group outside": ("boosted", "group", lambda a: a + 1),
    "NaN": ("linear", "coef", lambda a: a * np.nan),
    "shape": ("linear", "bias", lambda a: a[:-1]),
    "kind": ("boosted", "threshold", lambda a: a.astype(str)),
    "owner outside": ("features", "level_field", lambda a: a + 90),
    "scale": ("features", "spread", lambda a: a * 0),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_tampered_arrays_are_refused(full, tmp_path, case):
    name, key, change = TAMPERED[case]
    full[1].save(tmp_path)
    RecordEnsemble.load(tmp_path, context=HERE)
    with np.load(tmp_path / f"{name}.npz") as file:
        arrays = dict(file)
    arrays[key] = change(arrays[key])
    np.savez(tmp_path / f"{name}.npz", **arrays)
    with pytest.raises(BundleError):
        RecordEnsemble.load(tmp_path, context=HERE)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weights", {"linear": 2.0}),
        ("weights", {"evil": 1.0}),
        ("present", [0, 0, 1]),
        ("classes", 1),
        ("fields", None),
        ("fields", []),
        ("weights", {"linear": "1"}),
    ],
)
def test_tampered_json_is_refused(full, tmp_path, key, value):
    full[1].save(tmp_path)
    content = json.loads((tmp_path / "ensemble.json").read_text())
    (tmp_path / "ensemble.json").write_text(json.dumps({**content, key: value}))
    with pytest.raises(BundleError):
        RecordEnsemble.load(tmp_path, context=HERE)


def test_a_broken_or_missing_file_is_refused(full, tmp_path):
    full[1].save(tmp_path)
    whole = (tmp_path / "forest.npz").read_bytes()
    (tmp_path / "forest.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError):
        RecordEnsemble.load(tmp_path, context=HERE)
    (tmp_path / "forest.npz").unlink()
    with pytest.raises(BundleError):
        RecordEnsemble.load(tmp_path, context=HERE)


def test_importing_the_plugin_does_not_import_scikit_learn():
    code = "import sys, medtasks_record_ensemble; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
