"""The graph network, as the core and a user meet it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medtasks.cases import Molecules
from medtasks.dataset import Dataset
from medtasks.errors import BundleError
from medtasks.model import Context
from medtasks_mol_graph import MolGraph

CPU = Context(seed=3, device="cpu")
QUICK = {"members": 1, "epochs": 3, "least_steps": 0, "hidden": 12, "batch": 16, "prints": 8}
RINGS = ("c1ccc({})cc1", "c1ccnc({})c1", "C1CCN({})CC1", "C1CCC({})CC1", "C1CN({})CCO1", "c1ccc2cc({})ccc2c1")
TAILS = (
    "C",
    "CC",
    "CCC",
    "CC(C)C",
    "CCO",
    "CCN",
    "CCCl",
    "C(F)(F)F",
    "CC#N",
    "C(=O)O",
    "C(=O)N",
    "CCOC",
    "CS(C)(=O)=O",
)


def library() -> Molecules:
    return Molecules.from_smiles([ring.format(tail) for tail in TAILS for ring in RINGS])


def counted(targets: str = "number") -> Dataset:
    """Molecules with what a network must be able to count: hetero atoms less rings, or whether there is nitrogen."""
    cases = library()
    mols = list(cases.mols())
    hetero = np.array([sum(a.GetAtomicNum() in (7, 8) for a in mol.GetAtoms()) for mol in mols], dtype=float)
    nitrogen = np.array([any(a.GetAtomicNum() == 7 for a in mol.GetAtoms()) for mol in mols], dtype=float)
    if targets == "number":
        return Dataset(cases, hetero[:, None], names=("hetero",), kinds=("number",))
    both = np.column_stack([hetero, nitrogen])
    both[::3, 0] = np.nan
    both[1::3, 1] = np.nan
    return Dataset(cases, both, names=("hetero", "nitrogen"), kinds=("number", "binary"))


@pytest.fixture(scope="module")
def learnt() -> MolGraph:
    model = MolGraph(MolGraph.Config.model_validate({**QUICK, "epochs": 60, "hidden": 24, "members": 2}))
    model.fit(counted(), counted().take(np.arange(0, 78, 3)), context=CPU)
    return model


@pytest.mark.slow
def test_it_learns_and_knows_which_atom_counts(learnt: MolGraph) -> None:
    data = counted()
    answers = learnt.predict(data.cases, context=CPU)
    assert answers.shape == (78, 1)
    assert np.sqrt(np.mean((answers - data.targets) ** 2)) < 0.4 * data.targets.std()
    some = data.cases.take(np.arange(24, 36))
    hits, worst = 0, 0
    for mol, values in zip(some.mols(), learnt.explain(some, 0, context=CPU), strict=True):
        assert values.shape == (mol.GetNumAtoms(),)
        hetero = np.array([atom.GetAtomicNum() in (7, 8) for atom in mol.GetAtoms()])
        if hetero.any() and not hetero.all():
            hits += values[hetero].mean() > values[~hetero].mean()
            worst += 1
    assert hits >= 0.8 * worst > 0  # half by chance


@pytest.mark.slow
def test_answers_do_not_depend_on_company_order_or_spelling(learnt: MolGraph) -> None:
    from rdkit import Chem

    cases = library()
    whole = learnt.predict(cases, context=CPU)
    alone = np.concatenate([learnt.predict(cases.take(np.array([i])), context=CPU) for i in range(3)])
    order = np.random.default_rng(0).permutation(78)
    spelt = [Chem.MolToSmiles(mol, doRandom=True) for mol in cases.mols()]
    assert np.allclose(whole[:3], alone, atol=1e-5)
    assert np.allclose(whole[order], learnt.predict(cases.take(order), context=CPU), atol=1e-5)
    assert np.allclose(whole, learnt.predict(Molecules.from_smiles(spelt), context=CPU), atol=1e-5)
    assert learnt.embed(cases, context=CPU).shape[0] == 78
    assert learnt.predict(cases.take(np.arange(0)), context=CPU).shape == (0, 1)


@pytest.mark.slow
def test_every_second_network_sees_substructures_and_each_counts(learnt: MolGraph) -> None:
    narrow, wide = (sum(weight.size for weight in weights) for weights in learnt.weights)
    assert wide - narrow > 1024 * 8  # the projection of the counts
    cases = library()
    both = learnt.predict(cases, context=CPU)
    learnt.weights.reverse()  # as if a bundle had been put together wrongly
    learnt._readers.clear()
    try:
        with pytest.raises(BundleError, match="do not fit"):
            learnt.predict(cases, context=CPU)
    finally:
        learnt.weights.reverse()
    learnt._readers.clear()
    assert np.array_equal(learnt.predict(cases, context=CPU), both)


@pytest.mark.slow
def test_a_property_of_the_whole_molecule_is_followed_beyond_the_sizes_it_was_learnt_from() -> None:
    """Solubility falls with size: long chains, of which there was none, must not be answered like the longest known."""
    known = Molecules.from_smiles(
        ["C" * n + end for n in range(1, 9) for end in ("O", "N", "Cl", "C(=O)C", "C#N", "F")]
    )
    size = np.array([[mol.GetNumHeavyAtoms()] for mol in known.mols()], dtype=float)
    model = MolGraph(MolGraph.Config.model_validate({**QUICK, "epochs": 200, "hidden": 24}))
    data = Dataset(known, size, names=("size",), kinds=("number",))
    model.fit(data, data.take(np.arange(0)), context=CPU)
    answers = model.predict(Molecules.from_smiles(["C" * 14 + "O", "C" * 16 + "N"]), context=CPU)[:, 0]
    assert answers == pytest.approx([15, 17], rel=0.25)  # the largest known has 11 atoms


@pytest.mark.slow
def test_odd_molecules_are_answered(learnt: MolGraph) -> None:
    odd = ["C", "[Na+]", "[H][H]", "[2H]C", "c1ccccc1.O", "[CH3:7]O", "N->[Pt]", "C" * 300, "[Fe+2]", "*C"]
    from medtasks.cases.structures import Standard

    loose = Standard(standardise=False, max_atoms=1000)
    texts = [text for text in odd if text != "[H][H]"]
    found = learnt.predict(Molecules.from_smiles(texts, standard=loose), context=CPU)
    assert np.isfinite(found).all()
    assert len(found) == len(texts)


@pytest.mark.slow
def test_gaps_and_bounds_pull_at_nothing() -> None:
    data = counted("both")
    model = MolGraph(MolGraph.Config.model_validate({**QUICK, "epochs": 120, "hidden": 24}))
    model.fit(data, data, context=CPU)
    answers = model.predict(data.cases, context=CPU)
    assert answers.shape == (78, 2)
    assert ((answers[:, 1] >= 0) & (answers[:, 1] <= 1)).all()
    full = counted("both").targets
    known = np.isfinite(full[:, 1])
    assert ((answers[known, 1] > 0.5) == full[known, 1]).mean() > 0.8


@pytest.mark.slow
def test_a_bound_is_a_loss_on_one_side_only() -> None:
    """Half of the values are known to be at least 0: a network that takes them for 0 answers lower."""
    data = counted()
    low = data.targets.copy()
    low[::2] = 0.0
    censoring = np.zeros(low.shape, dtype=np.int8)
    censoring[::2] = 1
    means = []
    for extra in ({}, {"censoring": censoring}):
        model = MolGraph(MolGraph.Config.model_validate({**QUICK, "epochs": 25, "hidden": 24}))
        one = replace(data, targets=low, extra=extra)
        model.fit(one, one, context=CPU)
        means.append(model.predict(data.cases, context=CPU)[::2].mean())
    assert means[1] > means[0] + 0.1


@pytest.mark.slow
def test_validation_says_how_much_each_network_counts(learnt: MolGraph) -> None:
    data, kept = counted(), (learnt.weights, learnt.shares)
    assert learnt.shares.shape == (1, 2)
    assert learnt.shares.sum() == pytest.approx(1)
    try:
        learnt.weights = [[0 * weight for weight in kept[0][0]], kept[0][1]]  # the first has learnt nothing
        learnt.weigh(data, CPU)
        assert learnt.shares[0, 0] < 0.1
        assert learnt.shares.sum() == pytest.approx(1)
    finally:
        learnt.weights, learnt.shares = kept


@pytest.mark.slow
def test_a_saved_network_answers_the_same_in_another_process(learnt: MolGraph, tmp_path: Path) -> None:
    learnt.save(tmp_path)
    out = tmp_path.parent / "answers.npy"
    code = (
        "import sys, numpy as np; from pathlib import Path;"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r});"
        "from test_mol_graph import library, CPU, MolGraph;"
        "np.save(sys.argv[2], MolGraph.load(Path(sys.argv[1]), context=CPU).predict(library(), context=CPU))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path, out], check=True, timeout=200)
    here = learnt.predict(library(), context=CPU)
    # TensorFlow fuses other operations in a process that has trained, which on some CPUs shows in float32's last bit.
    assert np.allclose(np.load(out), here, rtol=1e-6, atol=1e-6)
    first = np.load(out)
    subprocess.run([sys.executable, "-c", code, tmp_path, out], check=True, timeout=200)
    assert np.array_equal(np.load(out), first)  # two processes that only load it agree to the bit
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npz"}
    about = json.loads((tmp_path / "network.json").read_text())
    about["config"]["hidden"] = 20
    (tmp_path / "network.json").write_text(json.dumps(about))
    with pytest.raises(BundleError):
        MolGraph.load(tmp_path, context=CPU).predict(library(), context=CPU)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_network() -> None:
    data, answers = counted(), []
    for seed in (3, 3, 4):
        model = MolGraph(MolGraph.Config.model_validate(QUICK))
        model.fit(data, data, context=replace(CPU, seed=seed))
        answers.append(model.predict(data.cases, context=CPU))
    assert np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


TRAIN = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_mol_graph import CPU, QUICK, MolGraph, counted
from dataclasses import replace
import numpy as np
model = MolGraph(MolGraph.Config.model_validate({{**QUICK, "epochs": 12}}))
model.fit(counted(), counted(), context=replace(CPU, checkpoint=Path(sys.argv[1])))
np.save(sys.argv[2], model.predict(counted().cases, context=CPU))
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_network(tmp_path: Path) -> None:
    code = TRAIN.format(here=str(Path(__file__).parent))
    place, out = tmp_path / "checkpoint", tmp_path / "resumed.npy"
    child = subprocess.Popen([sys.executable, "-c", code, place, out])
    state = place / "network-1" / "state.json"
    for _ in range(2400):
        if state.is_file() and json.loads(state.read_text())["epoch"] >= 2:
            break
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert state.is_file()
    assert not out.exists()
    subprocess.run([sys.executable, "-c", code, place, out], check=True, timeout=300)
    whole = tmp_path / "whole.npy"
    subprocess.run([sys.executable, "-c", code, tmp_path / "other", whole], check=True, timeout=300)
    assert np.array_equal(np.load(out), np.load(whole))


def run_on(backend: str, names: str) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r});"
        "from test_mol_graph import *; import pytest;"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '--import-mode=importlib', '-k',"
        f" {names!r}, sys.argv[1]]))"
    )
    environment: dict[str, Any] = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, "-c", code, __file__],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=560,
    )


@pytest.mark.slow
def test_the_same_code_runs_on_jax() -> None:
    pytest.importorskip("jax")
    done = run_on("jax", "atom_counts or same_seed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
