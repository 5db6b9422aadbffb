"""Small images and the options and context that reading needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medtasks.dataset import Dataset
from medtasks.diagnosis import sources
from medtasks.diagnosis.options import DiagnosisOptions
from medtasks.model import Context, checked


@pytest.fixture
def draw() -> Callable[..., Path]:
    """Write a small image, each seed another."""

    def write(path: Path, seed: int = 0, channels: int = 1) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, channels), dtype=np.uint8)
        Image.fromarray(np.squeeze(pixels)).save(path)
        return path

    return write


@pytest.fixture
def read() -> Callable[..., Dataset]:
    """Read a source with options given as a user gives them."""

    def run(source: Any, schema: Any = None, **options: Any) -> Dataset:
        return sources.read(source, checked(DiagnosisOptions, options, "option"), Context(), schema)

    return run
