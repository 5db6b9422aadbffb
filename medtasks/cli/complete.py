"""Names for shell completion: read from metadata, importing no plugin."""

from __future__ import annotations

from medtasks import registry


def tasks(incomplete: str) -> list[str]:
    """Complete a task's name."""
    return _names("task", incomplete)


def models(incomplete: str) -> list[str]:
    """Complete a model's name."""
    return _names("model", incomplete)


def data(incomplete: str) -> list[str]:
    """Complete a data set's name; paths are the shell's business."""
    return [
        name for entry in registry.entries("dataset") if (name := entry.name.partition(".")[2]).startswith(incomplete)
    ]


def _names(kind: str, incomplete: str) -> list[str]:
    return [entry.name for entry in registry.entries(kind) if entry.name.startswith(incomplete)]
