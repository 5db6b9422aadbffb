"""A new plugin, written from packaged templates: it works as it stands."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from packaging.version import Version

from medtasks import registry
from medtasks.errors import UsageError, suggest

WRITTEN = ("diagnosis", "activity", "treatment")
"""The tasks that there are templates of models and data sets for."""
KINDS = ("model", "task", "dataset")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PREFIX = "medtasks-"


@dataclass(frozen=True)
class Made:
    """What was written: the distribution's folder, its files, and a command that uses it once it is installed."""

    folder: Path
    files: tuple[Path, ...]
    command: str


def scaffold(name: str, task: str, kind: str = "model", parent: Path = Path()) -> Made:
    """Write a distribution called ``name`` into a new folder of that name.

    Parameters
    ----------
    name
        Lower case, digits and hyphens, as in ``acme-lungs``; what it brings is called so too (without a leading
        ``medtasks-``).
    task
        The task that the model or data set is for; of the kind ``task`` the name of the new one.
    kind
        ``model``, ``task`` or ``dataset``.
    parent
        Where the folder is made.

    Raises
    ------
    UsageError
        If a name cannot be used or is taken, or the folder exists; nothing is written then.
    """
    if kind not in KINDS:
        raise UsageError(f"a plugin brings no {kind!r}", hint=suggest(kind, KINDS))
    _check_name(name)
    _check_task(task, kind)
    about = _about(name, task, kind)
    _check_free(about, kind)
    folder = parent / name
    if folder.exists():
        raise UsageError(f"{folder} exists", hint="choose another name, or remove it first")
    files = []
    for target, template in _files(about["module"], task, kind).items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_rendered(template, about), encoding="utf-8")
        files.append(path)
    return Made(folder, tuple(files), about["command"])


def _files(module: str, task: str, kind: str) -> dict[str, str]:
    test = "test_dataset.py" if kind == "dataset" else "test_conformance.py"
    return {
        "pyproject.toml": "common/pyproject.toml",
        "README.md": "common/README.md",
        ".gitignore": "common/gitignore",
        ".github/workflows/test.yml": "common/ci.yml",
        f"src/{module}/__init__.py": "task/code.py" if kind == "task" else f"{kind}/{task}.py",
        f"tests/{test}": f"{kind}/test.py",
    }


def _about(name: str, task: str, kind: str) -> dict[str, Any]:
    """Return what the templates are filled with."""
    short = name.removeprefix(_PREFIX)
    module, cls = name.replace("-", "_"), "".join(part.capitalize() for part in short.split("-"))
    title = (task if kind == "task" else short).replace("-", " ").capitalize()
    groups = registry.GROUPS
    points = {
        "model": [(groups["model"], f"{task}.{short}", f"{module}:{cls}")],
        "dataset": [(groups["dataset"], f"{task}.{short}", f"{module}:{cls}")],
        "task": [
            (groups["task"], task, f"{module}:{cls}"),
            (groups["model"], f"{task}.baseline", f"{module}:Baseline"),
            (groups["dataset"], f"{task}.demo", f"{module}:Demo"),
        ],
    }[kind]
    command = {
        "model": f"medtasks plugins check {task}.{short}",
        "dataset": f"medtasks run {task} --data {short}",
        "task": f"medtasks run {task}",
    }[kind]
    hint = {
        "model": "Change `fit` and `predict` to your own; the tests say at once where they break the contract.",
        "dataset": "Put your own data into `load`; give `groups` where a patient has several rows.",
        "task": "Change what your question asks otherwise, and bring models and data of your own.",
    }[kind]
    return {
        "name": name,
        "short": short,
        "module": module,
        "cls": cls,
        "task": task,
        "title": title,
        "entry": f"{task}.{short}",
        "points": points,
        "about": f"The task {task} for medtasks" if kind == "task" else f"{title}: a {kind} for the task {task}",
        "command": command,
        "hint": hint,
        "pin": _pin(),
    }


def _pin() -> str:
    """Return the requirement that says which contract the plugin is written for: this minor version."""
    now = Version(registry.version())
    return f"medtasks>={now.major}.{now.minor},<{now.major}.{now.minor + 1}"


def _rendered(template: str, about: dict[str, Any]) -> str:
    import jinja2

    text = (resources.files("medtasks") / "templates" / f"{template}.jinja").read_text(encoding="utf-8")
    options: dict[str, Any] = {"undefined": jinja2.StrictUndefined, "keep_trailing_newline": True, "trim_blocks": True}
    return jinja2.Environment(autoescape=False, **options).from_string(text).render(about)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a distribution",
            hint="begin with a letter and use lower case, digits and single hyphens, as in acme-lungs",
        )
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or importlib.util.find_spec(module) is not None:
        raise UsageError(f"a Python module is called {module!r} already", hint=f"choose another, as in acme-{name}")
    if not name.removeprefix(_PREFIX)[0].isalpha():
        raise UsageError(f"{name!r} leaves no name for what it brings", hint="begin with a letter after medtasks-")


def _check_task(task: str, kind: str) -> None:
    if kind == "task":
        if not _NAME.fullmatch(task):
            raise UsageError(
                f"{task!r} is no name for a task", hint="use lower case, digits and hyphens, as in fundus-grading"
            )
    elif task not in WRITTEN:
        raise UsageError(f"there is no template of a {kind} for the task {task!r}", hint=suggest(task, WRITTEN))


def _check_free(about: dict[str, Any], kind: str) -> None:
    taken = {(entry.kind, entry.name): entry.origin for entry in registry.entries()}
    for group, key, _ in about["points"]:
        if owner := taken.get((registry.KINDS[group], key)):
            raise UsageError(f"{key} is taken by {owner}", hint=f"choose another name for the {kind}")
