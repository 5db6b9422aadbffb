"""Letting a fresh process fit or load a model and answer the toy test cases."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.testing.bench import Bench, child_environment, run_child
from medtasks.testing.report import Broken

PATIENCE = 300
"""Seconds that it has; importing a deep-learning library takes 10 of them."""
CUDA = "CUDA_VISIBLE_DEVICES"
_SEEN = os.environ.get(CUDA)
"""Its value at the start: models that were asked to do without a GPU may have hidden it from this process since."""
_CHILD = "import sys; from medtasks.testing.child import answer; answer(sys.argv[1])"


@dataclass(frozen=True)
class Answered:
    """What it answered, and what the model told (`Context.used`) of its `fit`, or of `predict` where it was loaded."""

    raw: npt.NDArray[Any]
    used: dict[str, Any]


def answered(bench: Bench, saved: Path, *, fit: bool = False, device: str = "cpu") -> Answered:
    """Load what was ``saved``, or fit a model and save it there, and answer; raises `Broken` where that fails."""
    place = bench.folder / f"{saved.name}-{'fitted' if fit else 'asked'}-on-{device}"
    place.mkdir(exist_ok=True)
    order, out = place / "order.json", place / "answers.npy"
    config = bench.config.model_dump(mode="json")
    content = {"model": bench.name, "config": config, "folder": str(saved), "out": str(out)}
    order.write_text(json.dumps({**content, "fit": fit, "device": device}), encoding="utf-8")
    try:
        done = run_child(_CHILD, str(order), PATIENCE, _environment())
    except subprocess.TimeoutExpired:
        raise Broken(f"a fresh process did not answer within {PATIENCE} s") from None
    if done.returncode or not out.is_file():
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise Broken(f"a fresh process could not {'fit' if fit else 'load'} it and answer: {last[0]}")
    used = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    return Answered(np.load(out, allow_pickle=False), used)


def _environment() -> dict[str, str]:
    plain = {name: value for name, value in child_environment().items() if name != CUDA}
    return plain if _SEEN is None else {**plain, CUDA: _SEEN}
