import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from medtasks.cases import Patients
from medtasks.dataset import Dataset
from medtasks.errors import BundleError, UsageError
from medtasks.model import Context, configure
from medtasks_treatment_effect import DoublyRobust
from medtasks_treatment_effect.arms import Trial, correct, fit
from medtasks_treatment_effect.forest import Forest
from medtasks_treatment_effect.kernel import _Objective, _pack, usual
from medtasks_treatment_effect.process import Plan, Process

HERE = Context(seed=3)
QUICK = {"trees": 10, "learning": 100}


def patients(n, rng):
    table = pd.DataFrame(
        {
            "age": rng.normal(60, 9, n),
            "crp": rng.normal(size=n),
            "fever": rng.choice(["yes", "no"], n),
            "ward": rng.choice(["A", "B", "C"], n),
        }
    )
    table.loc[rng.random(n) < 0.1, "age"] = np.nan
    return table


def trial(n=240, arms=3, effect=lambda table: np.zeros((len(table), 3)), noise=1.0, seed=0, given=None):
    """A randomised trial: every arm's outcome falls with ``age``, and ``effect`` comes on top."""
    rng = np.random.default_rng(seed)
    table = patients(n, rng)
    truth = -0.1 * (table["age"].fillna(60).to_numpy() - 60)[:, None] + effect(table)[:, :arms]
    treatment = rng.integers(0, arms, n) if given is None else given(table, rng)
    outcome = truth[np.arange(n), treatment] + noise * rng.normal(size=n)
    return make(table, treatment, outcome, arms, {"truth": truth})


def make(table, treatment, outcome, arms, extra=None, groups=None):
    targets = np.full((len(table), arms), np.nan)
    targets[np.arange(len(table)), treatment] = outcome
    names = tuple(f"arm {arm}" for arm in range(arms))
    return Dataset(Patients.from_table(table), targets, names, kinds=("arm",) * arms, extra=extra or {}, groups=groups)


def fitted(data, context=HERE, **settings):
    model = DoublyRobust(DoublyRobust.Config(**{**QUICK, **settings}))
    cut = len(data) // 6
    model.fit(data.take(np.arange(cut, len(data))), data.take(np.arange(cut)), context=context)
    return model


def effect(answer, a, b):
    cov = answer[:, :, 1:]
    return answer[:, a, 0] - answer[:, b, 0], np.sqrt(cov[:, a, a] + cov[:, b, b] - 2 * cov[:, a, b])


def planted(table):
    """Arm 1 helps where ``crp`` is high and harms where it is low; arm 2 does nothing."""
    return np.column_stack([np.zeros(len(table)), 3 * np.sign(table["crp"]), np.zeros(len(table))])


@pytest.fixture(scope="module")
def found():
    data = trial(n=480, effect=planted)
    return data, fitted(data, learning=200)


def test_a_planted_effect_is_found_and_its_interval_excludes_0(found):
    model, test = found[1], trial(effect=planted, seed=1)
    gain, error = effect(model.predict(test.cases, context=HERE), 1, 0)
    sure = np.abs(test.cases.frame["crp"].to_numpy()) > 1
    right = np.sign(gain) == np.sign(test.cases.frame["crp"])
    assert right[sure].mean() > 0.95
    assert (np.abs(gain) > 1.96 * error)[sure].mean() > 0.8


def test_where_no_arm_differs_hardly_any_interval_excludes_0():
    clear = []
    for seed in range(4):
        answer = fitted(trial(seed=seed, noise=3)).predict(trial(seed=seed + 10).cases, context=HERE)
        for a, b in ((0, 1), (0, 2), (1, 2)):
            gain, error = effect(answer, a, b)
            clear.append(np.abs(gain) > 1.96 * error)
    assert np.mean(clear) < 0.05


@pytest.mark.parametrize("outcomes", ["auto", "ridge", "gp", "shared", "forest"])
def test_intervals_cover_the_truth_about_as_often_as_they_say(outcomes):
    def smooth(table):
        return np.column_stack([np.zeros(len(table)), 1 + table["crp"], 0.5 * np.ones(len(table))])

    inside = []
    for seed in range(2):
        test = trial(effect=smooth, seed=seed + 20)
        answer = fitted(trial(effect=smooth, seed=seed), outcomes=outcomes).predict(test.cases, context=HERE)
        for a, b in ((1, 0), (2, 0), (2, 1)):
            gain, error = effect(answer, a, b)
            inside.append(np.abs(gain - test.extra["truth"][:, a] + test.extra["truth"][:, b]) < 1.96 * error)
    assert 0.85 < np.mean(inside) <= 1  # wide: two trials, six effects


def test_every_pair_of_arms_has_one_answer(found):
    data, model = found
    answer = model.predict(data.cases, context=HERE)
    assert answer.shape == (480, 3, 4)
    cov = answer[:, :, 1:]
    assert np.array_equal(cov, cov.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(cov).min() > 0
    assert np.allclose(effect(answer, 0, 1)[0], -effect(answer, 1, 0)[0])
    assert np.array_equal(effect(answer, 0, 1)[1], effect(answer, 1, 0)[1])


def test_answers_in_order_and_alone_as_in_a_batch(found):
    data, model = found
    batch = model.predict(data.cases, context=HERE)
    order = np.random.default_rng(0).permutation(480)
    assert np.allclose(model.predict(data.cases.take(order), context=HERE), batch[order])
    assert np.allclose(model.predict(data.cases.take(np.array([7])), context=HERE)[0], batch[7])


@pytest.mark.parametrize("outcomes", ["ridge", "gp", "shared", "forest"])
def test_saved_and_loaded_it_answers_exactly_the_same(outcomes, tmp_path):
    data = trial(n=150, effect=planted)
    model = fitted(data, outcomes=outcomes)
    model.save(tmp_path)
    again = DoublyRobust.load(tmp_path, context=HERE)
    assert np.array_equal(again.predict(data.cases, context=HERE), model.predict(data.cases, context=HERE))
    assert np.array_equal(again.explain(data.cases, 1, context=HERE), model.explain(data.cases, 1, context=HERE))


def test_answering_needs_no_scikit_learn(found, tmp_path):
    _, model = found
    model.save(tmp_path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom medtasks.model import Context\n"
        "from medtasks_treatment_effect import DoublyRobust\n"
        "DoublyRobust.load(Path(sys.argv[1]), context=Context())\n"
        "assert 'sklearn' not in sys.modules and 'scipy.optimize' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_the_same_seed_gives_the_same_answers():
    data = trial(n=120)
    first, second = (fitted(data).predict(data.cases, context=HERE) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("outcomes", ["ridge", "gp", "shared", "forest"])
def test_no_patient_is_stored(outcomes, tmp_path):
    data = trial(n=150)
    frame = data.cases.frame
    age, crp, outcome = 61.123456789, 0.123456789, 4.123456789
    frame.loc[11, ["age", "crp"]] = age, crp
    data.targets[11, np.isfinite(data.targets[11])] = outcome
    model = fitted(data, outcomes=outcomes)
    model.save(tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(files) == ["effect.json", "effect.npz", "fields.json"]
    assert not any(b"0.1234" in content or b"61.123" in content for content in files.values())
    encoded = model.columns.transform(data.cases)[11]
    with np.load(tmp_path / "effect.npz", allow_pickle=False) as arrays:
        stored = np.concatenate([np.ravel(arrays[name]).astype(float) for name in arrays.files])
        shapes = [arrays[name].shape for name in arrays.files]
    for value in (age, crp, outcome, encoded[0], encoded[2]):
        assert np.abs(stored - value).min() > 1e-9
    assert not any(len(data) in shape for shape in shapes)


@pytest.mark.parametrize("outcomes", ["auto", "shared", "forest"])
def test_what_is_said_of_the_validation_patients_was_said_without_them(outcomes):
    data = trial(n=120, noise=1.0)
    strange = data.targets.copy()
    strange[4, np.isfinite(strange[4])] += 50.0  # patient 4 stands in the validation part
    changed = Dataset(data.cases, strange, data.names, kinds=data.kinds)
    model = fitted(changed, outcomes=outcomes)
    seen = model.predict(data.cases.take(np.arange(20)), context=HERE)
    assert model.left_out.shape == (20, 3, 4)
    got = int(np.flatnonzero(np.isfinite(strange[4]))[0])
    assert model.left_out[4, got, 0] < seen[4, got, 0]
    assert np.linalg.eigvalsh(model.left_out[:, :, 1:]).min() > 0


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("n", [30, 1500])
def test_leaving_out_in_closed_form_is_leaving_out(smooth, n):
    rng = np.random.default_rng(0)
    features, outcome = rng.normal(size=(n, 3)), rng.normal(size=n)
    plan = Plan(smooth=smooth, most=30)
    process, out = Process.fit(features, outcome, plan, blocks=[np.array([3, 5])])
    noise = process.hyper.noise + 1e-6
    seen, y = process._features(features), (outcome - process.centre) / process.scale
    for rows in ([0], [3, 5]):
        rest = np.setdiff1d(np.arange(n), rows)
        precision = np.linalg.inv(seen[rest].T @ seen[rest] / noise + np.eye(seen.shape[1]))
        weights = precision @ seen[rest].T @ y[rest] / noise
        said = process.centre + process.scale * (seen[rows] @ weights)
        variance = process.scale**2 * np.einsum("ij,jk,ik->i", seen[rows], precision, seen[rows])
        # Directions the data say next to nothing of are dropped: hence the tolerance.
        assert np.allclose(out.mean[rows], said, atol=0.02)
        assert np.allclose(out.variance[rows], variance, rtol=0.05, atol=1e-3)


def test_the_slope_of_the_objective_is_its_slope():
    rng = np.random.default_rng(0)
    features, outcome = rng.normal(size=(20, 3)), rng.normal(size=20)
    for smooth in (True, False):
        centre = _pack(usual(3, smooth=smooth), smooth)
        objective = _Objective(features, outcome, centre, np.ones(len(centre)), smooth)
        at = centre + rng.normal(size=len(centre)) * 0.3
        slope = objective(at)[1]
        for i, step in enumerate(1e-5 * np.eye(len(at))):
            assert slope[i] == pytest.approx((objective(at + step)[0] - objective(at - step)[0]) / 2e-5, rel=1e-4)


def test_the_forest_answers_as_that_of_scikit_learn():
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(0)
    features, outcome = rng.normal(size=(150, 4)), rng.normal(size=150)
    theirs = RandomForestRegressor(60, min_samples_leaf=10, max_features=1 / 3, random_state=0, oob_score=True).fit(
        features, outcome
    )
    ours, unseen = Forest.fit(features, outcome, 60, 0)
    assert np.allclose(ours.predict(features), theirs.predict(features))
    assert np.allclose(unseen, theirs.oob_prediction_)


def test_explain_finds_the_field_on_which_the_effect_depends(found):
    data, model = found
    parts = model.explain(data.cases, 1, context=HERE)
    assert parts.shape == (480, 4)
    assert np.abs(parts).mean(axis=0).argmax() == 1
    assert np.corrcoef(parts[:, 1], np.sign(data.cases.frame["crp"]))[0, 1] > 0.8


def test_a_wrong_outcome_model_is_corrected_where_treatment_follows_the_fields():
    """Patients with high ``x`` get arm 1; ridge cannot see that the outcome is the square of ``x``."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=3000)
    chance = 1 / (1 + np.exp(-1.5 * x))
    treatment = (rng.random(3000) < chance).astype(np.int64)
    outcome = x**2 + rng.normal(size=3000) * 0.3
    given = Trial(x[:, None], treatment, outcome, 2)
    plain = fit(given, "ridge", Plan(smooth=False), 1)
    mended = correct(plain, given, np.column_stack([1 - chance, chance]))
    for one, most in ((plain, np.inf), (mended, 0.15)):
        off = np.abs(one.arms.predict(x[:, None])[0].mean(axis=0) - (x**2).mean())
        assert off.max() < most
    assert np.abs(plain.arms.predict(x[:, None])[0].mean(axis=0) - (x**2).mean()).max() > 0.3
    assert (mended.variance >= plain.variance).all()


def test_a_correction_is_as_sure_as_there_are_patients_not_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    outcome, treatment = x**2 + rng.normal(size=200), np.arange(200) % 2
    plain = fit(Trial(x[:, None], treatment, outcome, 2), "ridge", Plan(smooth=False), 1)
    six = np.repeat(np.arange(200), 6)
    rows = replace(plain, mean=plain.mean[six] - 1, variance=plain.variance[six])
    found = []
    for groups in (None, six.astype(str)):
        trial = Trial(x[six, None], treatment[six], outcome[six], 2, groups)
        found.append(correct(rows, trial, np.full((1200, 2), 0.5)).arms.shift_variance)
    assert (found[1] > 4 * found[0]).all()


@pytest.mark.parametrize("lacking", [0, 2])
def test_an_arm_without_patients_is_answered_as_not_known(lacking):
    def given(table, rng):
        return rng.choice([arm for arm in range(3) if arm != lacking], len(table))

    data = trial(n=120, given=given)
    answer = fitted(data).predict(data.cases, context=HERE)
    assert np.isfinite(answer).all()
    other = 1
    gain, error = effect(answer, lacking, other)
    assert (np.abs(gain) < 1.96 * error).all()
    assert (answer[:, lacking, 1 + lacking] > 5 * answer[:, other, 1 + other]).all()


@pytest.mark.parametrize("n", [6, 13])
def test_few_patients_constant_fields_and_a_constant_outcome(n):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=n), "same": np.ones(n), "code": ["a", "b"] * (n // 2) + ["a"] * (n % 2)})
    for outcome in (rng.normal(size=n), np.ones(n)):
        data = make(table, np.arange(n) % 2, outcome, 2)
        assert np.isfinite(fitted(data).predict(data.cases, context=HERE)).all()


def test_patients_with_several_rows_are_left_out_whole():
    data = trial(n=120)
    groups = np.arange(120) // 4
    whole = Dataset(data.cases, data.targets, data.names, kinds=data.kinds, groups=groups)
    assert np.isfinite(fitted(whole).left_out).all()
    assert not np.allclose(fitted(whole, outcomes="gp").left_out, fitted(data, outcomes="gp").left_out)


def test_far_values_and_missing_ones_get_finite_answers(found):
    data, model = found
    frame = data.cases.frame.copy()
    frame.loc[0, "age"], frame.loc[1, "age"], frame.loc[2, "ward"] = 1e30, np.nan, None
    cases = Patients(data.cases.ids, frame, data.cases.fields)
    assert np.isfinite(model.predict(cases, context=HERE)).all()


def test_known_propensities_of_a_trial_are_used():
    data = trial(n=120, arms=2)
    known = Dataset(
        data.cases, data.targets, data.names, kinds=data.kinds, extra={"propensity": np.full((120, 2), 0.5)}
    )
    assert np.isfinite(fitted(known).predict(known.cases, context=HERE)).all()


def test_damaged_files_and_wrong_settings_are_refused(found, tmp_path):
    _, model = found
    model.save(tmp_path)
    arrays = dict(np.load(tmp_path / "effect.npz", allow_pickle=False))
    for name, values in {
        "arm0_weights": arrays["arm0_weights"][1:],
        "arm1_numbers": np.full(5, np.nan),
        "arm2_shrunk": arrays["arm2_shrunk"] + 2,
        "columns_scale": -arrays["columns_scale"],
        "shift_variance": np.array(["a", "b", "c"]),
    }.items():
        np.savez(tmp_path / "effect.npz", allow_pickle=False, **{**arrays, name: values})
        with pytest.raises(BundleError, match="damaged"):
            DoublyRobust.load(tmp_path, context=HERE)
    (tmp_path / "effect.npz").write_bytes(b"no archive")
    with pytest.raises(BundleError, match=r"effect\.npz"):
        DoublyRobust.load(tmp_path, context=HERE)
    with pytest.raises(UsageError, match="unknown"):
        configure(DoublyRobust, {"tree": 3}, "treatment.doubly-robust")
    with pytest.raises(ValueError, match="fields"):
        model.predict(Patients.from_table(pd.DataFrame({"x": [1.0, 2.0]})), context=HERE)
