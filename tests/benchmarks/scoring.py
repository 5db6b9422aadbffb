"""Scoring molecules in bulk: molecules a second beside RDKit's bare parsing, two workers beside one, memory.

SMILES are taken from a file (default: HIV of MoleculeNet) and repeated. Each model is trained on ESOL with its default
settings but few training steps, which changes nothing in the speed of answering. The blend does not ask a member
that has no weight: its networks are trained long enough to get some, and its weights are printed.

With ``--chemprop`` the program of an environment that has it, the speed from Python is measured too, in one process
and one thread: SMILES in, and out a table with intervals and domain, in turn with chemprop on the same rows (an
untrained network of its default size, numbers alone).

The memory of a million rows beside that of a tenth: ``--models linear-fingerprint --count 100000 --times 10``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from common import SHARED, arguments, medtasks, spread, verdict

ROUNDS = 3
"""How often each is measured from Python, in turn: machines are not equally fast all the time."""
QUICK = {
    "mol-graph": ["--set", "epochs=1", "--set", "least_steps=0"],
    "mol-blend": ["--set", "graph_steps=1000"],
}
MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
assert done.returncode == 0, done.stderr
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""
OURS = """
import sys, time
import pandas as pd
import medtasks
table, predictor = pd.read_csv(sys.argv[1]), medtasks.load(sys.argv[2])
for _ in range(2):
    predictor.predict(table.head(2048))  # networks are built and traced at the first
start = time.perf_counter()
predictor.predict(table)
print(len(table) / (time.perf_counter() - start))
"""
CHEMPROP = """
import logging, sys, time
import pandas as pd, torch
torch.set_num_threads(1)
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
import lightning.pytorch as lightning
from chemprop import data, featurizers, models, nn
from rdkit import Chem, rdBase
rdBase.DisableLog("rdApp.*")
texts = [text for text in pd.read_csv(sys.argv[1])["smiles"] if Chem.MolFromSmiles(text) is not None]
model = models.MPNN(nn.BondMessagePassing(), nn.MeanAggregation(), nn.RegressionFFN()).eval()
trainer = lightning.Trainer(logger=False, enable_progress_bar=False, accelerator="cpu", devices=1,
                            enable_checkpointing=False)
def answer(texts):
    points = [data.MoleculeDatapoint.from_smi(text) for text in texts]
    rows = data.MoleculeDataset(points, featurizers.SimpleMoleculeMolGraphFeaturizer())
    with torch.inference_mode():
        trainer.predict(model, data.build_dataloader(rows, shuffle=False, batch_size=64))
answer(texts[:64])
start = time.perf_counter()
answer(texts)
print(len(texts) / (time.perf_counter() - start))
"""


def score(place: Path, library: Path, out: Path, workers: int) -> tuple[float, float]:
    """Return seconds and the largest process' memory in MiB."""
    command = [sys.executable, "-m", "medtasks", "predict", str(place), str(library), "-o", str(out)]
    command += ["--workers", str(workers)]
    done = subprocess.run([sys.executable, "-c", MEASURE, *command], capture_output=True, text=True, check=True)
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def from_python(chemprop: Path, library: Path, bundles: Mapping[str, Path]) -> None:
    """Print molecules a second in one process and thread: each model in turn with chemprop; see `OURS`, `CHEMPROP`."""
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    commands = {"chemprop": [str(chemprop.parent / "python"), "-W", "ignore", "-c", CHEMPROP, str(library)]}
    for model, bundle in bundles.items():
        commands[model] = [sys.executable, "-W", "ignore", "-c", OURS, str(library), str(bundle)]
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=alone)
            found[name].append(float(done.stdout.split()[-1]))
    for name, values in found.items():
        ratios = [one / other for one, other in zip(values, found["chemprop"], strict=True)]
        print(f"from Python, {name}: {spread(values, 0)} molecules a second, {spread(ratios, 2)} times chemprop's")


def parsing(texts: list[str]) -> float:
    """Return molecules a second that RDKit parses, in one process."""
    from rdkit import Chem, rdBase

    start = time.perf_counter()
    with rdBase.BlockLogs():
        for text in texts:
            Chem.MolFromSmiles(text)
    return len(texts) / (time.perf_counter() - start)


def main() -> None:
    parser = arguments(__doc__, SHARED / "activity" / "hiv.csv")
    parser.add_argument("--train", type=Path, default=SHARED / "activity" / "esol.csv")
    parser.add_argument("--models", default="mol-fingerprint,mol-trees,mol-graph,mol-blend")
    parser.add_argument("--count", type=int, default=16_384)
    parser.add_argument("--times", type=int, default=4, help="how many times more rows the memory is compared with")
    parser.add_argument("--chemprop", type=Path, help="the program of an environment that chemprop is installed in")
    chosen = parser.parse_args()
    texts = pd.read_csv(chosen.data)["smiles"].tolist()
    texts = (texts * (chosen.count // len(texts) + 1))[: chosen.count]
    print(f"MolFromSmiles alone: {parsing(texts):.0f} molecules a second")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few, many = folder / "few.parquet", folder / "many.parquet"
        pd.DataFrame({"smiles": texts[: chosen.count // 4]}).to_parquet(few)
        pd.DataFrame({"smiles": texts}).to_parquet(many)
        for model in chosen.models.split(","):
            place = folder / model
            extra = QUICK.get(model, [])
            named = ("--data", chosen.train, "--target", "logS", "--model", model, "--out", place)
            medtasks("run", "activity", *named, *extra)
            if (weights := place / "bundle" / "model" / "blend.json").is_file():
                print(f"{model}: weights of its members {json.loads(weights.read_text())['weights'][0]}")
            start, _ = score(place, few, folder / f"{model}-few", 1)
            one, _ = score(place, many, folder / f"{model}-one", 1)
            two, _ = score(place, many, folder / f"{model}-two", 2)
            each = (one - start) / (0.75 * chosen.count)  # the difference of both runs leaves out the start
            print(f"{model}: {1 / each:.0f} molecules a second on one core, after {one - each * chosen.count:.0f} s of "
                  f"start; two workers take {two / one:.2f} of the time of one")  # fmt: skip
        if chosen.chemprop is not None:  # whose environment need not have what reads Parquet
            plain = folder / "many.csv"
            pd.DataFrame({"smiles": texts}).to_csv(plain, index=False)
            bundles = {model: folder / model / "bundle" for model in chosen.models.split(",")}
            from_python(chosen.chemprop, plain, bundles)
        larger = folder / "larger.parquet"
        pd.DataFrame({"smiles": texts * chosen.times}).to_parquet(larger)
        first = chosen.models.split(",")[0]
        _, small = score(folder / first, many, folder / "small", 1)
        _, large = score(folder / first, larger, folder / "large", 1)
        print(f"{first}: {small:.0f} MiB for {chosen.count} rows, {large:.0f} MiB for {chosen.times} times as many")
        sys.exit(not verdict("memory of the larger input, as a multiple", large / small, 1.1, less=True))


if __name__ == "__main__":
    main()
