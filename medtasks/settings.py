"""The settings of a run: what a configuration file holds, resolved and repeatable."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

import pydantic
import tomli_w

from medtasks.errors import UsageError
from medtasks.model import Config, checked


class Settings(Config):
    """Everything that decides a run's result, beside the data and the software."""

    task: str
    """The task, as `medtasks tasks` lists it."""
    data: str | None = None
    """A path, or the name of a data set; the task's demo where not said."""
    model: str | None = None
    """The model, as `medtasks models` lists it; the task's default for the kind of cases where not said."""
    set: dict[str, Any] = pydantic.Field(default_factory=dict)
    """Hyper-parameters of the model."""
    options: dict[str, Any] = pydantic.Field(default_factory=dict)
    """Options of the task: how the data are read."""
    out: str | None = None
    """The folder of the result; one named after task and time below medtasks-runs where not said."""
    seed: int = pydantic.Field(default=0, ge=0, lt=2**31)
    """For everything that is drawn by chance."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to compute; `gpu` fails where there is none."""
    test: float = pydantic.Field(default=0.2, gt=0, lt=1)
    """Share of the cases kept for the test."""
    valid: float = pydantic.Field(default=0.15, gt=0, lt=1)
    """Share of the cases kept for validation."""
    folds: int = pydantic.Field(default=0, ge=0, le=50)
    """1 for one hold-out, 2 or more for cross-validation; 0 lets the task choose."""
    repeats: int = pydantic.Field(default=1, ge=1, le=100)
    """How often cross-validation deals the cases into folds anew, with seed, seed + 1 and so on; the mean and the
    spread over all folds are told beside the result, which is that of the first."""
    minutes: float | None = pydantic.Field(default=None, gt=0)
    """Time after which training should end with the best it has."""


def read_settings(path: Path) -> dict[str, Any]:
    """Read a configuration file (TOML).

    Raises
    ------
    UsageError
        If it does not exist or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise UsageError(f"no configuration file {str(path)!r}", hint="check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no valid TOML: {error}", hint="see docs/cli.md for an example") from None


def write_settings(settings: Settings, path: Path) -> None:
    """Write settings as TOML, what is not set left out."""
    content = settings.model_dump(mode="json", exclude_none=True)
    path.write_text(tomli_w.dumps(_without_none(content)), encoding="utf-8")


def table_of(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a table of a configuration file, empty where it has none.

    Raises
    ------
    UsageError
        If what stands there is no table.
    """
    found = values.get(name, {})
    if not isinstance(found, dict):
        raise UsageError(f"setting {name!r} of the configuration is no table", hint=f"write it below [{name}]")
    return found


def resolve(values: dict[str, Any]) -> Settings:
    """Check settings that come from a file, the command line or Python."""
    settings = checked(Settings, values, "setting", listing="`medtasks run --help` explains the settings")
    if settings.test + settings.valid >= 1:
        raise UsageError("test and valid together leave nothing to train on", hint="as in test = 0.2, valid = 0.15")
    return settings


def _without_none(value: Any) -> Any:
    """TOML has no null."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value
