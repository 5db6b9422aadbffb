"""What `docs/first-plugin.md` says of bringing what one has, is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medtasks.adapting import SUPPORTED
from medtasks.model import Context
from medtasks.testing.bench import toy_data

PAGE = Path(__file__).parents[2] / "docs" / "first-plugin.md"


def _section() -> str:
    return PAGE.read_text("utf-8").partition("## Bring what you have")[2].partition("\n## ")[0]


def _blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", _section(), flags=re.DOTALL)


def test_the_code_makes_the_models_it_names() -> None:
    made: dict[str, Any] = {}
    for block in _blocks():
        exec(block, made)
    assert (made["OurForest"].task, made["OurForest"].accepts) == ("diagnosis", "records")
    assert made["OurForest"].Config().n_estimators == 300
    assert (made["OurNetwork"].task, made["OurNetwork"].accepts) == ("activity", "molecules")
    assert (made["OurModule"].task, made["OurModule"].accepts) == ("diagnosis", "records")


def test_the_module_of_the_page_learns() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    made: dict[str, Any] = {}
    exec(next(block for block in _blocks() if "from_torch" in block), made)
    model, data = made["OurModule"], toy_data("diagnosis", "records")
    one = model(model.Config(**model.toy_config))
    one.fit(data.take(np.arange(160)), data.take(np.arange(160, 220)), context=Context(0, "cpu"))
    said = one.predict(data.cases.take(np.arange(220, 300)), context=Context(0, "cpu"))
    assert (said.argmax(axis=1) == data.targets[220:300]).mean() > 0.8


def test_every_supported_estimator_is_named() -> None:
    families = ("DecisionTree", "RandomForest", "ExtraTrees")
    named = [name for name in SUPPORTED if not name.startswith(families)]
    assert [name for name in named if f"`{name}`" not in _section()] == []
