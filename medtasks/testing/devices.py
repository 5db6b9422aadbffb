"""Checks of the profile ``gpu``: each says what holds and how to mend it.

Each device works in a process of its own: a library that has once been told to do without the GPU does not find it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks import machine
from medtasks.model import Context
from medtasks.rounding import ROOM, TOLERANCE
from medtasks.saving import read_model
from medtasks.testing.bench import Bench
from medtasks.testing.fresh import Answered, answered
from medtasks.testing.learning import beats_guessing
from medtasks.testing.report import Absent, Broken, Skipped


def uses_gpu(bench: Bench) -> None:
    """Asked for a GPU, `fit` and `predict` use one and say so: `context.used["device"]` is `gpu`, or tells how many.

    To mend: put the network and its inputs on the device that `context.device` names, never fall back in silence, and
    tell it by `context.used.update(device="gpu")` where the device is chosen.
    """
    for during, done in (("fit", _fitted(bench, "gpu")), ("predict, after load,", _asked(bench, "cpu", "gpu"))):
        told = str(done.used.get("device", "nothing"))
        if "gpu" not in told:
            raise Broken(f"asked for a GPU, {during} told of {told}")


def answers_on_gpu(bench: Bench) -> None:
    """A model that was fitted on the CPU answers on a GPU as it does on the CPU.

    To mend: let nothing but the place of the numbers depend on the device; compute in float32 where answers are summed
    or compared.
    """
    _agree(_fitted(bench, "cpu").raw, _asked(bench, "cpu", "gpu").raw)


def fitted_on_gpu(bench: Bench) -> None:
    """A model that was fitted on a GPU answers on the CPU as it does there: a bundle serves machines without one.

    To mend: bring arrays to the CPU before `save`, and let `load` put them where `context.device` says.
    """
    _agree(_fitted(bench, "gpu").raw, _asked(bench, "gpu", "cpu").raw)


def learns_on_gpu(bench: Bench) -> None:
    """What is fitted on a GPU beats guessing on the toy data, as what is fitted on the CPU does (`learns`).

    To mend: look for what differs in training by device: precision, the size of a batch, the loss.
    """
    _fitted(bench, "gpu")
    context = Context(bench.context.seed, "cpu", scratch=bench.context.scratch)
    model = read_model(bench.model, bench.name, _place(bench, "gpu"), bench.config, context)
    beats_guessing(bench, bench.decided(model, bench.train, bench.valid))


def _place(bench: Bench, home: str) -> Path:
    return bench.folder / f"of-{home}"


def _fitted(bench: Bench, home: str) -> Answered:
    """Return what a model answers where it was fitted."""
    _possible(bench)
    return bench.once(f"fit on {home}", lambda: answered(bench, _place(bench, home), fit=True, device=home))


def _asked(bench: Bench, home: str, device: str) -> Answered:
    """Return what a model that was fitted on one device answers when it is loaded on another."""
    _fitted(bench, home)
    return bench.once(
        f"predict on {device}, fitted on {home},", lambda: answered(bench, _place(bench, home), device=device)
    )


def _possible(bench: Bench) -> None:
    if "gpu" not in bench.model.devices:
        raise Absent("the model runs on the CPU alone (Model.devices)")
    if machine.gpu() is None:
        raise Skipped("there is no GPU here: nvidia-smi names none")


def _agree(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> None:
    if one.shape != other.shape or not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise Broken(f"answers have the shapes {one.shape} and {other.shape}, or are not finite")
    room = max(ROOM * float(np.ptp(one)), TOLERANCE * float(np.abs(one).max()))
    gap = float(np.abs(one - other).max())
    if gap > room:
        raise Broken(f"answers of CPU and GPU differ by up to {gap:.3g}; rounding explains {room:.3g}")
