"""Whether the defaults of a Config fit their own fields, and what pydantic found wrong, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pydantic

from medtasks.errors import PluginError
from medtasks.tracing import told, written


def check_defaults(schema: type[pydantic.BaseModel], what: str) -> None:
    """Raise `PluginError` where a default does not fit its own field, or cannot be written into a bundle as JSON.

    Nobody who takes the default has done it.
    """
    try:
        made = schema.model_validate({})
    except pydantic.ValidationError as error:
        if faults := [fault for fault in error.errors(include_url=False) if fault["type"] != "missing"]:
            raise PluginError(
                f"{what} has a default that does not fit: {faults_told(faults)}", hint="tell its author"
            ) from None
        return
    if field := _unwritable(made):
        raise PluginError(
            f"{what} cannot be written as JSON: {field}, in {written(schema)}",
            hint="its author gives it numbers, texts, truth values, and lists and dictionaries of these",
        )


def _unwritable(made: pydantic.BaseModel) -> str | None:
    """Say which field cannot be written as JSON, and why; None where all can."""
    for name in type(made).model_fields:
        try:
            made.model_dump(mode="json", include={name})
        except Exception as error:  # pydantic's own, or what a serialiser of the author's raises
            return f"{name} ({told(error)})"
    return None


def faults_told(faults: Iterable[Mapping[str, Any]]) -> str:
    """Say of each fault that pydantic found where it is and what, without the value."""
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'as a whole'}: {fault['msg']}" for fault in faults)
