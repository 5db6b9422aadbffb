"""Faults planted in molecules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.activity.similarity import with_cliffs
from medtasks.auditing import audit

from .conftest import molecule_set, only, seen


@pytest.fixture
def chosen(drugs: list[str]) -> list[str]:
    """Return 80 different molecules."""
    rng = np.random.default_rng(0)
    return [drugs[i] for i in rng.choice(len(drugs), 80, replace=False)]


@pytest.fixture
def values() -> np.ndarray:
    """Return 80 activities."""
    return np.random.default_rng(1).normal(6, 1, 80).round(2)


def test_one_structure_on_two_sides_is_severe(chosen: list[str], values: np.ndarray) -> None:
    parts = np.array(["train", "valid", "test", "test"], dtype=object)[np.arange(80) % 4]
    clean = audit(molecule_set(chosen, values, split=parts))
    assert not any(one.check == "duplicates" for one in clean)
    texts = [*chosen]
    texts[2] = chosen[0]
    same = np.where(np.arange(80) == 2, values[0], values)
    found = only(audit(molecule_set(texts, same, split=parts)), "duplicates")
    assert (found.severity, found.rows, found.parts) == ("severe", ("mol 0", "mol 2"), ("train", "test"))


def test_a_stereoisomer_in_the_test_part_is_a_near_copy() -> None:
    smiles = ["C[C@H](N)c1ccccc1", "C[C@@H](N)c1ccccc1", "CCO", "CCCCN"]
    parts = np.array(["train", "test", "train", "test"], dtype=object)
    found = only(audit(molecule_set(smiles, np.array([5.0, 6.0, 4.0, 3.0]), split=parts)), "near-duplicates")
    assert (found.count, found.rows) == (1, ("mol 1",))
    other = np.array(["train", "train", "train", "test"], dtype=object)
    assert audit(molecule_set(smiles, np.array([5.0, 6.0, 4.0, 3.0]), split=other)) == ()


def test_conflicting_measurements_of_one_structure(chosen: list[str], values: np.ndarray) -> None:
    table = pd.DataFrame({"name": [f"m{i}" for i in range(80)], "smiles": chosen, "target": values})
    clean = medtasks.audit("activity", table, cliff=0).findings
    assert not any(one.check == "contradictions" for one in clean)
    again = table.iloc[:2].assign(name=["again 0", "again 1"], target=[values[0] + 0.2, values[1] + 3.0])
    found = only(medtasks.audit("activity", pd.concat([table, again]), cliff=0).findings, "contradictions")
    assert (found.severity, found.rows) == ("warning", ("m1",))
    raw = audit(molecule_set([*chosen, chosen[1]], np.append(values, values[1] + 3)))  # as no reader joined them
    assert only(raw, "contradictions").count == 2


def test_opposite_classes_of_one_structure_are_severe(chosen: list[str]) -> None:
    classes = (np.arange(81) % 2).astype(float)
    data = replace(molecule_set([*chosen, chosen[1]], classes), kinds=("binary",))
    assert ("severe", "contradictions") in seen(audit(data))


def test_cliffs_are_counted(chosen: list[str], values: np.ndarray) -> None:
    data = molecule_set([chosen[0], chosen[0] + ".C", *chosen[1:]], np.append(values, 6.0))
    assert not any(one.check == "cliffs" for one in audit(data))
    marked = with_cliffs(data, 1.0)
    assert only(audit(marked), "cliffs").count == int(marked.extra["cliff"].any(axis=1).sum())


def test_heavier_actives_are_told_of(chosen: list[str]) -> None:
    rng = np.random.default_rng(0)
    active = (np.arange(80) % 2).astype(float)
    heavier = [text if hit else "C" * int(rng.integers(3, 12)) for text, hit in zip(chosen, active, strict=True)]
    found = audit(replace(molecule_set(heavier, active), kinds=("binary",)))
    assert any(one.title.startswith("The molecular weight alone tells") for one in found)
    assert all(one.severity == "warning" for one in found if one.check == "leaks")
    clean = audit(replace(molecule_set(chosen, active), kinds=("binary",)))
    assert not any(one.check == "leaks" for one in clean)


def test_classes_that_are_written_differently_are_told_of(chosen: list[str]) -> None:
    active = (np.arange(80) % 2).astype(float)
    salts = [text if hit else f"{text}.Cl" for text, hit in zip(chosen, active, strict=True)]
    found = {}
    for name, texts in (("drawn alike", chosen), ("drawn as salts", salts)):
        table = pd.DataFrame({"smiles": texts, "active": active})
        found[name] = [
            one.title
            for one in medtasks.audit("activity", table, target="active", smiles="smiles").findings
            if one.check == "leaks"
        ]
    assert not any("written" in title for title in found["drawn alike"])
    assert [title for title in found["drawn as salts"] if title.startswith("How structures are written")]


def test_bounds_without_a_sign_and_values_far_outside(chosen: list[str], values: np.ndarray) -> None:
    assert audit(molecule_set(chosen, values)) == ()
    floor = np.where(np.arange(80) % 2, 3.0, values)
    assert "bounds written without their sign" in only(audit(molecule_set(chosen, floor)), "values").title
    bounds = (np.arange(80)[:, None] % 2 * -1).astype(np.int8)
    assert audit(molecule_set(chosen, floor, extra={"censoring": bounds})) == ()
    assert only(audit(molecule_set(chosen, np.where(np.arange(80) == 3, 6000.0, values))), "values").count == 1


def test_a_placeholder_among_measurements_is_severe(chosen: list[str], values: np.ndarray) -> None:
    holed = np.where(np.arange(80) % 20, values, -999.0)
    found = only(audit(molecule_set(chosen, holed)), "values")
    assert (found.severity, found.count) == ("severe", 4)
    assert "placeholder" in found.title


def test_measurements_in_two_units_are_told(chosen: list[str]) -> None:
    rng = np.random.default_rng(0)
    mixed = np.where(np.arange(80) % 4, 1.0, 1000.0) * np.exp(rng.normal(0, 0.4, 80))
    assert "another unit" in only(audit(molecule_set(chosen, mixed)), "values").title
