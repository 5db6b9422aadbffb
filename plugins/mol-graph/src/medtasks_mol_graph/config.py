"""Hyper-parameters."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from medtasks.model import Config


class MolGraphConfig(Config):
    """Hyper-parameters of `activity.mol-graph`."""

    hidden: int = Field(default=128, ge=4)
    """Width of the messages on bonds and of the molecule's vector."""
    depth: int = Field(default=3, ge=1, le=12)
    """Steps of message passing: how many bonds far an atom sees."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of units dropped in training, in the feed-forward part."""
    prints: int = Field(default=64, ge=0)
    """Width to which counts of substructures (Morgan, radius 2) are projected beside the graph; 0 leaves them out. They
    help where small changes matter (ligands of one protein) and harm where molecules of other kinds are asked for
    (solubility): so there are two kinds of network, weighed on validation molecules."""
    prints_for: Literal["second", "all"] = "second"
    """Which networks see the counts: every second one, or all."""
    prints_dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of the counts dropped in training: there are more of them than most data sets have molecules."""
    members: int = Field(default=2, ge=1, le=20)
    """Networks whose answers are averaged, each weighted by how it answers validation molecules."""
    epochs: int = Field(default=50, ge=1)
    """Passes over the training molecules."""
    least_steps: int = Field(default=1000, ge=0)
    """Small data get more epochs until training has this many steps; 0 keeps to `epochs`."""
    batch: int = Field(default=64, ge=1)
    """Molecules per step."""
    rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate of AdamW."""
    decay: float = Field(default=1e-5, ge=0)
    """Weight decay of AdamW, on kernels alone."""
    most_steps: int = Field(default=30_000, ge=1)
    """Large data get fewer epochs, so that training has about this many steps at most."""

    def of_member(self, member: int) -> Self:
        """Return the parameters of one network: the first sees no counts of substructures, the second does, and so on.

        >>> [MolGraphConfig(members=3).of_member(i).prints for i in range(3)]
        [0, 64, 0]
        """
        return self if member % 2 or self.prints_for == "all" else self.model_copy(update={"prints": 0})
