"""A model made of a PyTorch module: `from_torch`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from medtasks.adapting import Network, NetworkModel, blank, fitting
from medtasks.adapting.network import Inputs
from medtasks.errors import PluginError
from medtasks.model import Context, Model
from medtasks_torch.backend import choose, load_torch
from medtasks_torch.module import Module, kept


def from_torch(
    build: Callable[..., Any],
    task: str = "diagnosis",
    accepts: str | None = None,
    *,
    size: tuple[int, int] = (28, 28),
    channels: int = 1,
    toy_config: Mapping[str, Any] | None = None,
    about: str = "",
) -> type[Model]:
    """Make a model of a PyTorch module, to be named by an entry point.

    Its last layer is linear: softmax, sigmoid and the loss are the adapter's, as the task asks (cross-entropy for
    classes, squared error for standardised numbers, nothing where a value is not known). Records and patients become
    standardised columns, molecules counts of substructures (`medtasks.adapting.Features`), images pixels in [0, 1].
    Adam trains it on one device in float32; validation says when to stop. A bundle holds the arrays of its state dict
    alone, without pickle: `load` calls ``build`` again, so that an architecture that was changed since refuses older
    bundles.

    Parameters
    ----------
    build
        ``build(inputs, outputs)`` returns a new ``torch.nn.Module`` from (n, inputs) to (n, outputs); for images
        ``inputs`` is (channels, height, width). A class whose constructor takes the two will do.
    task, accepts
        What the model answers; without ``accepts`` the first kind of cases that there is for the task.
    size, channels
        Of images: height and width in pixels, and 1 for grey or 3 for colour.
    toy_config
        Hyper-parameters (`medtasks.adapting.NetworkConfig`) for the toy cases of `medtasks.testing`.
    about
        A sentence for `medtasks models`.

    Raises
    ------
    PluginError
        If there is no such pair of task and cases, or ``build`` cannot be called.

    Examples
    --------
    >>> def build(inputs, outputs):
    ...     from torch import nn
    ...     return nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, outputs))
    >>> Mine = from_torch(build, task="treatment", accepts="patients/dose")
    >>> Mine.devices
    ('cpu', 'gpu')
    """
    if not callable(build) or (hasattr(build, "state_dict") and not isinstance(build, type)):
        raise PluginError(
            "from_torch takes a function that returns a new module, not a module",
            hint="give build(inputs, outputs): each fit starts from a module of its own",
        )
    return TorchModel.adapted(build, task, accepts, size=size, channels=channels, toy_config=toy_config, about=about)


class TorchModel(NetworkModel):
    """The base of the classes that `from_torch` makes."""

    framework: ClassVar[str] = "PyTorch"
    channels_first: ClassVar[bool] = True

    def network(self, inputs: Inputs, seed: int | None, context: Context) -> Network:
        """Call the author's ``build`` and see that what it returns fits; see `NetworkModel.network`."""
        torch, device = load_torch(), choose(context)
        with kept(device):
            if seed is not None:
                torch.manual_seed(seed)
            module = self.build(inputs, self.goal.outputs)
            if not isinstance(module, torch.nn.Module):
                raise PluginError(f"build returned a {type(module).__name__}", hint="it must return a torch.nn.Module")
            module = module.to(device, torch.float32)
            found = Module(module, device)
            # This makes the weights of lazy layers.
            fitting(found.raw(blank(inputs)).shape, inputs, self.goal.outputs)
        if not any(one.requires_grad for one in module.parameters()):
            raise PluginError("the module of build has nothing to learn", hint="give it parameters that are not frozen")
        return found
