"""The applicability domain, and whether two samples are alike."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest

from medtasks.evaluation.domain import Domain, Scale, verdict
from medtasks.evaluation.shift import drifted, two_sample, validity

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(8, 12))


def draw(n: int, seed: int, move: float = 0.0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).normal(size=(n, 8)) @ MIX + move)


def test_cases_like_those_trained_on_are_in() -> None:
    domain = Domain.fit(draw(600, 1), draw(150, 2))
    found = Counter(verdict(domain(draw(400, 3))))
    assert found["in"] > 330  # each of the two distances leaves out a twentieth
    assert found["out"] < 12


@pytest.mark.parametrize("change", ["elsewhere", "another make"])
def test_cases_from_elsewhere_are_out(change: str) -> None:
    domain = Domain.fit(draw(600, 1), draw(150, 2))
    strange = draw(100, 3, 60.0) if change == "elsewhere" else np.random.default_rng(4).normal(size=(100, 12)) * 5
    assert (verdict(domain(strange)) == "out").mean() > 0.9


def test_a_domain_survives_being_written_down_and_shows_nobody() -> None:
    train = draw(600, 1)
    train[0] = 500.0  # one patient who is like no other
    domain = Domain.fit(train, draw(150, 2))
    again = Domain.from_arrays(domain.to_arrays())
    assert np.array_equal(again(draw(50, 3)), domain(draw(50, 3)))
    near, _ = domain.distances(train[:1])
    assert near[0] > 1  # no centre stands where this patient is


def test_a_scale_has_its_middle_and_its_upper_end() -> None:
    scale = Scale.fit(np.arange(101.0))
    assert scale(np.array([50.0, 95.0])).tolist() == [0, 1]
    assert np.isfinite(Scale.fit(np.zeros(10))(np.zeros(3))).all()


def test_constant_features_are_no_fault() -> None:
    domain = Domain.fit(np.ones((60, 3)), np.ones((20, 3)))
    assert (verdict(domain(np.ones((5, 3)))) == "in").all()


def test_distances_of_many_cases_need_little_memory() -> None:
    rng = np.random.default_rng(0)
    domain = Domain.fit(rng.normal(size=(1000, 64)), rng.normal(size=(200, 64)))
    many = rng.normal(size=(5000, 64))
    tracemalloc.start()
    near, left = domain.distances(many)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * many.nbytes  # what each centre's differences took was 50 times as much
    places = (many[:3] - domain.mean) / domain.spread @ domain.axes
    wanted = [np.linalg.norm(place - domain.centres, axis=1).min() for place in places]
    assert near[:3] == pytest.approx(wanted)
    assert len(left) == 5000


def test_a_shift_is_told_from_none() -> None:
    assert validity(draw(200, 1), draw(200, 2)).status == "exchangeable"
    assert validity(draw(200, 1), draw(200, 2, 2.0)).status == "shifted"
    assert validity(draw(20, 1), draw(200, 2)).status == "untested"
    area = validity(draw(200, 1), draw(200, 2)).auroc
    assert area == pytest.approx(0.5, abs=4 * np.sqrt(401 / (12 * 200 * 200)))  # four standard errors of chance


def test_samples_of_one_population_are_seldom_told_apart() -> None:
    side = np.repeat([False, True], 35)
    results = [two_sample(np.random.default_rng(k).normal(size=(70, 50)), side) for k in range(100)]
    errors = [(area - 0.5) / error for area, error in filter(None, results)]
    assert len(errors) == 100
    assert sum(error > 1.96 for error in errors) <= 7  # 2.5 by chance; with a direction per feature 10


def test_patients_with_several_cases_are_no_shift() -> None:
    rng = np.random.default_rng(3)

    def side(patients: int, move: float = 0.0) -> np.ndarray:
        middles = rng.normal(size=(patients, 1, 20)) + move
        return np.asarray((middles + 0.3 * rng.normal(size=(patients, 8, 20))).reshape(-1, 20))

    def owners(name: str, patients: int) -> np.ndarray:
        return np.repeat(np.array([f"{name}{i}" for i in range(patients)], dtype=object), 8)

    groups = owners("a", 40), owners("b", 40)
    found = [validity(side(40), side(40), groups=groups).status for _ in range(20)]
    assert found.count("shifted") <= 1  # one in a hundred by chance; all of them where rows were dealt out
    assert validity(side(40), side(40, 1.0), groups=groups).status == "shifted"
    few = owners("a", 20), owners("b", 40)
    assert validity(side(20), side(40), groups=few).status == "untested"


def test_a_shift_inside_a_class_is_found() -> None:
    codes = np.arange(300) % 2
    old, new = draw(300, 1), draw(300, 2)
    new[codes == 1] += 3.0
    old[codes == 0] += 3.0
    found = validity(old, new, (codes, codes), ("well", "ill"))
    assert (found.status, found.where in ("well", "ill")) == ("shifted", True)


def test_a_drift_shows_in_the_share_beyond() -> None:
    rng = np.random.default_rng(0)
    alike = np.where(rng.random(400) < 0.05, 1.5, 0.2)
    assert drifted(alike, 200).status == "exchangeable"
    assert drifted(np.where(rng.random(400) < 0.3, 1.5, 0.2), 200).status == "shifted"
    assert drifted(alike[:10], 200).status == "untested"
    far, owners = np.full(400, 0.2), np.repeat(np.arange(40), 10)
    far[:50] = 1.5  # five of 40 patients, with all their cases
    assert drifted(far, 200).status == "shifted"
    assert drifted(far, 200, owners).status == "exchangeable"
