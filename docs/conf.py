"""How the documentation is built: `sphinx-build -W docs docs/_build/html`. Nothing is fetched from a network."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

from medtasks.registry import version as installed

project, author, copyright = "medtasks", "The medtasks developers", "The medtasks developers"
version = release = installed()

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
highlight_language = "none"  # what a command printed is no Python
default_role = "code"  # docstrings name things in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
maximum_signature_line_length = 90  # longer ones get a line for each parameter
napoleon_google_docstring = False
napoleon_use_ivar = True  # fields of data classes stand in one list, described once
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"medtasks {release}"
html_static_path = ["static"]
html_css_files = ["medtasks.css"]
html_show_sourcelink = False
html_math_renderer = "mathml"  # which browsers draw themselves; MathJax would be fetched
exclude_patterns = ["_build"]

ROOT = Path(__file__).parents[1]
CONTRACT = ROOT / "tests" / "contract.txt"
COLON = "\ue000"
"""Stands in for colons while napoleon reads the text of an attribute: it would take what precedes one for a type."""
_FORM = re.compile(r"(?:@\S+ )*(?:(class|def) )?(\w+)(.*)")
_ARRAY = re.compile(r"~numpy\.ndarray\[tuple\[~typing\.Any, \.\.\.\], ~numpy\.dtype\[([~.\w]+)\]\]")
_OURS = {"self", "model_config"}  # what a class sets in `__init__` has no text of its own; the other is pydantic's
_SOURCE = re.compile(r"\b(?:doi:(10\.\d{4,9}/[^\s,;]*[^\s,;:.)\]])|arXiv:(\d{4}\.\d{4,5}))")
_ENTRY = re.compile(r"^([*\w]+(?:, [*\w]+)*) : (.+)$", flags=re.MULTILINE)


def pinned(module: str) -> Iterator[str]:
    """Yield the directives that document what the contract pins of a module."""
    section = CONTRACT.read_text("utf-8").partition(f"\n[{module}]\n")[2].partition("\n\n[")[0]
    for entry in re.split(r"\n(?! )", section):
        form, *members = (_FORM.match(line.strip()) for line in entry.splitlines())
        assert form is not None
        kind, name, rest = form.groups()
        if kind is None:
            yield from _value(module, name, rest)
            continue
        yield f".. {'autoclass' if kind == 'class' else 'autofunction'}:: {module}.{name}"
        found = [one[2] for one in members if one is not None and one[2] not in _OURS]
        yield from [f"   :members: {', '.join(found)}", ""] if found else [""]


def _value(module: str, name: str, form: str) -> Iterator[str]:
    """Document a value or a type: autodoc would tell what its class is."""
    given = form.partition(" = ")[2] or "..."
    yield from [f".. py:data:: {module}.{name}", f"   :value: {given}", ""]
    yield from [*(f"   {line}" for line in _said(module, name)), ""]


def _said(module: str, name: str) -> list[str]:
    """Return the text below a value, in whatever module it is defined."""
    analyser = ModuleAnalyzer.for_module(module)
    for node in ast.walk(ast.parse(analyser.code)):
        if isinstance(node, ast.ImportFrom) and any(one.name == name for one in node.names):
            return _said(str(node.module), name)
    return analyser.find_attr_docs().get(("", name), [])


class Contract(SphinxDirective):
    """``.. contract:: MODULE`` documents, from their docstrings, the names that `tests/contract.txt` pins."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write the directives, and read them."""
        box = nodes.container()
        self.state.nested_parse(StringList([*pinned(self.arguments[0])], str(CONTRACT)), self.content_offset, box)
        self.env.note_dependency(str(CONTRACT))
        return box.children


def _described(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Read ``name : text`` as a description: what stands there in our docstrings is a shape or a sentence, no type."""
    if what in ("attribute", "property"):
        lines[:] = [line.replace(":", COLON) for line in lines]
    lines[:] = _ENTRY.sub(r"\1\n    \2", "\n".join(lines)).split("\n")


def _restored(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace(COLON, ":") for line in lines]


def _shortened(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str | None, told: str | None
) -> tuple[str | None, str | None]:
    """Write types of arrays as the source does, and no default that Python has no words for."""
    short = [text and _ARRAY.sub(r"NDArray[\1]", text).replace("<factory>", "...") for text in (signature, told)]
    return short[0], short[1]


class Sources(SphinxTransform):
    """Makes links of the papers that texts name as ``doi:10....`` and ``arXiv:....``."""

    default_priority = 900

    def apply(self, **kwargs: Any) -> None:
        """Divide each text at the papers that it names."""
        for text in list(self.document.findall(nodes.Text)):
            if isinstance(text.parent, nodes.reference | nodes.literal | nodes.literal_block):
                continue
            parts, end = [], 0
            for found in _SOURCE.finditer(text):
                place = f"https://doi.org/{found[1]}" if found[1] else f"https://arxiv.org/abs/{found[2]}"
                parts += [nodes.Text(text[end : found.start()]), nodes.reference("", found[0], refuri=place)]
                end = found.end()
            if parts:
                text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def _inline(writer: Any, node: Any) -> None:
    writer.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _displayed(writer: Any, node: Any) -> None:
    writer.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Add the directive, links to papers, and formulae that need no script."""
    app.add_directive("contract", Contract)
    app.add_transform(Sources)
    app.connect("autodoc-process-docstring", _described, priority=400)  # before napoleon's, at 500
    app.connect("autodoc-process-docstring", _restored, priority=600)
    app.connect("autodoc-process-signature", _shortened)
    app.add_html_math_renderer("mathml", (_inline, None), (_displayed, None))
