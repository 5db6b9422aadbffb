"""What the benchmarks share: running the installed command, and telling a spread."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def arguments(about: str | None, data: Path | None = None) -> argparse.ArgumentParser:
    """Return a parser with the option ``--data``."""
    parser = argparse.ArgumentParser(description=about)
    if data is not None:
        parser.add_argument("--data", type=Path, default=data, help=f"default: {data}")
    return parser


def medtasks(*words: object, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Run ``medtasks ... --json`` in a process of its own and return the object it prints."""
    command = [sys.executable, "-m", "medtasks", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(task: str, data: Path, *words: object) -> dict[str, Any]:
    """Run a task into a folder that is thrown away."""
    if not data.exists():
        sys.exit(f"no {data}: name the data with --data")
    with tempfile.TemporaryDirectory() as folder:
        return medtasks("run", task, "--data", data, "--out", Path(folder, "run"), *words)


def seconds(command: Sequence[str], runs: int, warm: int = 2) -> list[float]:
    """Time a command as a whole process, after runs that do not count."""
    found = []
    for i in range(warm + runs):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        if i >= warm:
            found.append(time.perf_counter() - start)
    return found


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Tell the median and the range."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def verdict(name: str, value: float, goal: float, *, less: bool = False) -> bool:
    """Print whether a goal is met."""
    met = value <= goal if less else value >= goal
    print(f"{'met ' if met else 'MISSED'}  {name}: {value:.4f} (goal {'<=' if less else '>='} {goal})")
    return met
