"""What is installed: tasks, models and data sets, found by entry points.

Listing reads the metadata of installed distributions and nothing else; a plugin's code runs only when it
is asked for by name. Each distribution is read on its own, so that one with damaged metadata harms only
itself.
"""

from __future__ import annotations

import configparser
import functools
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

import entrypoints

from medtasks.errors import PluginError, UsageError, suggest
from medtasks.guarding import VARIABLE, Ended, Late, aside, importing
from medtasks.tracing import told, within

GROUPS = {"task": "medtasks.tasks", "model": "medtasks.models", "dataset": "medtasks.datasets"}
KINDS = {group: kind for kind, group in GROUPS.items()}
OURS = re.compile(r"\bmedtasks\.")
"""What an ``entry_points.txt`` holds that concerns us."""
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
    (``medtasks_image_cnn:ImageCNN``), ``reason`` why the state is not ``ready``, ``mend`` what to do where
    installing it again would not help.
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
    mend: str | None = None

    def __repr__(self) -> str:
        return f"<Entry {self.kind} {self.name} ({self.origin}): {self.state}>"

    @property
    def task(self) -> str:
        """The task the entry belongs to: the part of its name before the first dot."""
        return self.name.partition(".")[0]

    @property
    def origin(self) -> str:
        """The distribution and its version, for messages."""
        return f"{self.distribution} {self.version}"

    @property
    def fix(self) -> str | None:
        """What the user can do about it; None where it is ready."""
        if self.state is State.READY:
            return None
        if self.state is State.CONFLICT:
            return f"name one of them, as in {self.distribution}:{self.name}, or uninstall the other"
        if self.state is State.INCOMPATIBLE:
            return f"install a version of {self.distribution} made for medtasks {version()}"
        remove = f"remove it (pip uninstall {self.distribution})"
        if self.mend:
            return f"{self.mend}, or {remove}"
        return f"reinstall it (pip install --force-reinstall {self.distribution}) or {remove}"

    @property
    def line(self) -> str:
        """Where it is registered, for messages to its author."""
        return f'"{self.name}" = "{self.target}" of [project.entry-points."{GROUPS[self.kind]}"]'

    def load(self) -> Any:
        """Import the entry's object; whatever its import does, only this call fails.

        Raises
        ------
        PluginError
            If the entry is not ready, or its import raises, exits or does not end.
        """
        if self.state is not State.READY:
            what = self.reason if self.state is State.CONFLICT else f"{self.state}: {self.reason}"
            raise PluginError(f"{self.kind} {self.name!r} ({self.origin}) is {what}", hint=self.fix)
        point = entrypoints.EntryPoint.from_string(self.target, self.name)
        try:
            with aside(), importing():
                return point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a plugin must not end the program
            where = "" if isinstance(error, Ended) else within(error, point.module_name.partition(".")[0])
            reason = str(error) if isinstance(error, Ended) else told(error) + (f", in {where}" if where else "")
            raise PluginError(
                f"{self.kind} {self.name!r} ({self.origin}) cannot be loaded: {reason}",
                hint=replace(self, state=State.BROKEN, mend=self._mend(point, error, where)).fix,
            ) from error

    def _mend(self, point: Any, error: BaseException, where: str) -> str | None:
        """Say what to do about an import that failed where installing it again would not help."""
        if isinstance(error, Late):
            return f"give it longer ({VARIABLE}=SECONDS)"
        if isinstance(error, ModuleNotFoundError) and f"{point.module_name}.".startswith(f"{error.name}."):
            return f"mend its entry point {self.line}: there is no module {error.name!r}"
        if isinstance(error, ModuleNotFoundError) and error.name:
            module = error.name.partition(".")[0]
            return f"install what brings the module {module!r}, which its author adds to `dependencies`"
        parts = (point.object_name or "").split(".")
        if not isinstance(error, AttributeError) or error.name is None or error.name not in parts:
            return f"tell its author of {where}" if where else None
        names = [name for name in getattr(error.obj, "__dict__", {}) if not name.startswith("_")]
        return f"mend its entry point {self.line} ({suggest(error.name, names)})"


def entries(kind: str | None = None) -> list[Entry]:
    """Everything installed, or everything of one kind (``task``, ``model``, ``dataset``), by name."""
    return [entry for entry in _installed(_state()) if kind in (None, entry.kind)]


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
    return min(matches, key=lambda entry: entry.state is not State.READY)  # the first that can be used


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


def version() -> str:
    """Return the installed version of medtasks."""
    return metadata.version("medtasks")


def unread() -> list[tuple[str, str]]:
    """Return the distributions whose ``entry_points.txt`` nobody can read, and why; ours stand among the `entries`.

    They harm nothing here, but programs that read the entry points of all packages together may fail for them.
    """
    found = []
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt")
        except UnicodeDecodeError:
            found.append((_named(distribution)[0], "its entry_points.txt is not UTF-8"))
            continue
        except OSError:
            continue
        if text and not OURS.search(text) and (fault := _malformed(text)):
            found.append((_named(distribution)[0], fault))
    return sorted(found)


def forget() -> None:
    """Look anew at what is installed: for whoever changes metadata in place, as tests do."""
    _installed.cache_clear()


def _state() -> tuple[object, ...]:
    """Return what differs when something was installed or removed: a look at it costs a thousandth of a scan."""
    return os.environ.get(ALLOWED), *((place, _changed(place)) for place in sys.path)


def _changed(place: str) -> int | None:
    try:
        return Path(place).stat().st_mtime_ns  # the current folder where the place is empty
    except OSError:
        return None


@functools.lru_cache(maxsize=1)
def _installed(state: tuple[object, ...]) -> tuple[Entry, ...]:
    """Return all entries by name, scanned once for each `_state` of the process."""
    found = _mark_conflicts(_mark_misnamed(list(_scan())))
    return tuple(sorted(found, key=lambda entry: (entry.kind, entry.name, entry.distribution)))


def _scan() -> Iterator[Entry]:
    seen: set[str] = set()
    allowed = _allowed()
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt")
        except (OSError, UnicodeDecodeError):
            continue  # `unread` tells of it
        if not text or not OURS.search(text):
            continue
        name, version, damage = _named(distribution)
        if _normal(name) in seen:  # an older copy further down the path: Python imports the first too
            continue
        seen.add(_normal(name))
        if allowed is not None and _normal(name) not in allowed:
            continue
        yield from _of_distribution(distribution, Entry("", "", "", name, version, "", "", reason=damage), text)


def _named(distribution: metadata.Distribution) -> tuple[str, str, str | None]:
    """Return a distribution's name and version, and what is wrong with its metadata, whose folder tells them then."""
    # An attribute of the standard library's finder, which has no public way to say where it has something from.
    folder = PurePath(str(getattr(distribution, "_path", "unknown"))).name
    name, _, version = folder.removesuffix(".dist-info").removesuffix(".egg-info").partition("-")
    name = name.replace("_", "-")
    try:
        about = distribution.metadata
        told = _field(about, "Name"), _field(about, "Version")
    except Exception as error:  # a damaged METADATA file raises what the Python version happens to raise
        return name, version, f"its METADATA is missing or damaged ({type(error).__name__})"
    lacking = [field for field, value in zip(("Name", "Version"), told, strict=True) if not value]
    damage = f"its METADATA has no {' and no '.join(lacking)}" if lacking else None
    return told[0] or name, told[1] or version, damage


def _allowed() -> set[str] | None:
    """Return the distributions that `ALLOWED` lets in, or None where it is not set and all are."""
    text = os.environ.get(ALLOWED)
    return None if text is None else {"medtasks", *(_normal(part.strip()) for part in text.split(","))}


def _of_distribution(distribution: metadata.Distribution, blank: Entry, text: str) -> Iterator[Entry]:
    """Yield what a distribution offers; ``blank`` says which one it is, and as its reason what is wrong with it."""
    damage, mismatch = blank.reason, None
    if damage is None:
        about = distribution.metadata
        blank = replace(blank, summary=_field(about, "Summary"), home_page=_home_page(about))
        mismatch = _mismatch(distribution)
    if fault := _malformed(text):
        for kind, group in GROUPS.items():
            if group in text:
                yield replace(blank, kind=kind, name=blank.distribution, state=State.BROKEN, reason=fault)
        return
    parser = _parser()
    parser.read_string(text)
    for group in parser.sections():
        for item, target in parser.items(group) if group in KINDS else ():
            entry = replace(blank, kind=KINDS[group], name=item, target=target)
            if damage:
                yield replace(entry, state=State.BROKEN, reason=damage)
                continue
            try:
                entrypoints.EntryPoint.from_string(target, item)
            except entrypoints.BadEntryPoint:
                reason, mend = f"{target!r} does not read 'module:object'", f"mend its entry point {entry.line}"
                yield replace(entry, state=State.BROKEN, reason=reason, mend=mend)
                continue
            yield replace(entry, state=State.INCOMPATIBLE, reason=mismatch) if mismatch else entry


def _parser() -> configparser.ConfigParser:
    parser: configparser.ConfigParser = entrypoints.CaseSensitiveConfigParser(delimiters=("=",), interpolation=None)
    return parser


def _malformed(text: str) -> str | None:
    """Say what is wrong with an ``entry_points.txt``, or None."""
    try:
        _parser().read_string(text)
    except configparser.Error as error:
        return f"its entry_points.txt is malformed: {str(error).splitlines()[0]}"
    return None


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


def _mark_misnamed(found: list[Entry]) -> list[Entry]:
    """Mark models and data sets whose names say no task that is here: nobody could ask for them."""
    tasks = {entry.name for entry in found if entry.kind == "task"}
    return [
        entry
        if entry.state is not State.READY or entry.kind == "task" or ("." in entry.name and entry.task in tasks)
        else _misnamed(entry, tasks)
        for entry in found
    ]


def _misnamed(entry: Entry, tasks: set[str]) -> Entry:
    if "." not in entry.name:
        reason = f"its name has no dot: a {entry.kind} is called TASK.NAME, as in {min(tasks)}.{entry.name}"
        return replace(entry, state=State.BROKEN, reason=reason, mend=f"mend its entry point {entry.line}")
    advice = suggest(entry.task, tasks)
    mend = f"install what brings the task, mend its entry point {entry.line}"
    return replace(entry, state=State.BROKEN, reason=f"there is no task {entry.task!r} ({advice})", mend=mend)


def _mark_conflicts(found: list[Entry]) -> list[Entry]:
    """Mark the names that two distributions could answer to: one that cannot be used takes no name from another."""
    owners: dict[tuple[str, str], list[str]] = {}
    for entry in found:
        if entry.state is State.READY:
            owners.setdefault((entry.kind, entry.name), []).append(entry.distribution)
    return [
        replace(entry, state=State.CONFLICT, reason="claimed by " + " and ".join(sorted(rivals)))
        if entry.state is State.READY and len(rivals := owners[entry.kind, entry.name]) > 1
        else entry
        for entry in found
    ]


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
