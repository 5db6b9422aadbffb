"""How long `medtasks --help` and `medtasks models` take, warm, as whole processes.

With ``--hostile`` ten hostile plugins stand beside (`tests/hostile.py`): each must still take less than 0.5 s.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from common import arguments, seconds, spread, verdict

Goals = tuple[tuple[list[str], float], ...]
GOALS: Goals = ((["--help"], 0.3), (["models"], 0.5), (["run", "--help"], 0.5))
HOSTILE_GOALS: Goals = ((["--help"], 0.5), (["models"], 0.5))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--hostile", action="store_true", help="with ten hostile plugins installed")
    chosen = parser.parse_args()
    runs = chosen.runs
    command = shutil.which("medtasks")
    if command is None:
        sys.exit("medtasks is not installed here")
    floor = seconds([sys.executable, "-c", "import typer"], runs)
    print(f"floor, `import typer` alone: {spread(floor)} s")
    if not chosen.hostile:
        sys.exit(not _timed(command, GOALS, runs))
    with tempfile.TemporaryDirectory() as folder:
        _install_hostile(Path(folder))
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
        sys.exit(not _timed(command, HOSTILE_GOALS, runs))


def _timed(command: str, goals: Goals, runs: int) -> bool:
    good = True
    for words, goal in goals:
        found = seconds([command, *words], runs)
        print(f"medtasks {' '.join(words)}: {spread(found)} s, median and range of {runs}")
        good &= verdict(f"medtasks {' '.join(words)}, seconds", statistics.median(found), goal, less=True)
    return good


def _install_hostile(folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests import hostile
    from tests.conftest import Plugins

    hostile.install(Plugins(folder))
    print(f"{len(list(folder.glob('*.dist-info')))} hostile plugins stand beside")


if __name__ == "__main__":
    main()
