"""How far a training is: kept after each epoch, taken up again when it starts anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medtasks import adapting
from medtasks.stored import Arrays
from medtasks_keras.backend import load_keras


class Variables:
    """The arrays of a Keras model, and of its optimiser once it has one, by their places."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def weights(self) -> Arrays:
        """Return the model's weights, as in the files of `medtasks_keras.write_weights`."""
        return {f"w{i:04d}": np.array(weight) for i, weight in enumerate(self.model.get_weights())}

    def set_weights(self, weights: Arrays) -> None:
        """Take up what `weights` returned."""
        self.model.set_weights([weights[name] for name in sorted(weights)])

    def state(self) -> Arrays:
        """Return the weights and the optimiser's variables."""
        return {str(i): load_keras().ops.convert_to_numpy(one) for i, one in enumerate(self._all())}

    def set_state(self, state: Arrays) -> None:
        """Take up what `state` returned; raises `KeyError` or `ValueError` where it does not fit."""
        for i, variable in enumerate(self._all()):
            variable.assign(state[str(i)])

    def _all(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]


class TrainingState(adapting.TrainingState):
    """A Keras model in training with its optimiser; see `medtasks.adapting.TrainingState`.

    Parameters
    ----------
    model
        A compiled Keras model whose variables, and whose optimiser's, exist already.
    folder
        Where to keep them (`Context.checkpoint`), or None. What lies there is taken up at once.
    """

    def __init__(self, model: Any, folder: Path | None) -> None:
        super().__init__(Variables(model), folder)
