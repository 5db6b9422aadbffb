"""Writing a fitted model, seen to be safe and to come back before anything relies on it, and reading it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.cases import Cases
from medtasks.errors import MedtasksError, PluginError
from medtasks.guarding import calling
from medtasks.model import Context, Model, Progress
from medtasks.rounding import apart, same
from medtasks.safe_files import fault
from medtasks.tracing import place, told

FEW = 4
"""Cases that are asked again: a model that forgets what it learnt is wrong on any."""


def save_model(
    model: Model, name: str, folder: Path, *, cases: Cases | None = None, context: Context | None = None
) -> None:
    """Let a model write into a new folder, and read it back as whoever gets the folder will.

    Parameters
    ----------
    name
        The model's name, for messages.
    cases
        Some that it is asked, and what was read back too: the first `FEW` are. None where there are none at hand.
        Models that run on GPUs too are not asked: a network read anew is compiled anew, which took four image networks
        20 s on a busy machine; `medtasks plugins check` asks it.
    context
        That of the fit: what comes back is asked on the same device.

    Raises
    ------
    PluginError
        If a file could run code, or the model does not come back, or answers otherwise than before.
    """
    folder.mkdir()
    with calling(f"the model {name}", type(model)):
        model.save(folder)
    if found := fault(folder):
        raise PluginError(
            f"the model {name} cannot be kept: of what its `save` wrote, {found}",
            hint=f"a bundle holds no code: `save` must write arrays and JSON; see `medtasks plugins check {name}`",
        )
    context = context or Context()
    again = _read_back(model, name, folder, context)
    if cases is not None and len(cases) and "gpu" not in model.devices:
        _compare(model, again, name, cases.take(np.arange(min(FEW, len(cases)))), context)


def read_model(kind: type[Model], name: str, folder: Path, config: Any, context: Context) -> Model:
    """Rebuild a model from what it wrote, and set its hyper-parameters; it raises whatever `Model.load` raises."""
    with calling(f"the model {name}", kind):
        model = kind.load(folder, context=context)
    model.config = config
    return model


def _read_back(model: Model, name: str, folder: Path, context: Context) -> Model:
    try:
        return read_model(type(model), name, folder, model.config, _apart(context))
    except MedtasksError as error:
        raise _not_back(name, f"read back ({error.message})") from error
    except Exception as error:  # whatever a plugin raises; it has seen nothing but its own folder
        where = place(error, type(model))
        raise _not_back(name, f"read back ({told(error, folder)}{f', in {where}' if where else ''})") from error


def _compare(model: Model, again: Model, name: str, cases: Cases, context: Context) -> None:
    before = _asked(model, name, cases, context)
    if before.dtype.kind not in "fiub" or not np.isfinite(before).all():
        return  # it breaks the contract as it is: who asks it next tells of that
    try:
        after = _asked(again, name, cases, context)
    except MedtasksError as error:
        raise _not_back(name, f"asked after it was read back ({error.message})") from error
    except Exception as error:  # its text may tell of the cases, so it is not shown
        where = place(error, type(model))
        reason = f"{type(error).__name__}{f' in {where}' if where else ''}"
        raise _not_back(name, f"asked after it was read back ({reason})") from error
    if not same(before, after):
        raise _not_back(name, f"read back as it was (answers differ: {apart(before, after)})")


def _asked(model: Model, name: str, cases: Cases, context: Context) -> npt.NDArray[Any]:
    with calling(f"the model {name}", type(model)):
        return np.asarray(model.predict(cases, context=_apart(context)))


def _apart(context: Context) -> Context:
    """Return a context that tells nothing of this to the run's."""
    return replace(context, progress=Progress(), checkpoint=None, deadline=None, used={})


def _not_back(name: str, what: str) -> PluginError:
    return PluginError(
        f"the model {name} cannot be {what}",
        hint=f"`save` must write what `load` reads; see `medtasks plugins check {name}`",
    )
