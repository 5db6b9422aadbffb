"""Molecular activity on MoleculeNet sets with their stored scaffold split, beside its peers.

A random forest (500 trees on Morgan bits, scikit-learn) and LightGBM (on RDKit's descriptors) are trained on the same
rows in the same run, chemprop too where its program is named. Goals are for the default model.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import SHARED, arguments, run, spread, verdict
from rdkit import rdBase

TOX21 = "NR-AR,NR-AR-LBD,NR-AhR,NR-Aromatase,NR-ER,NR-ER-LBD,NR-PPAR-gamma,SR-ARE,SR-ATAD5,SR-HSE,SR-MMP,SR-p53"
SETS = (
    ("bace", "Class", "auroc", 0.88),
    ("bbbp", "p_np", "auroc", 0.75),
    ("esol", "logS", "rmse", 0.80),
    ("freesolv", "expt", "rmse", None),
    ("lipophilicity", "logD", "rmse", 0.64),
    ("clintox", "FDA_APPROVED,CT_TOX", "auroc", None),
    ("tox21", TOX21, "auroc", None),
)


PEERS = ("random forest", "LightGBM")


def standardised(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the standard form of each structure, as our models see it; those without one left out.

    ClinTox's classes can be told by the charges that its structures are written with, which makes peers look better
    there than they are.
    """
    from medtasks.cases.structures import Standard, StructureError, read_smiles, smiles

    def form(text: str) -> str | None:
        try:
            return smiles(read_smiles(text, Standard()))
        except StructureError:
            return None

    with rdBase.BlockLogs():
        forms = table["smiles"].map(form)
    return table.assign(smiles=forms)[forms.notna()]


def peers(table: pd.DataFrame, targets: list[str], measure: str, seed: int) -> dict[str, float]:
    """Return the mean over the targets of each peer's measure on the test rows: trained on all others.

    The forest sees Morgan bits (radius 2, 2,048), LightGBM the 217 descriptors of RDKit less the two that grow
    exponentially with size.
    """
    from lightgbm import LGBMClassifier, LGBMRegressor
    from rdkit import Chem
    from rdkit.Chem import Descriptors, rdFingerprintGenerator
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    with rdBase.BlockLogs():
        mols = [Chem.MolFromSmiles(text) for text in table["smiles"]]
    rows = [i for i, mol in enumerate(mols) if mol is not None]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    bits = np.stack([generator.GetFingerprintAsNumPy(mols[i]) for i in rows])
    wanted = [function for name, function in Descriptors.descList if name not in ("Ipc", "AvgIpc")]
    numbers = np.array([[function(mols[i]) for function in wanted] for i in rows], dtype=np.float32)
    table = table.iloc[rows]
    found: dict[str, list[float]] = {name: [] for name in PEERS}
    classes = measure == "auroc"
    for target in targets:
        y, known = table[target].to_numpy(dtype=float), table[target].notna().to_numpy()
        train, test = known & (table["split"] != "test").to_numpy(), known & (table["split"] == "test").to_numpy()
        forest = (RandomForestClassifier if classes else RandomForestRegressor)(500, random_state=seed, n_jobs=-1)
        boosting = (LGBMClassifier if classes else LGBMRegressor)(random_state=seed, verbosity=-1, n_jobs=1)
        for name, model, x in (("random forest", forest, bits), ("LightGBM", boosting, numbers)):
            model.fit(x[train], y[train])
            told = model.predict_proba(x[test])[:, 1] if classes else model.predict(x[test])
            found[name].append(score(measure, y[test], told))
    return {name: float(np.mean(values)) for name, values in found.items()}


def chemprop(program: Path, path: Path, targets: list[str], measure: str, seed: int) -> tuple[float, float]:
    """Return chemprop's measure on the test rows, mean over the targets, and the CPU seconds of its training."""
    from rdkit import Chem

    table = pd.read_csv(path)
    with rdBase.BlockLogs():
        table = table[[Chem.MolFromSmiles(text) is not None for text in table["smiles"]]]
    test = table[table["split"] == "test"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table.to_csv(folder / "all.csv", index=False)
        test[["smiles"]].to_csv(folder / "test.csv", index=False)
        kind = "classification" if measure == "auroc" else "regression"
        train = [program, "train", "-i", folder / "all.csv", "-s", "smiles", "--target-columns", *targets]
        train += ["--splits-column", "split", "-t", kind, "--pytorch-seed", seed, "-o", folder / "out"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(list(map(str, train)), check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        ask = [program, "predict", "-i", folder / "test.csv", "-s", "smiles", "-o", folder / "told.csv"]
        ask += ["--model-paths", *folder.glob("out/**/best.pt")]
        subprocess.run(list(map(str, ask)), check=True, capture_output=True)
        told = pd.read_csv(folder / "told.csv")
    values = []
    for target in targets:
        known = test[target].notna().to_numpy()
        values.append(score(measure, test[target].to_numpy(dtype=float)[known], told[target].to_numpy()[known]))
    return float(np.mean(values)), spent


def score(measure: str, y: np.ndarray[Any, Any], told: np.ndarray[Any, Any]) -> float:
    from sklearn.metrics import roc_auc_score, root_mean_squared_error

    return float(roc_auc_score(y, told) if measure == "auroc" else root_mean_squared_error(y, told))


def main() -> None:
    parser = arguments(__doc__, SHARED / "activity")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--chemprop", type=Path, help="the program of an environment that chemprop is installed in")
    parser.add_argument("--model", default="mol-blend")
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
        table = pd.read_csv(path)
        forms = {"as written": table, "in their standard form": standardised(table)}
        first = found[0]["metrics"][measure]
        print(f"\n{name}: {measure}, n = {found[0]['n']}, {spread([one['seconds'] for one in found], 0)} s a run")
        print(
            f"  {found[0]['model']} {spread(ours)} (95 % interval of seed 0: {first['low']:.3f} to {first['high']:.3f})"
        )
        print(f"  linear baseline {found[0]['baseline'][measure]['value']:.3f}")
        for form, structures in forms.items():
            others = [peers(structures, target.split(","), measure, seed) for seed in range(chosen.seeds)]
            told = ", ".join(f"{peer} {spread([one[peer] for one in others])}" for peer in PEERS)
            print(f"  structures {form}: {told}", flush=True)
        if chosen.chemprop is not None:
            theirs = [chemprop(chosen.chemprop, path, target.split(","), measure, seed) for seed in range(chosen.seeds)]
            values, spent = zip(*theirs, strict=True)
            print(f"  chemprop {spread(values)}, {spread(spent, 0)} CPU s of training", flush=True)
        if goal is not None:
            good &= verdict(f"{name} {measure}, mean", statistics.mean(ours), goal, less=measure == "rmse")
    sys.exit(not good)


if __name__ == "__main__":
    main()
