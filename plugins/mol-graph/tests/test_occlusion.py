"""What the network sees where atoms are hidden."""

from __future__ import annotations

import numpy as np
import pytest

from medtasks.cases import Molecules
from medtasks.cases.properties import Scaling, bulk_properties
from medtasks_mol_graph.occlusion import occluded, surroundings
from medtasks_mol_graph.samples import Samples


@pytest.mark.parametrize("text", ["C", "CC", "O=[N+]([O-])c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O"])
def test_what_is_hidden_is_hidden_from_atoms_bonds_counts_and_properties(text: str) -> None:
    one = Molecules.from_smiles([text])
    mol, scaling = one.mol(0), Scaling.of(bulk_properties(Molecules.from_smiles(["CCO", "c1ccccc1C"])))
    sample, around = Samples.of(one, scaling, with_prints=True, targets=1), surroundings(mol)
    n = mol.GetNumAtoms()
    assert around.sum(axis=1).tolist() == [1 + atom.GetDegree() for atom in mol.GetAtoms()]
    assert around.diagonal().all()

    masks = np.vstack([np.eye(n, dtype=bool), around, ~around, np.ones((1, n), dtype=bool)])
    many = occluded(sample, mol, masks, scaling)
    hidden = np.vstack([np.zeros((1, n), dtype=bool), masks])
    assert len(many) == len(hidden)
    assert np.isfinite(many.properties).all()
    assert many.prints is not None
    assert sample.prints is not None
    assert np.array_equal(many.prints[0], sample.prints[0])
    some = masks.any(axis=1)
    assert (many.prints[1:][some].sum(axis=1) < many.prints[0].sum()).all()
    assert (many.prints[1 : n + 1] >= many.prints[n + 1 : 2 * n + 1]).all()  # the more is hidden, the less is left
    assert not many.prints[-1].any()
    features = many.graphs.atom_table[many.graphs.atoms].reshape(len(hidden), n, -1)
    assert np.array_equal(features.any(axis=2), ~hidden)
    assert np.array_equal(features[0], sample.graphs.atom_table[sample.graphs.atoms])
    bonds = many.graphs.bond_table[many.graphs.bonds].any(axis=1).reshape(len(hidden), -1)
    for row, mask in enumerate(hidden):
        assert bonds[row].tolist() == [not (mask[first] or mask[second]) for first, second in sample.graphs.ends]
