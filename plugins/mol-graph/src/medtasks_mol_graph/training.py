"""Fitting one network, and asking it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases import Molecules
from medtasks.cases.images import parallel
from medtasks.cases.properties import Scaling, bulk_properties
from medtasks.model import Context
from medtasks_keras import Device, TrainingState, learner, load_keras, renew
from medtasks_mol_graph.config import MolGraphConfig
from medtasks_mol_graph.graphs import Batch, room_for
from medtasks_mol_graph.network import MessagePassing, optimiser, weights_of
from medtasks_mol_graph.samples import Rows, Samples, Scale, Values

Array = npt.NDArray[Any]
ASKED = 2048
"""Molecules that are answered in one batch: the more, the more of their atoms and bonds are alike."""


def build(config: MolGraphConfig, binary: tuple[bool, ...]) -> Any:
    """Return an untrained network whose weights exist; ``binary`` says of each target whether it is a class."""
    network = MessagePassing(
        binary,
        hidden=config.hidden,
        depth=config.depth,
        dropout=config.dropout,
        prints=config.prints,
        prints_dropout=config.prints_dropout,
    )
    carbon = Molecules.from_smiles(["C"])
    scaling = Scaling.of(bulk_properties(carbon))
    one = Samples.of(carbon, scaling, with_prints=config.prints > 0, targets=len(binary))
    network(one.x(np.arange(1), 1, config.depth))
    return network


@functools.lru_cache(maxsize=2)  # the two kinds of member
def reader(config: MolGraphConfig, binary: tuple[bool, ...], device: Device) -> Any:
    """Return a network that answers with whatever weights it is given; all of one shape share it.

    Nothing is compiled by XLA: that takes seconds for each shape of a batch, which a prediction never earns back.
    """
    network = build(config, binary)
    network.compile(jit_compile=False if load_keras().backend.backend() == "tensorflow" else "auto")
    return network


@functools.lru_cache(maxsize=2)  # the two kinds of member
def _learner(config: MolGraphConfig, binary: tuple[bool, ...], steps: int, device: Device) -> Any:
    """Return a network compiled for training; the folds and members of one model share it, traced once."""
    return learner(build(config, binary), optimiser(config.rate, config.decay, steps), device)


def ask(members: Sequence[tuple[Any, list[Array]]], samples: Samples) -> Values:
    """Return (members, n, targets): what networks say with their weights, standardised or logits."""
    found: list[Values] = [np.zeros((len(members), 0, samples.value.shape[1]))]
    for rows, x in _batches(samples, members[0][0].depth):
        answers: list[Values] = []
        for network, weights in members:
            network.set_weights(weights)
            answers.append(np.asarray(network.predict_on_batch(_seen_by(network, x)), dtype=np.float64)[: len(rows)])
        found.append(np.array(answers))
    return np.concatenate(found, axis=1)


def embed(network: Any, samples: Samples) -> Values:
    """Return (n, d): the vector of each molecule from which its answer is read."""
    ops, found = load_keras().ops, []
    for rows, x in _batches(samples, network.depth):
        tensors = {name: ops.convert_to_tensor(values) for name, values in _seen_by(network, x).items()}
        found.append(ops.convert_to_numpy(network.embed(tensors)).astype(np.float64)[: len(rows)])
    return np.concatenate(found)


def _batches(samples: Samples, depth: int) -> Iterator[tuple[Rows, Batch]]:
    even = load_keras().backend.backend() == "jax"  # which compiles anew for each shape
    for start in range(0, len(samples), ASKED):
        rows = np.arange(start, min(start + ASKED, len(samples)))
        yield rows, samples.x(rows, room_for(len(rows)), depth, even=even)


def _seen_by(network: Any, x: Batch) -> Batch:
    """Return what a network takes: without prints if it sees none."""
    return {name: values for name, values in x.items() if name != "prints" or network.prints is not None}


def fit(
    config: MolGraphConfig,
    train: Samples,
    scale: Scale,
    *,
    seed: int,
    device: Device,
    context: Context,
    place: str,
) -> list[Array]:
    """Train one network and return its weights after the last epoch, when the learning rate has come down to nothing.

    A validation part of a hundred molecules chooses an epoch no better: on scaffold folds of ESOL, FreeSolv, BACE and
    CHEMBL2321810 the epoch chosen by it erred more than the last one, by 1 to 3 %.

    The seed of each epoch is its own, so that a training that goes on from a checkpoint ends with the very weights of
    one that was never interrupted (on one CPU).
    """
    keras = load_keras()
    batch = min(config.batch, len(train))
    train, steps = train.seen_by(config), max(1, len(train) // batch)
    epochs = min(max(config.epochs, -(-config.least_steps // steps)), max(1, config.most_steps // steps))
    binary = tuple(scale.binary.tolist())

    def learnt(rows: Rows) -> tuple[Batch, Batch]:
        return train.x(rows, batch, config.depth, even=True), train.y(rows, batch)

    with device.scope():
        network = _learner(config, binary, steps * epochs, device)
        keras.utils.set_random_seed(seed)
        renew(network, build(config, binary))
        state = TrainingState(network, context.checkpoint / place if context.checkpoint else None)
        for epoch in context.progress.track(range(state.epoch, epochs), place, epochs - state.epoch):
            order = np.random.default_rng([seed, epoch]).permutation(len(train))
            parts = [order[i * batch : (i + 1) * batch] for i in range(steps)]
            for x, y in parallel(learnt, parts):
                network.train_on_batch(x, y)
            state.after(epoch, -epoch)  # the last is the best
            if context.late():
                break
        return weights_of(network)
