"""Toy molecules of the task ``activity``, whose cause is known; see `medtasks.testing`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases import Molecules
from medtasks.dataset import Dataset, Origin

CAUSE = "C#N"
"""The group that makes a molecule active: a nitrile."""
DECOYS = ("C", "Cl", "F", "OC", "CC", "N(C)C")
TAILS = ("C", "CC", "CCC", "CC(C)", "COCC", "CN(C)CC", "C1CCCC1", "C1CCOC1", "CSC", "CCCC", "CC(C)C", "OCC")
LINKS = ("", "O", "C(=O)N", "NC(=O)", "S(=O)(=O)N", "C", "N(C)", "CO")
RINGS = ("c1ccc({})c({})c1", "c1ccc({})cc1{}", "c1cnc({})c({})c1", "c1sc({})cc1{}")
UNMEASURED = 0.05
"""Share of each target's measurements that are missing."""


def draw(accepts: str, n: int, seed: int) -> Dataset | None:
    """Draw ``n`` different molecules, with a number and a class that both rise with a nitrile.

    ``extra["cause"]`` marks the atoms of the nitrile, none where there is none.
    """
    if accepts != "molecules":
        return None
    rng = np.random.default_rng(seed)
    found: dict[str, bool] = {}
    while len(found) < n:
        planted = len(found) % 2 == 1
        ring, tail, link, decoy = (parts[int(rng.integers(len(parts)))] for parts in (RINGS, TAILS, LINKS, DECOYS))
        found.setdefault(tail + link + ring.format(CAUSE if planted else DECOYS[int(rng.integers(6))], decoy), planted)
    texts = [list(found)[i] for i in rng.permutation(n)]
    planted_in = np.array([found[text] for text in texts])
    cases = Molecules.from_smiles(texts, [f"TOYCASE-{seed}-{i:05d}" for i in range(n)])
    number = 5 + 2 * planted_in + rng.normal(0, 0.2, n)
    targets = np.column_stack([number, planted_in.astype(np.float64)])
    targets[rng.random(targets.shape) < UNMEASURED] = np.nan
    return Dataset(
        cases,
        targets,
        names=("pIC50", "hit"),
        kinds=("number", "binary"),
        extra={"cause": _marked(cases)},
        origin=Origin("toy", synthetic=True),
    )


def _marked(cases: Molecules) -> npt.NDArray[Any]:
    from rdkit import Chem

    group = Chem.MolFromSmarts(CAUSE)
    marks = np.empty(len(cases), dtype=object)  # molecules differ in their number of atoms
    for i, mol in enumerate(cases.mols()):
        marks[i] = np.zeros(mol.GetNumAtoms(), dtype=bool)
        marks[i][[atom for match in mol.GetSubstructMatches(group) for atom in match]] = True
    return marks
