"""Sets and intervals that hold as often as promised."""

from __future__ import annotations

import numpy as np
import pytest

from medtasks.evaluation.conformal import class_limits, class_sets, difficulty, quantile


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw class codes, the third one rare, and probabilities of a model that is often unsure of the rare one."""
    rng = np.random.default_rng(seed)
    targets = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    logits = rng.normal(size=(n, 3)) * 1.5
    logits[np.arange(n), targets] += np.array([3.0, 2.0, 0.5])[targets]
    powers = np.exp(logits)
    return targets, powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("per_class", [False, True])
def test_sets_hold_as_often_as_promised(per_class: bool) -> None:
    whole, rare = [], []
    for seed in range(20):
        targets, said = draw(500, seed)
        limits = class_limits(said, targets, 0.9, per_class=per_class)
        new, asked = draw(500, 100 + seed)
        held = class_sets(asked, limits)[np.arange(500), new]
        whole.append(held.mean())
        rare.append(held[new == 2].mean())
    assert 0.88 <= np.mean(whole) <= 0.92
    if per_class:
        assert np.mean(rare) == pytest.approx(0.9, abs=0.03)
    else:
        assert np.mean(rare) < 0.8  # over all together the rare class is failed


def test_a_class_of_few_stays_in_every_set() -> None:
    targets, said = np.zeros(30, dtype=np.int64), np.tile([0.9, 0.1], (30, 1))
    assert class_limits(said, targets, 0.9, per_class=True)[1] is None
    assert class_sets(np.array([[1.0, 0.0]]), [0.5, None]).tolist() == [[True, True]]


def test_the_quantile_is_the_conformal_one() -> None:
    errors = np.arange(1.0, 100.0)
    assert quantile(errors, 0.9) == 90  # ceil(100 * 0.9)-th smallest
    assert quantile(np.arange(8.0), 0.9) is None
    assert quantile(np.empty(0), 0.9) is None


def test_errors_that_grow_with_the_distance_are_seen() -> None:
    rng = np.random.default_rng(0)
    far = rng.random(400)
    a, b = difficulty(np.abs(rng.normal(size=400)) * (0.5 + 2 * far), far)
    assert b > a > 0
    assert difficulty(np.ones(400), np.zeros(400)) == (1.0, 0.0)
    assert difficulty(np.zeros(400), far) == (1.0, 0.0)


def test_intervals_are_those_of_crepes_and_mapie() -> None:
    from crepes import ConformalRegressor
    from mapie.regression import SplitConformalRegressor
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(0)
    x, group = rng.normal(size=(157, 1)), np.repeat(["a", "b"], [100, 57])
    y = x[:, 0] + rng.normal(size=157) * np.where(group == "a", 1.0, 3.0)
    model = LinearRegression().fit(x[:60], y[:60])
    errors, asked = y[60:] - model.predict(x[60:]), np.zeros(1)
    for level in (0.8, 0.9):
        ours = quantile(np.abs(errors), level)
        low, high = ConformalRegressor().fit(errors).predict_int(asked, confidence=level)[0]
        assert (low, high) == pytest.approx((-ours, ours))  # type: ignore[operator]
        theirs = SplitConformalRegressor(model, confidence_level=level, prefit=True).conformalize(x[60:], y[60:])
        point, bounds = theirs.predict_interval(x[:1])
        assert bounds[0, 1, 0] - point[0] == pytest.approx(ours)
    bins = group[60:]
    mondrian = (
        ConformalRegressor().fit(errors, bins=bins).predict_int(np.zeros(2), bins=np.array(["a", "b"]), confidence=0.9)
    )
    assert [high for _, high in mondrian] == pytest.approx([quantile(np.abs(errors[bins == one]), 0.9) for one in "ab"])


def test_sets_are_those_of_crepes_and_mapie() -> None:
    from crepes import ConformalClassifier
    from crepes.extras import hinge
    from mapie.classification import SplitConformalClassifier
    from sklearn.linear_model import LogisticRegression

    targets, said = draw(143, 0)
    _, asked = draw(80, 1)
    ours = class_sets(asked, class_limits(said, targets, 0.9, per_class=False))
    fitted = ConformalClassifier().fit(hinge(said, np.arange(3), targets))
    assert (ours == fitted.predict_set(hinge(asked), confidence=0.9, smoothing=False).astype(bool)).all()
    x = np.log(said)
    model = LogisticRegression().fit(x, targets)
    limits = class_limits(model.predict_proba(x), targets, 0.9, per_class=False)
    lac = SplitConformalClassifier(model, confidence_level=0.9, prefit=True).conformalize(x, targets)
    assert (lac.predict_set(np.log(asked))[1][:, :, 0] == class_sets(model.predict_proba(np.log(asked)), limits)).all()
