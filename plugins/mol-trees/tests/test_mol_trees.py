"""Trees on molecular descriptors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem, RDConfig
from rdkit.Chem import Descriptors, Fragments, rdMolDescriptors

from medtasks.cases import Molecules
from medtasks.dataset import Dataset
from medtasks.errors import BundleError
from medtasks.model import Context
from medtasks_mol_trees import MolTrees
from medtasks_mol_trees.descriptors import WIDTH, columns_of, describe, names

CONTEXT = Context(seed=2, device="cpu")
RINGS = ("c1ccc({})cc1", "c1ccnc({})c1", "C1CCN({})CC1", "C1CCC({})CC1", "C1CN({})CCO1", "c1ccc2cc({})ccc2c1")
TAILS = ("C", "CC", "CCC", "CC(C)C", "CCO", "CCN", "CCCl", "C(F)(F)F", "CC#N", "C(=O)O", "C(=O)N", "CCOC", "CS(=O)C")
RDKIT = [
    line.split()[0]
    for line in Path(RDConfig.RDContribDir, "FreeWilson", "data", "CHEMBL2321810.smi").read_text().splitlines()[::40]
]
QUICK = {"rounds": 60, "forest": 40}


def data(kind: str = "number") -> Dataset:
    """Molecules with their polar surface, or whether it is large."""
    cases = Molecules.from_smiles([ring.format(tail) for tail in TAILS for ring in RINGS])
    y = np.array([Descriptors.TPSA(mol) for mol in cases.mols()]) / 10
    values = y if kind == "number" else (y > np.median(y)).astype(float)
    return Dataset(cases, values[:, None], names=("polar",), kinds=(kind,))


def grown(one: Dataset, seed: int = 2) -> MolTrees:
    model = MolTrees(MolTrees.Config.model_validate(QUICK))
    model.fit(one, one.take(np.arange(0)), context=replace(CONTEXT, seed=seed))
    return model


@pytest.fixture(scope="module")
def learnt() -> MolTrees:
    return grown(data())


def test_descriptors_are_rdkits() -> None:
    odd = ["C1CC1C1CC1", "CC1CC1(C)C2OC2", "[O-][N+](=O)c1ccccc1", "C[Si](C)(C)CBr", "OCC(I)P(=O)(O)O", "CN(C)C(=O)NC"]
    cases = data().cases.take(np.arange(14)).join(Molecules.from_smiles(odd))
    mols = list(cases.mols())
    found = describe(cases)
    assert found.shape == (20, len(names()) + WIDTH)
    for name, column in (
        ("CrippenLogP", Descriptors.MolLogP),
        ("RotatableBonds", lambda mol: rdMolDescriptors.CalcNumRotatableBonds(mol, strict=False)),
        ("LipinskiHBA", rdMolDescriptors.CalcNumLipinskiHBA),
        ("Halogens", Fragments.fr_halogen),
        ("Kappa1", Descriptors.Kappa1),
        ("Kappa3", Descriptors.Kappa3),
        ("Phi", Descriptors.Phi),
        ("MQN18", lambda mol: rdMolDescriptors.MQNs_(mol)[17]),
        ("TPSA", Descriptors.TPSA),
        ("Kappa2", Descriptors.Kappa2),
        ("PEOE_VSA7", Descriptors.PEOE_VSA7),
        ("SlogP_VSA5", Descriptors.SlogP_VSA5),
        ("EState_VSA3", Descriptors.EState_VSA3),
        ("EStateMax", Descriptors.MaxEStateIndex),
    ):
        expected = [column(mol) for mol in mols]
        assert found[:, names().index(name)] == pytest.approx(expected, abs=1e-4), name


def test_descriptors_do_not_hang_on_how_a_molecule_is_written() -> None:
    cases = Molecules.from_smiles(["C1CC1C(C)OC2CC2Cl", "O=C(O)c1cc2c(s1)CCN(C)C2", "CC(=CCCC1SC1(C)C)C2OC2C", *RDKIT])
    again = Molecules.from_smiles([Chem.MolToSmiles(mol, doRandom=True) for mol in cases.mols()])
    assert np.allclose(describe(again), describe(cases), rtol=1e-5, atol=1e-4)


def test_odd_molecules_are_described() -> None:
    from medtasks.cases.structures import Standard

    odd = ["C", "[Na+]", "[Fe+2]", "N->[Pt]", "[2H]C", "C" * 150]
    found = columns_of(Molecules.from_smiles(odd, standard=Standard(standardise=False)))
    assert found.shape == (6, len(names()) + WIDTH)
    assert np.isfinite(found[0]).all()


def test_remembered_molecules_are_the_same_ones() -> None:
    cases = data().cases
    first = columns_of(cases, remember=True)
    assert np.array_equal(columns_of(cases.take(np.array([5, 3]))), first[[5, 3]])
    assert np.array_equal(describe(cases), first)


def test_it_learns_numbers_and_classes(learnt: MolTrees) -> None:
    one = data()
    assert np.corrcoef(learnt.predict(one.cases, context=CONTEXT)[:, 0], one.targets[:, 0])[0, 1] > 0.9
    classes = data("binary")
    shares = grown(classes).predict(classes.cases, context=CONTEXT)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert ((shares > 0.5) == classes.targets).mean() > 0.9


def test_polar_atoms_explain_a_polar_surface(learnt: MolTrees) -> None:
    some = Molecules.from_smiles(["CCCC(=O)O", "c1ccccc1C(=O)N"])
    for mol, values in zip(some.mols(), learnt.explain(some, 0, context=CONTEXT), strict=True):
        assert values.shape == (mol.GetNumAtoms(),)
        polar = np.array([atom.GetAtomicNum() in (7, 8) for atom in mol.GetAtoms()])
        assert values[polar].mean() > values[~polar].mean()


@pytest.mark.parametrize("kind", ["number", "binary"])
def test_the_substructure_that_matters_is_found(kind: str) -> None:
    from sklearn.metrics import roc_auc_score

    cases = data().cases
    acid = Chem.MolFromSmarts("C(=O)[O,N]")
    marks = [np.zeros(mol.GetNumAtoms(), dtype=bool) for mol in cases.mols()]
    for mark, mol in zip(marks, cases.mols(), strict=True):
        mark[[atom for match in mol.GetSubstructMatches(acid) for atom in match]] = True
    y = np.array([float(mark.any()) for mark in marks])
    model = grown(Dataset(cases, y[:, None], names=("y",), kinds=(kind,)))
    rows = np.flatnonzero(y)
    values = model.explain(cases.take(rows), 0, context=CONTEXT)
    scores = [roc_auc_score(marks[row], one) for row, one in zip(rows, values, strict=True)]
    assert np.mean(scores) > 0.95  # by hiding atoms and asking again it is .88 for classes


def test_atoms_share_what_columns_add() -> None:
    from medtasks_mol_trees.atoms import shares

    acid = Molecules.from_smiles(["CCCC(=O)O"])
    found = shares(acid.mol(0), describe(acid)[0])
    total = found.sum(axis=0)
    assert found.shape == (6, len(names()) + WIDTH)
    assert (found >= 0).all()
    assert np.allclose(total[total > 0], 1)
    polar = found[:, names().index("TPSA")]
    assert polar[4:].sum() == pytest.approx(1)  # the two oxygens alone
    assert total[names().index("AromaticRings")] == 0


def test_a_bound_is_not_a_value() -> None:
    one = data()
    high = one.targets[:, 0] > np.median(one.targets)
    cut = np.where(high, np.median(one.targets), one.targets[:, 0])[:, None]
    told = {}
    for name, bounds in (("bound", high), ("value", np.zeros_like(high))):
        extra = {"censoring": bounds.astype(np.int8)[:, None]}
        told[name] = grown(replace(one, targets=cut, extra=extra)).predict(one.cases, context=CONTEXT)[high].mean()
    assert told["bound"] > told["value"]


def test_the_same_seed_gives_the_same_trees(learnt: MolTrees) -> None:
    cases = data().cases
    assert np.array_equal(grown(data()).predict(cases, context=CONTEXT), learnt.predict(cases, context=CONTEXT))
    assert not np.array_equal(grown(data(), 3).predict(cases, context=CONTEXT), learnt.predict(cases, context=CONTEXT))


def test_saved_trees_answer_the_same(learnt: MolTrees, tmp_path: Path) -> None:
    learnt.save(tmp_path)
    cases = data().cases
    again = MolTrees.load(tmp_path, context=CONTEXT)
    assert np.array_equal(again.predict(cases, context=CONTEXT), learnt.predict(cases, context=CONTEXT))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".txt"}
    text = "".join(path.read_text() for path in tmp_path.iterdir())
    assert not any(smiles in text for smiles in map(Chem.MolToSmiles, cases.mols()) if len(smiles) > 5)


def test_trees_of_other_descriptors_are_refused(
    learnt: MolTrees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt.save(tmp_path)
    monkeypatch.setattr("medtasks_mol_trees.model.WIDTH", WIDTH * 2)
    with pytest.raises(BundleError):
        MolTrees.load(tmp_path, context=CONTEXT)
