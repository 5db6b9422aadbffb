"""Where PyTorch is not installed, a model says so, and how to get it, when it is first used."""

from __future__ import annotations

import sys

import pytest

from medtasks.errors import PluginError
from medtasks.model import Context
from medtasks.testing.bench import toy_data
from medtasks_torch import from_torch


def test_what_to_install_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    model = from_torch(lambda inputs, outputs: None)
    data = toy_data("diagnosis", "records")
    with pytest.raises(PluginError, match="PyTorch cannot be imported") as caught:
        model(model.Config()).fit(data, data, context=Context(0, "cpu"))
    assert "pip install 'medtasks-torch[torch]'" in str(caught.value.hint)
