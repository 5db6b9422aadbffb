"""The blend of several models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit.Chem import Descriptors

from medtasks.cases import Molecules
from medtasks.cases.structures import scaffold
from medtasks.dataset import Dataset
from medtasks.errors import UsageError
from medtasks.model import Context
from medtasks_mol_blend import MolBlend
from medtasks_mol_blend.stacking import folds, pool

CONTEXT = Context(seed=2, device="cpu")
RINGS = ("c1ccc({})cc1", "c1ccnc({})c1", "C1CCN({})CC1", "C1CCC({})CC1", "C1CN({})CCO1", "c1ccc2cc({})ccc2c1")
TAILS = ("C", "CC", "CCC", "CC(C)C", "CCO", "CCN", "CCCl", "C(F)(F)F", "CC#N", "C(=O)O", "C(=O)N", "CCOC", "CS(=O)C")
PAIR = ("activity.mol-fingerprint", "activity.linear-fingerprint")


def data() -> Dataset:
    cases = Molecules.from_smiles([ring.format(tail) for tail in TAILS for ring in RINGS])
    y = np.array([Descriptors.MolLogP(mol) for mol in cases.mols()])
    both = np.column_stack([y, y > 2])
    both[::4, 0] = np.nan
    return Dataset(cases, both.astype(float), names=("logP", "fatty"), kinds=("number", "binary"))


def test_folds_hold_every_molecule_once_and_keep_small_scaffolds_whole() -> None:
    one = data()
    parts = folds(one, 5, CONTEXT.rng)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(one)))
    assert max(map(len, parts)) - min(map(len, parts)) <= 8
    few = one.take(np.arange(0, 78, 13))  # a molecule or two of each scaffold
    assert isinstance(few.cases, Molecules)
    for part in folds(few, 3, CONTEXT.rng):
        inside = {scaffold(few.cases.mol(row)) for row in part}
        outside = {scaffold(few.cases.mol(row)) for row in np.setdiff1d(np.arange(len(few)), part)}
        assert not inside & outside


def test_numbers_are_averaged_and_of_probabilities_the_log_odds() -> None:
    answers = np.array([[[1.0, 0.5], [2.0, 0.9]], [[3.0, 0.5], [2.0, 0.1]]])
    weights, binary = np.full((2, 2), 0.5), np.array([False, True])
    assert pool(answers, weights, binary) == pytest.approx(np.array([[2.0, 0.5], [2.0, 0.5]]))
    sure = np.array([[[0.0]], [[0.01]]])
    together = float(pool(sure, np.full((1, 2), 0.5), np.array([True]))[0, 0])
    assert 0 < together < 0.005  # below the mean: who is sure is heard, but does not decide alone
    one = np.array([[[0.0, 1.0, 0.3]]])
    assert pool(one, np.ones((3, 1)), np.full(3, True)) == pytest.approx(one[0], abs=2e-3)


def test_a_blend_of_two_learns_saves_and_explains(tmp_path: Path) -> None:
    one, rows = data(), np.random.default_rng(0).permutation(78)
    model = MolBlend(MolBlend.Config(members=PAIR, committees=(PAIR[1],), folds=3))
    model.fit(one.take(rows[:50]), one.take(rows[50:60]), context=CONTEXT)
    assert model.left_out is not None
    assert model.left_out.shape == (10, 2)
    assert [len(member.fitted) for member in model.members] == [1, 3]
    new = one.take(rows[60:])
    answers = model.predict(new.cases, context=CONTEXT)
    known = np.isfinite(new.targets[:, 0])
    assert np.corrcoef(answers[known, 0], new.targets[known, 0])[0, 1] > 0.8
    assert ((answers[:, 1] >= 0) & (answers[:, 1] <= 1)).all()
    for mol, values in zip(new.cases.mols(), model.explain(new.cases, 1, context=CONTEXT), strict=True):
        assert values.shape == (mol.GetNumAtoms(),)
        assert np.isfinite(values).all()
    model.save(tmp_path)
    again = MolBlend.load(tmp_path, context=CONTEXT)
    assert np.array_equal(again.predict(new.cases, context=CONTEXT), answers)
    assert np.allclose(model.predict(new.cases.take(np.arange(3)), context=CONTEXT), answers[:3], atol=1e-5)


@pytest.mark.parametrize("name", ["activity.mol-blend", "diagnosis.linear-record", "activity.mol-grph"])
def test_what_cannot_be_a_member_is_refused(name: str) -> None:
    one = data()
    with pytest.raises(UsageError):
        MolBlend(MolBlend.Config(members=(name,))).fit(one, one, context=CONTEXT)


@pytest.mark.slow
def test_the_default_blend_beats_what_it_is_made_of_or_comes_close() -> None:
    one, rows = data(), np.random.default_rng(1).permutation(78)
    train, new = one.take(rows[:60]), one.take(rows[60:])
    model = MolBlend(MolBlend.Config(folds=3, graph_steps=150))
    model.fit(train, train.take(np.arange(0)), context=CONTEXT)
    known = np.isfinite(new.targets[:, 0])
    truth = new.targets[known, 0]

    def rmse(answers: Any) -> float:
        return float(np.sqrt(np.mean((answers[known, 0] - truth) ** 2)))

    graphs = [one.config.of_member(0).prints > 0 for one in model.members[0].fitted]
    assert graphs == [False, True, False]  # every second network sees counts of substructures
    alone = [rmse(member.predict(new.cases, CONTEXT)) for member in model.members]
    assert rmse(model.predict(new.cases, context=CONTEXT)) < 1.2 * min(alone)
