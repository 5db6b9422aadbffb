"""Coverage of 90 % sets and intervals on exchangeable data (20 splits), and on PneumoniaMNIST's own split."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from common import SHARED, arguments

import medtasks

SPLITS = 20
GOAL = (0.88, 0.92)


def main() -> None:
    """Measure, print, and end with 1 where a goal is missed."""
    data = arguments(__doc__, SHARED).parse_args().data
    asked = {
        "dermatology (6 classes)": ("diagnosis", data / "diagnosis/dermatology.tsv.gz", {"model": "linear-record"}),
        "cleveland, per class": (
            "diagnosis",
            data / "diagnosis/cleveland.tsv.gz",
            {"model": "linear-record", "per_class": True, "positive": "1,2,3,4"},
        ),
        "dermatology, validation answered left out": (
            "diagnosis",
            data / "diagnosis/dermatology.tsv.gz",
            {"model": "diagnosis.record-ensemble"},
        ),
        "cleveland, validation answered left out": (
            "diagnosis",
            data / "diagnosis/cleveland.tsv.gz",
            {"model": "diagnosis.record-ensemble", "positive": "1,2,3,4"},
        ),
        "ESOL, intervals": (
            "activity",
            data / "activity/esol.csv",
            {"model": "linear-fingerprint", "split_by": "random", "target": "logS"},
        ),
        "warfarin, doses": (
            "treatment",
            data / "treatment/warfarin_iwpc.csv",
            {"model": "linear-dose", "dose": "Therapeutic Dose of Warfarin", "within": "Race"},
        ),
    }
    held = True
    for name, (task, path, options) in asked.items():
        found = [measure(task, path, options, seed) for seed in range(SPLITS)]
        mean, spread = statistics.mean(found), statistics.stdev(found)
        fine = GOAL[0] <= mean <= GOAL[1]
        held &= fine
        print(f"{name}: coverage {mean:.3f} (sd of a split {spread:.3f}, {SPLITS} splits){'' if fine else ' MISSED'}")
    with tempfile.TemporaryDirectory() as folder:
        run = medtasks.run(
            "diagnosis", data / "diagnosis/pneumoniamnist.npz", model="linear-image", out=Path(folder) / "r"
        )
    status, coverage = run.summary["validity"], run.evaluation.metrics["coverage"].value
    print(f"PneumoniaMNIST, official split, linear model: coverage {coverage:.3f}, validity {status}")
    held &= status["status"] == "shifted" or (coverage or 0) >= GOAL[0]
    sys.exit(0 if held else 1)


def measure(task: str, path: Path, options: dict[str, object], seed: int) -> float:
    """Return the coverage on the test part of one split."""
    table = read(path)
    with tempfile.TemporaryDirectory() as folder:
        run = medtasks.run(task, table, seed=seed, folds=1, valid=0.3, test=0.3, out=Path(folder) / "r", **options)  # type: ignore[arg-type]
    value = run.evaluation.metrics["coverage"].value
    assert value is not None
    return value


def read(path: Path) -> object:
    """Read a table without the split that came with it."""
    from medtasks.cases.tables import read_table

    table = read_table(path)
    return table.drop(columns=[name for name in ("split", "row") if name in table])


if __name__ == "__main__":
    main()
