"""The network: directed message passing on bonds, in ``keras.ops`` alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks_keras import load_keras

keras = load_keras()
ops, layers = keras.ops, keras.layers


USUAL_SIZE = 25.0
"""Atoms of a usual drug, by which sums over atoms are divided."""
PROJECTED = 64
"""Width to which bulk properties are projected: four for each."""


class MessagePassing(keras.Model):  # type: ignore[misc, name-defined]  # Keras has no types
    """Directed message passing on bonds (D-MPNN; Yang et al. 2019, doi:10.1021/acs.jcim.9b00237).

    Takes what `Samples.x` makes, with the ``prints`` where these are asked for, and returns
    (places + 1, targets): standardised numbers, or the logits of being active.

    Every state is computed once for all atoms and bonds that share it; see `medtasks_mol_graph.refinement`.

    Parameters
    ----------
    binary
        For each target whether it is a class.
    hidden
        Width of messages and of the molecule's vector.
    depth
        Steps of message passing.
    dropout
        Share of units dropped in the feed-forward part.
    prints
        Width to which counts of substructures are projected; 0 where there are none.
    prints_dropout
        Share of these counts dropped.
    """

    def __init__(
        self,
        binary: Sequence[bool],
        *,
        hidden: int,
        depth: int,
        dropout: float,
        prints: int,
        prints_dropout: float,
    ) -> None:
        super().__init__()
        self.binary = np.array([binary], dtype=np.float32)
        self.hidden, self.depth = hidden, depth
        self.atom_in, self.bond_in = layers.Dense(hidden, use_bias=False), layers.Dense(hidden)
        self.message = layers.Dense(hidden, use_bias=False)
        self.atom_out, self.message_out = layers.Dense(hidden, use_bias=False), layers.Dense(hidden)
        self.prints = layers.Dense(prints, activation="relu") if prints else None
        # bulk properties count twice: beside the graph, and in a straight line, which holds beyond the usual sizes
        self.properties = layers.Dense(PROJECTED, activation="relu")
        self.line = layers.Dense(len(binary), use_bias=False)
        self.drop, self.drop_prints = layers.Dropout(dropout), layers.Dropout(prints_dropout)
        self.head = layers.Dense(hidden, activation="relu")
        self.answer = layers.Dense(len(binary), dtype="float32")

    def call(self, x: dict[str, Any], training: bool = False) -> Any:
        """Return (places + 1, targets)."""
        vector = self.drop(self.embed(x, training=training), training=training)
        return self.answer(self.drop(self.head(vector), training=training)) + self.line(x["properties"])

    def embed(self, x: dict[str, Any], training: bool = False) -> Any:
        """Return (places + 1, d): the mean and the sum over atoms, the projected properties and prints."""
        atoms = ops.take(self.atoms(x), x["atoms"], axis=0)
        total = ops.segment_sum(atoms, x["owner"], num_segments=ops.shape(x["sizes"])[0])
        parts = [total / x["sizes"], total / USUAL_SIZE, self.properties(x["properties"])]
        if self.prints is not None:
            parts.append(self.prints(self.drop_prints(x["prints"], training=training)))
        return ops.concatenate(parts, axis=1)

    def atoms(self, x: dict[str, Any]) -> Any:
        """Return (states, hidden) what the different atoms learnt of their surroundings."""
        atoms, bonds = self.atom_in(x["atom_table"]), self.bond_in(x["bond_table"])
        first = ops.relu(ops.take(atoms, x["first_atoms"], axis=0) + ops.take(bonds, x["first_bonds"], axis=0))
        edges = first
        for step in range(1, self.depth):
            heard = self._heard(self.message(edges), x, step)
            edges = ops.relu(ops.take(first, x[f"rows_{step}"], axis=0) + heard)
        own = ops.take(self.atom_out(x["atom_table"]), x[f"rows_{self.depth}"], axis=0)
        return ops.relu(own + self.message_out(self._heard(edges, x, self.depth)))

    def _heard(self, said: Any, x: dict[str, Any], step: int) -> Any:
        """Return (states, hidden): the sum of what reaches each state of a step."""
        links = ops.take(said, x[f"heard_{step}"], axis=0)
        return ops.segment_sum(links, x[f"by_{step}"], num_segments=ops.shape(x[f"rows_{step}"])[0])

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the mean over the measurements that there are of squared errors and log-losses.

        ``y`` holds ``value``, ``known`` (0 or 1) and ``bound`` (-1 where the true value is at most, 1 where it is at
        least this): beyond a bound there is no error.
        """
        value, known, bound = y["value"], y["known"], y["bound"]
        gap = y_pred - value
        gap = ops.where(bound * gap > 0, 0.0, gap)
        # log-loss from logits: log(1 + e^z) - y z
        loss = self.binary * (ops.softplus(y_pred) - value * y_pred) + (1 - self.binary) * ops.square(gap)
        return ops.sum(known * loss) / ops.maximum(ops.sum(known), 1.0)


def optimiser(rate: float, decay: float, steps: int) -> Any:
    """Return AdamW (Loshchilov & Hutter 2019) with a warm-up over a twentieth of the steps, then cosine decay."""
    warm = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 10, max(steps - warm, 1), alpha=0.01, warmup_target=rate, warmup_steps=warm
    )
    found = keras.optimizers.AdamW(schedule, weight_decay=decay, global_clipnorm=5.0)
    found.exclude_from_weight_decay(var_names=["bias"])
    return found


def weights_of(model: Any) -> list[npt.NDArray[Any]]:
    """Return copies of a network's weights."""
    return [np.asarray(weight) for weight in model.get_weights()]
