import numpy as np
import pandas as pd
import pytest

from medtasks.cases import Patients
from medtasks.dataset import Dataset
from medtasks.errors import BundleError, UsageError
from medtasks.model import Context, configure
from medtasks_treatment_dose import Dose

HERE = Context(seed=3)


def doses(n=300, seed=0, noise=0.3):
    """The root of the dose follows weight, a gene and a threshold in age; ``ward`` does nothing."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "weight": rng.normal(75, 12, n),
            "age": rng.normal(60, 9, n),
            "gene": rng.choice(["A/A", "A/G", "G/G"], n),
            "ward": rng.choice(["A", "B"], n),
        }
    )
    table.loc[rng.random(n) < 0.1, "weight"] = np.nan
    gene = table["gene"].map({"A/A": -1.0, "A/G": 0.0, "G/G": 1.0}).to_numpy(float)
    root = 5.5 + 0.02 * (table["weight"].fillna(75).to_numpy() - 75) + gene + 0.8 * (table["age"] < 55).to_numpy()
    dose = (root + noise * rng.normal(size=n)) ** 2
    return Dataset(Patients.from_table(table), dose[:, None], ("mg/week",), kinds=("dose",))


def fitted(data, context=HERE, **settings):
    model = Dose(Dose.Config(**{"rounds": 60, "rate": 0.1, "leaves": 6, "folds": 3, **settings}))
    cut = len(data) // 5
    model.fit(data.take(np.arange(cut, len(data))), data.take(np.arange(cut)), context=context)
    return model


@pytest.fixture(scope="module")
def found():
    data = doses()
    return data, fitted(data, trees=0.5)


def test_learns_the_dose_and_answers_in_order():
    model, test = fitted(doses()), doses(seed=1)
    answer = model.predict(test.cases, context=HERE)
    assert answer.shape == (300, 1, 2)
    assert (answer > 0).all()
    off = np.abs(answer[:, 0, 0] - test.targets[:, 0])
    assert off.mean() < 0.5 * np.abs(test.targets - np.median(test.targets)).mean()
    order = np.random.default_rng(0).permutation(300)
    assert np.allclose(model.predict(test.cases.take(order), context=HERE), answer[order])
    assert np.allclose(model.predict(test.cases.take(np.array([5])), context=HERE)[0], answer[5])


def test_errors_grow_with_the_spread(found):
    model, test = found[1], doses(n=1000, seed=2)
    answer = model.predict(test.cases, context=HERE)[:, 0]
    off, wide = np.abs(answer[:, 0] - test.targets[:, 0]), answer[:, 1] > np.median(answer[:, 1])
    assert off[wide].mean() > 1.15 * off[~wide].mean()


def test_intervals_by_the_left_out_answers_hold_what_they_promise(found):
    """Conformal: the 90 % quantile of relative errors of validation patients, each told of while left out."""
    data, model = found
    test = doses(n=1000, seed=4)
    assert model.left_out.shape == (60, 1, 2)
    quantile = np.quantile(np.abs(data.targets[:60, 0] - model.left_out[:, 0, 0]) / model.left_out[:, 0, 1], 0.9)
    answer = model.predict(test.cases, context=HERE)[:, 0]
    inside = np.abs(test.targets[:, 0] - answer[:, 0]) <= quantile * answer[:, 1]
    assert 0.8 < inside.mean() < 0.97  # 60 patients set the quantile


def test_what_is_said_of_a_validation_patient_was_said_without_it():
    data = doses(n=60)
    for row in (3, 7):
        strange = data.targets.copy()
        strange[row] = 900.0
        changed = Dataset(data.cases, strange, data.names, kinds=data.kinds)
        model = fitted(changed, trees=0.0)
        seen = model.predict(data.cases.take(np.arange(12)), context=HERE)
        assert model.left_out[row, 0, 0] < seen[row, 0, 0]


@pytest.mark.parametrize("trees", ["auto", 0.0, 1.0])
def test_saved_and_loaded_it_answers_exactly_the_same(trees, tmp_path):
    data = doses()
    model = fitted(data, trees=trees)
    model.save(tmp_path)
    again = Dose.load(tmp_path, context=HERE)
    assert np.array_equal(again.predict(data.cases, context=HERE), model.predict(data.cases, context=HERE))
    assert np.array_equal(again.explain(data.cases, 0, context=HERE), model.explain(data.cases, 0, context=HERE))


def test_the_same_seed_gives_the_same_answers():
    data = doses(n=150)
    first, second = (fitted(data).predict(data.cases, context=HERE) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("trees", [0.0, 0.5, 1.0])
def test_contributions_add_up_to_the_dose(trees):
    data = doses()
    model = fitted(data, trees=trees)
    parts = model.explain(data.cases, 0, context=HERE)
    assert parts.shape == (300, 4)
    assert np.allclose(parts.sum(axis=1) + model.base(), model.predict(data.cases, context=HERE)[:, 0, 0])
    strength = np.abs(parts).mean(axis=0)
    assert strength.argmax() == 2
    assert strength.argmin() == 3


def test_no_patient_is_stored(tmp_path):
    data = doses()
    data.cases.frame.loc[11, ["weight", "age"]] = 155.123456789, 99.123456789  # the largest of all
    data.targets[11] = 77.123456789
    model = fitted(data, trees=0.5)
    model.save(tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(files) == ["dose.json", "dose.npz", "fields.json", "trees.txt"]
    encoded = model.columns.transform(data.cases)[11]
    texts = b"".join(content for name, content in files.items() if name != "dose.npz").decode()
    for value in (155.123456789, 99.123456789, 77.123456789, encoded[0], encoded[2]):
        assert f"{value:.6g}" not in texts
    with np.load(tmp_path / "dose.npz", allow_pickle=False) as arrays:
        stored = np.concatenate([np.ravel(arrays[name]).astype(float) for name in arrays.files])
    for value in (155.123456789, 99.123456789, 77.123456789, 77.123456789**0.5, encoded[0], encoded[2]):
        assert np.abs(stored - value).min() > 1e-9


@pytest.mark.parametrize("n", [2, 7, 30])
def test_few_patients_missing_doses_and_constant_fields(n):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=n), "same": np.ones(n)})
    dose = rng.uniform(10, 20, (n, 1))
    dose[0] = np.nan
    data = Dataset(Patients.from_table(table), dose, ("mg",), kinds=("dose",))
    model = fitted(data)
    answer = model.predict(data.cases, context=HERE)
    assert np.isfinite(answer).all()
    assert (answer > 0).all()
    empty = Dataset(data.cases, np.full((n, 1), np.nan), ("mg",), kinds=("dose",))
    with pytest.raises(ValueError, match="no patient has a dose"):
        fitted(empty)


def test_patients_with_several_rows_are_left_out_whole():
    data = doses(n=120)
    whole = Dataset(data.cases, data.targets, data.names, kinds=data.kinds, groups=np.arange(120) // 6)
    assert not np.allclose(fitted(whole).left_out, fitted(data).left_out)


def test_far_values_and_missing_ones_get_finite_answers(found):
    data, model = found
    frame = data.cases.frame.copy()
    frame.loc[0, "weight"], frame.loc[1, "age"], frame.loc[2, "gene"] = 1e30, np.nan, None
    answer = model.predict(Patients(data.cases.ids, frame, data.cases.fields), context=HERE)
    assert np.isfinite(answer).all()
    assert (answer > 0).all()


def test_damaged_files_and_wrong_settings_are_refused(found, tmp_path):
    _, model = found
    model.save(tmp_path)
    arrays, text = dict(np.load(tmp_path / "dose.npz", allow_pickle=False)), (tmp_path / "trees.txt").read_text()
    for name, values in {
        "root_weights": arrays["root_weights"][1:],
        "error_numbers": np.full(2, np.nan),
        "columns_scale": -arrays["columns_scale"],
    }.items():
        np.savez(tmp_path / "dose.npz", allow_pickle=False, **{**arrays, name: values})
        with pytest.raises(BundleError, match="damaged"):
            Dose.load(tmp_path, context=HERE)
    np.savez(tmp_path / "dose.npz", allow_pickle=False, **arrays)
    (tmp_path / "trees.txt").write_text("no trees")
    with pytest.raises(BundleError, match=r"trees\.txt"):
        Dose.load(tmp_path, context=HERE)
    (tmp_path / "trees.txt").write_text(text)
    (tmp_path / "dose.json").write_text('{"share": 3.0, "trees": true}')
    with pytest.raises(BundleError, match="blend"):
        Dose.load(tmp_path, context=HERE)
    with pytest.raises(UsageError, match="unknown"):
        configure(Dose, {"round": 3}, "treatment.dose")
    with pytest.raises(ValueError, match="fields"):
        model.predict(Patients.from_table(pd.DataFrame({"x": [1.0, 2.0]})), context=HERE)
