"""What became of each check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from medtasks.errors import UsageError, suggest


class State(StrEnum):
    """What became of a check; ``absent`` where the model lacks the optional method that it is about."""

    PASSED = "passed"
    FAILED = "failed"
    EXPECTED = "expected"
    SKIPPED = "skipped"
    ABSENT = "absent"


class Broken(Exception):
    """The model does not hold what the check asks; the message says how."""


class Skipped(Exception):
    """The check cannot be made; the message says what is lacking."""


class Absent(Exception):
    """The model does not have what the check is about."""


@dataclass(frozen=True)
class Outcome:
    """One check's result.

    ``reason`` says why it is not ``passed``, ``mend`` what the author can do; ``seconds`` is what it took, the fit
    included where it was the first to need it, ``trace`` the traceback where the model raised.
    """

    check: str
    state: State
    seconds: float = 0.0
    reason: str = ""
    mend: str = ""
    trace: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "check": self.check,
            "state": str(self.state),
            "seconds": round(self.seconds, 3),
            "reason": self.reason,
            "mend": self.mend,
            **({"trace": self.trace} if self.trace else {}),
        }

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Outcome:
        """Read back what `as_json` returned."""
        return cls(**{**content, "state": State(content["state"])})


@dataclass(frozen=True)
class Report:
    """The results of the checks of one model.

    Attributes
    ----------
    model : its name
    outcomes : one for each check, in order
    defined : how many checks there are
    """

    model: str
    outcomes: tuple[Outcome, ...]
    defined: int

    @property
    def ok(self) -> bool:
        """Whether every check that applies was made and passed, or failed as expected: a skip is never green."""
        return len(self.outcomes) == self.defined and not self.of(State.FAILED) and not self.of(State.SKIPPED)

    def of(self, state: State) -> tuple[Outcome, ...]:
        """Return the outcomes in one state."""
        return tuple(outcome for outcome in self.outcomes if outcome.state is state)

    @property
    def counts(self) -> dict[str, int]:
        """How many checks ``defined``, ``ran``, and ended in each state."""
        states = {str(state): len(self.of(state)) for state in State}
        ran = states["passed"] + states["failed"] + states["expected"]
        return {"defined": self.defined, "ran": ran, **states}

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        checks = [outcome.as_json() for outcome in self.outcomes]
        return {"model": self.model, "ok": self.ok, **self.counts, "checks": checks}

    def __str__(self) -> str:
        count = self.counts
        lines = [f"{outcome.state:8}  {outcome.check}" for outcome in self.outcomes if outcome.state is State.PASSED]
        for outcome in self.outcomes:
            if outcome.state is not State.PASSED:
                lines.append(f"{outcome.state:8}  {outcome.check}: {outcome.reason}")
            if outcome.state is State.FAILED and outcome.mend:
                lines.append(f"          {outcome.mend}")
        absent = f", {count['absent']} do not apply" if count["absent"] else ""
        return "\n".join(
            [
                *lines,
                f"{self.model}: {count['ran']} of {count['defined']} checks ran: {count['passed']} passed, "
                f"{count['failed']} failed, {count['expected']} failed as expected; {count['skipped']} skipped{absent}",
            ]
        )


def judge(outcome: Outcome, expected: Mapping[str, str]) -> Outcome:
    """Turn a failure that was expected into `State.EXPECTED`, and its absence into a failure."""
    if outcome.check not in expected or outcome.state is State.SKIPPED:
        return outcome
    why = expected[outcome.check]
    if outcome.state is State.FAILED:
        return Outcome(outcome.check, State.EXPECTED, outcome.seconds, f"{why} ({outcome.reason})")
    return Outcome(
        outcome.check,
        State.FAILED,
        outcome.seconds,
        f"it was expected to fail ({why}) and {'passed' if outcome.state is State.PASSED else 'does not apply'}",
        "To mend: take it out of the expected failures.",
    )


def known(expected: Mapping[str, str] | None, names: Mapping[str, Any]) -> dict[str, str]:
    """Return expected failures, their names being checks' and their reasons being given.

    Raises
    ------
    UsageError
        If a name is none, or a reason is empty.
    """
    for name, reason in (expected or {}).items():
        if name not in names:
            raise UsageError(f"no check is called {name!r}", hint=suggest(name, names))
        if not reason.strip():
            raise UsageError(f"the expected failure of {name!r} has no reason", hint="say why it is expected")
    return dict(expected or {})
