"""How far a training is: kept after each epoch, taken up again when it starts anew."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks_keras.backend import load_keras

Array = npt.NDArray[Any]


class TrainingState:
    """A network in training with its optimiser, the best weights so far, and a folder that outlives a crash.

    Parameters
    ----------
    model
        A compiled Keras model whose variables, and whose optimiser's, exist already.
    folder
        Where to keep them (`Context.checkpoint`), or None. What lies there is taken up at once.
    """

    def __init__(self, model: Any, folder: Path | None) -> None:
        self.model, self.folder = model, folder
        self.epoch, self.best_epoch, self.best_loss = 0, 0, math.inf
        self.best: list[Array] = []
        if folder is not None and (folder / "state.json").is_file():
            self._resume(folder)

    def after(self, epoch: int, loss: float) -> None:
        """Note that an epoch is done, with its loss on validation; the lowest is the best."""
        self.epoch = epoch + 1
        if loss < self.best_loss:
            self.best_epoch, self.best_loss = epoch, loss
            self.best = [np.asarray(weight) for weight in self.model.get_weights()]
        if self.folder is not None:
            self._keep(self.folder)

    def restore_best(self) -> None:
        """Go back to the epoch with the lowest loss on validation."""
        if self.best:
            self.model.set_weights(self.best)

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def _keep(self, folder: Path) -> None:
        """Write arrays first and the small file that makes them count last, so that a crash cannot mix epochs."""
        keras = load_keras()
        folder.mkdir(parents=True, exist_ok=True)
        name = f"epoch-{self.epoch}.npz"
        arrays = {f"v{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(self._variables())}
        arrays |= {f"b{i}": weight for i, weight in enumerate(self.best)}
        np.savez(folder / name, allow_pickle=False, **arrays)
        note = {"epoch": self.epoch, "best_epoch": self.best_epoch, "best_loss": self.best_loss, "arrays": name}
        fresh = folder / "state.json.writing"
        fresh.write_text(json.dumps(note), encoding="utf-8")
        fresh.replace(folder / "state.json")
        for old in folder.glob("epoch-*.npz"):
            if old.name != name:
                old.unlink()

    def _resume(self, folder: Path) -> None:
        note = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        with np.load(folder / note["arrays"], allow_pickle=False) as arrays:
            for i, variable in enumerate(self._variables()):
                variable.assign(arrays[f"v{i}"])
            self.best = [arrays[f"b{i}"] for i in range(sum(name.startswith("b") for name in arrays.files))]
        self.epoch, self.best_epoch, self.best_loss = note["epoch"], note["best_epoch"], note["best_loss"]
