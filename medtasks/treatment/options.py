"""How data for a treatment are read: the task's options."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import pydantic

from medtasks.model import Config, Names

ADMISSION, DISCHARGE = "admission", "discharge"


def _moment(value: str) -> str:
    if value not in (ADMISSION, DISCHARGE) and not re.fullmatch(r"\d+h", value):
        raise ValueError("say admission, discharge, or hours after the admission as in 24h")
    return value


Moment = Annotated[str, pydantic.AfterValidator(_moment)]
"""The type of an option that says when, in a visit, the treatment is chosen."""


class TreatmentOptions(Config):
    """Options of the task ``treatment``."""

    treatment: str | None = None
    """The column that holds the treatment each patient received (`treatment` or `arm` where not said)."""
    outcome: str | None = None
    """The column that holds how it went: a number, or 0 and 1 (`outcome` where not said); more is better."""
    minimise: bool = False
    """Less of the outcome is better (pain, days in hospital, death)."""
    randomised: bool = False
    """The treatment was drawn by lot, with the shares seen in the data."""
    propensity: Names = ()
    """The columns, comma-separated, with each patient's known probability of each treatment, in the order of their
    names; of two treatments that of the second is enough."""
    arms: Names = ()
    """Names for the treatments, comma-separated, in the order of the values in the data."""
    dose: str | None = None
    """The column that holds a dose that proved right (above 0): the question is then how much."""
    within: str | None = None
    """For doses: the column (ancestry, sex, site) within whose groups intervals are calibrated."""
    level: float = pydantic.Field(default=0.9, gt=0.5, lt=1)
    """For doses: the share of patients whose dose the interval is to hold."""
    group: str | None = None
    """The column that names the patient: rows of one patient never stand on two sides of a split (`patient_id` where
    there is one)."""
    id: str | None = None
    """The column that names the row (`id` where there is one)."""
    split: str | None = None
    """The column with the data's own split into train, valid and test (`split` where there is one)."""
    subgroups: Names = ()
    """Fields, comma-separated, by whose values the measures are told too; numbers cut as in `age:18-40-65`."""
    ignore: Names = ()
    """Columns, comma-separated, that the model must not see: above all what came after the treatment."""
    at: Moment = ADMISSION
    """For event tables: when in a visit the medicines are chosen, and up to when anything is visible: `admission`,
    hours after it as in `24h`, or `discharge`."""
    medicines: Names = ()
    """For event tables: CSVs of two columns, comma-separated, that rename medicines, each leading on from the one
    before: the first from `ndc`, `code` or `name`, the last to names or ATC codes."""
    atc_level: int | None = pydantic.Field(default=None, ge=1, le=5)
    """For event tables: cut the ATC codes that `medicines` leads to at this level; at 5 two substances of one group of
    level 4 are a duplicate."""
    called: Literal["ingredient", "name"] = "ingredient"
    """For event tables without `medicines`: by the `ingredient` that the name tells, or by the whole `name`."""
    least: int = pydantic.Field(default=10, ge=1)
    """For event tables: medicines given to fewer patients are left out."""
    interactions: str | None = None
    """For sets: a CSV of medicines that must not meet, with the columns `a`, `b`, and if known `severity`, `source`."""
    budget: float | None = pydantic.Field(default=None, ge=0, le=1)
    """For sets: the largest share of pairs of medicines that may interact; half the clinicians' own where not said."""
