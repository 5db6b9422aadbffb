"""A molecule with some of its atoms hidden."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases.fingerprints import without_atoms
from medtasks.cases.hiding import hide_atoms
from medtasks.cases.properties import Scaling
from medtasks_mol_graph.graphs import Graphs
from medtasks_mol_graph.samples import WIDTH, Samples, properties_of

Masks = npt.NDArray[np.bool_]


def surroundings(mol: Any) -> Masks:
    """Return (n, n): for each of n atoms the atom itself and its neighbours."""
    from rdkit import Chem

    neighbours: Masks = Chem.GetAdjacencyMatrix(mol).astype(bool)
    return neighbours | np.eye(len(neighbours), dtype=bool)


def occluded(sample: Samples, mol: Any, masks: Masks, scaling: Scaling) -> Samples:
    """Return the one molecule of ``sample`` whole, then once for each of the (n, atoms) ``masks`` with those hidden.

    A hidden atom and its bonds keep their place in the graph and have no features; the molecule's properties are taken
    with the atom made an unknown element, but for those that RDKit has no value of where such atoms are neighbours.
    """
    graphs, copies = sample.graphs, len(masks) + 1
    hidden = np.vstack([np.zeros_like(masks[:1]), masks])
    many = Graphs(
        # the first row of each table is kept for what is hidden
        np.where(hidden, 0, graphs.atoms + 1).astype(np.int32).ravel(),
        np.tile(graphs.ends, (copies, 1)),
        np.where(hidden[:, graphs.ends].any(axis=2), 0, graphs.bonds + 1).astype(np.int32).ravel(),
        np.arange(copies + 1, dtype=np.int32) * len(graphs.atoms),
        np.arange(copies + 1, dtype=np.int32) * len(graphs.bonds),
        np.vstack([np.zeros_like(graphs.atom_table[:1]), graphs.atom_table]),
        np.vstack([np.zeros_like(graphs.bond_table[:1]), graphs.bond_table]),
    )
    prints = sample.prints
    if prints is not None:
        prints = np.vstack([prints, np.log1p(np.maximum(without_atoms(mol, masks, WIDTH), 0))])
    nothing = np.zeros((copies, sample.value.shape[1]), dtype=np.float32)
    changed = properties_of([hide_atoms(mol, mask) for mask in masks], scaling)
    properties = np.vstack([sample.properties, np.where(np.isfinite(changed), changed, sample.properties)])
    return replace(
        sample, graphs=many, properties=properties, prints=prints, value=nothing, known=nothing, bound=nothing
    )
