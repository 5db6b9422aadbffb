"""What is installed: tasks, models and data sets, found by entry points.

Listing reads the metadata of installed distributions and nothing else; a plugin's code runs only when it
is asked for by name. Each distribution is read on its own, so that one with damaged metadata harms only
itself.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import metadata
from typing import Any

import entrypoints

from medtasks.errors import PluginError, UsageError, suggest

GROUPS = {"task": "medtasks.tasks", "model": "medtasks.models", "dataset": "medtasks.datasets"}
KINDS = {group: kind for kind, group in GROUPS.items()}
ALLOWED = "MEDTASKS_PLUGINS"
"""The variable that names the distributions whose entries count, comma-separated; empty: what comes with medtasks."""


class State(StrEnum):
    """Whether an entry can be used, as far as its metadata tells."""

    READY = "ready"
    INCOMPATIBLE = "incompatible"
    BROKEN = "broken"
    CONFLICT = "conflict"


@dataclass(frozen=True)
class Entry:
    """One task, model or data set that a distribution offers.

    ``name`` is the entry point's name (``diagnosis.image-cnn``), ``target`` where its code stands
    (``medtasks_image_cnn:ImageCNN``), ``reason`` why the state is not ``ready``.
    """

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    summary: str
    home_page: str
    state: State = State.READY
    reason: str | None = None

    @property
    def task(self) -> str:
        """The task the entry belongs to: the part of its name before the first dot."""
        return self.name.partition(".")[0]

    @property
    def origin(self) -> str:
        """The distribution and its version, for messages."""
        return f"{self.distribution} {self.version}"

    def load(self) -> Any:
        """Import the entry's object; whatever its import does, only this call fails.

        Raises
        ------
        PluginError
            If the entry is not ready, or its import raises or exits.
        """
        if self.state is not State.READY:
            raise PluginError(
                f"{self.kind} {self.name!r} ({self.origin}) is {self.state}: {self.reason}", hint=_mend(self)
            )
        point = entrypoints.EntryPoint.from_string(self.target, self.name)
        try:
            with aside():
                return point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a plugin must not end the program
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            raise PluginError(
                f"{self.kind} {self.name!r} ({self.origin}) cannot be loaded: {reason}",
                hint=_mend(replace(self, state=State.BROKEN)),
            ) from error


def entries(kind: str | None = None) -> list[Entry]:
    """Everything installed, or everything of one kind (``task``, ``model``, ``dataset``), by name."""
    found = [entry for entry in _scan() if kind in (None, entry.kind)]
    return sorted(_mark_conflicts(found), key=lambda entry: (entry.kind, entry.name, entry.distribution))


def find(kind: str, name: str) -> Entry:
    """Return the entry called ``name``, or ``distribution:name`` where two offer the same name.

    Raises
    ------
    UsageError
        If there is no such entry.
    """
    known = entries(kind)
    distribution, _, plain = name.rpartition(":")
    matches = [entry for entry in known if entry.name == plain]
    if distribution:
        matches = [
            replace(entry, state=State.READY, reason=None) if entry.state is State.CONFLICT else entry
            for entry in matches
            if _normal(entry.distribution) == _normal(distribution)
        ]
    if not matches:
        hint = suggest(name, {entry.name for entry in known})
        only = f" (only the plugins that {ALLOWED} names count)" if ALLOWED in os.environ else ""
        raise UsageError(f"no {kind} called {name!r}", hint=hint + only)
    return matches[0]


def of_distribution(kind: str, name: str, distribution: str) -> str:
    """Return the name under which `find` gives a distribution's entry, whoever else claims the plain name."""
    plain = name.rpartition(":")[2]
    owners = {_normal(entry.distribution) for entry in entries(kind) if entry.name == plain}
    return plain if owners <= {_normal(distribution)} else f"{distribution}:{plain}"


def own_model(task: type, name: str) -> str:
    """Return the name of a model that a task relies on (its baseline): the one from the task's own distribution.

    What stands beside every result must not depend on what else is installed. Where the task's distribution has no
    such model, whoever offers it is taken.
    """
    place = f"{task.__module__}:{task.__qualname__}"
    for entry in entries("task"):
        if entry.target == place and any(
            rival.name == name and rival.distribution == entry.distribution for rival in entries("model")
        ):
            return of_distribution("model", name, entry.distribution)
    return name


def aside() -> contextlib.AbstractContextManager[Any]:
    """Send what a plugin prints to stderr while the block runs: stdout is the result's."""
    return contextlib.redirect_stdout(sys.stderr)


def version() -> str:
    """Return the installed version of medtasks."""
    return metadata.version("medtasks")


def _scan() -> Iterator[Entry]:
    seen: set[str] = set()
    allowed = _allowed()
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt")
        except (OSError, UnicodeDecodeError):
            continue  # a distribution without readable entry points offers nothing
        if not text or "medtasks." not in text:
            continue
        try:
            name = _field(distribution.metadata, "Name") or "unknown"
        except Exception:  # a damaged METADATA file raises what the Python version happens to raise
            continue
        if _normal(name) in seen:  # an older copy further down the path: Python imports the first too
            continue
        seen.add(_normal(name))
        if allowed is not None and _normal(name) not in allowed:
            continue
        yield from _of_distribution(distribution, name, text)


def _allowed() -> set[str] | None:
    """Return the distributions that `ALLOWED` lets in, or None where it is not set and all are."""
    text = os.environ.get(ALLOWED)
    return None if text is None else {"medtasks", *(_normal(part.strip()) for part in text.split(","))}


def _of_distribution(distribution: metadata.Distribution, name: str, text: str) -> Iterator[Entry]:
    about = distribution.metadata
    common: dict[str, Any] = {
        "distribution": name,
        "version": distribution.version,
        "summary": _field(about, "Summary"),
        "home_page": _home_page(about),
    }
    parser = entrypoints.CaseSensitiveConfigParser(delimiters=("=",), interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        reason = f"its entry_points.txt is malformed: {str(error).splitlines()[0]}"
        for kind, group in GROUPS.items():
            if group in text:
                yield Entry(kind, name, "", **common, state=State.BROKEN, reason=reason)
        return
    mismatch = _mismatch(distribution)
    for group in parser.sections():
        for item, target in parser.items(group) if group in KINDS else ():
            entry = Entry(KINDS[group], item, target, **common)
            try:
                entrypoints.EntryPoint.from_string(target, item)
            except entrypoints.BadEntryPoint:
                yield replace(entry, state=State.BROKEN, reason=f"{target!r} does not read 'module:object'")
                continue
            yield replace(entry, state=State.INCOMPATIBLE, reason=mismatch) if mismatch else entry


def _mismatch(distribution: metadata.Distribution) -> str | None:
    """Say why the distribution was not written for this medtasks, or None where it was."""
    from packaging.requirements import InvalidRequirement, Requirement

    for line in distribution.requires or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if _normal(requirement.name) != "medtasks" or (
            requirement.marker and not requirement.marker.evaluate({"extra": ""})
        ):
            continue
        if not requirement.specifier.contains(version(), prereleases=True):
            return f"it was written for medtasks {requirement.specifier}; this is {version()}"
    return None


def _mark_conflicts(found: list[Entry]) -> list[Entry]:
    owners: dict[tuple[str, str], list[str]] = {}
    for entry in found:
        owners.setdefault((entry.kind, entry.name), []).append(entry.distribution)
    return [
        replace(entry, state=State.CONFLICT, reason="claimed by " + " and ".join(sorted(rivals)))
        if len(rivals := owners[entry.kind, entry.name]) > 1 and entry.state is State.READY
        else entry
        for entry in found
    ]


def _mend(entry: Entry) -> str:
    if entry.state is State.CONFLICT:
        return f"name one of them, as in {entry.distribution}:{entry.name}, or uninstall the other"
    if entry.state is State.INCOMPATIBLE:
        return f"install a version of {entry.distribution} made for medtasks {version()}"
    return (
        f"reinstall it (pip install --force-reinstall {entry.distribution}) or remove it "
        f"(pip uninstall {entry.distribution})"
    )


def _home_page(about: metadata.PackageMetadata) -> str:
    for line in about.get_all("Project-URL") or ():
        label, _, url = line.partition(",")
        if label.strip().lower() in ("homepage", "repository", "source"):
            return str(url).strip()
    return _field(about, "Home-page")


def _field(about: metadata.PackageMetadata, name: str) -> str:
    """Return a field, empty where the metadata lack it; `about[name]` warns of that since Python 3.12."""
    return str(next(iter(about.get_all(name) or ()), ""))


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
