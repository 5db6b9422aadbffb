"""Networks that learn several times: compiled and traced once, brought back to the start for each fold or member."""

from __future__ import annotations

from typing import Any

from medtasks_keras.backend import Device, load_keras


def learner(network: Any, optimizer: Any, device: Device) -> Any:
    """Compile a network for training and return it.

    On TensorFlow's CPU XLA took nearly twice as long a step as none, and seconds for each shape: it is for GPUs there.
    """
    network.compile(
        optimizer=optimizer,
        jit_compile="auto" if load_keras().backend.backend() != "tensorflow" else device.kind == "gpu",
    )
    network.optimizer.build(network.trainable_variables)
    return network


def renew(network: Any, fresh: Any) -> None:
    """Bring a network and its optimizer to the state of an untrained one, ``fresh``."""
    ops = load_keras().ops
    for mine, theirs in zip(network.variables, fresh.variables, strict=True):
        mine.assign(theirs)
    for variable in network.optimizer.variables:
        variable.assign(ops.zeros(variable.shape, dtype=variable.dtype))
