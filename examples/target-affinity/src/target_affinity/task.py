"""The task: how strongly a molecule binds a protein."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydantic

from medtasks.cases import Cases, Molecules, Schema, Source
from medtasks.cases.records import numbers
from medtasks.cases.tables import is_missing, read_table
from medtasks.dataset import Dataset, Origin
from medtasks.errors import DataError, suggest
from medtasks.evaluation.bootstrap import Weights, resample
from medtasks.evaluation.regression import regression
from medtasks.evaluation.splits import Fold, Plan, check_groups, holdout, kfold, official, read_split
from medtasks.model import Config, Context
from medtasks.report.blocks import Section
from medtasks.task import Decision, Evaluation, Judged, Outputs, Quantity, Task
from medtasks.trust import held, means
from target_affinity import checks, drawn, sections
from target_affinity.measures import concordance
from target_affinity.pairs import Pairs
from target_affinity.proteins import families

LEAST_PAIRS, LEAST_GROUPS = 30, 6
"""Fewer pairs, or fewer proteins (molecules) that a split can tell apart, cannot be learnt from and judged."""
FEW_GROUPS = 100
"""With fewer groups the result is judged by 5-fold cross-validation: a fifth of them is too few to judge by."""
FLATTERS = "Molecules and proteins of the test were trained on in other pairs: new ones will do worse."
NM = 9.0
"""-log10 of a nanomole per litre, in mol/L."""


class TargetAffinity(Task):
    """How strongly a molecule binds a protein, as pKd (-log10 of the dissociation constant in mol/L).

    A model returns (n, 1): the pKd of each pair. Whoever asks about a new protein must be judged on new proteins:
    proteins with similar sequences, or molecules with one scaffold, never stand on two sides of a split.
    """

    name: ClassVar[str] = "target-affinity"
    title: ClassVar[str] = "Drug-target affinity"
    summary: ClassVar[str] = "how strongly a molecule binds a protein, from its structure and the protein's sequence"
    primary: ClassVar[str] = "concordance"
    cases: ClassVar[tuple[type[Cases], ...]] = (Pairs,)
    defaults: ClassVar[Mapping[str, str]] = {"pairs": "target-affinity.bilinear"}
    baselines: ClassVar[Mapping[str, str]] = {"pairs": "target-affinity.additive"}
    demo: ClassVar[str] = "pockets"
    settled: ClassVar[frozenset[str]] = frozenset({"level"})
    checks: ClassVar[Mapping[str, Callable[[Any], None]]] = checks.CHECKS
    not_for: ClassVar[tuple[str, ...]] = (
        "It ranks pairs for the next experiment; it does not replace the experiment.",
        "A sequence tells neither the protein's fold nor where a molecule binds.",
        "It says nothing about effects or safety in patients.",
    )

    class Options(Config):
        """How pairs and their affinities are read, and what new pairs will be like."""

        smiles: str = "smiles"
        """The column of structures."""
        sequence: str = "sequence"
        """The column of amino-acid sequences, in one-letter code."""
        affinity: str = "affinity"
        """The column of affinities."""
        id: str = "id"
        """The column that names the pair, where there is one."""
        unit: Literal["pKd", "nM"] = "pKd"
        """The unit of the affinities: `nM` is turned into pKd."""
        cold: Literal["target", "drug", "pair"] = "target"
        """What is new at predict time: the protein (none with a similar sequence was trained on), the molecule (none
        with its scaffold was), or only the pair, which flatters every model."""
        alike: float = pydantic.Field(default=0.2, gt=0, le=1)
        """Share of common three-residue words from which proteins are kept together; 0.2 is some 70 % identity."""
        level: float = pydantic.Field(default=0.9, gt=0.5, lt=1)
        """The share of new pairs whose intervals are to hold the truth."""

    def read(self, source: Source, options: Any, *, context: Context, schema: Schema | None = None) -> Dataset:
        """Read a table with a structure, a sequence and an affinity in each row, and a ``split`` if it has one."""
        where = "the table" if isinstance(source, pd.DataFrame) else str(source)
        table = source if isinstance(source, pd.DataFrame) else read_table(Path(source).expanduser())
        table = table.reset_index(drop=True)
        if options.affinity not in table.columns:
            raise DataError(
                f"{where} has no column {options.affinity!r} with affinities",
                hint=suggest(options.affinity, map(str, table.columns)),
            )
        columns = {"id": options.id, "smiles": options.smiles, "sequence": options.sequence}
        blank = Pairs([], Molecules([], []), [], columns).schema()
        values, reasons = _affinities(table[options.affinity], options.unit)
        kept, bad, rows, start = [], [], [], 0
        for reading in Pairs.read(table, blank):
            mine = reasons[start : start + len(reading.ids)]
            told = [error or reason for error, reason in zip(reading.errors, mine, strict=True)]
            bad += [(name, why) for name, why in zip(reading.ids, told, strict=True) if why]
            good = [i for i, row in enumerate(reading.rows) if told[row] is None]
            if reading.cases is not None and good:
                kept.append(reading.cases.take(np.array(good, dtype=np.int64)))
                rows += [start + int(reading.rows[i]) for i in good]
            start += len(reading.ids)
        if not kept:
            raise DataError(f"{where} has no pair that can be used", hint=f"of the first row: {bad[0][1]}")
        cases = kept[0]
        for more in kept[1:]:
            cases = cases.join(more)
        return Dataset(
            cases,
            values[rows][:, None],
            names=("pKd",),
            kinds=("number",),
            split=read_split(table["split"].iloc[rows], where) if "split" in table.columns else None,
            origin=Origin(where, invalid=tuple(bad)),
        )

    def adapt(self, dataset: Dataset, options: Any) -> Dataset:
        """Say which pairs must not stand on two sides of a split, by what is new at predict time."""
        assert isinstance(dataset.cases, Pairs)
        if dataset.groups is not None:
            return dataset
        units = groups(dataset.cases, options.cold, options.alike)
        notes = (*dataset.origin.notes, *([FLATTERS] if options.cold == "pair" else []))
        return replace(dataset, groups=units, origin=replace(dataset.origin, notes=notes))

    def check_trainable(self, dataset: Dataset) -> None:
        """Refuse too few pairs, too few groups, and affinities that are all the same."""
        count = 0 if dataset.groups is None else len(set(dataset.groups.tolist()))
        if len(dataset) < LEAST_PAIRS or count < LEAST_GROUPS:
            raise DataError(
                f"{len(dataset)} pairs in {count} groups of similar ones are too few: {LEAST_PAIRS} in {LEAST_GROUPS} "
                "are needed",
                hint="add measurements of other proteins or molecules, or raise --alike",
            )
        if np.ptp(dataset.targets) == 0:
            raise DataError("all affinities are the same", hint="there is nothing to learn")

    def strata(self, dataset: Dataset) -> npt.NDArray[np.int64]:
        """Return one code for all: numbers are not stratified."""
        return np.zeros(len(dataset), dtype=np.int64)

    def split(self, dataset: Dataset, plan: Plan, options: Any, seed: int) -> list[Fold]:
        """Follow the data's own split if it has no leakage; else keep groups whole, in 5 folds where they are few."""
        strata, units = self.strata(dataset), dataset.groups
        if dataset.split is not None and plan.folds <= 1:
            return [official(dataset, strata, plan, seed)]
        few = units is not None and len(set(units.tolist())) < FEW_GROUPS
        count = plan.folds or (5 if few else 1)
        plan = replace(plan, folds=count, even=True)
        folds = kfold(strata, units, plan, seed) if count > 1 else [holdout(strata, units, plan, seed)]
        for fold in folds:
            check_groups(fold, units)
        return folds

    def check(self, raw: npt.NDArray[Any], outputs: Outputs, n: int) -> None:
        """Check that affinities are (n, 1) finite numbers."""
        if not isinstance(raw, np.ndarray) or raw.dtype.kind not in "fiub":
            raise ValueError(f"predict returned a {type(raw).__name__}, not a numpy array of numbers")
        if raw.shape != (n, 1):
            raise ValueError(f"predict returned {raw.shape}, not (pairs, 1) = {(n, 1)}")
        if not np.isfinite(raw).all():
            raise ValueError("predict returned values that are not finite")

    def decide(self, valid: Dataset, raw: npt.NDArray[Any], options: Any, train: Dataset) -> Decision:
        """Decide nothing: an affinity is the answer."""
        return {}

    def answer(
        self, raw: npt.NDArray[Any], outputs: Outputs, decision: Decision, cases: Cases | None = None
    ) -> pd.DataFrame:
        """Return the column ``pKd``; `quantities` has its interval put beside it."""
        return pd.DataFrame({"pKd": np.asarray(raw[:, 0], dtype=np.float64)})

    def quantities(self, outputs: Outputs) -> tuple[Quantity, ...]:
        """Return the affinity, so that it gets a conformal interval."""
        return (Quantity("pKd", ("pKd",), (), 0),)

    def evaluate(self, data: Dataset, answers: pd.DataFrame, seed: int) -> Evaluation:
        """Measure ranking and errors, with intervals over the groups that a split keeps whole."""
        assert isinstance(data.cases, Pairs)
        truth, said = data.targets[:, 0], answers["pKd"].to_numpy(dtype=np.float64)
        protein = data.cases.distinct()[3]
        inside = held(self.quantities(Outputs.of(data))[0], data, answers)

        def statistic(weights: Weights) -> dict[str, npt.NDArray[np.float64]]:
            found = regression(truth, said, weights)
            return {
                "concordance": concordance(truth, said, weights),
                "concordance_within_protein": concordance(truth, said, weights, protein),
                **{name: found[name] for name in ("rmse", "mae", "r2", "spearman")},
                **means(inside, weights),
            }

        return Evaluation(len(data), resample(statistic, len(data), data.groups, seed))

    def sections(self, judged: Judged) -> list[Section]:
        """Write the result, how new the proteins are, and predicted beside measured."""
        return sections.write(judged)

    def floor(self, dataset: Dataset) -> str:
        """Say what the baseline is."""
        return "a linear model that adds a part of the molecule and a part of the protein"

    def counts(self, dataset: Dataset) -> dict[str, int]:
        """Count pairs, molecules, proteins, and what a split keeps whole."""
        assert isinstance(dataset.cases, Pairs)
        molecules, _, proteins, _ = dataset.cases.distinct()
        found = {"pairs": len(dataset), "molecules": len(molecules), "proteins": len(proteins)}
        units = {} if dataset.groups is None else {"groups kept whole": len(set(dataset.groups.tolist()))}
        return {**found, **units}

    def toy(self, accepts: str, n: int, seed: int) -> Dataset | None:
        """Draw toy pairs; see `target_affinity.drawn`."""
        return drawn.toy(n, seed) if accepts == "pairs" else None


def groups(cases: Pairs, cold: str, alike: float) -> npt.NDArray[np.int64]:
    """Return (n,) codes of what must not stand on two sides: families of proteins, scaffolds, or equal pairs."""
    molecules, which, sequences, codes = cases.distinct()
    if cold == "target":
        return families(sequences, alike)[codes]
    if cold == "drug":
        return np.unique([_scaffold(mol) for mol in molecules.mols()], return_inverse=True)[1][which]
    return np.unique(cases.digests(), return_inverse=True)[1]


def _scaffold(mol: Any) -> str:
    """Return the Bemis-Murcko scaffold (1996, doi:10.1021/jm9602928), of a molecule without rings itself."""
    from rdkit import Chem
    from rdkit.Chem.Scaffolds.MurckoScaffold import GetScaffoldForMol

    return str(Chem.MolToSmiles(GetScaffoldForMol(mol)) or Chem.MolToSmiles(mol))


def _affinities(column: pd.Series, unit: str) -> tuple[npt.NDArray[np.float64], list[str | None]]:
    """Return (n,) pKd, NaN where there is none, and why."""
    values, missing = numbers(column).to_numpy(dtype=np.float64), is_missing(column).to_numpy()
    reasons: list[str | None] = [
        "nothing was measured" if gone else "the affinity is not a number (bounds are not read)" if bad else None
        for gone, bad in zip(missing, np.isnan(values), strict=True)
    ]
    if unit == "nM":
        for row in np.flatnonzero(values <= 0):
            reasons[row] = "a concentration must be above zero"
        values = NM - np.log10(np.where(values > 0, values, np.nan))
    return values, reasons
