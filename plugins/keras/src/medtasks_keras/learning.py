"""Training a network on plain tensors with a goal of several columns, and asking it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.adapting import Goal
from medtasks.model import Context
from medtasks_keras.backend import load_keras
from medtasks_keras.checkpoint import TrainingState

Array = npt.NDArray[Any]
Part = tuple[Array, Array]
"""Inputs (n, ...) and what is wanted (n, outputs), NaN where it is not known."""
ASKED = 256
"""Cases that are answered in one batch; the last is filled up, so that there is one shape."""


def learn(network: Any, config: Any, goal: Goal, train: Part, valid: Part, context: Context) -> None:
    """Train by Adam until validation has not improved for ``config.patience`` epochs; keep the best epoch's weights.

    The order of each epoch has a seed of its own, so that a training goes on from ``context.checkpoint`` in step.
    """
    keras = load_keras()
    on_tensorflow = keras.backend.backend() == "tensorflow"
    network.compile(keras.optimizers.Adam(config.rate), loss(goal), jit_compile=False if on_tensorflow else "auto")
    network.optimizer.build(network.trainable_variables)
    state = TrainingState(network, context.checkpoint / "network" if context.checkpoint else None)
    x, y = train[0], _with_known(train[1])
    batch, left = min(config.batch, len(x)), range(state.epoch, config.epochs)
    for epoch in context.progress.track(left, "epochs", len(left)):
        keras.utils.set_random_seed(_seed(context.seed, epoch))
        order = np.random.default_rng([context.seed, epoch]).permutation(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            rows = order[start : start + batch]
            network.train_on_batch(x[rows], y[rows])
        if len(valid[0]):
            state.after(epoch, badness(answer(network, valid[0], goal.outputs), valid[1], goal))
        else:
            state.after(epoch, -epoch)  # nothing to choose by: the last is taken
        if epoch - state.best_epoch >= config.patience or context.late():
            break
    state.restore_best()


def answer(network: Any, x: Array, outputs: int) -> Array:
    """Return (n, outputs): what the last, linear layer says."""
    found = [np.zeros((0, outputs))]
    for start in range(0, len(x), ASKED):
        part = x[start : start + ASKED]
        whole = np.zeros((ASKED, *part.shape[1:]), dtype=part.dtype)
        whole[: len(part)] = part
        found.append(np.asarray(network.predict_on_batch(whole), dtype=np.float64)[: len(part)])
    return np.concatenate(found)


def loss(goal: Goal) -> Callable[[Any, Any], Any]:
    """Return the loss of (n, 2 x outputs), what is wanted beside what is known, and of (n, outputs) logits."""
    ops = load_keras().ops
    classes, count = np.array(goal.binary, dtype=np.float32), goal.outputs

    def exclusive(wanted: Any, raw: Any) -> Any:
        return -ops.mean(ops.sum(wanted[:, :count] * ops.log_softmax(raw, axis=1), axis=1))

    def columns(wanted: Any, raw: Any) -> Any:
        value, known = wanted[:, :count], wanted[:, count:]
        each = classes * (ops.softplus(raw) - value * raw) + (1 - classes) * ops.square(raw - value)
        return ops.sum(each * known) / ops.maximum(ops.sum(known), 1.0)

    return exclusive if goal.exclusive else columns


def badness(raw: Array, wanted: Array, goal: Goal) -> float:
    """Return the same loss of answers to validation cases, by numpy."""
    if goal.exclusive:
        top = raw.max(axis=1, keepdims=True)
        each = -(raw - top - np.log(np.exp(raw - top).sum(axis=1, keepdims=True))) * wanted
        return float(each.sum() / len(raw))
    known = np.isfinite(wanted)
    value = np.where(known, wanted, 0.0)
    each = np.where(goal.binary, np.logaddexp(0, raw) - value * raw, (raw - value) ** 2)
    return float(each[known].mean()) if known.any() else 0.0


def _with_known(wanted: Array) -> Array:
    known = np.isfinite(wanted)
    return np.concatenate([np.where(known, wanted, 0.0), known], axis=1).astype(np.float32)


def _seed(seed: int, epoch: int) -> int:
    return int(np.random.default_rng([seed, epoch, 1]).integers(2**31))
