"""Tasks for medicine: diagnosis, treatment recommendation, molecular activity; models are plugins.

The public API: `audit` looks at data, `run` and `train` make predictors, `load` reads one back, `predict`, `evaluate`
and `explain` use one, `compare` tells models apart, `rerun` repeats a run, `tasks`, `models` and `datasets` tell what
is installed. Plugin authors start at `medtasks.model`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medtasks.api import (
        audit,
        compare,
        datasets,
        evaluate,
        explain,
        load,
        models,
        predict,
        rerun,
        run,
        tasks,
        train,
    )

    __version__: str

__all__ = [
    "audit",
    "compare",
    "datasets",
    "evaluate",
    "explain",
    "load",
    "models",
    "predict",
    "rerun",
    "run",
    "tasks",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import the API when it is first used: the command line must start at once."""
    if name == "__version__":
        from medtasks import registry

        return registry.version()
    if name not in __all__:
        raise AttributeError(f"module 'medtasks' has no attribute {name!r}")
    from medtasks import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return __all__
