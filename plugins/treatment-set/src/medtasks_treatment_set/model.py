"""The model: networks fitted on folds, beside logistic regression."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import Cases, RecordEncoder, Records
from medtasks.dataset import Dataset
from medtasks.errors import BundleError, DataError
from medtasks.model import Context, Model
from medtasks.stored import write_arrays
from medtasks_keras import Device, choose, read_weights, write_weights
from medtasks_treatment_set.config import MedicationSetConfig
from medtasks_treatment_set.explaining import integrated_gradients
from medtasks_treatment_set.features import Features
from medtasks_treatment_set.linear import Codes, Linear, Values, choose_penalty, deal, expit, fit_linear, weigh
from medtasks_treatment_set.structures import describe, read_structures

Array = npt.NDArray[Any]
FEW, OFTEN = 1000, 3
"""Below so many patients the folds are drawn three times: which rows fall together then sways the answer."""


class MedicationSet(Model):
    """Probability of each medicine in clinicians' prescriptions: a multi-label network beside logistic regression.

    It imitates; it says nothing of benefit. The networks of all folds answer together, and count as much as does good
    on patients they have not seen; where they do not beat logistic regression, it answers alone.
    """

    task: ClassVar[str] = "treatment"
    accepts: ClassVar[str] = "patients/set"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "gpu")
    toy_config: ClassVar[Mapping[str, Any]] = {"hidden": 16, "epochs": 10, "least_steps": 0, "folds": 2}

    features: Features
    linear: Linear

    class Config(MedicationSetConfig):
        """Hyper-parameters of the medication set."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.weight = 0.0
        self.weights: list[list[Array]] = []
        self.structures: Array | None = None
        self._device: Device | None = None
        self._reader: Any = None

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Fit on folds of all patients; ``valid`` is learnt from too, and answered out of fold (`left_out`)."""
        data = train.join(valid) if len(valid) else train
        if not len(data):
            raise DataError("there is no patient to learn from", hint="read more visits")
        targets = np.asarray(data.targets, dtype=np.float64)
        self.features = Features.fit(_records(data.cases))
        features = self.features.transform(_records(data.cases))
        self._read_structures(data.names, context)
        parts = deal(len(data), data.groups, self.config.folds, context.rng)
        if len(parts) < 2:
            parts = [np.arange(0)]
        penalty = self._penalty(features, targets, data.groups, context)
        beside = np.zeros_like(targets)
        for part in context.progress.track(parts, "logistic regression", len(parts)):
            rest = np.setdiff1d(np.arange(len(data)), part)
            beside[part] = fit_linear(features[rest], targets[rest], penalty).logits(features[part])
        self.linear = fit_linear(features, targets, penalty)
        unseen = self._fit_networks(features, targets, data.groups, context) if len(parts) > 1 else beside
        self.weight = weigh(beside, unseen, targets) if len(parts) > 1 else 0.0
        if not self.weight:
            self.weights = []
        context.progress.note(
            f"the networks count {self.weight:.0%}, logistic regression (penalty {penalty:g}) {1 - self.weight:.0%}"
        )
        context.used.update(networks=self.weight, penalty=penalty)
        told = expit((1 - self.weight) * beside + self.weight * unseen)
        self.left_out = told[len(train) :] if len(valid) and len(parts) > 1 else None

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return (n, medicines) probabilities."""
        features = self.features.transform(_records(cases))
        logits = self.linear.logits(features)
        if self.weight:
            logits = (1 - self.weight) * logits + self.weight * self._networks(features, context)
        found: Values = expit(logits)
        return found

    def explain(self, cases: Cases, target: int, *, context: Context) -> Values:
        """Return (n, fields): what each field adds to the log-odds of medicine ``target``.

        Compared with the median patient: numbers at their median, yes-or-no fields at their commoner answer, no
        category. Exact for logistic regression (coefficient times difference), integrated gradients for the networks;
        weighted as the answers are, so that a row sums to the difference of the log-odds.
        """
        features = self.features.transform(_records(cases))
        columns = (1 - self.weight) * features * self.linear.coef[:, target]
        for weights in self.weights:
            with self._ready(context).scope():
                self._reader.set_weights(weights)
                hidden, kernel, _ = self._reader.parts()
            share = self.weight / len(self.weights)
            columns = columns + share * integrated_gradients(hidden, kernel[:, target], features)
        return self.features.encoder.by_field(columns)

    def embed(self, cases: Cases, *, context: Context) -> Values:
        """Return the encoded and scaled fields (n, d)."""
        return self.features.transform(_records(cases))

    def save(self, folder: Path) -> None:
        """Write JSON, arrays and the networks' weights: no code, no pickle."""
        about = {
            "config": {**self.config.model_dump(mode="json"), "structures": None},  # they lie with the arrays
            "networks": len(self.weights),
            "weight": self.weight,
        }
        (folder / "set.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
        self.features.encoder.save_fields(folder / "fields.json")
        arrays: dict[str, Any] = {f"encoder_{name}": a for name, a in self.features.encoder.to_arrays().items()}
        arrays |= {"coef": self.linear.coef, "bias": self.linear.bias}
        if self.structures is not None:
            arrays["structures"] = self.structures
        write_arrays(folder / "arrays.npz", arrays, compressed=True)
        write_weights(folder, self.weights)

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Rebuild the model by this package's own code and give it what was stored.

        Raises
        ------
        BundleError
            If what is stored does not fit itself.
        """
        about = json.loads((folder / "set.json").read_text(encoding="utf-8"))
        with np.load(folder / "arrays.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        model = cls(cls.Config.model_validate(about["config"]))
        encoded = {n.removeprefix("encoder_"): a for n, a in arrays.items() if n.startswith("encoder_")}
        model.features = Features.of(RecordEncoder.load(folder / "fields.json", encoded))
        model.linear = Linear(arrays["coef"], arrays["bias"])
        model.structures, model.weight = arrays.get("structures"), float(about["weight"])
        model.weights = read_weights(folder, int(about["networks"]))
        columns, medicines = len(model.features.factor), len(model.linear.bias)
        if model.linear.coef.shape != (columns, medicines) or not 0 <= model.weight <= 1:
            raise BundleError("the stored medication set does not fit itself", hint="copy the bundle again")
        if bool(model.weight) != bool(model.weights):
            raise BundleError("the stored medication set lacks its networks", hint="copy the bundle again")
        return model

    def _read_structures(self, names: tuple[str, ...], context: Context) -> None:
        self.structures = None
        if self.config.structures is not None:
            counts, found = read_structures(self.config.structures, names)
            self.structures = describe(counts)
            context.progress.note(f"structures of {found} of {len(names)} medicines")

    def _penalty(self, features: Values, targets: Values, groups: Array | None, context: Context) -> float:
        """Choose the penalty out of fold, on a random part of many patients."""
        rows: Codes = np.sort(context.rng.permutation(len(features))[: self.config.choosing])
        few = 3 if len(rows) < len(features) else self.config.folds
        parts = deal(len(rows), None if groups is None else groups[rows], few, context.rng)
        if len(parts) < 2:
            return float(max(self.config.penalties))
        return choose_penalty(features[rows], targets[rows], parts, self.config.penalties)

    def _fit_networks(self, features: Values, targets: Values, groups: Array | None, context: Context) -> Values:
        """Train the networks of all folds; return (n, medicines) what each said of the patients it had not seen."""
        from medtasks_treatment_set.training import fit_network

        n = len(features)
        repeats = self.config.repeats or (OFTEN if n < FEW else 1)
        jobs = [
            part
            for repeat in range(repeats)
            for part in deal(n, groups, self.config.folds, np.random.default_rng([context.seed, repeat]))
        ]
        self._device, self._reader = self._choose(context), None
        shape, unseen = self._shape(features.shape[1], targets.shape[1]), np.zeros_like(targets)
        half = np.isin(np.arange(n), np.concatenate(deal(n, groups, 2, context.rng)[:1]))
        self.weights = []
        for i, part in enumerate(context.progress.track(jobs, "networks", len(jobs))):
            weights, answers = fit_network(
                self.config,
                shape,
                features,
                targets,
                self.structures,
                rest=np.setdiff1d(np.arange(n), part),
                part=part,
                half=half[part],
                seed=context.seed * 1000 + i,
                device=self._device,
                context=context,
            )
            unseen[part] += answers / repeats
            self.weights.append(weights)
        return unseen

    def _networks(self, features: Values, context: Context) -> Values:
        """Return (n, medicines): the mean of the networks' log-odds."""
        from medtasks_treatment_set.training import ask

        total = np.zeros((len(features), len(self.linear.bias)))
        with self._ready(context).scope():
            for weights in self.weights:
                self._reader.set_weights(weights)
                total += ask(self._reader, features) / len(self.weights)
        return total

    def _shape(self, columns: int, medicines: int) -> Any:
        from medtasks_treatment_set.network import Shape

        described = 0 if self.structures is None else len(self.structures)
        config = self.config
        return Shape(columns, medicines, config.hidden, config.layers, config.dropout, described)

    def _choose(self, context: Context) -> Device:
        device = choose(context, "float32")  # small products, whose time goes into other things than digits
        return Device(device.kind, device.names[:1], device.policy)

    def _ready(self, context: Context) -> Device:
        """Build the network when it is first asked for something."""
        from medtasks_treatment_set.training import reader

        if self._device is None or self._reader is None:
            self._device = self._choose(context)
            with self._device.scope():
                self._reader = reader(self._shape(*self.linear.coef.shape), self._device)
            expected = [tuple(weight.shape) for weight in self._reader.get_weights()]
            if any([weight.shape for weight in weights] != expected for weights in self.weights):
                raise BundleError("the stored weights do not fit the stored network", hint="train again")
        return self._device


def _records(cases: Cases) -> Records:
    if not isinstance(cases, Records):
        raise TypeError(f"the medication set takes patients, not {cases.kind}")
    return cases
