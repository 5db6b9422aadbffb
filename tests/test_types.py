"""What users and authors write as the pages tell them passes their type checker: the package has ``py.typed``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from medtasks.scaffold import WRITTEN, scaffold

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import medtasks
from medtasks.cases import Molecules
from medtasks.predictor import Predictor


class Polars:
    def to_pandas(self, *, zero_copy: bool = False) -> pd.DataFrame:
        return pd.DataFrame()


def smiles() -> Iterator[str]:
    yield "CCO"


def ask(predictor: Predictor) -> pd.DataFrame:
    medtasks.predict(predictor, ["CCO", "c1ccccc1O"])
    medtasks.predict(predictor, [object()])  # such as RDKit's Mol, whose stubs may be lacking
    medtasks.predict(predictor, np.array(["CCO"]))
    medtasks.predict(predictor, pd.Series(["CCO"]))
    medtasks.predict(predictor, smiles())
    medtasks.predict(predictor, Polars())
    medtasks.predict(predictor, [{"age": 61, "fever": "yes"}])
    medtasks.predict(predictor, Molecules.from_smiles(["CCO"]))
    medtasks.explain("run", pd.Series(["CCO"]))
    for part in predictor.iterate(Path("molecules.csv")):
        part.to_csv("answers.csv")
    list(predictor.explain(smiles()))
    return predictor.predict(pd.DataFrame({"smiles": ["CCO"]}))


def learn(table: pd.DataFrame) -> str:
    rows = [{"age": 61, "target": "ill"}]
    medtasks.train("diagnosis", rows)
    medtasks.audit("diagnosis", Polars())
    medtasks.evaluate("run", table, target="dx")
    medtasks.compare("diagnosis", "breast-cancer", models=["linear-record"])
    result = medtasks.run("diagnosis", table, out=Path("run"))
    return f"{result.evaluation.metrics['auroc'].value} {medtasks.__version__} {medtasks.models()[0].name}"
"""
TYPED = '''
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from medtasks.cases import Cases, RecordEncoder, Records
from medtasks.dataset import Dataset
from medtasks.model import Context, Model


class Nearest(Model):
    """Nearest centre."""

    task = "diagnosis"
    accepts = "records"

    class Config(Model.Config):
        sharpness: float = 1.0
        """How fast."""

    def fit(self, train: Dataset, valid: Dataset, *, context: Context) -> None:
        assert isinstance(train.cases, Records)
        self.encoder = RecordEncoder.fit(train.cases)
        self.centres = self.encoder.transform(train.cases)

    def predict(self, cases: Cases, *, context: Context) -> npt.NDArray[np.float64]:
        return np.zeros((len(cases), 2))

    def save(self, folder: Path) -> None:
        np.savez(folder / "model.npz", allow_pickle=False, centres=self.centres, **self.encoder.to_arrays())

    @classmethod
    def load(cls, folder: Path, *, context: Context) -> Self:
        return cls(cls.Config())
'''


@pytest.mark.slow
def test_what_the_pages_and_templates_show_passes_mypy(tmp_path: Path) -> None:
    for task in WRITTEN:
        scaffold(f"acme-model-{task}", task, "model", tmp_path)
        scaffold(f"acme-data-{task}", task, "dataset", tmp_path)
    scaffold("acme-task", "acme-grading", "task", tmp_path)
    page = (ROOT / "docs" / "first-plugin.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (shown,) = (block for block in blocks if "class NearestCentre" in block)
    (tmp_path / "shown.py").write_text(shown, encoding="utf-8")
    plain = [*tmp_path.glob("acme-*/src/*/__init__.py"), tmp_path / "shown.py"]
    assert len(plain) == 2 * len(WRITTEN) + 2
    assert checked(tmp_path, *plain) == ""
    for name, text in (("script.py", SCRIPT), ("typed.py", TYPED)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert checked(tmp_path, "--strict", tmp_path / "script.py", tmp_path / "typed.py") == ""


def checked(folder: Path, *arguments: Path | str) -> str:
    """Return what mypy finds wrong, told nothing of this project but where it is."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "--follow-imports=silent", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr
