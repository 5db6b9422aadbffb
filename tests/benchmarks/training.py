"""CPU time of an epoch of training: mol-graph beside chemprop on the same rows (its defaults).

The difference between a run of few epochs and one of more leaves out reading, features, the report and the start.
mol-graph trains two networks, with and without counts of substructures: what is compared is the mean of the two.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from common import SHARED, arguments, run, spread, verdict

ROUNDS = 3
FEW, MANY = 4, 8
"""Epochs; chemprop wants more than the two that it warms up in."""
NETWORKS = 2


def spent(work: Callable[[], object]) -> float:
    """Return the CPU seconds that the processes started by a piece of work took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(data: Path, target: str, epochs: int) -> None:
    run("activity", data, "--target", target, "--model", "mol-graph", "--set", f"epochs={epochs}",
        "--set", "least_steps=0", "--set", f"members={NETWORKS}")  # fmt: skip


def chemprop(program: Path, data: Path, target: str, epochs: int) -> None:
    with tempfile.TemporaryDirectory() as out:
        words = [program, "train", "-i", data, "-s", "smiles", "--target-columns", target, "--splits-column", "split",
                 "-t", "regression", "--epochs", epochs, "--pytorch-seed", 0, "-o", out]  # fmt: skip
        subprocess.run(list(map(str, words)), check=True, capture_output=True)


def main() -> None:
    parser = arguments(__doc__, SHARED / "activity" / "lipophilicity.csv")
    parser.add_argument("--target", default="logD")
    parser.add_argument("--chemprop", type=Path, required=True, help="its program, in an environment of its own")
    chosen = parser.parse_args()
    found: dict[str, list[float]] = {"mol-graph, a network": [], "chemprop": []}
    for _ in range(ROUNDS):  # in turn: machines are not equally fast all the time
        few, many = (spent(lambda n=n: ours(chosen.data, chosen.target, n)) for n in (FEW, MANY))
        found["mol-graph, a network"].append((many - few) / (MANY - FEW) / NETWORKS)
        few, many = (spent(lambda n=n: chemprop(chosen.chemprop, chosen.data, chosen.target, n)) for n in (FEW, MANY))
        found["chemprop"].append((many - few) / (MANY - FEW))
    for name, values in found.items():
        print(f"{name}: {spread(values, 2)} CPU seconds an epoch")
    mine, theirs = found.values()
    ratios = sorted(one / other for one, other in zip(mine, theirs, strict=True))
    print(f"ratio: {spread(ratios, 2)}")
    sys.exit(not verdict("CPU time of an epoch, as a part of chemprop's", ratios[ROUNDS // 2], 0.55, less=True))


if __name__ == "__main__":
    main()
