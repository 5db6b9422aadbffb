"""The phantoms: reproducible, true to their masks, and with no way to tell the finding but to see it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medtasks.dataset import Dataset
from medtasks.diagnosis.phantom import EFFUSION, FINDINGS, NODULE, PNEUMONIA, Films, Phantom, draw
from medtasks.diagnosis.task import Diagnosis
from medtasks.errors import DataError
from medtasks.evaluation.splits import Plan


@pytest.fixture(scope="module")
def films() -> Films:
    return draw(800, 64, seed=0)


@pytest.fixture(scope="module")
def small() -> Dataset:
    return Phantom().load("small", cache=Path("unused"), seed=0)


def test_same_seed_draws_the_same_pixels_and_no_other_seed_does(small: Dataset) -> None:
    again = Phantom().load("small", cache=Path("unused"), seed=0)
    other = Phantom().load("small", cache=Path("unused"), seed=1)
    assert again.digest() == small.digest()
    assert np.array_equal(again.extra["mask"], small.extra["mask"])
    assert not set(other.cases.digests()) & set(small.cases.digests())


def test_drawing_leaves_numpys_global_generator_alone() -> None:
    before = np.random.get_state()[1].copy()
    draw(4, 16, seed=0)
    assert np.array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(("variant", "n", "size"), [(None, 800, 64), ("small", 240, 32)])
def test_a_variant_is_a_whole_dataset(variant: str | None, n: int, size: int) -> None:
    data = Phantom().load(variant, cache=Path("unused"), seed=3)
    assert data.extra["mask"].shape == (n, size, size)
    assert data.cases.load((size, size)).shape == (n, size, size, 1)
    assert len(set(data.cases.ids)) == n
    assert len(set(data.cases.digests())) == n  # no film twice, which an audit would call leakage
    assert data.classes == FINDINGS
    assert data.origin.synthetic
    assert data.origin.licence == "Apache-2.0"
    # every class has about its quarter: patients, not films, are dealt out evenly
    assert np.bincount(data.targets, minlength=4).min() > 0.8 * n / 4


def test_an_unknown_variant_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError) as caught:
        Phantom().load("smal", cache=Path("unused"), seed=0)
    assert "'small'" in str(caught.value.hint)


def test_a_patient_has_one_finding_on_one_to_three_films(small: Dataset) -> None:
    assert small.groups is not None
    counts = []
    for patient in set(small.groups):
        own = small.targets[small.groups == patient]
        assert len(set(own)) == 1
        counts.append(len(own))
    assert set(counts) == {1, 2, 3}


def test_masks_are_empty_for_normal_films_only(films: Films, small: Dataset) -> None:
    assert np.array_equal(films.mask.any(axis=(1, 2)), films.finding > 0)
    assert np.array_equal(small.extra["mask"].any(axis=(1, 2)), small.targets > 0)


def test_lesions_lie_within_the_lungs(films: Films) -> None:
    assert not (films.mask & ~films.lungs).any()
    share = films.lungs.mean(axis=(1, 2))
    assert share.min() > 0.15  # and the lungs are lungs: neither slits nor the whole film
    assert share.max() < 0.5


def test_a_lesion_brightens_its_mask_and_nothing_else(films: Films) -> None:
    change = films.pixels.astype(np.int64) - films.healthy
    assert not change[films.finding == 0].any()
    ill = np.flatnonzero(films.finding)
    inside = np.array([change[row][films.mask[row]].mean() for row in ill])
    outside = np.array([change[row][~films.lungs[row]].mean() for row in ill])
    assert inside.min() > 10  # of 255 grey levels: the faintest lesion is no invention
    assert outside.max() < 2  # blur carries a little over the lung's edge


def test_the_strongest_change_is_inside_the_mask(films: Films) -> None:
    """What the pointing game presumes: a perfect explanation scores a hit."""
    change = films.pixels.astype(np.int64) - films.healthy
    hits = [films.mask[row].flat[change[row].argmax()] for row in np.flatnonzero(films.finding)]
    assert np.mean(hits) > 0.97  # the exposure's gamma moves the peak of a lesion before the heart


@pytest.mark.parametrize("finding", [NODULE, EFFUSION, PNEUMONIA])
def test_lesions_are_in_either_lung_and_small_beside_the_film(films: Films, finding: int) -> None:
    masks = films.mask[films.finding == finding]
    left = masks[:, :, 32:].sum(axis=(1, 2)) > masks[:, :, :32].sum(axis=(1, 2))
    assert 0.3 < left.mean() < 0.7
    # No pixel is in most masks; a mask twice a lung's size would make the pointing game too easy.
    assert masks.mean(axis=0).max() < 0.6
    assert masks.mean(axis=(1, 2)).max() < 0.2


def test_exposure_and_corners_do_not_tell_the_finding(films: Films) -> None:
    shown = films.pixels / 255
    ends = slice(4), slice(-4, None)
    corners = [shown[:, v, u].mean(axis=(1, 2)) for v in ends for u in ends]
    features = np.column_stack([shown.mean(axis=(1, 2)), shown.std(axis=(1, 2)), *corners])
    model = make_pipeline(StandardScaler(), LogisticRegression())

    def auroc(columns: slice) -> float:
        found = cross_val_predict(
            model, features[:, columns], films.finding, groups=films.patient, cv=GroupKFold(5), method="predict_proba"
        )
        return float(roc_auc_score(films.finding, found, multi_class="ovr"))

    assert auroc(slice(1)) < 0.58  # the mean alone: chance, within sampling error
    assert auroc(slice(None)) < 0.66


def test_pixels_tell_a_linear_model_something_but_not_all(films: Films) -> None:
    pixels = films.pixels.reshape(800, 16, 4, 16, 4).mean(axis=(2, 4)).reshape(800, -1)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-2, max_iter=500))
    found = cross_val_predict(model, pixels, films.finding, groups=films.patient, cv=GroupKFold(4))
    assert 0.4 < (found == films.finding).mean() < 0.75


@pytest.mark.parametrize("seed", range(3))
def test_patients_with_several_films_stand_in_every_part_alike(seed: int) -> None:
    data = Phantom().load("small", cache=Path("unused"), seed=seed)
    assert data.groups is not None
    for plan in (Plan(), Plan(folds=4)):
        for fold in Diagnosis().split(data, plan, None, seed):
            films = {
                name: np.unique(data.groups[rows], return_counts=True)[1]
                for name, rows in (("train", fold.train), ("valid", fold.valid), ("test", fold.test))
            }
            # 1.4 films per patient in all; a validation part of 25 patients strays from it by about 0.15
            assert all(abs(counts.mean() - 1.4) < 0.35 for counts in films.values()), films
            assert all((counts > 1).any() for counts in films.values())
            shares = np.array([counts.sum() for counts in films.values()]) / 240
            wanted = [0.65, 0.15, 0.2] if plan.folds == 0 else [0.75 * 0.85, 0.75 * 0.15, 0.25]
            assert shares == pytest.approx(wanted, abs=0.03)
