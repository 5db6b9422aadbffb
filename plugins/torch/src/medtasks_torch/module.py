"""A PyTorch module as `medtasks.adapting` trains it and asks it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.adapting import Goal, Network
from medtasks.errors import PluginError
from medtasks.stored import Arrays
from medtasks_torch.backend import load_torch

Array = npt.NDArray[Any]
MODULE, ADAM = "module.", "adam."
"""What the names of a module's arrays begin with, and those of its optimiser's."""


@contextlib.contextmanager
def kept(device: Any) -> Iterator[None]:
    """Let the block seed and draw; the caller's generators go on afterwards as if it had not."""
    with load_torch().random.fork_rng([device] if device.type == "cuda" else []):
        yield


class Module(Network):
    """A module on a device.

    Parameters
    ----------
    module
        A ``torch.nn.Module`` that is on ``device``.
    device
        A ``torch.device``.
    """

    def __init__(self, module: Any, device: Any) -> None:
        self.module, self.device = module, device
        self.optimiser: Any = None
        self.loss: Callable[[Any, Any], Any]

    def scope(self) -> contextlib.AbstractContextManager[None]:
        """Let the block draw without a trace."""
        return kept(self.device)

    def start(self, goal: Goal, rate: float) -> None:
        """Make Adam and the loss; see `loss`."""
        learnt = [one for one in self.module.parameters() if one.requires_grad]
        self.optimiser, self.loss = load_torch().optim.Adam(learnt, lr=rate), loss(goal, self.device)

    def seed(self, seed: int) -> None:
        """Seed what PyTorch draws."""
        load_torch().manual_seed(seed)

    def step(self, x: Array, y: Array) -> None:
        """Learn from one batch."""
        self.module.train()
        self.optimiser.zero_grad()
        self.loss(self._tensor(y), self.module(self._tensor(x))).backward()
        self.optimiser.step()

    def answer(self, x: Array) -> Array:
        """Return what the last layer says, dropout and the like being switched off."""
        return self.raw(x).astype(np.float64)

    def raw(self, x: Array) -> Array:
        """Return what the module says of inputs, as it is.

        Raises
        ------
        PluginError
            If it does not return one tensor.
        """
        torch = load_torch()
        self.module.eval()
        with torch.no_grad():  # not inference mode, in which lazy layers would make weights that cannot learn
            found = self.module(self._tensor(x))
            if not isinstance(found, torch.Tensor):
                raise PluginError(
                    f"the module returned a {type(found).__name__}", hint="its forward must return one tensor"
                )
            return np.asarray(found.cpu().numpy())

    def weights(self) -> Arrays:
        """Return copies of the state dict's tensors.

        Raises
        ------
        PluginError
            If it holds something else, which only pickle could store.
        """
        held = self.module.state_dict()
        for name, value in held.items():
            if not isinstance(value, load_torch().Tensor):
                raise PluginError(
                    f"the module's state holds a {type(value).__name__} ({name!r})",
                    hint="keep in buffers what belongs to its state, as tensors",
                )
        return {MODULE + name: _copy(value) for name, value in held.items()}

    def set_weights(self, weights: Arrays) -> None:
        """Take up what `weights` returned."""
        tensors = {name.removeprefix(MODULE): load_torch().tensor(values) for name, values in weights.items()}
        self.module.load_state_dict(tensors)

    def state(self) -> Arrays:
        """Return the weights and what Adam remembers of each parameter."""
        held = self.optimiser.state_dict()["state"]
        memory = {f"{ADAM}{i}.{key}": _copy(value) for i, one in held.items() for key, value in one.items()}
        return {**self.weights(), **memory}

    def set_state(self, state: Arrays) -> None:
        """Take up what `state` returned; raises `RuntimeError` where it does not fit."""
        self.set_weights({name: values for name, values in state.items() if name.startswith(MODULE)})
        memory: dict[int, dict[str, Any]] = {}
        for name, values in state.items():
            if name.startswith(ADAM):
                _, place, key = name.split(".")
                memory.setdefault(int(place), {})[key] = load_torch().tensor(values)
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": memory})

    def _tensor(self, values: Array) -> Any:
        """Copy an array to the device: layers may work in place."""
        return load_torch().tensor(values, device=self.device)


def loss(goal: Goal, device: Any) -> Callable[[Any, Any], Any]:
    """Return the loss of (n, 2 x outputs), what is wanted beside what is known, and of (n, outputs) logits."""
    torch = load_torch()
    functions, count = torch.nn.functional, goal.outputs
    classes = torch.tensor(goal.binary, device=device)

    def exclusive(wanted: Any, raw: Any) -> Any:
        return functions.cross_entropy(raw, wanted[:, :count])

    def columns(wanted: Any, raw: Any) -> Any:
        value, known = wanted[:, :count], wanted[:, count:]
        each = torch.where(classes, functions.softplus(raw) - value * raw, (raw - value) ** 2)
        return (each * known).sum() / known.sum().clamp(min=1)

    return exclusive if goal.exclusive else columns


def _copy(tensor: Any) -> Array:
    """Return a tensor as an array of its own; a CPU's would change with the training."""
    return np.array(tensor.detach().cpu().numpy())
