"""Clean data of each kind: an audit of them finds nothing, and each test plants one fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from medtasks.auditing import Finding, audit
from medtasks.cases import Images, Molecules
from medtasks.dataset import Dataset

SIDE = 24


def seen(findings: tuple[Finding, ...]) -> set[tuple[str, str]]:
    """Return severity and check of each finding."""
    return {(one.severity, one.check) for one in findings}


def only(findings: tuple[Finding, ...], check: str, severity: str | None = None) -> Finding:
    """Return the one finding of a check."""
    found = [one for one in findings if one.check == check and severity in (None, one.severity)]
    assert len(found) == 1, [one.title for one in findings]
    return found[0]


@pytest.fixture
def clinic() -> pd.DataFrame:
    """Return 300 patients with a split of their own; CRP tells a little of who is ill."""
    rng = np.random.default_rng(1)
    n = 300
    ill = rng.random(n) < 0.4
    return pd.DataFrame(
        {
            "id": [f"P{i:04d}" for i in rng.permutation(n)],
            "age": np.round(rng.uniform(20, 90, n), 1),
            "crp": np.round(np.exp(rng.normal(1.5 + ill, 1.0, n)), 2),
            "glucose": np.round(rng.normal(100, 15, n), 1),
            "sodium": np.round(rng.normal(140, 3, n), 1),
            "sex": rng.choice(["f", "m"], n),
            "fever": rng.choice(["yes", "no"], n),
            "target": np.where(ill, "sick", "healthy"),
            "split": rng.permutation(np.repeat(["train", "valid", "test"], [180, 60, 60])),
        }
    )


@pytest.fixture
def read_clinic() -> Callable[[pd.DataFrame], Dataset]:
    """Read a table as the task `diagnosis` does."""
    from medtasks.preparing import read
    from medtasks.task import load_task

    task = load_task("diagnosis")
    return lambda table: read(task, table, task.Options())


@pytest.fixture
def look(read_clinic: Callable[[pd.DataFrame], Dataset]) -> Callable[[pd.DataFrame], tuple[Finding, ...]]:
    """Audit a table as the task `diagnosis` reads it."""
    return lambda table: audit(read_clinic(table))


def drawn(n: int = 90, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Draw films of clouds, no two alike."""
    rng = np.random.default_rng(seed)
    clouds = gaussian_filter(rng.normal(size=(n, SIDE, SIDE)), (0, 1.2, 1.2))
    return (128 + 200 * clouds).clip(0, 255).astype(np.uint8)


@pytest.fixture
def films() -> npt.NDArray[np.uint8]:
    """Return 90 films."""
    return drawn()


def film_set(films: npt.NDArray[Any], **changes: Any) -> Dataset:
    """Make a data set of films: every third ill, with a split of its own."""
    n = len(films)
    whole = Dataset(
        Images([f"film {i}" for i in np.random.default_rng(3).permutation(n)], films),
        (np.arange(n) % 3 == 0).astype(np.int64),
        classes=("well", "ill"),
        split=np.array(["train", "train", "valid", "test"], dtype=object)[np.arange(n) // 3 % 4],
    )
    return replace(whole, **changes)


def molecule_set(smiles: list[str], values: npt.NDArray[np.float64], **changes: Any) -> Dataset:
    """Make a data set of molecules with one number each."""
    cases = Molecules.from_smiles(smiles, [f"mol {i}" for i in range(len(smiles))])
    return replace(Dataset(cases, values[:, None], names=("pIC50",), kinds=("number",)), **changes)
