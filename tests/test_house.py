"""The rules of the house that a machine can hold."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*ROOT.glob("medtasks/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")])
LONGEST_MODULE, LONGEST_FUNCTION = 400, 60
TEXTS = (".py", ".md", ".toml", ".yml", ".yaml", ".cfg", ".txt", ".html", ".ini", ".lock")

sources = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Yield what a reader may use: classes, functions and methods without an underscore."""
    for node in body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or node.name.startswith("_"):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from public(node.body, f"{prefix}{node.name}.")


def ours() -> list[Path]:
    """Return the text files that are the project's: virtual environments and caches lie in the checkout too."""
    environments = {path.parent for path in ROOT.glob("*/pyvenv.cfg")}
    found = []
    for here, folders, files in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if Path(here, name) not in environments and (name == ".ci" or not name.startswith(".")) and name != "build"
        ]
        found += [Path(here, name).relative_to(ROOT) for name in files if Path(name).suffix in TEXTS]
    return found


def test_there_are_sources_to_look_at() -> None:
    assert len(SOURCES) > 30


@sources
def test_modules_and_functions_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE
    for node in ast.walk(parse(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            # Signature and docstring are not counted: one lists a command's options, the other explains them.
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


@sources
def test_nothing_reads_or_writes_pickles(path: Path) -> None:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names = {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").partition(".")[0]}
        else:
            names = set()
        assert not names & {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False
        if isinstance(node, ast.keyword) and node.arg == "safe_mode":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is True


@sources
def test_every_public_name_is_documented(path: Path) -> None:
    if any(part.startswith("_") for part in path.with_suffix("").parts if part != "__init__"):
        pytest.skip("a private module")
    tree = parse(path)
    assert ast.get_docstring(tree), "the module says nothing about itself"
    lacking = [name for name, node in public(tree.body) if not ast.get_docstring(node)]  # type: ignore[arg-type]
    assert not lacking


def test_no_file_names_the_host_of_a_package_registry() -> None:
    # Assembled, so that this file names none either.
    hosts = re.compile(
        r"\b("
        + "|".join(
            f"{a}[.]{b}"
            for a, b in [
                ("pypi", "org"),
                ("pythonhosted", "org"),
                ("anaconda", "org"),
                ("anaconda", "com"),
                ("npmjs", "org"),
                ("npmjs", "com"),
                ("crates", "io"),
                ("rubygems", "org"),
            ]
        )
        + r")\b"
    )
    found = [path for path in ours() if hosts.search((ROOT / path).read_text(encoding="utf-8", errors="replace"))]
    assert not found


def test_the_core_imports_no_deep_learning_library() -> None:
    heavy = {"tensorflow", "keras", "torch", "jax", "deepchem"}
    for path in ROOT.glob("medtasks/**/*.py"):
        for node in ast.walk(parse(path)):
            names = (
                [name.name for name in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not {name.partition(".")[0] for name in names} & heavy, path
