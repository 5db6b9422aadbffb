"""How many processes share the tests."""

from __future__ import annotations

import pytest

from medtasks.machine import cores


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share the whole suite among at most four processes; run what was asked for by name in this one."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return 0 if named else min(cores(), 4)
