"""Three clinical tables in 5-fold cross-validation, the default model beside the linear baseline, 3 seeds."""

from __future__ import annotations

import statistics
import sys

from common import SHARED, arguments, run, spread, verdict

GOALS = (
    ("dermatology.tsv.gz", (), "accuracy", 0.975),
    ("cleveland.tsv.gz", ("--positive", "1,2,3,4"), "auroc", 0.90),
    ("hepatitis.tsv.gz", (), "auroc", 0.85),
)


def main() -> None:
    parser = arguments(__doc__, SHARED / "diagnosis")
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    good = True
    for name, words, measure, goal in GOALS:
        found = [
            run("diagnosis", chosen.data / name, "--target", "target", *words, "--folds", 5, "--seed", seed)
            for seed in range(chosen.seeds)
        ]
        ours = [one["metrics"][measure]["value"] for one in found]
        floor = [one["baseline"][measure]["value"] for one in found]
        first = found[0]["metrics"][measure]
        print(f"\n{name}: n = {found[0]['n']}, {found[0]['model']}, {spread([one['seconds'] for one in found], 0)} s")
        print(f"  {measure}, median and range of {chosen.seeds} seeds: {spread(ours)}; baseline {spread(floor)}")
        print(f"  95 % interval of seed 0: {first['low']:.3f} to {first['high']:.3f}")
        good &= verdict(f"{name} {measure}, mean", statistics.mean(ours), goal)
    sys.exit(not good)


if __name__ == "__main__":
    main()
