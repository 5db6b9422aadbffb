"""Pairs drawn by chance, whose cause is known: for the demonstration and for the conformance kit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases import Molecules
from medtasks.dataset import Dataset, NamedDataset, Origin
from medtasks.errors import DataError
from target_affinity.pairs import RESIDUES, Pairs

CHARGED = {-1: "DE", 0: "", 1: "KR"}
"""Residues that abound in a protein by the charge of its pocket."""
BASIC, ACID = ("CN(C)CC", "NCC", "C1CCNCC1", "CNC"), ("OC(=O)C", "OC(=O)CC")
NEUTRAL = ("CC(C)", "COC", "CCC", "C1CCCC1")
RINGS = ("c1ccc({})cc1", "c1ccc({})cc1C", "c1ccc({})cc1F", "c1ccnc({})c1", "c1sc({})cc1", "c1ccc2cc({})ccc2c1")
TAILS = ("C", "OC", "Cl", "C(F)(F)F", "NC(C)=O", "C#N", "CC", "S(C)(=O)=O")
KEPT = 0.92
"""Residues that members of a family share with its founder."""


class Pockets(NamedDataset):
    """Charged molecules and charged pockets, drawn by chance: opposite charges attract, and nothing else matters much.

    60 molecules and 75 proteins of 25 families, of which each pair is measured with a probability of 0.4.
    """

    title = "Synthetic affinities of charged molecules and pockets"

    def load(self, variant: str | None, *, cache: Path, seed: int) -> Dataset:
        """Draw the pairs."""
        if variant is not None:
            raise DataError(f"there is no variant {variant!r}", hint="leave it out")
        return draw(np.random.default_rng(seed), 60, 25, 3, 0.4, f"PAIR-{seed}", self.title)


def toy(n: int, seed: int) -> Dataset:
    """Draw ``n`` pairs for the conformance kit: molecules that bind everything better, and pockets that do."""
    rng = np.random.default_rng(seed)
    whole = draw(rng, 40, 20, 1, 1.0, f"TOYCASE-{seed}", "toy", plain=2.0)
    return whole.take(rng.choice(len(whole), n, replace=False))


def draw(
    rng: np.random.Generator,
    molecules: int,
    families: int,
    members: int,
    measured: float,
    mark: str,
    title: str,
    plain: float = 0.25,
) -> Dataset:
    """Draw pairs with pKd = 6 - 1.2 m p + plain (m - p) / 2 + noise, m and p being the charges (-1, 0, 1).

    Parameters
    ----------
    molecules, families, members
        How many molecules, families of proteins, and proteins in each.
    measured
        Share of the pairs with a measurement.
    mark
        What ids begin with.
    plain
        How much charges matter whatever the partner.
    """
    texts, of_molecule = _molecules(rng, molecules)
    sequences, of_pocket = _proteins(rng, families, members)
    rows, columns = np.nonzero(rng.random((len(texts), len(sequences))) < measured)
    one, other = of_molecule[rows], of_pocket[columns]
    pkd = 6 - 1.2 * one * other + plain * (one - other) / 2 + rng.normal(0, 0.35, len(rows))
    ids = [f"{mark}-{i:05d}" for i in range(len(rows))]
    held = Molecules.from_smiles(texts).take(rows)
    cases = Pairs(ids, Molecules(ids, held.binaries), [sequences[i] for i in columns])
    origin = Origin("target-affinity.pockets", title=title, synthetic=True)
    return Dataset(cases, np.round(pkd, 2)[:, None], names=("pKd",), kinds=("number",), origin=origin)


def _molecules(rng: np.random.Generator, n: int) -> tuple[list[str], npt.NDArray[np.float64]]:
    found: dict[str, int] = {}
    while len(found) < n:
        charge = (-1, 0, 1)[len(found) % 3]
        heads = {-1: ACID, 0: NEUTRAL, 1: BASIC}[charge]
        head, ring, tail = (parts[int(rng.integers(len(parts)))] for parts in (heads, RINGS, TAILS))
        found.setdefault(f"{head}{ring.format(tail)}", charge)
    return list(found), np.array(list(found.values()), dtype=np.float64)


def _proteins(rng: np.random.Generator, families: int, members: int) -> tuple[list[str], npt.NDArray[np.float64]]:
    sequences, charges = [], []
    letters = np.array(list(RESIDUES))
    for family in range(families):
        charge = (-1, 0, 1)[family % 3]
        share = np.array([3.0 if letter in CHARGED[charge] else 1.0 for letter in RESIDUES]) * rng.uniform(0.7, 1.3, 20)
        length = int(rng.integers(150, 300))
        founder = rng.choice(letters, length, p=share / share.sum())
        for _ in range(members):
            drift: Any = rng.choice(letters, length, p=share / share.sum())
            sequences.append("".join(np.where(rng.random(length) < KEPT, founder, drift)))
            charges.append(charge)
    return sequences, np.array(charges, dtype=np.float64)
