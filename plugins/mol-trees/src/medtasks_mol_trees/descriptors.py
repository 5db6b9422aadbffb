"""Molecules as descriptors, each family of RDKit's computed once: its own list computes some ten times over."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases import Molecules
from medtasks.cases.fingerprints import count_substructures
from medtasks.cases.properties import (
    PROPERTIES,
    QUANTUM_NUMBERS,
    crippen_shares,
    measure_properties,
    quantum_numbers,
)

Columns = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

WIDTH = 1024
"""Columns that counts of substructures are folded to."""
REMEMBERED = 20_000
"""Molecules whose columns are kept in memory (130 MB), so that folds of the same data describe each only once."""
SHAPES = (
    "HallKierAlpha", "Kappa1", "Kappa2", "Kappa3", "Phi", "Heterocycles", "SpiroAtoms", "BridgeheadAtoms",
    "StereoCentres",
)  # fmt: skip
"""The descriptors that are one number each, beside the bulk properties that other models share."""
STATE_EDGES = (-0.39, 0.29, 0.717, 1.165, 1.54, 1.807, 2.05, 4.69, 9.17, 15.0)
"""Bins of the electrotopological state (Kier & Hall 1999), those of RDKit's EState_VSA."""
LIPOPHILICITY_EDGES = (-0.4, -0.2, 0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
REFRACTION_EDGES = (1.29, 1.82, 2.24, 2.45, 2.75, 3.05, 3.63, 3.8, 4.0)
"""Bins of atoms' shares of lipophilicity and refraction (Labute 2000, doi:10.1016/S1093-3263(00)00068-1): RDKit's of
SlogP_VSA and SMR_VSA."""
NOBLE = (2, 10, 18, 36, 54, 86)
"""Elements that end a period."""


def describe(molecules: Molecules) -> Columns:
    """Return (n, columns): descriptors, then counts of substructures."""
    blocks = (
        measure_properties(molecules),
        np.array(
            [_own(mol, shares) for mol, shares in zip(molecules.mols(), crippen_shares(molecules), strict=True)],
            dtype=np.float64,
        ).reshape(len(molecules), -1),
        quantum_numbers(molecules),
    )
    own = np.concatenate(blocks, axis=1).astype(np.float32)
    # charges of metals and the like can be infinite; trees treat a missing number as one
    own[~np.isfinite(own)] = np.nan
    return np.concatenate([own, count_substructures(molecules, WIDTH)], axis=1)


def columns_of(molecules: Molecules, *, remember: bool = False) -> Columns:
    """Return `describe` of molecules, those met before from memory; with ``remember`` these are kept for later."""
    found: list[Any] = [_memory.get(data) for data in molecules.binaries]
    lacking = np.array([row for row, columns in enumerate(found) if columns is None], dtype=np.int64)
    if not len(lacking):
        return np.array(found, dtype=np.float32).reshape(len(found), len(names()) + WIDTH)
    fresh = describe(molecules if len(lacking) == len(molecules) else molecules.take(lacking))
    if remember:
        room = max(0, REMEMBERED - len(_memory))
        _memory.update((molecules.binaries[row], columns) for row, columns in zip(lacking[:room], fresh, strict=False))
    if len(lacking) == len(molecules):
        return fresh
    for row, columns in zip(lacking, fresh, strict=True):
        found[row] = columns
    return np.array(found, dtype=np.float32)


_memory: dict[bytes, Columns] = {}


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of the descriptors, in order."""
    families = (("PEOE_VSA", 14), ("SMR_VSA", 10), ("SlogP_VSA", 12), ("EState_VSA", len(STATE_EDGES) + 1))
    numbered = [f"{name}{i + 1}" for name, count in families for i in range(count)]
    numbers = [f"MQN{i + 1}" for i in range(QUANTUM_NUMBERS)]
    return (*PROPERTIES, *SHAPES, *numbered, "EStateMax", "EStateMin", *numbers)


def _own(mol: Any, shares: Values) -> list[float]:
    from rdkit.Chem import GetDistanceMatrix, rdMolDescriptors

    d = rdMolDescriptors
    distances = GetDistanceMatrix(mol)
    areas, states = np.array(d._CalcLabuteASAContribs(mol)[0]), _states(mol, distances)
    return [
        *_kappas(mol, distances == 1),
        d.CalcNumHeterocycles(mol),
        d.CalcNumSpiroAtoms(mol),
        d.CalcNumBridgeheadAtoms(mol),
        d.CalcNumAtomStereoCenters(mol),
        *d.PEOE_VSA_(mol),
        *_surface(areas, shares[:, 1], REFRACTION_EDGES),
        *_surface(areas, shares[:, 0], LIPOPHILICITY_EDGES),
        *_surface(areas, states, STATE_EDGES),
        float(states.max()),
        float(states.min()),
    ]


def _kappas(mol: Any, bonded: npt.NDArray[np.bool_]) -> list[float]:
    """Return the Hall-Kier alpha, the shape indices kappa 1 to 3 and the flexibility phi (Hall & Kier 1991,
    doi:10.1002/9780470125793.ch9), as RDKit defines them, which counts paths by walking them: ten times slower.

    A path of two bonds is a pair of neighbours of an atom; one of three is a bond with another at each end. RDKit
    counts a ring of three atoms as one path of three bonds: of the three that it holds two are taken away.
    """
    from rdkit.Chem import rdMolDescriptors

    alpha, atoms = rdMolDescriptors.CalcHallKierAlpha(mol), mol.GetNumHeavyAtoms()
    if atoms < len(bonded):  # hydrogens of their own, which paths leave out
        d = rdMolDescriptors
        return [alpha, d.CalcKappa1(mol), d.CalcKappa2(mol), d.CalcKappa3(mol), d.CalcPhi(mol)]
    links = bonded.astype(np.float64)
    others = links.sum(axis=0) - 1
    twos = float((others * (others + 1)).sum()) / 2
    threes = float(others @ links @ others) / 2 - float((links @ links * links).sum()) / 3
    one = rdMolDescriptors.CalcKappa1(mol)
    size = atoms + alpha
    two = (size - 1) * (size - 2) ** 2 / (twos + alpha) ** 2 if twos + alpha else 0.0
    product = (size - 1 if atoms % 2 else size - 2) * (size - 3) ** 2
    three = product / (threes + alpha) ** 2 if threes + alpha else 0.0
    return [alpha, one, two, three, one * two / atoms]


def _surface(areas: Values, values: Values, edges: tuple[float, ...]) -> list[float]:
    """Return the surface of the atoms whose value lies in each bin."""
    cells = np.searchsorted(edges, values, side="right")
    found: list[float] = np.bincount(cells, areas, len(edges) + 1).tolist()
    return found


def _states(mol: Any, distances: Values) -> Values:
    """Return each atom's electrotopological state (Hall, Mohney & Kier 1991, doi:10.1021/ci00001a012), which RDKit has
    in Python alone."""
    atoms = map(mol.GetAtomWithIdx, range(mol.GetNumAtoms()))
    own = np.array([_intrinsic(atom.GetAtomicNum(), atom.GetTotalNumHs(), atom.GetDegree()) for atom in atoms])
    apart = (distances + 1) ** 2
    apart[distances > len(own)] = np.inf  # in another fragment
    return np.asarray(own + ((own[:, None] - own) / apart).sum(axis=1))


@functools.cache
def _intrinsic(number: int, hydrogens: int, degree: int) -> float:
    """Return what an atom's state is by itself: from its valence electrons, its period and its neighbours."""
    from rdkit.Chem import GetPeriodicTable

    if degree == 0:
        return 0.0
    period = 1 + sum(number > last for last in NOBLE)
    return float((4 / period**2 * (GetPeriodicTable().GetNOuterElecs(number) - hydrogens) + 1) / degree)
