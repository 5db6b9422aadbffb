"""Whether the defaults of a Config fit their own fields, and what pydantic found wrong, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pydantic

from medtasks.errors import PluginError


def check_defaults(schema: type[pydantic.BaseModel], what: str) -> None:
    """Raise `PluginError` where a default does not fit its own field: nobody who takes the default has done it."""
    try:
        schema.model_validate({})
    except pydantic.ValidationError as error:
        if faults := [fault for fault in error.errors(include_url=False) if fault["type"] != "missing"]:
            raise PluginError(
                f"{what} has a default that does not fit: {faults_told(faults)}", hint="tell its author"
            ) from None


def faults_told(faults: Iterable[Mapping[str, Any]]) -> str:
    """Say of each fault that pydantic found where it is and what, without the value."""
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'as a whole'}: {fault['msg']}" for fault in faults)
