"""What `docs/first-plugin.md` says of bringing what one has, is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from medtasks.adapting import SUPPORTED

PAGE = Path(__file__).parents[2] / "docs" / "first-plugin.md"


def _section() -> str:
    return PAGE.read_text("utf-8").partition("## Bring what you have")[2].partition("\n## ")[0]


def test_the_code_makes_the_models_it_names() -> None:
    made: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", _section(), flags=re.DOTALL):
        exec(block, made)
    assert (made["OurForest"].task, made["OurForest"].accepts) == ("diagnosis", "records")
    assert made["OurForest"].Config().n_estimators == 300
    assert (made["OurNetwork"].task, made["OurNetwork"].accepts) == ("activity", "molecules")


def test_every_supported_estimator_is_named() -> None:
    families = ("DecisionTree", "RandomForest", "ExtraTrees")
    named = [name for name in SUPPORTED if not name.startswith(families)]
    assert [name for name in named if f"`{name}`" not in _section()] == []
