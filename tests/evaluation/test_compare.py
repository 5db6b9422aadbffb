"""Statistics of models on repeated folds: against scipy, examples by hand, and a simulation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from medtasks.errors import DataError
from medtasks.evaluation.compare import Comparison, compare


def draw(models: int = 3, folds: int = 25, seed: int = 0) -> dict[str, np.ndarray]:
    """Draw models that differ by 0.02 one from the next, on folds of unequal difficulty."""
    rng = np.random.default_rng(seed)
    fold = rng.normal(0.8, 0.05, folds)
    return {f"m{i}": fold - 0.02 * i + rng.normal(0, 0.01, folds) for i in range(models)}


def test_two_models_are_compared_by_the_corrected_resampled_t_test() -> None:
    # By hand: the differences 1, 2, 3, 2 have the mean 2 and the variance 2/3; 4 folds and a ratio of 1/4 make the
    # factor 1/2, so that t is 2 / sqrt(1/2 * 2/3) = 3.4641 on 3 degrees of freedom, and F its square.
    base = np.array([10.0, 20.0, 30.0, 40.0])
    found = compare({"a": base, "b": base + np.array([1, 2, 3, 2])}, ratio=0.25)
    (pair,) = found.pairs
    assert (pair.first, pair.second) == ("b", "a")
    assert pair.difference.value == pytest.approx(2)
    assert pair.effect == pytest.approx(2 / np.sqrt(2 / 3))
    p = 2 * stats.t.sf(3.4641016, 3)
    assert pair.p == pytest.approx(p, rel=1e-5)  # the studentised range is integrated numerically
    assert pair.difference.low == pytest.approx(2 - stats.t.ppf(0.975, 3) * np.sqrt(1 / 3), rel=1e-4)
    assert found.anova is not None
    assert found.anova.f == pytest.approx(12)
    assert found.anova.p == pytest.approx(p)
    assert found.anova.effect == pytest.approx(8 / 9)  # sums of squares: 4 * 2 by models, 1 left


def test_without_overlap_the_anova_is_the_textbooks() -> None:
    values = draw()
    table = np.stack(list(values.values()))
    models, folds = table.shape
    rows, columns, grand = table.mean(axis=1), table.mean(axis=0), table.mean()
    between = folds * ((rows - grand) ** 2).sum()
    left = ((table - rows[:, None] - columns + grand) ** 2).sum()
    f = (between / (models - 1)) / (left / ((models - 1) * (folds - 1)))
    found = compare(values, ratio=0.0).anova
    assert found is not None
    assert found.f == pytest.approx(f)
    assert found.effect == pytest.approx(between / (between + left))
    assert found.within == pytest.approx(found.between * (folds - 1))
    assert found.p == pytest.approx(stats.f.sf(f, found.between, found.within))


def test_the_overlap_of_training_sets_widens_everything() -> None:
    free, shared = compare(draw(), ratio=0.0), compare(draw(), ratio=0.25)
    assert free.anova is not None
    assert shared.anova is not None
    assert free.anova.f == pytest.approx(shared.anova.f * (1 + 25 / 4))  # (1/25 + 1/4) over 1/25
    for one, other in zip(free.pairs, shared.pairs, strict=True):
        reach = [pair.difference.high - pair.difference.low for pair in (one, other)]  # type: ignore[operator]
        assert reach[1] == pytest.approx(reach[0] * np.sqrt(1 + 25 / 4))


def test_pairs_are_judged_by_the_studentised_range() -> None:
    values = draw(4)
    found = compare(values, ratio=0.25)
    assert len(found.pairs) == 6
    for pair in found.pairs:
        differences = values[pair.first] - values[pair.second]
        q = np.sqrt(2) * differences.mean() / np.sqrt((1 / 25 + 0.25) * differences.var(ddof=1))
        assert pair.p == pytest.approx(stats.studentized_range.sf(q, 4, 24), abs=1e-9)
        assert pair.differs == (pair.p < 0.05)


def test_sphericity_is_corrected_for() -> None:
    rng = np.random.default_rng(1)
    alike = np.linalg.qr(rng.normal(size=(25, 4)) - rng.normal(size=(25, 4)).mean(axis=0))[0]
    alike = np.linalg.qr(alike - alike.mean(axis=0))[0].T + 0.1 * np.arange(4)[:, None]  # equal, uncorrelated
    even = compare({str(i): row for i, row in enumerate(alike)}, ratio=0.25).anova
    unsteady = {**draw(4), "m3": np.random.default_rng(2).normal(0.5, 0.3, 25)}
    uneven = compare(unsteady, ratio=0.25).anova
    assert even is not None
    assert uneven is not None
    assert even.epsilon == pytest.approx(1)
    assert 1 / 3 <= uneven.epsilon < 0.5
    assert uneven.between == pytest.approx(3 * uneven.epsilon)


def test_a_difference_is_found_seldom_where_there_is_none() -> None:
    # Folds that share training cases are correlated; 0.2 is what the correction assumes for 5 folds.
    rng = np.random.default_rng(0)
    told = {0.0: 0, 0.25: 0}
    for i in range(80):
        noise = np.sqrt(0.8) * rng.normal(size=(3, 25)) + np.sqrt(0.2) * rng.normal(size=(3, 1))
        for ratio in told if i < 20 else [0.25]:
            found = compare({str(i): row for i, row in enumerate(noise)}, ratio)
            told[ratio] += any(pair.differs for pair in found.pairs)
    assert told[0.25] <= 10  # 5 % of 80 are 4; 10 is 3 standard errors above
    assert told[0.0] >= 5  # a quarter of 20: what the correction is for


def test_copies_are_not_distinguishable() -> None:
    fold = draw()["m0"]
    found = compare({"one": fold, "two": fold.copy(), "three": fold * (1 + 1e-15)}, ratio=0.25)
    assert set(found.leaders) == {"one", "two", "three"}
    assert not any(pair.differs for pair in found.pairs)
    assert all(pair.p == 1 for pair in found.pairs)
    assert found.anova is not None
    assert found.anova.p == 1


def test_the_same_difference_on_every_fold_is_one() -> None:
    found = compare({"a": np.array([0.5, 0.6, 0.7]), "b": np.array([0.25, 0.35, 0.45])}, ratio=0.5)
    assert found.leaders == ("a",)
    assert found.pairs[0].p == 0
    assert found.anova is not None
    assert found.anova.f is None
    json.dumps([found.anova.as_json(), found.pairs[0].as_json()], allow_nan=False)


def test_the_leaders_are_those_that_cannot_be_told_from_the_best() -> None:
    values = draw()
    rng = np.random.default_rng(5)
    found = compare({**values, "twin": values["m0"] + rng.normal(0, 0.01, 25)}, ratio=0.25)
    assert set(found.leaders) == {"m0", "twin"}
    assert found.best in found.leaders
    assert list(found.means)[2:] == ["m1", "m2"]


def test_lower_may_be_better() -> None:
    found = compare(draw(), ratio=0.25, lower_is_better=True)
    assert found.best == "m2"
    assert all((pair.difference.value or 0) < 0 for pair in found.pairs)  # the better one first


def test_the_order_of_the_models_says_nothing() -> None:
    values = draw(4)

    def pairs(found: Comparison) -> list[object]:
        return [(pair.first, pair.second, pytest.approx(pair.p)) for pair in found.pairs]

    assert pairs(compare(values, 0.25)) == pairs(compare(dict(reversed(values.items())), 0.25))


def test_a_fold_without_a_value_is_left_out_for_all() -> None:
    values = draw()
    holed = {name: column.copy() for name, column in values.items()}
    holed["m1"][3] = np.nan
    found = compare(holed, ratio=0.25)
    assert (found.folds, found.undefined) == (24, 1)
    kept = compare({name: np.delete(column, 3) for name, column in values.items()}, ratio=0.25)
    assert found.pairs == kept.pairs
    with pytest.raises(DataError, match="1 of 2 folds"):
        compare({"a": np.array([1.0, np.nan]), "b": np.array([1.0, 2.0])}, ratio=0.25)


def test_intervals_of_means_stay_where_the_measure_lives() -> None:
    mean = compare({"a": np.array([1.0, 0.9, 1.0, 0.95])}, ratio=0.25, limits=(0, 1)).means["a"]
    assert mean.high == 1.0
    free = compare({"a": np.array([1.0, 0.9, 1.0, 0.95])}, ratio=0.25)
    spread = np.std([1.0, 0.9, 1.0, 0.95], ddof=1)
    assert free.means["a"].high == pytest.approx(0.9625 + stats.t.ppf(0.975, 3) * spread * np.sqrt(0.5))
    assert free.pairs == ()
    assert free.anova is None
    assert free.leaders == ("a",)
