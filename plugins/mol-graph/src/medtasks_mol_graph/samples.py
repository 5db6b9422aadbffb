"""What the network learns from: graphs, prints, and targets on a common scale."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import Molecules
from medtasks.cases.fingerprints import Counts, count_substructures
from medtasks.cases.properties import BULK, Scaling, bulk_properties
from medtasks.dataset import Dataset
from medtasks_mol_graph.config import MolGraphConfig
from medtasks_mol_graph.graphs import Batch, Graphs

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

WIDTH = 1024
"""Columns that counts of substructures are folded to."""


@dataclass(frozen=True)
class Scale:
    """How targets are brought to mean 0 and variance 1; classes stay 0 and 1.

    Attributes
    ----------
    binary : (t,) whether a target is a class
    middle, spread : (t,) what numbers are moved and divided by
    """

    binary: npt.NDArray[np.bool_]
    middle: Values
    spread: Values

    @classmethod
    def of(cls, train: Dataset) -> Self:
        """Read the scale off training data, each target off its own measurements."""
        binary = np.array([kind == "binary" for kind in train.kinds])
        middle, spread = np.nanmean(train.targets, axis=0), np.nanstd(train.targets, axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        return cls(binary, np.where(binary, 0.0, middle), np.where(binary, 1.0, spread))

    def answers(self, raw: Values) -> Values:
        """Turn the network's numbers into the targets' own, and logits into probabilities."""
        from scipy.special import expit

        return np.where(self.binary, expit(raw), raw * self.spread + self.middle)


@dataclass(frozen=True)
class Samples:
    """Molecules as the network sees them, with standardised targets where there are some.

    Attributes
    ----------
    graphs : n molecules
    properties : (n, 14) standardised
    prints : (n, `WIDTH`) log(1 + count) of substructures, or None where the network takes none
    value, known, bound : (n, t) standardised, 0 where missing; 1 where measured; see `Dataset.extra`'s censoring
    """

    graphs: Graphs
    properties: npt.NDArray[np.float32]
    prints: Counts | None
    value: npt.NDArray[np.float32]
    known: npt.NDArray[np.float32]
    bound: npt.NDArray[np.float32]

    @classmethod
    def of(cls, cases: Molecules, scaling: Scaling, *, with_prints: bool, targets: int) -> Self:
        """Make samples of molecules without targets."""
        nothing = np.zeros((len(cases), targets), dtype=np.float32)
        prints = np.log1p(count_substructures(cases, WIDTH)) if with_prints else None
        return cls(Graphs.of(cases), properties_of(cases, scaling), prints, nothing, nothing, nothing)

    @classmethod
    def learnt(cls, data: Dataset, scale: Scale, scaling: Scaling, *, with_prints: bool) -> Self:
        """Make samples of molecules with their targets."""
        assert isinstance(data.cases, Molecules)
        bare = cls.of(data.cases, scaling, with_prints=with_prints, targets=len(data.names))
        known = np.isfinite(data.targets)
        value = np.where(known, (data.targets - scale.middle) / scale.spread, 0)
        known_and_more = (array.astype(np.float32) for array in (value, known, data.bounds))
        return cls(bare.graphs, bare.properties, bare.prints, *known_and_more)

    def __len__(self) -> int:
        return len(self.graphs)

    def seen_by(self, config: MolGraphConfig) -> Self:
        """Return what a network of these parameters takes: without prints if it sees none."""
        return self if config.prints else replace(self, prints=None)

    def x(self, rows: Rows, places: int, depth: int, *, even: bool = False) -> Batch:
        """Return some molecules as the network takes them, with room for ``places``; see `Graphs.batch`."""
        batch = self.graphs.batch(rows, places, depth, even=even)
        batch["properties"] = _roomy(self.properties[rows], places + 1, len(BULK))
        if self.prints is not None:
            batch["prints"] = _roomy(self.prints[rows], places + 1, WIDTH)
        return batch

    def y(self, rows: Rows, places: int) -> dict[str, Any]:
        """Return their targets as the network's loss takes them."""
        width = self.value.shape[1]
        return {name: _roomy(getattr(self, name)[rows], places + 1, width) for name in ("value", "known", "bound")}


def properties_of(mols: Molecules | Iterable[Any], scaling: Scaling) -> npt.NDArray[np.float32]:
    """Return (n, 14) standardised bulk properties of molecules or RDKit molecules."""
    return scaling.apply(bulk_properties(mols)).astype(np.float32)


def _roomy(values: npt.NDArray[np.float32], rows: int, width: int) -> npt.NDArray[np.float32]:
    out = np.zeros((rows, width), dtype=np.float32)
    out[: len(values)] = values
    return out
