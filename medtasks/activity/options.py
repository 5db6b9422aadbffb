"""How molecules and their measurements are read: the task's options."""

from __future__ import annotations

from typing import Literal

import pydantic

from medtasks.activity.measurements import POWERS, WEIGHTS, unit_of
from medtasks.cases.structures import Standard
from medtasks.evaluation.calibrators import Method
from medtasks.model import Config, Names
from medtasks.task import Rule

UNITS = (*POWERS, *WEIGHTS)
"""Units of concentration that ``--unit`` knows."""


class ActivityOptions(Config):
    """Options of the task ``activity``."""

    target: Names = ()
    """The column or columns, comma-separated, that hold what is to be predicted (`target`, `activity`, `label` or `y`
    where not said)."""
    smiles: str | None = None
    """The column of structures (`smiles` and the like where not said)."""
    id: str | None = None
    """The column that names the molecule (`id` or `name` where there is one)."""
    group: str | None = None
    """A column whose groups never stand on two sides of a split, instead of scaffolds (a chemical series, say)."""
    split: str | None = None
    """The column with the data's own split into train, valid and test (`split` where there is one)."""
    split_by: Literal["scaffold", "cluster", "random", "time"] = "scaffold"
    """What new molecules will be like: of other Bemis-Murcko scaffolds, of other clusters of similar molecules, drawn
    from the same pool, or made later (`time`)."""
    time: str | None = None
    """The column by which `split_by = time` orders molecules: the last ones are the test."""
    kind: Literal["auto", "regression", "classification"] = "auto"
    """Whether targets are numbers or classes; `auto` takes 0 and 1, yes and no, active and inactive for classes."""
    unit: str | None = None
    """The unit of concentrations, to be turned into pIC50 and the like (-log10 of mol/L): `M`, `mM`, `uM`, `nM`, `pM`,
    `fM` or, by the molecular weight, `g/L`, `mg/mL`, `mg/L`, `ug/mL`, `ng/mL`, `pg/mL` and the like."""
    unit_column: str | None = None
    """The column with the unit of each row (`Standard Units` beside `Standard Value` and the like, where not said);
    `none` reads none."""
    relation: str | None = None
    """The column with the relation of each value, as `>` or `<=` (`Standard Relation` beside `Standard Value`,
    `IC50 Qualifier` beside `IC50` and the like, where not said); `none` reads none."""
    level: float = pydantic.Field(default=0.9, gt=0.5, lt=1)
    """The share of new cases whose prediction sets and intervals are to hold the truth."""
    within: str | None = None
    """A column (assay, series) within whose groups intervals and prediction sets are calibrated, so that they hold in
    every one."""
    per_class: bool = False
    """Calibrate prediction sets within each class, so that they hold in the rare one too."""
    name_nearest: bool = True
    """Keep the training molecules' SMILES in the bundle, and name the nearest beside each answer."""
    calibration: Method = "auto"
    """How probabilities are calibrated on validation: `temperature`, `platt`, `isotonic`, `none`; `auto` takes what is
    shown to make them truer."""
    threshold: Rule = "youden"
    """For classes, how the threshold is chosen on validation: `youden`, `sensitivity=0.95`, `specificity=0.9`,
    `cost=5`, or a probability."""
    cliff: float = pydantic.Field(default=1.0, ge=0)
    """Difference between nearly identical molecules that makes an activity cliff: 1 is ten-fold in log units; 0 looks
    for none."""
    standardise: bool = True
    """Whether to clean up structures, keep the largest organic fragment, and neutralise."""
    tautomers: bool = False
    """Whether to take the canonical tautomer too (about 50 ms a molecule)."""
    max_length: int = pydantic.Field(default=1000, ge=1)
    """Longest SMILES, in characters."""
    max_atoms: int = pydantic.Field(default=200, ge=1)
    """Most heavy atoms."""

    @pydantic.field_validator("unit")
    @classmethod
    def _known_unit(cls, value: str | None) -> str | None:
        if value is None:
            return None
        found = unit_of(value)
        if found is None:
            raise ValueError(f"must be one of {', '.join(UNITS)}")
        return found

    @property
    def standard(self) -> Standard:
        """The standard form that structures are brought to."""
        return Standard(self.standardise, self.tautomers, self.max_length, self.max_atoms)
