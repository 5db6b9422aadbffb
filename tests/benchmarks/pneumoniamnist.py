"""PneumoniaMNIST's official test part: the default model, its defaults, several seeds, beside the baseline.

Published (Yang et al. 2021, arXiv:2010.14925; AUROC/accuracy): ResNet-18 28 px .948/.833, ResNet-50 224 px .967/.896,
AutoKeras .939/.883, Google AutoML Vision .993/.941.
Hyper-parameters were chosen on the training and validation parts alone.
"""

from __future__ import annotations

import statistics
import sys

from common import SHARED, arguments, run, spread, verdict

MEASURES = ("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "brier", "ece")


def main() -> None:
    parser = arguments(__doc__, SHARED / "diagnosis" / "pneumoniamnist.npz")
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    found = []
    for seed in range(chosen.seeds):
        one = run("diagnosis", chosen.data, "--seed", seed)
        found.append(one)
        told = ", ".join(f"{name} {one['metrics'][name]['value']:.4f}" for name in MEASURES)
        print(f"seed {seed}: {told}, {one['seconds']:.0f} s on {one['device']}", flush=True)
    print(f"\n{found[0]['model']}, n = {found[0]['n']}; median and range of {len(found)} seeds, then the baseline")
    for name in MEASURES:
        values = [one["metrics"][name]["value"] for one in found]
        print(f"  {name}: mean {statistics.mean(values):.4f}, {spread(values, 4)}; "
              f"baseline {found[0]['baseline'][name]['value']:.4f}")  # fmt: skip
    checks = [
        verdict("AUROC, mean", statistics.mean(one["metrics"]["auroc"]["value"] for one in found), 0.98),
        verdict("accuracy, mean", statistics.mean(one["metrics"]["accuracy"]["value"] for one in found), 0.935),
        verdict("seconds, longest", max(one["seconds"] for one in found), 600, less=True),
    ]
    sys.exit(not all(checks))


if __name__ == "__main__":
    main()
