"""``medtasks tasks``, ``models`` and ``datasets``: lists from metadata alone, details on request."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from medtasks import registry
from medtasks.cli import complete, output
from medtasks.cli.run import AsJson


def tasks(
    name: Annotated[
        str | None, typer.Argument(help="A task, to see its options.", autocompletion=complete.tasks)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the tasks, or explain one and its options."""
    if name is None:
        _list("task", as_json)
        return
    from medtasks.task import load_task

    task = load_task(name)
    about = {
        "name": task.name,
        "title": task.title,
        "summary": task.summary,
        "demo": task.demo,
        "cases": [kind.kind for kind in task.cases],
        "models": dict(task.defaults),
        "baselines": dict(task.baselines),
        "options": _fields(task.Options),
    }
    _detail(about, "options", "--", as_json)


def models(
    name: Annotated[
        str | None,
        typer.Argument(help="A model, to see its hyper-parameters.", autocompletion=complete.models),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the models, or explain one and its hyper-parameters."""
    if name is None:
        _list("model", as_json)
        return
    from medtasks.model import model_class

    short = [entry.name for entry in registry.entries("model") if entry.name.partition(".")[2] == name]
    name = short[0] if len(set(short)) == 1 else name
    entry, model = registry.find("model", name), model_class(name)
    about = {
        "name": entry.name,
        "plugin": entry.origin,
        "summary": (model.__doc__ or "").partition("\n")[0],
        "home page": entry.home_page,
        "accepts": model.accepts,
        "devices": list(model.devices),
        "explains": model.explains(),
        "settings": _fields(model.Config),
    }
    _detail(about, "settings", "--set ", as_json)


def datasets(as_json: AsJson = False) -> None:
    """List the data sets that --data takes by name."""
    _list("dataset", as_json)


def _list(kind: str, as_json: bool) -> None:
    found = registry.entries(kind)
    if as_json:
        output.emit_json(
            {
                f"{kind}s": [
                    {
                        "name": entry.name,
                        "plugin": entry.distribution,
                        "version": entry.version,
                        "state": entry.state,
                        "reason": entry.reason,
                        "summary": entry.summary,
                        "home_page": entry.home_page,
                    }
                    for entry in found
                ]
            }
        )
        return
    output.table(
        ["name", "state", "from", "reason"] if any(entry.reason for entry in found) else ["name", "state", "from"],
        [
            [
                entry.name,
                str(entry.state),
                entry.origin,
                *([entry.reason or ""] if any(other.reason for other in found) else []),
            ]
            for entry in found
        ],
    )
    if kind in ("task", "model"):
        typer.echo(f"`medtasks {kind}s NAME` explains one.")


def _fields(schema: Any) -> list[dict[str, Any]]:
    described = schema.model_json_schema().get("properties", {})
    return [
        {
            "name": name,
            "type": _type(field.annotation),
            "default": described.get(name, {}).get("default"),
            **({"required": True} if field.is_required() else {}),
            "description": " ".join((field.description or "").split()),
        }
        for name, field in schema.model_fields.items()
    ]


def _type(annotation: Any) -> str:
    """Write a type as a user reads it: without the functions that check it, or the module that names it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " | ".join(map(repr, inner))
    if origin in (Union, UnionType):
        return " | ".join(map(_type, inner))
    if origin is not None:
        return f"{_type(origin)}[{', '.join(map(_type, inner))}]"
    if annotation is type(None):
        return "None"
    return "..." if annotation is ... else getattr(annotation, "__name__", str(annotation))


def _detail(about: dict[str, Any], table: str, prefix: str, as_json: bool) -> None:
    if as_json:
        output.emit_json(about)
        return
    for key, value in about.items():
        if key != table and value not in ("", [], {}):
            text = (
                ", ".join(f"{kind}: {name}" for kind, name in value.items())
                if isinstance(value, dict)
                else ", ".join(value)
                if isinstance(value, list)
                else str(value)
            )
            typer.echo(f"{key}: {text}")
    typer.echo(f"\n{table}:" if about[table] else f"\nno {table}")
    for field in about[table]:
        name = field["name"].replace("_", "-") if prefix == "--" else field["name"]
        given = "to be given" if field.get("required") else f"default {field['default']}"
        typer.echo(f"  {prefix}{name}  ({field['type']}, {given})\n      {field['description']}")
