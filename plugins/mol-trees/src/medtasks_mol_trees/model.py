"""The model: boosting and a forest for each target."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from medtasks.cases import Cases, Molecules
from medtasks.dataset import Dataset, impute_bounds
from medtasks.errors import BundleError
from medtasks.model import Config, Context, Model
from medtasks_mol_trees.descriptors import WIDTH, Columns, columns_of, names

Values = npt.NDArray[np.float64]
STEP = 2048
"""Molecules described at a time."""
KINDS = ("boosting", "forest")
THREADS = max(1, (os.cpu_count() or 2) // 2)
"""LightGBM's threads spin while they wait: more than real cores, beside other work, made it five times slower."""


class MolTreesConfig(Config):
    """Hyper-parameters of the trees."""

    rounds: int = Field(default=300, ge=1)
    """Trees of the boosting."""
    rate: float = Field(default=0.05, gt=0, le=1)
    """Share of each tree's answer that the boosting takes."""
    leaves: int = Field(default=31, ge=2)
    """Leaves of each tree of the boosting."""
    least: int = Field(default=5, ge=1)
    """Fewest molecules in a leaf of the boosting."""
    forest: int = Field(default=200, ge=0)
    """For classes, trees of a random forest that counts as much as the boosting; 0 leaves it out. On numbers it lost to
    boosting wherever it was tried."""


class MolTrees(Model):
    """Gradient boosting on descriptors and counts of substructures; for classes a random forest too (LightGBM).

    Their answers are averaged. A bound pulls only while trees grown on other molecules answer on its wrong side.
    LightGBM: Ke et al. 2017, NeurIPS 30.
    """

    task: ClassVar[str] = "activity"
    accepts: ClassVar[str] = "molecules"
    toy_config: ClassVar[Mapping[str, Any]] = {"rounds": 50, "forest": 20}

    class Config(MolTreesConfig):
        """Hyper-parameters of the trees."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.binary: list[bool] = []
        self.trees: list[list[Any]] = []

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        """Grow trees for every target on the molecules that have a measurement of it; ``valid`` is not needed."""
        assert isinstance(train.cases, Molecules)
        parts = context.progress.track(train.cases.chunks(STEP), "describing", -(-len(train) // STEP))
        columns = np.concatenate([columns_of(part, remember=True) for part in parts])
        self.binary = [kind == "binary" for kind in train.kinds]
        self.trees = []
        for t, binary in enumerate(context.progress.track(self.binary, "targets", len(self.binary))):
            known = np.flatnonzero(np.isfinite(train.targets[:, t]))
            y = train.targets[known, t]
            if train.bounds[known, t].any():
                y = self._beyond(columns[known], y, train.bounds[known, t], context)
            found = self._grow(columns[known], y, binary, context.seed)
            self.trees.append(found)

    def predict(self, cases: Cases, *, context: Context) -> Values:
        """Return (n, targets): numbers, or probabilities of being active."""
        assert isinstance(cases, Molecules)
        found = [np.zeros((0, len(self.trees)))]
        for part in cases.chunks(STEP):
            columns = columns_of(part)
            found.append(np.column_stack([_answer(trees, columns) for trees in self.trees]))
        return np.concatenate(found)

    def embed(self, cases: Cases, *, context: Context) -> Columns:
        """Return (n, `WIDTH`) counts of substructures."""
        assert isinstance(cases, Molecules)
        return columns_of(cases)[:, len(names()) :]

    def explain(self, cases: Cases, target: int, *, context: Context) -> npt.NDArray[Any]:
        """Return (n,) arrays, one value per atom: the Shapley values of the columns, shared among the atoms.

        The trees' own Shapley values (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9) say what each descriptor and
        count adds; each is shared among the atoms that it depends on, as Rodríguez-Pérez & Bajorath 2020
        (doi:10.1021/acs.jmedchem.9b01101) do for fingerprints; see `medtasks_mol_trees.atoms`. Hiding atoms and asking
        again found planted substructures less well (AUROC .67 to .9, in place of .92 to 1): where many columns tell
        the same, the trees don't miss one. Numbers in the target's unit; for classes log-odds.
        """
        from medtasks_mol_trees.atoms import shares

        assert isinstance(cases, Molecules)
        found = np.empty(len(cases), dtype=object)
        columns = columns_of(cases)
        for row, mol in enumerate(cases.mols()):
            found[row] = shares(mol, columns[row]) @ _contributions(self.trees[target], columns[[row]])[0]
        return found

    def save(self, folder: Path) -> None:
        """Write LightGBM's text form of the trees and a little JSON."""
        about = {"binary": self.binary, "kinds": [len(trees) for trees in self.trees]}
        (folder / "trees.json").write_text(json.dumps(about), encoding="utf-8")
        for t, trees in enumerate(self.trees):
            for kind, one in zip(KINDS, trees, strict=False):
                (folder / f"{kind}-{t}.txt").write_text(one.model_to_string(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        """Read the trees back; raises `BundleError` if they do not fit the descriptors of this version."""
        import lightgbm

        model = cls(cls.Config())
        about = json.loads((folder / "trees.json").read_text(encoding="utf-8"))
        model.binary = [bool(one) for one in about["binary"]]
        for t, count in enumerate(about["kinds"]):
            texts = [(folder / f"{kind}-{t}.txt").read_text(encoding="utf-8") for kind in KINDS[:count]]
            model.trees.append([lightgbm.Booster(model_str=text) for text in texts])
        columns = {one.num_feature() for trees in model.trees for one in trees}
        if columns != {len(names()) + WIDTH} or len(model.trees) != len(model.binary):
            raise BundleError("the stored trees do not fit the descriptors of this version", hint="train again")
        return model

    def _beyond(self, columns: Columns, y: Values, bounds: npt.NDArray[np.int8], context: Context) -> Values:
        """Move each bounded value to what trees grown on the other half of the molecules say, if that is beyond it."""
        told, half = y.copy(), context.rng.permutation(len(y)) % 2
        for side in (0, 1):
            other = half != side
            if other.any() and not other.all():
                told[~other] = _answer(self._grow(columns[other], y[other], False, context.seed), columns[~other])
        return impute_bounds(y, bounds, told)

    def _grow(self, columns: Columns, y: Values, binary: bool, seed: int) -> list[Any]:
        import lightgbm

        config = self.config
        shared = {
            "objective": "binary" if binary else "regression",
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": THREADS,
            "verbosity": -1,
        }
        boosting = {
            "learning_rate": config.rate,
            "num_leaves": config.leaves,
            "min_data_in_leaf": config.least,
            "feature_fraction": 0.2,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 1.0,
        }
        # As Breiman's nearly full trees, but columns are drawn for each tree and not at each node: a tenth of the time.
        forest = {
            "boosting": "rf",
            "num_leaves": 255,
            "min_data_in_leaf": 2,
            "bagging_fraction": 0.632,
            "bagging_freq": 1,
            "feature_fraction": 0.15,
            "max_bin": 63,
        }
        found = []
        for special, rounds in ((boosting, config.rounds), (forest, config.forest if binary else 0)):
            if rounds:
                data = lightgbm.Dataset(columns, y, params={"max_bin": special.get("max_bin", 255), "verbosity": -1})
                found.append(lightgbm.train({**shared, **special}, data, num_boost_round=rounds))
        return found


def _answer(trees: list[Any], columns: Columns) -> Values:
    return np.asarray(np.mean([one.predict(columns, num_threads=THREADS) for one in trees], axis=0))


def _contributions(trees: list[Any], columns: Columns) -> Values:
    """Return (n, columns): what each column adds to the mean of the members' scores."""
    found = []
    for kind, one in zip(KINDS, trees, strict=False):
        parts = np.asarray(one.predict(columns, pred_contrib=True, num_threads=THREADS))[:, :-1]  # the last is the base
        # a forest's score is the mean of its trees, but LightGBM's contributions are those to their sum
        found.append(parts / one.num_trees() if kind == "forest" else parts)
    return np.asarray(np.mean(found, axis=0))
