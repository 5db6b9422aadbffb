"""All checks, and running them."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from medtasks.errors import UsageError, suggest
from medtasks.testing import answering, behaving, devices, learning, storing
from medtasks.testing.bench import Bench
from medtasks.testing.report import Absent, Broken, Outcome, Report, Skipped, State, judge, known
from medtasks.tracing import place, told

Check = Callable[[Bench], None]
_IN_ORDER: tuple[Check, ...] = (
    behaving.listing,
    behaving.config,
    answering.well_shaped,
    answering.one_answer_per_case,
    answering.empty_input,
    answering.batch_size,
    answering.row_order,
    answering.ignores_ids,
    answering.bad_case,
    answering.inputs_unchanged,
    answering.same_seed,
    answering.left_out,
    storing.fresh_process,
    storing.safe_files,
    storing.no_training_rows,
    behaving.no_network,
    behaving.quiet_stdout,
    learning.learns,
    learning.shuffled_labels,
    learning.explains_cause,
    learning.embeds,
    learning.of_the_task,
)
_ON_GPU: tuple[Check, ...] = (
    devices.uses_gpu,
    devices.answers_on_gpu,
    devices.fitted_on_gpu,
    devices.learns_on_gpu,
)
CHECKS: Mapping[str, Check] = {check.__name__.replace("_", "-"): check for check in _IN_ORDER}
"""Every check that needs no special machine, by its name; the docstring says what holds and how to mend it."""
PROFILES: Mapping[str, Mapping[str, Check]] = {
    "default": CHECKS,
    "gpu": {check.__name__.replace("_", "-"): check for check in _ON_GPU},
}
"""The sets of checks: those of ``gpu`` are skipped, and so fail, where there is none."""
_ALL: Mapping[str, Check] = {name: check for checks in PROFILES.values() for name, check in checks.items()}


def checks_of(profile: str) -> Mapping[str, Check]:
    """Return the checks of a profile; raises `UsageError` where there is none of this name."""
    if profile not in PROFILES:
        raise UsageError(f"no profile is called {profile!r}", hint=suggest(profile, PROFILES))
    return PROFILES[profile]


def make(bench: Bench, name: str, expected: Mapping[str, str]) -> Outcome:
    """Make one check; whatever the model raises, the check has failed and the next can go on."""
    start, state, reason, trace = time.perf_counter(), State.PASSED, "", ""
    advice = mend(name)
    try:
        _ALL[name](bench)
    except Broken as error:
        state, reason = State.FAILED, str(error)
    except Skipped as error:
        state, reason = State.SKIPPED, str(error)
    except Absent as error:
        state, reason = State.ABSENT, str(error)
    except (Exception, SystemExit) as error:  # what a model likes; toy data are no patient's, so its words can be shown
        where, trace = place(error, bench.model), "".join(traceback.format_exception(error))
        state, reason = State.FAILED, f"{_method(error)}raised {told(error)}" + (f", in {where}" if where else "")
        if any(error is one for one in bench.failures):  # not what this check is about: it was the first to meet it
            advice = "To mend: see there; `medtasks plugins check --debug` shows the traceback."
    took = time.perf_counter() - start
    return judge(Outcome(name, state, took, reason, advice if state is State.FAILED else "", trace), expected)


def check(
    name: str,
    config: Mapping[str, Any] | None = None,
    *,
    expected: Mapping[str, str] | None = None,
    profile: str = "default",
) -> Report:
    """Check a model and report.

    Parameters
    ----------
    name
        The model, as `medtasks models` lists it.
    config
        Hyper-parameters that replace those of its `toy_config`.
    expected
        Checks that are known to fail, with the reason; one that passes then is a failure.
    profile
        One of `PROFILES`: ``gpu`` compares a GPU with the CPU.

    Raises
    ------
    UsageError
        If there is no such model, hyper-parameter, check or profile.
    PluginError
        If the model cannot be loaded.

    Examples
    --------
    >>> report = check("treatment.linear-dose")
    >>> report.ok, report.counts["failed"], report.counts["skipped"]
    (True, 0, 0)
    """
    checks = checks_of(profile)
    expected, bench = known(expected, checks), Bench(name, config)
    return Report(name, tuple(make(bench, one, expected) for one in checks), len(checks))


def mend(name: str) -> str:
    """Return what the docstring of a check says about mending."""
    text = inspect.getdoc(_ALL[name]) or ""
    return " ".join(text.partition("\n\n")[2].split())


def holds(name: str) -> str:
    """Return what the docstring of a check says that holds."""
    return " ".join((inspect.getdoc(_ALL[name]) or "").partition("\n\n")[0].split())


def _method(error: BaseException) -> str:
    """Say in which of the model's methods an error arose, as far as its traceback tells."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_name
        if name in ("fit", "predict", "save", "explain", "embed", "toy"):
            found = f"{name} "
        trace = trace.tb_next
    return found
