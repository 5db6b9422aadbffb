"""How data for a diagnosis are read: the task's options."""

from __future__ import annotations

from typing import Annotated

import pydantic

from medtasks.evaluation.calibrators import Method
from medtasks.model import Config, Names
from medtasks.task import Rule


def _pair(value: object) -> object:
    """Read ``low,high`` as two numbers."""
    return tuple(value.split(",")) if isinstance(value, str) else value


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if not value[0] < value[1]:
        raise ValueError("the first value must be below the second")
    return value


PixelRange = Annotated[
    tuple[pydantic.FiniteFloat, pydantic.FiniteFloat],
    pydantic.BeforeValidator(_pair),
    pydantic.AfterValidator(_rising),
]
"""The type of an option that says which values are black and white."""


class DiagnosisOptions(Config):
    """Options of the task ``diagnosis``."""

    target: str | None = None
    """The column that holds the class (`target`, `label` or `diagnosis` where not said)."""
    group: str | None = None
    """The column that names the patient: cases of one patient never stand on two sides of a split (`patient_id` where
    there is one; DICOM files are grouped by the PatientID in their headers, unless this is `none`)."""
    group_pattern: str | None = None
    """For images in folders: a regular expression whose first group, found in the path, names the patient."""
    id: str | None = None
    """The column that names the case (`id` where there is one)."""
    split: str | None = None
    """The column with the data's own split into train, valid and test (`split` where there is one)."""
    path: str = "path"
    """The column of a manifest that holds the image files' paths."""
    pixel_range: PixelRange | None = None
    """For images of 16 or 32 bits in PNG, TIFF or `.npz`, and DICOM without a window: the values that are black and
    white, as in `0,4095`."""
    positive: Names = ()
    """The class or classes, comma-separated, that count as positive; all others become negative."""
    classes: Names = ()
    """Names for the classes, comma-separated, in the order of the labels in the data."""
    subgroups: Names = ()
    """Fields, comma-separated, by whose values the measures are told too; numbers cut as in `age:18-40-65`."""
    ignore: Names = ()
    """Columns, comma-separated, that the model must not see."""
    level: float = pydantic.Field(default=0.9, gt=0.5, lt=1)
    """The share of new cases whose prediction sets and intervals are to hold the truth."""
    within: str | None = None
    """Calibrate prediction sets within each group of this field, or of this column of a manifest (sex, site, scanner),
    so that they hold in every one."""
    per_class: bool = False
    """Calibrate prediction sets within each class, so that they hold in the rare one too."""
    calibration: Method = "auto"
    """How probabilities are calibrated on validation: `temperature`, `platt`, `isotonic`, `none`; `auto` takes what is
    shown to make them truer."""
    threshold: Rule = "youden"
    """With two classes, how the threshold is chosen on validation: `youden`, `sensitivity=0.95`, `cost=5`,
    `specificity=0.9`, or a probability."""
