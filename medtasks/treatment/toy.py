"""Toy patients of the task ``treatment``, whose cause is known; see `medtasks.testing`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from medtasks.cases import Patients
from medtasks.dataset import Dataset, Origin
from medtasks.treatment.questions import ARM, DOSE, SET, Asked

FIELDS = ("pressure", "glucose", "weight")
MEDICINES = ("aspirin", "metformin", "statin")


def draw(accepts: str, n: int, seed: int) -> Dataset | None:
    """Draw ``n`` patients of one of the questions.

    The field ``weight`` is the cause (``extra["cause"]``): it turns the effect of the second of two arms given by lot,
    it sets the dose, and it calls for the last of three medicines, as each other field does for one of its own.
    """
    question = accepts.rpartition("/")[2]
    if question not in (ARM, SET, DOSE):
        return None
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(n, len(FIELDS))), columns=list(FIELDS))
    table["ward"] = rng.choice(["north", "south"], n)
    cases = Patients.from_table(table, [f"TOYCASE-{seed}-{i:05d}" for i in range(n)])
    weight = table["weight"].to_numpy()
    extra: dict[str, Any] = {"cause": np.tile([False, False, True, False], (n, 1))}
    names: tuple[str, ...] = ("dose",)
    if question == ARM:
        names, arm, rows = ("plain", "new"), rng.integers(0, 2, n), np.arange(n)
        targets = np.full((n, 2), np.nan)
        targets[rows, arm] = 3 * weight * arm + rng.normal(0, 0.5, n)
        extra["propensity"] = np.full((n, 2), 0.5)
    elif question == SET:
        names = MEDICINES
        needed = table[list(FIELDS)].to_numpy() > 0
        targets = (rng.random((n, 3)) < np.where(needed, 0.95, 0.05)).astype(np.float64)
        extra |= {"previous": np.zeros((n, 3), dtype=np.uint8), "returning": np.zeros(n, dtype=bool)}
    else:
        targets = np.maximum(5 + weight + rng.normal(0, 0.2, n), 0.5)[:, None] ** 2
    origin = Origin("toy", synthetic=True)
    return Dataset(cases, targets, names=names, kinds=Asked(question).kinds(len(names)), extra=extra, origin=origin)
