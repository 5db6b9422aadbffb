"""The names that plugin authors rely on are pinned: a change of the contract shows as a change of ``contract.txt``.

``python tests/test_contract.py`` writes that file anew.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE = Path(__file__).with_name("contract.txt")
PINNED: dict[str, tuple[str, ...]] = {
    # For everybody who writes a plugin: `__all__`, or every public name that is defined there.
    "medtasks": (),
    "medtasks.model": (),
    "medtasks.dataset": (),
    "medtasks.task": (),
    "medtasks.cases": (),
    "medtasks.causal": (),
    "medtasks.adapting": (),
    "medtasks.stored": (),
    "medtasks.errors": (),
    "medtasks.testing": (),
    # What the models here are built of, and others may be.
    "medtasks.adapting.learning": ("ASKED",),
    "medtasks.adapting.network": ("Inputs",),
    "medtasks.cases.hiding": (),
    "medtasks.cases.images": ("parallel",),
    "medtasks.cases.standardised": (),
    "medtasks.cases.structures": ("scaffold",),
    "medtasks.stacking": (),
    # For authors of tasks: what the example and the templates build on.
    "medtasks.cases.fingerprints": (),
    "medtasks.cases.properties": (),
    "medtasks.cases.records": ("fields_of", "numbers"),
    "medtasks.cases.tables": (),
    "medtasks.diagnosis.baseline": ("LinearRecord",),
    "medtasks.diagnosis.task": ("Diagnosis",),
    "medtasks.evaluation.bootstrap": (),
    "medtasks.evaluation.regression": ("regression", "residuals", "rmse"),
    "medtasks.evaluation.splits": (),
    "medtasks.outcome": ("blocks",),
    "medtasks.cases.taking": ("Given", "Tabular"),
    "medtasks.preparing": ("Data", "read"),
    "medtasks.report.blocks": (),
    "medtasks.report.figures": (),
    "medtasks.trust": ("held", "means"),
    "medtasks.words": ("plain",),
}
"""The modules of the contract, and of some the only names that belong to it."""
LONGEST = 300
"""Characters of a value up to which it is written down."""
MEMBERS = frozenset({"__init__", "__call__"})
UPDATE = (
    "the contract of plugins has changed. If that is meant, run `python tests/test_contract.py`, commit "
    "tests/contract.txt, and say in CHANGELOG.md what authors have to change (a break raises the minor version)"
)


def snapshot() -> str:
    """Write down the whole contract."""
    parts = [f"# Written by `python tests/{Path(__file__).name}`. A change here needs a line in CHANGELOG.md."]
    for module, chosen in PINNED.items():
        names = chosen or _names(_tree(module))
        parts.append("\n".join([f"[{module}]", *(line for name in sorted(names) for line in _found(module, name))]))
    return "\n\n".join([*parts, "\n".join(["[the checks of medtasks.testing]", *sorted(_checks())])]) + "\n"


def _path(module: str) -> Path:
    place = ROOT.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _tree(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text(encoding="utf-8"))


def _names(tree: ast.Module) -> list[str]:
    """Return ``__all__``, or the public names that a module defines."""
    defined = {name: node for node in tree.body for name in _defines(node)}
    if "__all__" in defined:
        found: list[str] = ast.literal_eval(defined["__all__"].value)  # type: ignore[attr-defined]
        return found
    return [name for name, node in defined.items() if not name.startswith("_") and "TypeVar(" not in ast.unparse(node)]


def _defines(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        yield node.name
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    for target in targets:
        yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


def _found(module: str, name: str) -> list[str]:
    """Describe a name, wherever the module has it from."""
    tree = _tree(module)
    for node in tree.body:
        if name in _defines(node):
            return list(describe(node, name))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(name == (one.asname or one.name) for one in node.names):
            return _found(str(node.module), next(one.name for one in node.names if name == (one.asname or one.name)))
    raise LookupError(f"{module} has no {name}")


def describe(node: ast.stmt, name: str, indent: str = "") -> Iterator[str]:
    """Yield the lines that tell the form of a class, function or value."""
    if isinstance(node, ast.ClassDef):
        marks = "".join(f"@{ast.unparse(mark)} " for mark in node.decorator_list)
        bases = ", ".join(ast.unparse(base) for base in [*node.bases, *(word.value for word in node.keywords)])
        yield f"{indent}{marks}class {name}({bases})"
        for member in node.body:
            for own in _defines(member):
                if not own.startswith("_") or own in MEMBERS:
                    yield from describe(member, own, indent + "    ")
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        marks = "".join(f"@{ast.unparse(mark)} " for mark in node.decorator_list)
        told = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        yield f"{indent}{marks}def {name}({ast.unparse(node.args)}){told}"
        if name == "__init__":
            yield from (f"{indent}self.{one}" for one in sorted(set(_set(node))))
    elif isinstance(node, ast.AnnAssign):
        given = "" if node.value is None else f" = {_short(node.value)}"
        yield f"{indent}{name}: {ast.unparse(node.annotation)}{given}"
    elif isinstance(node, ast.Assign):
        several = "" if isinstance(node.targets[0], ast.Name) else f", of {ast.unparse(node.targets[0])}"
        yield f"{indent}{name} = {_short(node.value)}{several}"


def _set(node: ast.AST) -> Iterator[str]:
    """Yield the public attributes that a method sets on ``self``."""
    for one in ast.walk(node):
        if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store) and ast.unparse(one.value) == "self":
            yield from ([] if one.attr.startswith("_") else [one.attr])


def _short(value: ast.expr) -> str:
    text = ast.unparse(value)
    return text if len(text) <= LONGEST else "..."


def _checks() -> list[str]:
    from medtasks.testing import PROFILES

    return [name for checks in PROFILES.values() for name in checks]


def test_the_plugins_here_use_nothing_that_strangers_may_not() -> None:
    used = {
        (node.module, name.name, path.relative_to(ROOT).as_posix())
        for path in ROOT.glob("plugins/*/src/**/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "medtasks"
        for name in node.names
    }
    assert len(used) > 50
    allowed = {module: {*(chosen or _names(_tree(module)))} for module, chosen in PINNED.items()}
    allowed["medtasks"] = {*allowed["medtasks"], *(module.removeprefix("medtasks.") for module in PINNED)}
    assert [one for one in sorted(used) if one[1] not in allowed.get(one[0], ())] == []


def test_the_contract_is_what_was_written_down() -> None:
    old, new = FILE.read_text(encoding="utf-8"), snapshot()
    if old != new:
        lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "written down", "now", lineterm="", n=1)
        pytest.fail(UPDATE + "\n" + "\n".join(lines), pytrace=False)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def fit(a, *, b: int=3) -> str: ...", "def fit(a, *, b: int=3) -> str"),
        ("class It(Base):\n    size: int = 3\n    _own = 1", "class It(Base)|    size: int = 3"),
        ("class It:\n    @property\n    def one(self) -> int: ...", "class It()|    @property def one(self) -> int"),
        ("LIMIT = 5", "LIMIT = 5"),
        ("A, B = 1, 2", "A = (1, 2), of (A, B)|B = (1, 2), of (A, B)"),
        (
            "class It:\n    def __init__(self, a: int):\n        self.a, self._b = a, 1\n        self.c: int = 2",
            "class It()|    def __init__(self, a: int)|    self.a|    self.c",
        ),
    ],
)
def test_the_form_of_a_name_is_told(code: str, told: str) -> None:
    (node,) = ast.parse(code).body
    assert "|".join(line for name in _defines(node) for line in describe(node, name)) == told


def _imports(text: str) -> Iterator[tuple[str, str]]:
    pattern = r"^ *from (medtasks[\w.]*) import (?:\(([^)]*)\)|(.+))$"
    for module, several, one in re.findall(pattern, text, flags=re.MULTILINE):
        names = [name.partition(" as ")[0].strip() for name in (several or one).split(",")]
        yield from ((module, name) for name in names if name)


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob("examples/*/src/**/*.py"), *ROOT.glob("medtasks/templates/**/*.jinja"), ROOT / "docs/first-plugin.md"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_what_we_show_to_authors_uses_the_contract_only(path: Path) -> None:
    for module, name in _imports(path.read_text(encoding="utf-8")):
        if f"{module}.{name}" in PINNED or (not module.startswith(("medtasks.", "medtasks ")) and module != "medtasks"):
            continue  # a plugin's module, such as medtasks_keras, has a contract of its own
        assert module in PINNED, f"{module} is not pinned"
        assert name in (PINNED[module] or _names(_tree(module))), f"{module}.{name} is not pinned"


if __name__ == "__main__":
    FILE.write_text(snapshot(), encoding="utf-8")
    print(f"{FILE} is written; say in CHANGELOG.md what changed for authors of plugins")
