"""Which atoms of a molecule its columns depend on."""

from __future__ import annotations

from typing import Any

import numpy as np

from medtasks.cases import Molecules
from medtasks.cases.fingerprints import without_each_atom
from medtasks.cases.hiding import hide_each_atom
from medtasks_mol_trees.descriptors import WIDTH, Columns, describe


def shares(mol: Any, columns: Columns) -> Columns:
    """Return (atoms, columns): the share that each atom has in each column.

    It is how much the column changes where the atom is hidden (of counts, without the substructures that hold it), of
    all that it changes by for any atom. What no atom changes, as the count of a substructure that the molecule lacks,
    belongs to none.

    Parameters
    ----------
    columns : (columns,) of the molecule as it is, by `describe`
    """
    hidden = [one.ToBinary() for one in hide_each_atom(mol)]
    changed = np.abs(columns - describe(Molecules([str(atom) for atom in range(len(hidden))], hidden)))
    changed[:, -WIDTH:] = columns[-WIDTH:] - without_each_atom(mol, WIDTH)
    changed[~np.isfinite(changed)] = 0  # a descriptor that is not defined says nothing
    total = changed.sum(axis=0)
    return np.asarray(np.divide(changed, total, out=np.zeros_like(changed), where=total > 0))
