"""Fitting one network, and asking it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.model import Context
from medtasks_keras import Device, TrainingState, learner, load_keras, renew
from medtasks_treatment_set.config import MedicationSetConfig
from medtasks_treatment_set.linear import Codes, Values, base_rates, losses
from medtasks_treatment_set.network import Shape, build, optimiser

Array = npt.NDArray[Any]
ASKED = 512
"""Patients that are answered in one batch."""
LEAST = 10
"""Steps between two looks at the fold left out: of few patients a pass is a step or two, and looking takes longer."""


@functools.lru_cache(maxsize=2)
def reader(shape: Shape, device: Device) -> Any:
    """Return a network that answers with whatever weights it is given; all of one shape share it."""
    network = build(shape)
    network.compile(jit_compile=False if load_keras().backend.backend() == "tensorflow" else "auto")
    return network


@functools.lru_cache(maxsize=1)
def _learner(shape: Shape, rate: float, decay: float, steps: int, device: Device) -> Any:
    """Return a network compiled for training; all folds share it, traced once."""
    return learner(build(shape), optimiser(rate, decay, steps), device)


def ask(network: Any, features: Array) -> Values:
    """Return (n, medicines) log-odds."""
    found = [np.zeros((0, network.shape.medicines))]
    for start in range(0, len(features), ASKED):
        part = features[start : start + ASKED].astype(np.float32)
        size = min(ASKED, 1 << (len(part) - 1).bit_length())  # few sizes, of which each is traced once
        padded = np.concatenate([part, np.zeros((size - len(part), part.shape[1]), dtype=np.float32)])
        found.append(np.asarray(network.predict_on_batch(padded), dtype=np.float64)[: len(part)])
    return np.concatenate(found)


def fit_network(
    config: MedicationSetConfig,
    shape: Shape,
    features: Values,
    targets: Values,
    structures: Array | None,
    *,
    rest: Codes,
    part: Codes,
    half: npt.NDArray[np.bool_],
    seed: int,
    device: Device,
    context: Context,
) -> tuple[list[Array], Values]:
    """Train a network on the rows ``rest``, until its log-loss on the rows ``part`` no longer falls.

    Returns
    -------
    weights, answers
        Those of the epoch that did best on ``part``; and the log-odds of ``part``, those of each ``half`` from the
        epoch that did best on the other: an epoch chosen on the very patients would flatter the network.
    """
    keras = load_keras()
    batch = min(config.batch or int(np.clip(len(rest) // 50, 32, 256)), len(rest))
    steps = max(LEAST, len(rest) // batch)
    epochs = min(max(config.epochs * len(rest) // batch, config.least_steps), config.most_steps) // steps
    answers = np.where(np.isfinite(targets), targets, -1).astype(np.float32)
    X = features.astype(np.float32)
    with device.scope():
        # Folds differ by a few rows; a round number of steps lets them share one traced network.
        network = _learner(shape, config.rate, config.decay, -(-steps * epochs // 100) * 100, device)
        keras.utils.set_random_seed(seed)
        fresh = build(shape)
        fresh.base.assign(base_rates(targets[rest]).astype(np.float32))
        if structures is not None:
            fresh.described.assign(structures.astype(np.float32))
        renew(network, fresh)
        state, unseen = TrainingState(network, None), np.zeros((len(part), shape.medicines))
        lowest = {True: np.inf, False: np.inf}
        for epoch in range(max(1, epochs)):
            for rows in _batches(rest, batch, steps, np.random.default_rng([seed, epoch])):
                network.train_on_batch(X[rows], answers[rows])
            answer = ask(network, X[part])
            loss = losses(answer, targets[part])
            for side in (True, False):
                here = loss[half != side].mean() if (half != side).any() else loss.mean()
                if here < lowest[side]:
                    lowest[side], unseen[half == side] = here, answer[half == side]
            state.after(epoch, float(loss.mean()))
            if epoch - state.best_epoch >= max(3, config.patience * epochs) or context.late():
                break
        state.restore_best()
        return [np.asarray(weight) for weight in network.get_weights()], unseen


def _batches(rest: Codes, batch: int, steps: int, rng: np.random.Generator) -> Iterator[Codes]:
    """Yield so many batches, going through all rows before one comes again, as near as whole batches allow."""
    each = len(rest) // batch
    for step in range(steps):
        if step % each == 0:
            order = rng.permutation(rest)
        start = step % each * batch
        yield order[start : start + batch]
