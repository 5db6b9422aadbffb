"""The image network on a GPU beside the CPU: the speed-up in training, and whether both answer alike.

Trains once on each device, then lets both devices answer with the bundle trained on the CPU: the same weights in
float32 must give the same probabilities up to the order of sums. Needs a GPU that Keras' backend sees.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from common import SHARED, arguments, medtasks, verdict


def main() -> None:
    parser = arguments(__doc__, SHARED / "diagnosis" / "pneumoniamnist.npz")
    parser.add_argument("--set", action="append", default=[], help="passed on, as in --set members=1")
    chosen = parser.parse_args()
    words = [word for item in chosen.set for word in ("--set", item)]
    with tempfile.TemporaryDirectory() as folder:
        told = {}
        for device in ("gpu", "cpu"):
            out = Path(folder, device)
            told[device] = medtasks("run", "diagnosis", "--data", chosen.data, "--device", device, "--out", out, *words)
            measures = {name: told[device]["metrics"][name]["value"] for name in ("auroc", "accuracy")}
            print(f"{device}: {told[device]['seconds']:.0f} s on {told[device]['device']}, {measures}", flush=True)
        answers = {device: _predict(Path(folder, "cpu"), chosen.data, device) for device in ("gpu", "cpu")}
    columns = [name for name in answers["cpu"].columns if name.startswith("p_")]
    gap = np.abs(answers["gpu"][columns].to_numpy() - answers["cpu"][columns].to_numpy()).max()
    speed = told["cpu"]["seconds"] / told["gpu"]["seconds"]
    good = verdict("speed-up of a whole run", speed, 2.0)
    # TF32, which NVIDIA GPUs use in convolutions, keeps 10 bits of a factor: 1e-3 relative
    good &= verdict("largest difference between probabilities", float(gap), 5e-3, less=True)
    sys.exit(not good)


def _predict(bundle: Path, data: Path, device: str) -> pd.DataFrame:
    import medtasks as api

    return api.predict(bundle, data, device=device)


if __name__ == "__main__":
    main()
