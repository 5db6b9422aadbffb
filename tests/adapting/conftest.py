"""A process costs a second: what the kit would do in one is done in this one."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from medtasks.testing import behaving, child, storing

_NAMES = {"TimeoutExpired": subprocess.TimeoutExpired, "DEVNULL": subprocess.DEVNULL}


@pytest.fixture
def without_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the checks do in this process what they do in a fresh one; nothing is listed."""

    def answer(command: list[str], **options: Any) -> Any:
        child.answer(command[-1])
        return subprocess.CompletedProcess(command, 0, "", "")

    def listed(command: list[str], **options: Any) -> Any:
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(storing, "subprocess", SimpleNamespace(run=answer, **_NAMES))
    monkeypatch.setattr(behaving, "subprocess", SimpleNamespace(run=listed, **_NAMES))
