"""The model: an ensemble of graph networks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import Cases, Molecules
from medtasks.cases.properties import BULK, Scaling, bulk_properties
from medtasks.dataset import Dataset
from medtasks.errors import BundleError
from medtasks.model import Context, Model
from medtasks.stacking import weigh
from medtasks_keras import Device, choose, read_weights, write_weights
from medtasks_mol_graph.config import MolGraphConfig
from medtasks_mol_graph.samples import Samples, Scale, Values

Array = npt.NDArray[Any]
STEP = 2048
"""Molecules turned into graphs at a time."""


class MolGraph(Model):
    """Directed message passing on bonds (D-MPNN), beside bulk properties and counts of substructures; several targets
    with gaps and bounds.

    Yang et al. 2019, doi:10.1021/acs.jcim.9b00237. RDKit's atoms and bonds become small codes, which are read from its
    binary form; the networks are written with `keras.ops` and run on TensorFlow, JAX and PyTorch.
    """

    task: ClassVar[str] = "activity"
    accepts: ClassVar[str] = "molecules"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "gpu")
    toy_config: ClassVar[Mapping[str, Any]] = {
        "hidden": 32,
        "depth": 2,
        "members": 1,
        "epochs": 30,
        "least_steps": 0,
        "rate": 4e-3,
    }

    scale: Scale
    profile: Scaling
    shares: Values

    class Config(MolGraphConfig):
        """Hyper-parameters of the graph network."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.weights: list[list[Array]] = []
        self._readers: list[Any] = []
        self._device: Device | None = None

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Train every member; ``valid`` says how much each counts, and alike where there is none.

        No training looks at it: each ends when its learning rate has come down.
        """
        from medtasks_mol_graph.training import fit

        assert isinstance(train.cases, Molecules)
        self._device, self._readers = self._choose(context), []
        self.scale, self.profile = Scale.of(train), Scaling.of(bulk_properties(train.cases))
        samples = Samples.learnt(train, self.scale, self.profile, with_prints=self._with_prints)
        self.weights = []
        for member in context.progress.track(range(self.config.members), "networks"):
            self.weights.append(
                fit(
                    self.config.of_member(member),
                    samples,
                    self.scale,
                    seed=context.seed * 1000 + member,
                    device=self._device,
                    context=context,
                    place=f"network-{member + 1}",
                )
            )
        self.shares = np.full((len(train.names), self.config.members), 1 / self.config.members)
        if len(valid):
            self.weigh(valid, context)

    def weigh(self, data: Dataset, context: Context) -> None:
        """Let each network count, for each target, as what it says of molecules that it has not learnt from deserves.

        Counts of substructures help where small changes matter (ligands of one protein) and harm where molecules of
        other kinds are asked for: out of scaffold folds, all weight on the networks that see them took the RMSE of
        CHEMBL2321810 from .69 (alike) to .66, and that of ESOL from .70 to .75.
        """
        assert isinstance(data.cases, Molecules)
        every = range(len(self.weights))
        parts = [self._said(self._samples(part), every, context) for part in data.cases.chunks(STEP)]
        said = self.scale.answers(np.concatenate(parts, axis=1))
        targets = range(len(data.names))
        self.shares = np.array([weigh(said[:, :, t].T, data.targets[:, t], data.bounds[:, t]) for t in targets])

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return (n, targets): numbers, or probabilities of being active; the weighted mean over the members."""
        assert isinstance(cases, Molecules)
        parts = [self.scale.answers(self._raw(self._samples(part), context)) for part in cases.chunks(STEP)]
        return np.concatenate(parts or [np.zeros((0, len(self.scale.binary)))])

    def embed(self, cases: Cases, *, context: Context) -> Values:
        """Return (n, d): the first member's vector of each molecule, from which its answer is read."""
        from medtasks_mol_graph.training import embed

        assert isinstance(cases, Molecules)
        with self._ready(context).scope():
            reader = self._readers[0]
            reader.set_weights(self.weights[0])
            return np.concatenate([embed(reader, self._samples(part)) for part in cases.chunks(STEP)])

    def explain(self, cases: Cases, target: int, *, context: Context) -> npt.NDArray[Any]:
        """Return (n,) arrays, one value per atom: what the prediction loses without the atom and its neighbours.

        Occlusion of an atom alone misses what the rest of a group still tells: of a nitro group without an oxygen, that
        it is one. Features of hidden atoms and of their bonds are set to zero, and substructures that hold one are
        taken out of the counts. Numbers in the target's unit; for classes the logit.
        """
        from medtasks_mol_graph.occlusion import occluded, surroundings

        assert isinstance(cases, Molecules)
        found = np.empty(len(cases), dtype=object)
        for row in range(len(cases)):
            one, mol = cases.take(np.array([row])), cases.mol(row)
            raw = self._raw(occluded(self._samples(one), mol, surroundings(mol), self.profile), context)[:, target]
            found[row] = (raw[0] - raw[1:]) * self.scale.spread[target]
        return found

    def save(self, folder: Path) -> None:
        """Write the networks' parameters as JSON and their weights as ``.npz``: no code, no pickle."""
        about = {
            "config": self.config.model_dump(mode="json"),
            "binary": self.scale.binary.tolist(),
            "middle": self.scale.middle.tolist(),
            "spread": self.scale.spread.tolist(),
            "shares": self.shares.tolist(),
            "profile": {"mean": self.profile.mean.tolist(), "spread": self.profile.spread.tolist()},
        }
        (folder / "network.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
        write_weights(folder, self.weights)

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Rebuild the networks by this package's own code and give them the stored weights."""
        about = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        model = cls(cls.Config.model_validate(about["config"]))
        model.scale = Scale(np.array(about["binary"]), np.array(about["middle"]), np.array(about["spread"]))
        model.profile = Scaling(np.array(about["profile"]["mean"]), np.array(about["profile"]["spread"]))
        if model.profile.mean.shape != (len(BULK),) or model.profile.spread.shape != (len(BULK),):
            raise BundleError("the stored properties do not fit this version's", hint="train again")
        model.shares = np.array(about["shares"])
        if model.shares.shape != (len(model.scale.binary), model.config.members):
            raise BundleError("the stored weights do not fit the stored networks", hint="train again")
        model.weights = read_weights(folder, model.config.members)
        return model

    def _choose(self, context: Context) -> Device:
        device = choose(context, "float32")  # sums over many atoms want all their digits
        return Device(device.kind, device.names[:1], device.policy)

    def _ready(self, context: Context) -> Device:
        """Build the network when it is first asked for something."""
        from medtasks_mol_graph.training import reader

        if self._device is None or not self._readers:
            self._device = self._choose(context)
            binary = tuple(self.scale.binary.tolist())
            with self._device.scope():
                members = range(len(self.weights))
                readers = [reader(self.config.of_member(member), binary, self._device) for member in members]
            for one, weights in zip(readers, self.weights, strict=True):
                if [weight.shape for weight in weights] != [tuple(weight.shape) for weight in one.get_weights()]:
                    raise BundleError("the stored weights do not fit the stored network", hint="train again")
            self._readers = readers
        return self._device

    def _samples(self, cases: Molecules) -> Samples:
        return Samples.of(cases, self.profile, with_prints=self._with_prints, targets=len(self.scale.binary))

    @property
    def _with_prints(self) -> bool:
        return any(self.config.of_member(kind).prints > 0 for kind in range(self.config.members))

    def _raw(self, samples: Samples, context: Context) -> Values:
        """Return (n, targets): what the networks say, the weighted mean over the members."""
        asked = np.flatnonzero(self.shares.any(axis=0))
        said = self._said(samples, asked, context)
        return np.asarray(np.einsum("mnt,tm->nt", said, self.shares[:, asked]))

    def _said(self, samples: Samples, members: Iterable[int], context: Context) -> Values:
        """Return (members, n, targets): what some of the networks say, standardised or logits."""
        from medtasks_mol_graph.training import ask

        with self._ready(context).scope():
            return ask([(self._readers[i], self.weights[i]) for i in members], samples)
