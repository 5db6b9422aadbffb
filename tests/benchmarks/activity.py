"""Molecular activity on MoleculeNet sets with their stored scaffold split, beside the linear baseline and a forest.

The forest (500 trees on Morgan bits, radius 2, scikit-learn) is trained on the same rows in the same run. Goals are for
the default model; chemprop 2.3.1, measured before: BACE .749, BBBP .696, ESOL .818, Lipophilicity .722.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from common import SHARED, arguments, run, spread, verdict

SETS = (
    ("bace", "Class", "auroc", 0.88),
    ("bbbp", "p_np", "auroc", 0.75),
    ("esol", "logS", "rmse", 0.80),
    ("freesolv", "expt", "rmse", None),
    ("lipophilicity", "logD", "rmse", 0.64),
    ("clintox", "FDA_APPROVED,CT_TOX", "auroc", None),
)


def forest(path: Path, targets: list[str], measure: str, seed: int) -> float:
    """Return the mean over the targets of the forest's measure on the test rows."""
    from rdkit import Chem, RDLogger
    from rdkit.Chem import rdFingerprintGenerator
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.metrics import roc_auc_score, root_mean_squared_error

    RDLogger.DisableLog("rdApp.*")
    table = pd.read_csv(path)
    mols = [Chem.MolFromSmiles(text) for text in table["smiles"]]
    rows = [i for i, mol in enumerate(mols) if mol is not None]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    x = np.stack([generator.GetFingerprintAsNumPy(mols[i]) for i in rows])
    table = table.iloc[rows]
    found = []
    for target in targets:
        y, known = table[target].to_numpy(dtype=float), table[target].notna().to_numpy()
        train, test = known & (table["split"] != "test").to_numpy(), known & (table["split"] == "test").to_numpy()
        kind = RandomForestClassifier if measure == "auroc" else RandomForestRegressor
        model = kind(500, random_state=seed, n_jobs=-1).fit(x[train], y[train])
        if measure == "auroc":
            found.append(roc_auc_score(y[test], model.predict_proba(x[test])[:, 1]))
        else:
            found.append(root_mean_squared_error(y[test], model.predict(x[test])))
    return float(np.mean(found))


def main() -> None:
    parser = arguments(__doc__, SHARED / "activity")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="mol-fingerprint")
    parser.add_argument("--sets", default=",".join(name for name, *_ in SETS))
    chosen = parser.parse_args()
    good = True
    for name, target, measure, goal in SETS:
        if name not in chosen.sets.split(","):
            continue
        path = chosen.data / f"{name}.csv"
        found = [
            run("activity", path, "--target", target, "--model", chosen.model, "--seed", seed)
            for seed in range(chosen.seeds)
        ]
        ours = [one["metrics"][measure]["value"] for one in found]
        peers = [forest(path, target.split(","), measure, seed) for seed in range(chosen.seeds)]
        first = found[0]["metrics"][measure]
        print(f"\n{name}: {measure}, n = {found[0]['n']}, {spread([one['seconds'] for one in found], 0)} s a run")
        print(
            f"  {found[0]['model']} {spread(ours)} (95 % interval of seed 0: {first['low']:.3f} to {first['high']:.3f})"
        )
        print(
            f"  linear baseline {found[0]['baseline'][measure]['value']:.3f}, random forest {spread(peers)}", flush=True
        )
        if goal is not None:
            good &= verdict(f"{name} {measure}, mean", statistics.mean(ours), goal, less=measure == "rmse")
    sys.exit(not good)


if __name__ == "__main__":
    main()
