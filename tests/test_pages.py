"""What the pages in docs/ say exists, and what they say runs is run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from medtasks.cli.app import app
from medtasks.cli.options import task_options
from medtasks.task import load_task

HOUSE = Path(__file__).parents[1]
PAGES = [HOUSE / "README.md", HOUSE / "CONTRIBUTING.md", *sorted(HOUSE.glob("docs/*.md"))]
TASKS = ("diagnosis", "treatment", "activity")
LARGEST = 600_000
"""Bytes of all pictures together: everybody who clones the repository fetches them."""

pages = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(HOUSE)))


def _blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text("utf-8"), flags=re.DOTALL)


def _commands(path: Path) -> Iterator[list[str]]:
    """Yield the words behind ``medtasks`` of each command in a page's shell blocks."""
    for line in "".join(_blocks(path, "sh")).splitlines():
        for part in line.split("&&"):
            words = shlex.split(part, comments=True)
            if words and words[0] == "medtasks":
                yield words[1:]


def _command(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that words begin with, and the words behind it."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert words, "a group of commands is none itself"
        assert words[0] in command.commands, f"there is no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def test_the_pages_show_commands() -> None:
    assert len([words for path in PAGES for words in _commands(path)]) > 40


@pages
def test_every_command_of_a_page_parses(path: Path) -> None:
    for words in _commands(path):
        command, rest = _command(words)
        context = command.make_context(command.name, list(rest))
        known = context.params.get("task")
        if known is None and context.args:  # `evaluate` takes those of the task of its bundle
            known = next(task for task in TASKS if _takes(task, context.args))
        task_options(context, str(known))


def _takes(task: str, arguments: list[str]) -> bool:
    fields = load_task(task).Options.model_fields
    return all(flag[2:].replace("-", "_") in fields for flag in arguments if flag.startswith("--"))


@pages
def test_every_command_in_a_sentence_exists(path: Path) -> None:
    own = {name for task in TASKS for name in load_task(task).Options.model_fields}
    for text in re.findall(r"(?<!`)`medtasks ([a-z][^`]*)`", path.read_text("utf-8")):
        command, rest = _command(text.split())
        flags = {flag for parameter in command.params for flag in parameter.opts}
        for flag in (word.partition("=")[0] for word in rest if word.startswith("--")):
            assert flag in flags or flag[2:].replace("-", "_") in own, f"{flag} of {text!r}"


@pages
def test_every_link_of_a_page_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        if name.startswith(("http:", "https:")):
            continue
        found = path.parent / name if name else path
        assert found.exists(), target
        if anchor and found.suffix == ".md":
            titles = re.findall(r"^#+ (.*)$", found.read_text("utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}, target


@pytest.mark.slow
def test_the_page_on_python_runs_as_written(guard: Path, tmp_path: Path) -> None:
    script = "\n".join(_blocks(HOUSE / "docs" / "python.md", "python"))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(guard), os.environ.get("PYTHONPATH", "")])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "breast" / "report.html").is_file()
    assert done.stdout.splitlines()[-1] == "UsageError | the table has no column 'diagnose' | did you mean 'diagnosis'?"


def test_the_page_on_tasks_shows_the_example_as_it_is() -> None:
    folder = HOUSE / "examples" / "target-affinity"
    whole = "\n".join(path.read_text("utf-8") for path in [*folder.glob("src/**/*.py"), folder / "pyproject.toml"])
    path = HOUSE / "docs" / "first-task.md"
    blocks = [block for language in ("python", "toml") for block in _blocks(path, language)]
    assert len(blocks) > 5
    for block in blocks:
        shown = any(textwrap.indent(block, " " * depth) in whole for depth in (0, 4, 8))
        assert shown, textwrap.shorten(block, 80)


@pytest.mark.parametrize("task", TASKS)
def test_the_page_on_limits_says_what_reports_say(task: str) -> None:
    said = (HOUSE / "docs" / "limits.md").read_text("utf-8")
    for sentence in load_task(task).not_for:
        assert f"- {sentence}\n" in said


def test_the_reference_holds_every_module_of_the_contract() -> None:
    pinned = re.findall(r"^\[(medtasks[.\w]*)\]$", (HOUSE / "tests" / "contract.txt").read_text("utf-8"), re.MULTILINE)
    told = [
        name
        for path in HOUSE.glob("docs/api/*.rst")
        for name in re.findall(r"^\.\. contract:: (\S+)$", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert sorted(told) == sorted(pinned)


def test_pictures_are_small() -> None:
    sizes = [path.stat().st_size for path in HOUSE.glob("docs/pictures/*.png")]
    assert len(sizes) >= 4
    assert sum(sizes) < LARGEST
