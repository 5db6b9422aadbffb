"""Models made of PyTorch modules: `from_torch`."""

from medtasks_torch.adapting import TorchModel, from_torch
from medtasks_torch.backend import choose, load_torch

__all__ = ["TorchModel", "choose", "from_torch", "load_torch"]
