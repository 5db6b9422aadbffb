"""Probabilities made truer where that is shown, and left alone where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from medtasks.evaluation.calibrators import Calibrator, fit


def draw(n: int, seed: int, slope: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Draw true probabilities and classes; what is said has its log-odds stretched and moved."""
    rng = np.random.default_rng(seed)
    true = rng.uniform(0.05, 0.95, n)
    said = expit(slope * logit(true) + shift)
    return np.column_stack([1 - said, said]), (rng.random(n) < true).astype(np.int64)


def log_loss(said: np.ndarray, targets: np.ndarray) -> float:
    return float(-np.log(said[np.arange(len(targets)), targets]).mean())


@pytest.mark.parametrize(("slope", "shift", "method"), [(3.0, 0.0, "temperature"), (2.0, 2.0, "platt")])
def test_overconfidence_is_mended(slope: float, shift: float, method: str) -> None:
    said, targets = draw(800, 0, slope, shift)
    found = fit(said, targets)
    assert found.method in (method, "platt")
    new, truth = draw(4000, 1, slope, shift)
    assert log_loss(found(new), truth) < log_loss(new, truth) - 0.1
    assert np.allclose(found(new).sum(axis=1), 1)
    assert (np.diff(found(new[np.argsort(new[:, 1])])[:, 1]) >= 0).all()  # the order of cases stays


def test_what_is_true_is_left_alone() -> None:
    assert sum(fit(*draw(300, seed)).method == "none" for seed in range(10)) >= 7


def test_too_few_cases_and_one_class_are_left_alone() -> None:
    said, targets = draw(20, 0, 5.0)
    assert fit(said, targets).method == "none"
    assert fit(np.tile([0.5, 0.5], (50, 1)), np.zeros(50, dtype=np.int64), "platt").method == "none"


def test_isotonic_is_for_many_and_never_certain() -> None:
    rng = np.random.default_rng(0)
    true = np.where(rng.random(3000) < 0.5, 0.9, 0.1)
    said = np.where(true > 0.5, rng.uniform(0.5, 0.6, 3000), rng.uniform(0.4, 0.5, 3000))
    targets = (rng.random(3000) < true).astype(np.int64)
    found = fit(np.column_stack([1 - said, said]), targets, "isotonic")
    made = found(np.array([[0.45, 0.55], [0.55, 0.45], [0.0, 1.0]]))[:, 1]
    assert made[0] == pytest.approx(0.9, abs=0.05)
    assert made[1] == pytest.approx(0.1, abs=0.05)
    assert made[2] < 1


def test_several_classes_have_a_temperature() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(900, 4))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = np.array([rng.choice(4, p=row) for row in true])
    sharp = true**4 / (true**4).sum(axis=1, keepdims=True)
    found = fit(sharp, targets, "platt")  # which is for two: several get what they have
    assert found.method == "temperature"
    assert found.values["temperature"][0] == pytest.approx(4, rel=0.25)
    assert (found(sharp).argmax(axis=1) == sharp.argmax(axis=1)).all()


def test_it_survives_being_written_down() -> None:
    said, targets = draw(400, 0, 3.0)
    found = fit(said, targets)
    assert np.array_equal(Calibrator(**found.as_json())(said), found(said))
    assert Calibrator()(said) is said
