"""The model ``activity.deepchem-graphconv``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from medtasks.cases import Cases, Molecules
from medtasks.dataset import Dataset
from medtasks.errors import BundleError
from medtasks.model import Config, Context, Model
from medtasks.stored import write_arrays
from medtasks_deepchem.child import IN, OUT, Child, read_arrays, require_deepchem, workspace, write_molecules

Values = npt.NDArray[np.float64]
ABOUT, WEIGHTS = "graphconv.json", "weights.npz"


class GraphConvConfig(Config):
    """Hyper-parameters of DeepChem's graph convolutions.

    Layers and rate are DeepChem's defaults. Batch and patience were chosen inside the training and validation parts of
    two small sets with two seeds each: of batches of 64 and 32 the smaller did better on FreeSolv (mean RMSE 4.15 and
    3.46); on ESOL 32 gave 1.48 and 16 gave 1.35, at twice the time.
    """

    layers: tuple[int, ...] = Field((64, 64), min_length=1, max_length=6)
    """Channels of each graph convolution."""
    dense: int = Field(128, ge=1, le=4096)
    """Channels of the layer behind them, whose sum and maximum over atoms is the molecule's fingerprint."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the channels dropped in training."""
    rate: float = Field(0.001, gt=0)
    """Learning rate of Adam."""
    batch: int = Field(32, ge=2)
    """Molecules per step; DeepChem needs at least two."""
    epochs: int = Field(100, ge=1)
    """Most passes over the training molecules."""
    patience: int = Field(25, ge=1)
    """Stop when AUROC (classes) or RMSE (numbers) on validation has not improved for this many epochs, and take the
    best weights."""


class GraphConv(Model):
    """DeepChem's `GraphConvModel`: graph convolutions of atoms (Duvenaud et al. 2015), one network for all targets.

    It lives in a process of its own, which is started by `fit` or by the first `predict` (5 to 12 s), is kept for
    further calls, and ends with the model. Numbers are standardised inside; missing values have no weight, and a bound
    (``>10000``) pulls from its wrong side only. Molecules that DeepChem makes no graph of (an atom with more than ten
    neighbours) get the training average.

    Duvenaud et al. 2015: arXiv:1509.09292.
    """

    task: ClassVar[str] = "activity"
    accepts: ClassVar[str] = "molecules"
    toy_config: ClassVar[Mapping[str, Any]] = {"layers": (32,), "epochs": 20}

    class Config(GraphConvConfig):
        """Hyper-parameters of DeepChem's graph convolutions."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.weights: list[npt.NDArray[Any]] = []
        self._child: Child | None = None

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Train on ``train`` until the measure on ``valid`` no longer improves."""
        require_deepchem()
        self.close()
        self.kinds = tuple(train.kinds)
        self.middle, self.scale = _standard(train)
        whole = train.join(valid)
        assert isinstance(whole.cases, Molecules)
        about = {
            "config": self.config.model_dump(mode="json"),
            "kinds": self.kinds,
            "seed": context.seed,
            "deadline": context.deadline,
        }
        with workspace(context) as folder:
            write_molecules(
                folder,
                whole.cases,
                targets=np.where(self.binary, whole.targets, (whole.targets - self.middle) / self.scale),
                bounds=whole.bounds,
                train=np.arange(len(whole)) < len(train),
            )
            answer = self._train(folder, about, context)
            arrays = read_arrays(folder / OUT)
        self.weights = [arrays[name] for name in sorted(arrays)]
        if answer["left_out"]:
            context.progress.note(
                f"note: DeepChem makes no graph of {answer['left_out']} molecules; they are left out."
            )
        context.used.update(device="cpu", backend="DeepChem on TensorFlow", epochs=answer["epochs"])

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return (n, targets): numbers, or probabilities of being active."""
        assert isinstance(cases, Molecules)
        answers = np.tile(self.middle, (len(cases), 1))
        if not len(cases):
            return answers
        with workspace(context) as folder:
            child = self._ready(folder)
            write_molecules(folder, cases)
            child.ask("predict", folder)
            found = read_arrays(folder / OUT)
        rows = found["rows"]
        answers[rows] = np.where(self.binary, found["answers"], found["answers"] * self.scale + self.middle)
        if len(rows) < len(cases):
            context.progress.note(
                f"note: DeepChem makes no graph of {len(cases) - len(rows)} molecules; they get the training average."
            )
        return answers

    def save(self, folder: Path) -> None:
        """Write the weights as arrays, in their order, and the rest as JSON."""
        about = {
            "config": self.config.model_dump(mode="json"),
            "kinds": list(self.kinds),
            "middle": self.middle.tolist(),
            "scale": self.scale.tolist(),
            "shapes": [list(weight.shape) for weight in self.weights],
        }
        (folder / ABOUT).write_text(json.dumps(about, indent=2), encoding="utf-8")
        write_arrays(folder / WEIGHTS, _named(self.weights))

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Read the weights back.

        Raises
        ------
        BundleError
            If arrays and shapes do not fit each other; whether they fit DeepChem's network is checked when it is built,
            by the first `predict`.
        PluginError
            If DeepChem is not installed.
        """
        require_deepchem()
        try:
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            model = cls(cls.Config.model_validate(about["config"]))
            model.kinds = tuple(about["kinds"])
            model.middle, model.scale = np.array(about["middle"], float), np.array(about["scale"], float)
            shapes = [tuple(shape) for shape in about["shapes"]]
            arrays = read_arrays(folder / WEIGHTS)
        except (ValueError, TypeError, KeyError, ValidationError) as error:
            raise _damaged() from error
        model.weights = [arrays[name] for name in sorted(arrays)]
        numbers = (model.middle, model.scale)
        if not (
            model.kinds
            and set(model.kinds) <= {"number", "binary"}
            and all(one.shape == (len(model.kinds),) and np.isfinite(one).all() for one in numbers)
            and list(arrays) == list(_named(model.weights))
            and [weight.shape for weight in model.weights] == shapes
            and all(weight.dtype.kind == "f" and np.isfinite(weight).all() for weight in model.weights)
        ):
            raise _damaged()
        return model

    def close(self) -> None:
        """End DeepChem's process; the next `predict` starts another."""
        if self._child is not None:
            self._child.close()
        self._child = None

    @property
    def binary(self) -> npt.NDArray[np.bool_]:
        """(targets,) whether a target is a class."""
        return np.array([kind == "binary" for kind in self.kinds])

    def _train(self, folder: Path, about: dict[str, Any], context: Context) -> dict[str, Any]:
        self._child = Child()
        told = _Told(self._child.events("fit", folder, about))
        try:
            for _ in context.progress.track(told, "epochs", self.config.epochs):
                pass
        except BaseException:  # a traceback that is kept, as notebooks do, would keep the process too
            self.close()
            raise
        return told.answer

    def _ready(self, folder: Path) -> Child:
        """Return a process that holds the network, the one at hand or a new one."""
        if self._child is not None and self._child.alive:
            return self._child
        self.close()
        self._child = Child()
        self._load(self._child, folder)
        return self._child

    def _load(self, child: Child, folder: Path) -> None:
        write_arrays(folder / IN, _named(self.weights))
        child.ask("load", folder, {"config": self.config.model_dump(mode="json"), "kinds": self.kinds})


class _Told:
    """The epochs that are told on the way to an answer, which is kept."""

    def __init__(self, events: Iterator[dict[str, Any]]) -> None:
        self._events = events
        self.answer: dict[str, Any] = {}

    def __iter__(self) -> Iterator[int]:
        for event in self._events:
            if "epoch" in event:
                yield event["epoch"]
            else:
                self.answer = event


def _standard(train: Dataset) -> tuple[Values, Values]:
    """Return the middle of each target (of classes the share of active ones), and the scale of numbers."""
    middle, scale = np.zeros(len(train.kinds)), np.ones(len(train.kinds))
    for t, kind in enumerate(train.kinds):
        known = train.targets[np.isfinite(train.targets[:, t]), t]
        if len(known):
            middle[t] = known.mean()
        if kind == "number" and len(known) and known.std() > 1e-9:  # one value only: nothing to scale by
            scale[t] = known.std()
    return middle, scale


def _named(weights: list[npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {f"w{i:04d}": weight for i, weight in enumerate(weights)}


def _damaged() -> BundleError:
    return BundleError("the stored network does not fit itself", hint="copy the bundle again, or train again")
