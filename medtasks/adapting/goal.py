"""What a task wants of each case as columns of numbers, and such columns as the task's answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.dataset import Dataset
from medtasks.errors import PluginError
from medtasks.stored import Values, require

ANSWERED = {
    "diagnosis": ("records", "images"),
    "activity": ("molecules",),
    "treatment": ("patients/arm", "patients/set", "patients/dose"),
}
"""Kinds of cases that can be answered so, of each task; the first is taken where none is named."""
LEAST_SPREAD = 1e-3
"""Spread told of a dose near 0: the task asks for one above it."""


@dataclass(frozen=True)
class Goal:
    """One column for each class (diagnosis), target (activity), arm, medicine or dose (treatment).

    Numbers are standardised by those of the training cases, doses by their square roots: what is learnt needs no
    unit. The arms of a treatment share one scale.

    Attributes
    ----------
    accepts : the kind of cases, which says the question too
    exclusive : whether the columns are classes of which each case has one
    binary : of each column, whether it is a class (0 or 1)
    middle, spread : of each column, what 0 and 1 stand for; 0 and 1 themselves for classes
    """

    accepts: str
    exclusive: bool
    binary: tuple[bool, ...]
    middle: tuple[float, ...]
    spread: tuple[float, ...]

    @classmethod
    def fit(cls, train: Dataset, accepts: str) -> Self:
        """Learn the columns and their scale."""
        if train.classes:
            count = len(train.classes)
            return cls(accepts, True, (True,) * count, (0.0,) * count, (1.0,) * count)
        values = _numbers(train, accepts)
        count = values.shape[1]
        kinds = train.kinds or ("number",) * count
        binary = tuple(kind == "binary" or accepts == "patients/set" for kind in kinds)
        parts = [values] * count if accepts == "patients/arm" else [values[:, [t]] for t in range(count)]
        scales = [(0.0, 1.0) if is_class else _scale(part) for is_class, part in zip(binary, parts, strict=True)]
        return cls(accepts, False, binary, tuple(s[0] for s in scales), tuple(s[1] for s in scales))

    @property
    def outputs(self) -> int:
        """The number of columns."""
        return len(self.binary)

    def wanted(self, data: Dataset) -> Values:
        """Return (n, outputs): 0 or 1 for classes, standardised numbers, NaN where it is not known."""
        if self.exclusive:
            return np.asarray(np.eye(self.outputs)[data.targets])
        return np.asarray((_numbers(data, self.accepts) - self.middle) / np.array(self.spread))

    def answers(self, columns: Values) -> npt.NDArray[np.float64]:
        """Turn (n, outputs) probabilities and standardised numbers into what the task takes from `Model.predict`."""
        if self.exclusive:
            return columns
        found: Values = columns * np.array(self.spread) + np.array(self.middle)
        found = np.where(self.binary, np.clip(found, 0.0, 1.0), found)
        if self.accepts != "patients/dose":
            return found
        root = np.maximum(found[:, :1], 0.0)
        return np.stack([root**2, np.maximum(root, LEAST_SPREAD)], axis=2)  # a dose's error grows with its root

    def from_logits(self, raw: Values) -> npt.NDArray[np.float64]:
        """Turn (n, outputs) of a network's last, linear layer into answers: softmax, sigmoid, or the number itself."""
        from scipy.special import expit, softmax

        if self.exclusive:
            return np.asarray(softmax(raw, axis=1))
        return self.answers(np.where(self.binary, expit(raw), raw))

    def as_json(self) -> dict[str, Any]:
        """Return what to store."""
        return asdict(self)

    @classmethod
    def read(cls, content: Any) -> Self:
        """Rebuild from `as_json`; raises `BundleError` if it does not fit."""
        names = ("accepts", "exclusive", "binary", "middle", "spread")
        require(isinstance(content, dict) and set(content) == set(names), "its goal is not one")
        lists = [content[name] for name in names[2:]]
        require(all(isinstance(one, list) and len(one) == len(lists[0]) > 0 for one in lists), "its goal does not fit")
        require(all(isinstance(flag, bool) for flag in [content["exclusive"], *lists[0]]), "its goal does not fit")
        numbers = [*lists[1], *lists[2]]
        fine = all(isinstance(number, (int, float)) and np.isfinite(number) for number in numbers)
        require(fine and min(lists[2]) > 0 and isinstance(content["accepts"], str), "its goal has no scale")
        return cls(content["accepts"], content["exclusive"], *(tuple(one) for one in lists))


def accepted(task: str, accepts: str | None, *, kinds: tuple[str, ...]) -> str:
    """Return the kind of cases that an adapter is asked for, or the task's first.

    Raises
    ------
    PluginError
        If the adapter, which can do ``kinds``, has no such pair.
    """
    possible = [kind for kind in ANSWERED.get(task, ()) if kind in kinds]
    wanted = accepts or (possible[0] if possible else "")
    if wanted not in possible:
        pairs = ", ".join(f"{name} of {kind}" for name, those in ANSWERED.items() for kind in those if kind in kinds)
        raise PluginError(
            f"no adapter answers the task {task!r} for {accepts or 'any cases'}",
            hint=f"there are: {pairs}; write a Model for others (docs/first-plugin.md)",
        )
    return wanted


def _numbers(data: Dataset, accepts: str) -> Values:
    values = np.asarray(data.targets, dtype=np.float64)
    return np.sqrt(np.maximum(values, 0.0)) if accepts == "patients/dose" else values


def _scale(values: Values) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0
    spread = float(known.std())
    return float(known.mean()), spread if spread > 0 else 1.0
