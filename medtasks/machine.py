"""What the machine has."""

from __future__ import annotations

import os
import subprocess
import sys

PYTHON = (sys.executable, "-P")
"""Starts a Python like this one, which imports nothing from the current folder: it may be anybody's."""
PATIENCE = 20
"""Seconds that the driver has to answer: waking a GPU takes a few."""


def cores() -> int:
    """Return how many cores this process may use, which may be fewer than there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux tells
        return os.cpu_count() or 1


def memory() -> float | None:
    """Return the memory in GiB, or None where the system does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return None


def gpu() -> str | None:
    """Name the NVIDIA GPUs, or None where there is none; the driver answers without loading any library of ours."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return "; ".join(done.stdout.strip().splitlines()) or None if done.returncode == 0 else None
