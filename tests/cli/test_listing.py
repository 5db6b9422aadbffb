"""What `tasks NAME` and `models NAME` tell of options is for a reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("task", ["diagnosis", "activity", "treatment"])
def test_types_of_options_are_told_without_what_checks_them(task: str, cli: Callable[..., Any]) -> None:
    said = cli("tasks", task).out
    for inner in ("Validator", "Annotated", "Optional", "Literal", "<function", "FieldInfo"):
        assert inner not in said


def test_a_type_is_told_with_its_choices(cli: Callable[..., Any]) -> None:
    said = cli("tasks", "diagnosis").out
    assert "--pixel-range  (tuple[float, float] | None, default None)" in said
    assert "--calibration  ('auto' | 'none' | 'temperature' | 'platt' | 'isotonic', default auto)" in said
