"""Molecules as descriptors, each family of RDKit's computed once: its own list computes some ten times over."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases import Molecules
from medtasks.cases.fingerprints import count_substructures

Columns = npt.NDArray[np.float32]

WIDTH = 1024
"""Columns that counts of substructures are folded to."""
REMEMBERED = 20_000
"""Molecules whose columns are kept in memory (130 MB), so that folds of the same data describe each only once."""
SUMS = (
    "MolLogP", "MolMR", "TPSA", "LabuteASA", "ExactMolWt", "FractionCSP3", "HallKierAlpha", "Kappa1", "Kappa2",
    "Kappa3", "Phi", "FormalCharge", "HBA", "HBD", "RotatableBonds", "Heterocycles", "AromaticRings", "SpiroAtoms",
    "BridgeheadAtoms", "StereoCentres", "AmideBonds",
)  # fmt: skip
"""The descriptors that are one number each."""
STATE_EDGES = (-0.39, 0.29, 0.717, 1.165, 1.54, 1.807, 2.05, 4.69, 9.17, 15.0)
"""Bins of the electrotopological state (Kier & Hall 1999), those of RDKit's EState_VSA."""
PAIRS = 315
"""Columns of the extended reduced graph (Stiefl et al. 2006, doi:10.1021/ci050457y)."""


def describe(mols: Iterable[Any]) -> Columns:
    """Return (n, columns): descriptors, then counts of substructures."""
    rows, kept = [], []
    for mol in mols:
        rows.append(_whole(mol))
        kept.append(mol)
    own = np.array(rows, dtype=np.float32).reshape(len(kept), len(names()))
    # charges of metals and the like can be infinite; trees treat a missing number as one
    own[~np.isfinite(own)] = np.nan
    return np.concatenate([own, count_substructures(kept, WIDTH)], axis=1)


def columns_of(molecules: Molecules, *, remember: bool = False) -> Columns:
    """Return `describe` of molecules, those met before from memory; with ``remember`` these are kept for later."""
    found: list[Any] = [_memory.get(data) for data in molecules.binaries]
    lacking = [row for row, columns in enumerate(found) if columns is None]
    for row, columns in zip(lacking, describe(map(molecules.mol, lacking)), strict=True):
        found[row] = columns
        if remember and len(_memory) < REMEMBERED:
            _memory[molecules.binaries[row]] = columns
    return np.array(found, dtype=np.float32).reshape(len(found), len(names()) + WIDTH)


_memory: dict[bytes, Columns] = {}


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of the descriptors, in order."""
    families = (("PEOE_VSA", 14), ("SMR_VSA", 10), ("SlogP_VSA", 12), ("MQN", 42), ("AUTOCORR2D", 192))
    numbered = [f"{name}{i + 1}" for name, count in families for i in range(count)]
    states = [f"EState_VSA{i + 1}" for i in range(len(STATE_EDGES) + 1)]
    return (*SUMS, *numbered, *states, "EStateMax", "EStateMin", *(f"ErG{i + 1}" for i in range(PAIRS)))


def _whole(mol: Any) -> list[float]:
    from rdkit.Chem import rdMolDescriptors
    from rdkit.Chem.rdReducedGraphs import GetErGFingerprint

    d = rdMolDescriptors
    return [
        *d.CalcCrippenDescriptors(mol),
        d.CalcTPSA(mol),
        d.CalcLabuteASA(mol),
        d.CalcExactMolWt(mol),
        d.CalcFractionCSP3(mol),
        d.CalcHallKierAlpha(mol),
        d.CalcKappa1(mol),
        d.CalcKappa2(mol),
        d.CalcKappa3(mol),
        d.CalcPhi(mol),
        sum(atom.GetFormalCharge() for atom in mol.GetAtoms()),
        d.CalcNumHBA(mol),
        d.CalcNumHBD(mol),
        d.CalcNumRotatableBonds(mol),
        d.CalcNumHeterocycles(mol),
        d.CalcNumAromaticRings(mol),
        d.CalcNumSpiroAtoms(mol),
        d.CalcNumBridgeheadAtoms(mol),
        d.CalcNumAtomStereoCenters(mol),
        d.CalcNumAmideBonds(mol),
        *d.PEOE_VSA_(mol),
        *d.SMR_VSA_(mol),
        *d.SlogP_VSA_(mol),
        *d.MQNs_(mol),
        *d.CalcAUTOCORR2D(mol),
        *_states(mol),
        *GetErGFingerprint(mol),
    ]


def _states(mol: Any) -> list[float]:
    """Return the surface of the atoms in each bin of electrotopological state, and the largest and smallest state."""
    from rdkit.Chem import rdMolDescriptors
    from rdkit.Chem.EState import EState

    states = EState.EStateIndices(mol, force=False)
    areas = np.array(rdMolDescriptors._CalcLabuteASAContribs(mol)[0])
    cells = np.searchsorted(STATE_EDGES, states, side="right")
    binned = np.bincount(cells, areas, len(STATE_EDGES) + 1)
    return [*binned.tolist(), float(states.max()), float(states.min())]
