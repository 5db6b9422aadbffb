"""Loading PyTorch, and choosing the device."""

from __future__ import annotations

from typing import Any

from medtasks.errors import PluginError, UsageError
from medtasks.model import Context

GUIDE = "https://pytorch.org/get-started"
"""Where PyTorch says which of its builds fits which GPU."""


def load_torch() -> Any:
    """Import PyTorch.

    Raises
    ------
    PluginError
        If it is not installed, or does not work.
    """
    try:
        import torch
    except ImportError as error:
        raise PluginError(
            f"PyTorch cannot be imported: {error}", hint="install it: pip install 'medtasks-torch[torch]'"
        ) from error
    return torch


def choose(context: Context) -> Any:
    """Return the ``torch.device`` that the context asks for, and tell the context what is used.

    Raises
    ------
    UsageError
        If a GPU is asked for and PyTorch sees none.
    """
    torch = load_torch()
    there = context.device != "cpu" and torch.cuda.is_available()
    if context.device == "gpu" and not there:
        raise UsageError(
            "--device gpu: PyTorch sees no GPU here",
            hint=f"use --device cpu, or install the build of PyTorch for your GPU ({GUIDE})",
        )
    context.used.update(device="gpu" if there else "cpu", backend="pytorch", precision="float32")
    return torch.device("cuda:0" if there else "cpu")
