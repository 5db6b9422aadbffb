"""What the network computes once for all that share it is what every atom and bond would compute for itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from medtasks.cases import Molecules
from medtasks_mol_graph.graphs import Graphs, room_for
from medtasks_mol_graph.refinement import Step, refine

SMILES = (
    "CC(=O)Oc1ccccc1C(=O)O", "c1ccccc1", "C1CC2CCC1C2", "C", "CCO", "OCC", "CC(C)(C)C", "[Na+].[Cl-]", "CO", "CCCCCCC",
    "O=[N+]([O-])c1ccc(C#C[Si](C)(C)C)cc1", "C" * 40,
)  # fmt: skip
Drawn = npt.NDArray[np.float64]


def whole(graphs: Graphs) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return kinds of atoms and bonds, and the ends of bonds, of all molecules as one graph."""
    offset = np.repeat(graphs.atom_start[:-1], np.diff(graphs.bond_start))[:, None]
    ends = graphs.ends.astype(np.int64) + offset
    return graphs.atoms.astype(np.int64), graphs.bonds.astype(np.int64), ends


def sums(said: Drawn, step: Step) -> Drawn:
    out = np.zeros((len(step.rows), said.shape[1]))
    np.add.at(out, step.by, said[step.heard])
    return out


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_each_atom_learns_what_message_passing_by_hand_tells_it(depth: int) -> None:
    atoms, bonds, ends = whole(Graphs.of(Molecules.from_smiles(SMILES)))
    rng = np.random.default_rng(0)
    kinds, between, mix = rng.normal(size=(99, 5)), rng.normal(size=(99, 5)), rng.normal(size=(5, 5))
    source, target = ends.ravel(), ends[:, ::-1].ravel()
    first = np.tanh(kinds[atoms[source]] + np.repeat(between[bonds], 2, axis=0))
    edges = first
    for _ in range(depth - 1):
        into = [
            edges[[f for f in np.flatnonzero(target == source[e]) if f != e ^ 1]].sum(axis=0) for e in range(len(edges))
        ]
        edges = np.tanh(first + np.array(into) @ mix)
    expected = np.array([kinds[kind] + edges[target == atom].sum(axis=0) for atom, kind in enumerate(atoms)])

    firsts, steps, states = refine(atoms, bonds, ends, depth)
    once = shared = np.tanh(kinds[firsts[:, 0]] + between[firsts[:, 1]])
    for step in steps[:-1]:
        shared = np.tanh(once[step.rows] + sums(shared, step) @ mix)
    found = kinds[steps[-1].rows] + sums(shared, steps[-1])
    assert np.allclose(found[states], expected)


def test_what_is_alike_is_told_once_and_what_differs_is_not_mixed_up() -> None:
    atoms, bonds, ends = whole(Graphs.of(Molecules.from_smiles(["c1ccccc1", "c1ccccc1"])))
    firsts, steps, states = refine(atoms, bonds, ends, 3)
    assert [len(firsts), *(len(step.rows) for step in steps)] == [1, 1, 1, 1]
    assert (states == 0).all()
    atoms, bonds, ends = whole(Graphs.of(Molecules.from_smiles(["CCO", "OCC", "CCCCCCCO"])))
    assert len(np.unique(refine(atoms, bonds, ends, 2)[2][:6])) == 3  # one spelling's atoms are the other's
    assert len(np.unique(refine(atoms, bonds, ends, 2)[2])) == 3 + 7  # the long chain's fourth and fifth are alike


def test_padding_touches_nobody() -> None:
    graphs = Graphs.of(Molecules.from_smiles(["CCO", "C", "c1ccccc1"]))
    for even in (False, True):
        batch = graphs.batch(np.array([2, 0]), 4, 2, even=even)
        assert batch["owner"][:9].tolist() == [0] * 6 + [1] * 3
        assert (batch["owner"][9:] == 4).all()
        assert batch["sizes"].ravel().tolist() == [6, 3, 1, 1, 1]
        for step in (1, 2):
            real = batch[f"by_{step}"] < len(batch[f"rows_{step}"]) - 1
            assert not real[real.argmin() :].any()  # all the padding stands behind, and goes to a state nobody hears
        assert batch["heard_2"].max() < len(batch["rows_1"]) - 1


def test_batches_of_as_many_molecules_have_one_shape() -> None:
    graphs = Graphs.of(Molecules.from_smiles([text for text in SMILES for _ in range(8)]))
    orders = [np.random.default_rng(seed).permutation(len(graphs))[:64] for seed in range(5)]
    shapes = [{name: values.shape for name, values in graphs.batch(rows, 64, 3, even=True).items()} for rows in orders]
    assert all(shape.keys() == shapes[0].keys() for shape in shapes)
    assert len({tuple(shape.values()) for shape in shapes}) <= 2


def test_room_is_found_for_everything_in_few_sizes() -> None:
    rooms = [room_for(n) for n in range(1, 5000)]
    assert all(n <= room <= max(8, 1.25 * n + 1) for n, room in enumerate(rooms, 1))
    assert len(set(rooms)) < 45
