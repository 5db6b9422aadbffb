"""How long `medtasks --help` and `medtasks models` take, warm, as whole processes."""

from __future__ import annotations

import shutil
import statistics
import sys

from common import arguments, seconds, spread, verdict


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    command = shutil.which("medtasks")
    if command is None:
        sys.exit("medtasks is not installed here")
    floor = seconds([sys.executable, "-c", "import typer"], runs)
    print(f"floor, `import typer` alone: {spread(floor)} s")
    good = True
    for words, goal in ((["--help"], 0.3), (["models"], 0.5), (["run", "--help"], 0.5)):
        found = seconds([command, *words], runs)
        print(f"medtasks {' '.join(words)}: {spread(found)} s, median and range of {runs}")
        good &= verdict(f"medtasks {' '.join(words)}, seconds", statistics.median(found), goal, less=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
