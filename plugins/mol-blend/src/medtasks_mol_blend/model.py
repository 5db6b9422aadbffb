"""The model: members fitted on folds, and how much each counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from medtasks.cases import Cases, Molecules
from medtasks.dataset import Dataset
from medtasks.errors import BundleError, PluginError, UsageError
from medtasks.model import Config, Context, Model, Names, configure, model_class
from medtasks.stacking import weigh
from medtasks_mol_blend.stacking import Values, folds, pool

GRAPH, KERNEL, TREES = "activity.mol-graph", "activity.mol-fingerprint", "activity.mol-trees"
GRAPHS: Sequence[Mapping[str, Any]] = ({"prints": 0}, {"prints_for": "all"})
"""Settings of the graph networks of the folds, in turn: without and with counts of substructures.

These help where ligands of one protein are compared and harm where molecules of other kinds are asked for. With both in
turn the blend's error, on parts left out of training parts, was less by 3.8 % on FreeSolv and 1.6 % on CHEMBL2047, the
same on CHEMBL262, CHEMBL4203 and BACE (.1 to .3 % more), and 1.8 % more on ESOL, than with five networks without."""


class MolBlendConfig(Config):
    """Hyper-parameters of the blend."""

    members: Names = Field(default=(GRAPH, KERNEL, TREES), min_length=1)
    """The models that are blended: any installed ones of the task, comma-separated."""
    committees: Names = (GRAPH,)
    """Members whose fold models are kept and averaged; the others are fitted once more on all molecules."""
    folds: int = Field(default=5, ge=2, le=20)
    """Parts that each member is fitted without, in turn."""
    graph_steps: int = Field(default=10_000, ge=1)
    """Most training steps of each graph network."""


@dataclass(frozen=True)
class Member:
    """One model of the blend: its name and what was fitted of it, one or several whose answers are averaged."""

    name: str
    fitted: Sequence[Model]

    def predict(self, cases: Cases, context: Context) -> Values:
        """Return (n, targets)."""
        return np.asarray(np.mean([one.predict(cases, context=context) for one in self.fitted], axis=0))


class MolBlend(Model):
    """A graph network, a kernel machine and trees, stacked out of fold."""

    task: ClassVar[str] = "activity"
    accepts: ClassVar[str] = "molecules"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "gpu")
    toy_config: ClassVar[Mapping[str, Any]] = {"members": (TREES,), "folds": 2}

    class Config(MolBlendConfig):
        """Hyper-parameters of the blend."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.members: list[Member] = []
        self.weights: Values = np.zeros((0, 0))
        self.binary: list[bool] = []

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Fit every member on folds of all molecules, weigh them by what they say out of fold.

        ``valid`` is learnt from too, and answered out of fold.
        """
        data = train.join(valid)
        self.binary = [kind == "binary" for kind in data.kinds]
        parts = folds(data, min(self.config.folds, len(data)), context.rng)
        answers = np.zeros((len(self.config.members), *data.targets.shape))
        self.members = []
        for place, name in enumerate(context.progress.track(self.config.members, "members")):
            fitted = []
            for number, part in enumerate(context.progress.track(parts, name, len(parts))):
                rest = data.take(np.setdiff1d(np.arange(len(data)), part))
                model = self._fit(name, number, rest, context)
                answers[place, part] = model.predict(data.cases.take(part), context=context)
                fitted.append(model)
            if name not in self.config.committees:
                fitted = [self._fit(name, len(parts), data, context)]
            self.members.append(Member(name, fitted))
        targets = range(len(data.names))
        self.weights = np.array([weigh(answers[:, :, t].T, data.targets[:, t], data.bounds[:, t]) for t in targets])
        blended = pool(answers, self.weights, np.array(self.binary))
        self.left_out = blended[len(train) :] if len(valid) else None

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return (n, targets): what the members say together; see `medtasks_mol_blend.stacking.pool`."""
        assert isinstance(cases, Molecules)
        asked = np.flatnonzero(self.weights.any(axis=0))
        said = [self.members[place].predict(cases, context) for place in asked]
        return pool(np.array(said), self.weights[:, asked], np.array(self.binary))

    def embed(self, cases: Cases, *, context: Context) -> npt.NDArray[Any]:
        """Return (n, d): where the first member that has an embedding places each molecule."""
        able = [one for one in self.members if type(one.fitted[0]).embed is not Model.embed]
        return (able or self.members)[0].fitted[0].embed(cases, context=context)

    def explain(self, cases: Cases, target: int, *, context: Context) -> npt.NDArray[Any]:
        """Return (n,) arrays, one value per atom: the weighted mean of the members' own explanations.

        Numbers in the target's unit. For classes the members explain on scales of their own (log-odds, a kernel's
        score): each is brought to a mean size of 1 over the atoms first.
        """
        total: Any = None
        for place, member in enumerate(self.members):
            weight = self.weights[target, place]
            if weight > 0 and type(member.fitted[0]).explains():
                for one in member.fitted:
                    found = one.explain(cases, target, context=context)
                    share = weight / len(member.fitted)
                    part = [share * (_scaled(values) if self.binary[target] else values) for values in found]
                    total = part if total is None else [a + b for a, b in zip(total, part, strict=True)]
        if total is None:
            raise PluginError("no member of the blend explains its answers", hint="blend models that do")
        out = np.empty(len(cases), dtype=object)
        for row in range(len(cases)):
            out[row] = total[row]
        return out

    def save(self, folder: Path) -> None:
        """Write each member into a folder of its own, and names and weights as JSON."""
        about = {
            "members": [{"name": one.name, "count": len(one.fitted)} for one in self.members],
            "weights": self.weights.tolist(),
            "binary": self.binary,
        }
        (folder / "blend.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
        for place, member in enumerate(self.members):
            for number, one in enumerate(member.fitted):
                own = folder / f"member-{place}" / str(number)
                own.mkdir(parents=True)
                one.save(own)

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Load every member by its own code."""
        about = json.loads((folder / "blend.json").read_text(encoding="utf-8"))
        model = cls(cls.Config(members=tuple(one["name"] for one in about["members"])))
        model.weights, model.binary = np.array(about["weights"]), about["binary"]
        if model.weights.shape[1:] != (len(about["members"]),):
            raise BundleError("the stored weights do not fit the stored members", hint="train again")
        for place, one in enumerate(about["members"]):
            kind = model_class(one["name"])
            places = [folder / f"member-{place}" / str(number) for number in range(one["count"])]
            model.members.append(Member(one["name"], [kind.load(own, context=context) for own in places]))
        return model

    def _fit(self, name: str, number: int, data: Dataset, context: Context) -> Model:
        """Fit one member without a validation part, for a fold or, as the last, on all molecules."""
        kind = model_class(name)
        if kind.task != self.task or kind is type(self):
            raise UsageError(f"{name} cannot be blended", hint="name other models of the task activity")
        settings: dict[str, Any] = {}
        if name == GRAPH:  # one network of each fold: those of all folds are averaged
            settings = {"members": 1, "most_steps": self.config.graph_steps, **GRAPHS[number % len(GRAPHS)]}
        model = kind(configure(kind, settings, name))
        kept = context.checkpoint / name / f"fold-{number}" if context.checkpoint else None
        model.fit(data, data.take(np.arange(0)), context=replace(context, checkpoint=kept))
        return model


def _scaled(values: Values) -> Values:
    return values / max(float(np.abs(values).mean()), 1e-12)
