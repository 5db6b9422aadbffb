"""Hiding atoms of a molecule, to see what an answer loses."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def hide_atoms(mol: Any, mask: npt.NDArray[np.bool_]) -> Any:
    """Return an RDKit molecule with the marked atoms made an unknown element, the bonds as they were.

    Sheridan 2019 (doi:10.1021/acs.jcim.8b00825).

    Parameters
    ----------
    mask : (atoms,) which are hidden

    Examples
    --------
    >>> from rdkit import Chem
    >>> Chem.MolToSmiles(hide_atoms(Chem.MolFromSmiles("CCO"), np.array([False, False, True])))
    '*CC'
    """
    from rdkit import Chem

    changed = Chem.RWMol(mol)
    for place in np.flatnonzero(mask).tolist():
        atom = changed.GetAtomWithIdx(place)
        atom.SetAtomicNum(0)
        atom.SetFormalCharge(0)
    changed.ClearComputedProps()  # RDKit would answer with the whole molecule's
    changed.UpdatePropertyCache(strict=False)
    Chem.GetSymmSSSR(changed)
    return changed.GetMol()


def hide_each_atom(mol: Any) -> list[Any]:
    """Return a molecule for each atom, with that one hidden; see `hide_atoms`."""
    return [hide_atoms(mol, one) for one in np.eye(mol.GetNumAtoms(), dtype=bool)]
