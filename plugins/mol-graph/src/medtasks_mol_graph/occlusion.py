"""A molecule with each of its atoms hidden in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from medtasks.cases.fingerprints import without_each_atom
from medtasks.cases.hiding import hide_each_atom
from medtasks.cases.properties import Scaling
from medtasks_mol_graph.graphs import Graphs
from medtasks_mol_graph.samples import WIDTH, Samples, properties_of


def occluded(sample: Samples, mol: Any, scaling: Scaling) -> Samples:
    """Return the one molecule of ``sample`` whole, then once for each atom with that atom hidden.

    A hidden atom and its bonds keep their place in the graph and have no features; the molecule's properties are taken
    with the atom made an unknown element.
    """
    graphs, atoms = sample.graphs, mol.GetNumAtoms()
    copies = atoms + 1
    kinds = np.tile(graphs.atoms + 1, (copies, 1))  # the first row of each table is kept for what is hidden
    bonds = np.tile(graphs.bonds + 1, (copies, 1))
    for atom in range(atoms):
        kinds[atom + 1, atom] = 0
        bonds[atom + 1, (graphs.ends == atom).any(axis=1)] = 0
    many = Graphs(
        kinds.ravel(),
        np.tile(graphs.ends, (copies, 1)),
        bonds.ravel(),
        np.arange(copies + 1, dtype=np.int32) * atoms,
        np.arange(copies + 1, dtype=np.int32) * len(graphs.bonds),
        np.vstack([np.zeros_like(graphs.atom_table[:1]), graphs.atom_table]),
        np.vstack([np.zeros_like(graphs.bond_table[:1]), graphs.bond_table]),
    )
    prints = sample.prints
    if prints is not None:
        prints = np.vstack([prints, np.log1p(np.maximum(without_each_atom(mol, WIDTH), 0))])
    nothing = np.zeros((copies, sample.value.shape[1]), dtype=np.float32)
    properties = np.vstack([sample.properties, properties_of(hide_each_atom(mol), scaling)])
    return replace(
        sample, graphs=many, properties=properties, prints=prints, value=nothing, known=nothing, bound=nothing
    )
