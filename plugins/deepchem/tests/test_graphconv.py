"""DeepChem's graph convolutions behind the contract, and its splitters."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem, RDConfig

from medtasks.cases import Molecules
from medtasks.cases.structures import Standard
from medtasks.dataset import SPLITS, Dataset
from medtasks.errors import BundleError, DataError, PluginError, UsageError
from medtasks.model import Context, Progress
from medtasks_deepchem import GraphConv, child, graphconv, split, splitting
from medtasks_deepchem.network import Part, masked_loss, measure

with_deepchem = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in child.NEEDED), reason="DeepChem needs Python < 3.12"
)
LINES = Path(RDConfig.RDContribDir, "FreeWilson", "data", "CHEMBL2321810.smi").read_text().splitlines()
SMILES = [line.split()[0] for line in LINES][::4]
CONFIG = {"layers": (24,), "dense": 48, "rate": 0.005, "batch": 32, "epochs": 30, "patience": 30}
CROWDED = "F[U](F)(F)(F)(F)(F)(F)(F)(F)(F)F"
"""An atom with eleven neighbours, of which DeepChem makes no graph."""


class Notes(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def drawn(rows: slice) -> Dataset:
    """Molecules with a number that counts fluorine atoms, known of every other, and a class that a nitrile decides."""
    texts = SMILES[rows]
    number = np.array([50 + 5.0 * text.count("F") for text in texts])
    number[::2] = np.nan
    active = np.array([float("C#N" in text) for text in texts])
    cases = Molecules.from_smiles(texts)
    return Dataset(cases, np.column_stack([number, active]), names=("a", "b"), kinds=("number", "binary"))


def fitted(seed: int = 3) -> GraphConv:
    model = GraphConv(GraphConv.Config.model_validate(CONFIG))
    train = drawn(slice(0, 160))
    crowded = Molecules.from_smiles([CROWDED], standard=Standard(standardise=False))
    cases = Molecules([*train.cases.ids, "u"], [*train.cases.binaries, *crowded.binaries])  # type: ignore[attr-defined]
    whole = replace(train, cases=cases, targets=np.vstack([train.targets, [[np.nan, 0.0]]]))
    notes = Notes()
    context = Context(seed=seed, progress=notes)
    model.fit(whole, drawn(slice(160, 200)), context=context)
    assert "no graph of 1 molecules" in notes.said[0]
    assert context.used["device"] == "cpu"
    return model


@pytest.fixture(scope="module")
def learnt() -> Iterator[GraphConv]:
    model = fitted()
    yield model
    model.close()


@pytest.fixture
def blank() -> GraphConv:
    """Return a model with weights of nothing, which no DeepChem is needed for."""
    model = GraphConv(GraphConv.Config())
    model.kinds = ("number", "binary")
    model.middle, model.scale = np.array([5.0, 0.5]), np.array([2.0, 1.0])
    model.weights = [np.ones((3, 2), np.float32), np.zeros(4, np.float32)]
    return model


@with_deepchem
@pytest.mark.slow
def test_it_learns_numbers_and_classes_through_gaps(learnt: GraphConv) -> None:
    new = drawn(slice(200, None))
    found = learnt.predict(new.cases, context=Context())
    fluorine = np.array([50 + 5.0 * text.count("F") for text in SMILES[200:]])
    assert found.shape == (len(new), 2)
    assert np.corrcoef(found[:, 0], fluorine)[0, 1] > 0.8
    assert abs(found[:, 0].mean() - fluorine.mean()) < 3  # missing values taken for zeros would halve it
    assert ((found[:, 1] > 0.5) == new.targets[:, 1]).mean() > 0.85
    assert ((found[:, 1] >= 0) & (found[:, 1] <= 1)).all()


@with_deepchem
@pytest.mark.slow
def test_company_order_and_writing_do_not_matter(learnt: GraphConv) -> None:
    cases = drawn(slice(180, 250)).cases
    assert isinstance(cases, Molecules)
    whole = learnt.predict(cases, context=Context())
    order = np.random.default_rng(0).permutation(len(cases))
    assert learnt.predict(cases.take(order), context=Context()) == pytest.approx(whole[order], rel=1e-5, abs=1e-5)
    assert learnt.predict(cases.take(np.array([4])), context=Context()) == pytest.approx(whole[4:5], rel=1e-5, abs=1e-5)
    other = Molecules.from_smiles([Chem.MolToSmiles(mol, doRandom=True) for mol in cases.mols()])
    assert learnt.predict(other, context=Context()) == pytest.approx(whole, rel=1e-5, abs=1e-5)
    assert learnt.predict(cases.take(np.array([], dtype=np.int64)), context=Context()).shape == (0, 2)


@with_deepchem
@pytest.mark.slow
def test_every_molecule_is_answered(learnt: GraphConv) -> None:
    odd = Molecules.from_smiles(["C", CROWDED, "[Na+].[Cl-]", "CC"], standard=Standard(standardise=False))
    notes = Notes()
    found = learnt.predict(odd, context=Context(progress=notes))
    assert found.shape == (4, 2)
    assert np.isfinite(found).all()
    assert found[1] == pytest.approx(learnt.middle)  # the training average
    assert abs(found[0] - found[1]).max() > 1e-3  # one atom is a graph
    assert "1 molecules" in notes.said[0]
    alone = learnt.predict(odd.take(np.array([1])), context=Context())
    assert alone == pytest.approx(found[1:2])


@with_deepchem
@pytest.mark.slow
def test_the_same_seed_gives_the_same_answers(learnt: GraphConv) -> None:
    cases = drawn(slice(200, 230)).cases
    again = fitted()
    assert np.array_equal(again.predict(cases, context=Context()), learnt.predict(cases, context=Context()))
    again.close()


@with_deepchem
@pytest.mark.slow
def test_saved_and_loaded_it_answers_the_same(learnt: GraphConv, tmp_path: Path) -> None:
    learnt.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"graphconv.json", "weights.npz"}
    assert not any(text.encode() in path.read_bytes() for path in tmp_path.iterdir() for text in SMILES[:160])
    again = GraphConv.load(tmp_path, context=Context())
    cases = drawn(slice(200, 230)).cases
    wanted = learnt.predict(cases, context=Context())
    assert again.predict(cases, context=Context()) == pytest.approx(wanted, rel=1e-6)
    assert again._child is not None
    again.weights[0] = again.weights[0].T
    with pytest.raises(BundleError, match="do not fit the network"):
        again._load(again._child, tmp_path)
    again.close()


@with_deepchem
@pytest.mark.slow
def test_splitters_put_every_molecule_somewhere(learnt: GraphConv, monkeypatch: pytest.MonkeyPatch) -> None:
    assert learnt._child is not None
    shared = learnt._child
    monkeypatch.setattr(splitting, "Child", lambda: shared)
    monkeypatch.setattr(shared, "close", lambda: None)
    lines = Path(RDConfig.RDDataDir, "NCI", "first_5K.smi").read_text().splitlines()[:100]
    mixed = Molecules.from_smiles([line.split()[0] for line in lines])
    for name in ("fingerprint", "butina"):
        found = split(mixed, name)
        assert found.shape == (100,)
        assert set(found) == set(SPLITS)
    diverse = split(mixed, "maxmin", 1)
    assert [(diverse == part).sum() for part in SPLITS] == [80, 10, 10]
    assert (split(mixed, "maxmin", 1) == diverse).all()
    assert (split(mixed, "maxmin", 2) != diverse).any()


def test_a_process_that_died_is_replaced(blank: GraphConv, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str]] = []

    class Stub:
        made = 0

        def __init__(self) -> None:
            Stub.made += 1
            self.number, self.alive = Stub.made, True

        def ask(self, do: str, folder: Path, about: Any = None) -> dict[str, Any]:
            asked.append((self.number, do))
            np.savez(folder / child.OUT, rows=np.array([0]), answers=np.array([[2.0, 0.25]]))
            return {}

        def close(self) -> None:
            self.alive = False

    monkeypatch.setattr(graphconv, "Child", Stub)
    one = Molecules.from_smiles(["CCO"])
    assert blank.predict(one, context=Context()).tolist() == [[9.0, 0.25]]  # 2 standard deviations above the middle
    blank.predict(one, context=Context())
    assert asked == [(1, "load"), (1, "predict"), (1, "predict")]
    blank._child.alive = False  # type: ignore[union-attr,misc]
    blank.predict(one, context=Context())
    assert asked[3:] == [(2, "load"), (2, "predict")]


def test_a_splitter_that_loses_rows_or_leaves_a_part_empty_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = drawn(slice(0, 10)).cases
    assert isinstance(cases, Molecules)
    counts = np.eye(3, dtype=np.int8)[[0] * 6 + [1] * 2 + [2] * 2]
    monkeypatch.setattr(splitting, "_ask", lambda *args: counts)
    assert split(cases, "maxmin").tolist() == ["train"] * 6 + ["valid"] * 2 + ["test"] * 2
    counts[3] = 0
    with pytest.raises(PluginError, match="lost or repeated 1 of 10"):
        split(cases, "maxmin")
    counts[:] = [1, 0, 0]
    with pytest.raises(DataError, match="leaves valid and test empty"):
        split(cases, "butina")


def test_a_splitter_refuses_what_has_no_effect() -> None:
    cases = drawn(slice(0, 10)).cases
    assert isinstance(cases, Molecules)
    with pytest.raises(UsageError, match="nothing by chance"):
        split(cases, "fingerprint", 3)
    with pytest.raises(UsageError, match="no splitter") as caught:
        split(cases, "butin")  # type: ignore[arg-type]
    assert "butina" in str(caught.value.hint)
    with pytest.raises(UsageError, match="shares"):
        split(cases, "butina", shares=(0.8, 0.2, 0.2))
    with pytest.raises(DataError, match="2 molecules"):
        split(cases.take(np.arange(2)), "butina")


def test_the_measure_is_that_of_the_task() -> None:
    targets = np.array([[0.0, 1], [1, 0], [np.nan, 1], [2, np.nan]])
    bounds = np.array([[0, 0], [1, 0], [0, 0], [0, 0]], dtype=np.int8)
    found = np.array([[1.0, 0.9], [3, 0.2], [9, 0.1], [2, 0.5]])
    binary = np.array([False, True])
    rmse = np.sqrt((1 + 0 + 0) / 3)  # 3 lies beyond the bound ">1", on its side
    assert measure(found, Part(np.array([]), targets, bounds), binary) == pytest.approx((0.5 - rmse) / 2)
    assert measure(found, Part(np.array([]), np.full((4, 2), np.nan), bounds), binary) is None


@with_deepchem
@pytest.mark.slow
def test_the_loss_sees_neither_gaps_nor_what_lies_beyond_a_bound() -> None:
    truth = np.array([[0.0, 1], [1, 0], [0, 0]], dtype=np.float32)
    bound = np.array([[0, 0], [1, 0], [0, 0]], dtype=np.float32)
    known = np.array([[1, 1], [1, 0], [0, 1]], dtype=np.float32)
    found = np.array([[2.0, 0.5], [3, 7], [9, -1]], dtype=np.float32)
    loss = masked_loss(np.array([False, True]))
    labels = np.stack([truth, bound], axis=2)
    crossed = np.log1p(np.exp(-0.5)) + np.log1p(np.exp(-1))
    assert float(loss([found], [labels], [known])) == pytest.approx((4 + 0 + crossed) / 4, rel=1e-6)
    under = np.where(bound > 0, -1, found)
    assert float(loss([under], [labels], [known])) == pytest.approx((4 + 4 + crossed) / 4, rel=1e-6)


@pytest.mark.parametrize("harm", ["shape", "missing", "kind", "scale", "config", "json", "nan"])
def test_arrays_that_do_not_fit_are_refused(
    blank: GraphConv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    monkeypatch.setattr(graphconv, "require_deepchem", lambda: None)
    blank.save(tmp_path)
    assert GraphConv.load(tmp_path, context=Context()).kinds == blank.kinds
    about: dict[str, Any] = json.loads((tmp_path / "graphconv.json").read_text(encoding="utf-8"))
    weights = {"w0000": blank.weights[0], "w0001": blank.weights[1]}
    if harm == "shape":
        weights["w0000"] = weights["w0000"].T
    elif harm == "missing":
        del weights["w0001"]
    elif harm == "nan":
        weights["w0001"] = np.full(4, np.nan, np.float32)
    elif harm == "kind":
        about["kinds"][0] = "word"
    elif harm == "scale":
        about["scale"] = [1.0]
    elif harm == "config":
        about["config"]["dense"] = -1
    text = "{" if harm == "json" else json.dumps(about)
    (tmp_path / "graphconv.json").write_text(text, encoding="utf-8")
    np.savez(tmp_path / "weights.npz", **weights)  # type: ignore[arg-type]
    with pytest.raises(BundleError):
        GraphConv.load(tmp_path, context=Context())
