"""Activity on the thirty ChEMBL targets of MoleculeACE, and on their activity cliffs, beside a random forest.

van Tilborg, Alenicheva, Grisoni 2022, doi:10.1021/acs.jcim.2c01073: 48,707 molecules, split by the authors; the tables
are in the wheel of the package ``MoleculeACE`` (MIT licence), which nothing here needs to have installed:
``pip download --no-deps MoleculeACE``, unpack it, and name its folder ``MoleculeACE/Data/benchmark_data``. The forest
(500 trees on Morgan bits, scikit-learn) is trained on the same rows in the same run. The goals are for `mol-blend`, and
for `mol-graph` alone.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import arguments, medtasks, verdict
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import root_mean_squared_error

GOALS = {"mol-blend": (0.60, 0.70), "mol-graph": (0.75, None)}
"""Mean RMSE over the targets: of all test molecules, of those on cliffs."""


def forest(table: pd.DataFrame, seed: int) -> np.ndarray[Any, Any]:
    """Return what a random forest says of the test rows."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    bits = np.stack([generator.GetFingerprintAsNumPy(Chem.MolFromSmiles(text)) for text in table["smiles"]])
    test = (table["split"] == "test").to_numpy()
    model = RandomForestRegressor(500, random_state=seed, n_jobs=-1).fit(bits[~test], table["y"][~test])
    return np.asarray(model.predict(bits[test]))


def ours(path: Path, table: pd.DataFrame, model: str, seed: int) -> tuple[np.ndarray[Any, Any], float]:
    """Return what a model says of the test rows, and the seconds of its run."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "run")
        done = medtasks(
            "run",
            "activity",
            "--data",
            path,
            "--target",
            "y",
            "--model",
            model,
            "--seed",
            seed,
            "--out",
            out,
            "--max-atoms",
            400,
        )
        told = pd.read_csv(out / "predictions.csv").set_index("id")["y"]
    rows = np.flatnonzero(table["split"] == "test") + 1  # a row without a name is named by its number
    return told.reindex(rows).to_numpy(), done["seconds"]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with a CSV per target")
    parser.add_argument("--models", default="mol-fingerprint,mol-graph,mol-blend")
    parser.add_argument("--targets", help="names of files, without the ending; all by default")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    paths = sorted(chosen.data.glob("*.csv"))
    if chosen.targets is not None:
        paths = [path for path in paths if path.stem in chosen.targets.split(",")]
    if not paths:
        sys.exit(f"no CSV files in {chosen.data}")
    names = ("random forest", *chosen.models.split(","))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for path in paths:
        table = pd.read_csv(path)
        test = table[table["split"] == "test"]
        y, cliff = test["y"].to_numpy(), test["cliff_mol"].to_numpy() == 1
        line = f"{path.stem}, {len(table)} molecules, {len(test)} in the test part, {cliff.sum()} on cliffs:"
        for name in names:
            told, seconds = (
                (forest(table, chosen.seed), 0.0) if name == names[0] else ours(path, table, name, chosen.seed)
            )
            if np.isnan(told).any():
                sys.exit(f"{path.stem}: {name} has no answer for {np.isnan(told).sum()} test molecules")
            found[name].append((root_mean_squared_error(y, told), root_mean_squared_error(y[cliff], told[cliff])))
            line += f" {name} {found[name][-1][0]:.3f} / {found[name][-1][1]:.3f}"
            line += f" in {seconds:.0f} s," if seconds else ","
        print(line.rstrip(","), flush=True)
    good = True
    for name, values in found.items():
        whole, cliffs = zip(*values, strict=True)
        print(f"{name}: mean RMSE {statistics.mean(whole):.3f} ({min(whole):.3f} to {max(whole):.3f}), on cliffs "
              f"{statistics.mean(cliffs):.3f} ({min(cliffs):.3f} to {max(cliffs):.3f})")  # fmt: skip
        for kind, mean, goal in zip(
            ("all", "cliffs"), map(statistics.mean, (whole, cliffs)), GOALS.get(name, (None,) * 2), strict=True
        ):
            good &= goal is None or verdict(f"{name}, {kind}", mean, goal, less=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
