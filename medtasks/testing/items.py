"""The kit as items of pytest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from medtasks.testing.bench import Bench
from medtasks.testing.checks import checks_of, make
from medtasks.testing.report import State, known

Test = TypeVar("Test", bound=Callable[..., Any])


def conformance(
    name: str,
    config: Mapping[str, Any] | None = None,
    *,
    expected: Mapping[str, str] | None = None,
    profile: str = "default",
) -> Callable[[Test], Test]:
    """Turn a test function into one item for each check; it takes ``check`` and calls it.

    Parameters
    ----------
    name, config, expected, profile
        As for `medtasks.testing.check`. A check that cannot be made fails: a skip is never green. One about an
        optional method that the model lacks passes.

    Examples
    --------
    >>> @conformance("treatment.linear-dose")
    ... def test_conformance(check):
    ...     check()
    """
    import pytest

    checks, benches = checks_of(profile), list[Bench]()
    expected = known(expected, checks)

    def item(check: str) -> Callable[[], None]:
        def run() -> None:
            __tracebackhide__ = True
            if not benches:  # made when the first check runs: collecting tests imports no plugin
                benches.append(Bench(name, config))
            outcome = make(benches[0], check, expected)
            if outcome.state is State.EXPECTED:
                pytest.xfail(outcome.reason)
            if outcome.state in (State.FAILED, State.SKIPPED):
                what = "" if outcome.state is State.FAILED else "it cannot be checked: "
                pytest.fail(f"{name}, {check}: {what}{outcome.reason}\n{outcome.mend}".rstrip(), pytrace=False)

        return run

    marked = pytest.mark.parametrize("check", [pytest.param(item(check), id=check) for check in checks])
    return lambda test: marked(test)
