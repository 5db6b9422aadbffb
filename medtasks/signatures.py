"""Whether the methods of a plugin's class can be called as the contract calls them, told before one is."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping

from medtasks.errors import PluginError
from medtasks.tracing import defined

Parameters = tuple[tuple[str, ...], tuple[str, ...]]
"""The names of what a method is given by position and by keyword."""


def check_calls(kind: type, calls: Mapping[str, Parameters], what: str, *, on_class: Iterable[str] = ()) -> None:
    """Refuse a class of which a method cannot be called as the contract does.

    Parameters
    ----------
    calls
        The methods; ``__init__`` stands for making an instance.
    what
        The class for messages, as in "model 'diagnosis.x' (acme 1.0)".
    on_class
        Methods that are called on the class itself.

    Raises
    ------
    PluginError
        Naming the method, the place and how it is written.
    """
    for name, (positional, keywords) in calls.items():
        held = inspect.getattr_static(kind, name, None)
        above = name in on_class
        if not above and not inspect.isfunction(held):
            continue  # a descriptor of the author's own: it may be called in any way
        method = getattr(kind, name)
        given = positional if above else ("self", *positional)
        try:
            # What a decorator puts in place of a method is called, whatever that method itself would take.
            inspect.signature(method, follow_wrapped=False).bind(*given, **dict.fromkeys(keywords))
        except TypeError:
            raise _wrong(kind, name, (positional, keywords), above, what) from None
        except ValueError:  # written in C: nothing tells what it takes
            continue


def _wrong(kind: type, name: str, parameters: Parameters, on_class: bool, what: str) -> PluginError:
    positional, keywords = parameters
    star = ("*", *keywords) if keywords else ()
    called, written = (", ".join([*first, *positional, *star]) for first in ((), ("cls" if on_class else "self",)))
    where = defined(getattr(kind, name))
    return PluginError(
        f"the `{name}` of {what} cannot be called as {name}({called}){f', in {where}' if where else ''}",
        hint=f"its author writes it as {'@classmethod ' if on_class else ''}def {name}({written})",
    )


def required(*positional: str, keywords: Iterable[str] = ()) -> Parameters:
    """Return the parameters of a call.

    >>> required("cases", keywords=["context"])
    (('cases',), ('context',))
    """
    return positional, tuple(keywords)
