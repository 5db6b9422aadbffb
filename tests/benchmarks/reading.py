"""Reading a folder of images: images a second beside Pillow alone in one thread, and the memory that it takes.

Draws the images first: radiograph-like, 8-bit grey PNG, 512 x 512.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from common import arguments, medtasks, verdict
from PIL import Image


def draw(folder: Path, count: int, side: int) -> list[Path]:
    """Write smooth noise, which PNG compresses about as far as a radiograph."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (side // 8, side // 8), dtype=np.uint8))
        pixels = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=np.int16)
        pixels = pixels + rng.integers(-2, 3, pixels.shape, dtype=np.int16)
        place = folder / ("a" if i % 2 else "b")
        place.mkdir(exist_ok=True)
        paths.append(place / f"{i:05d}.png")
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(paths[-1])
    return paths


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--side", type=int, default=512)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = draw(Path(folder), chosen.count, chosen.side)
        start = time.perf_counter()
        for path in paths:
            np.asarray(Image.open(path))
        floor = chosen.count / (time.perf_counter() - start)
        medtasks("run", "diagnosis", "--data", "phantom/small", "--model", "linear-image", "--dry-run")
        small = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        start = time.perf_counter()
        medtasks("run", "diagnosis", "--data", folder, "--model", "linear-image", "--dry-run")
        ours = chosen.count / (time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        pixels = chosen.count * chosen.side**2 / 2**20
    print(f"{chosen.count} images of {chosen.side} px: {ours:.0f} a second with start-up, hashing and checks; "
          f"Pillow alone, one thread: {floor:.0f}")  # fmt: skip
    print(f"peak memory {peak / 1024:.0f} MiB, with 240 small images {small / 1024:.0f} MiB; "
          f"the pixels are {pixels:.0f} MiB")  # fmt: skip
    verdict("memory beyond a small set, as a share of all pixels", (peak - small) / 1024 / pixels, 0.25, less=True)


if __name__ == "__main__":
    main()
