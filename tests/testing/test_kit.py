"""The kit's three fronts, and that it says what it did not do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medtasks.errors import PluginError, UsageError
from medtasks.testing import CHECKS, State, check, check_apart, conformance
from medtasks.testing.checks import holds, mend

BEST_ARM = {"learns": "it gives everybody the same arm: that is what it is for"}
FITS = "    def fit(self, train, valid, *, context):\n"


@pytest.mark.usefixtures("without_processes")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("diagnosis.linear-record", {}),
        ("diagnosis.linear-image", {}),
        ("activity.linear-fingerprint", {}),
        ("treatment.best-arm", BEST_ARM),
        ("treatment.linear-dose", {}),
        ("treatment.linear-set", {}),
    ],
)
def test_a_model_that_comes_with_medtasks_keeps_the_contract(name: str, expected: dict[str, str]) -> None:
    report = check(name, expected=expected)
    assert report.ok, str(report)
    assert report.counts["skipped"] == 0
    assert report.counts["expected"] == len(expected)


def test_each_check_says_what_holds_and_how_to_mend_it() -> None:
    for name in CHECKS:
        assert holds(name).endswith(".")
        assert mend(name).startswith("To mend: ")


@pytest.mark.usefixtures("without_processes")
def test_an_expected_failure_that_passes_is_a_failure() -> None:
    report = check("treatment.linear-dose", expected={"learns": "it was thought so"})
    (outcome,) = report.of(State.FAILED)
    assert (outcome.check, report.ok) == ("learns", False)
    assert "it was expected to fail (it was thought so) and passed" in outcome.reason


@pytest.mark.parametrize("make", [check, conformance, check_apart])
def test_expected_failures_have_a_known_name_and_a_reason(make: Callable[..., Any]) -> None:
    with pytest.raises(UsageError) as caught:
        make("treatment.best-arm", expected={"lerns": "reason"})
    assert caught.value.hint == "did you mean 'learns'?"
    with pytest.raises(UsageError, match="no reason"):
        make("treatment.best-arm", expected={"learns": " "})


def items(name: str, **options: Any) -> dict[str, Callable[[], None]]:
    @conformance(name, **options)
    def test_it(check: Callable[[], None]) -> None:
        check()

    (mark,) = test_it.pytestmark  # type: ignore[attr-defined]
    return {param.id: param.values[0] for param in mark.args[1]}


@pytest.mark.usefixtures("without_processes")
def test_pytest_has_an_item_for_each_check() -> None:
    found = items("treatment.best-arm", expected=BEST_ARM)
    assert list(found) == list(CHECKS)
    found["well-shaped"]()
    found["explains-cause"]()  # there is none to be wrong
    with pytest.raises(pytest.xfail.Exception, match="the same arm"):
        found["learns"]()
    with pytest.raises(pytest.fail.Exception, match=r"no better than .* by guessing\nTo mend"):
        items("treatment.best-arm")["learns"]()


def test_collecting_imports_no_plugin(plugins: Any) -> None:
    plugins.model("acme-spy", "raise SystemExit('imported')")
    found = items("diagnosis.acme-spy")
    with pytest.raises(PluginError, match="imported"):
        found["well-shaped"]()


NO_TOY = """
from medtasks.cases import Records
from medtasks.diagnosis.baseline import LinearRecord
from medtasks.diagnosis.task import Diagnosis

class Eyes(Diagnosis):
    name = "eyes"
    cases = (Records,)
    def toy(self, accepts, n, seed):
        return None

class Line(LinearRecord):
    task = "eyes"
"""


@pytest.mark.usefixtures("without_processes")
def test_a_skip_is_never_green(plugins: Any) -> None:
    points = {"medtasks.tasks": {"eyes": "acme_eyes:Eyes"}, "medtasks.models": {"eyes.line": "acme_eyes:Line"}}
    plugins.install("acme-eyes", points, NO_TOY)
    report = check("eyes.line")
    assert not report.ok
    assert not report.of(State.FAILED)
    assert {outcome.check for outcome in report.of(State.PASSED)} == {"config", "listing"}
    assert all("has no toy data for 'records'" in outcome.reason for outcome in report.of(State.SKIPPED))
    with pytest.raises(pytest.fail.Exception, match="cannot be checked: the task eyes has no toy data"):
        items("eyes.line")["learns"]()


@pytest.mark.usefixtures("without_processes")
@pytest.mark.parametrize("fault", ["raise ValueError('boom')", "raise SystemExit('boom')"])
def test_a_fit_that_raises_is_told_and_not_tried_by_every_check(plugins: Any, constant: str, fault: str) -> None:
    count = f"        with open('{plugins.folder}/fits', 'a') as file:\n            file.write('x')\n"
    plugins.model("acme-raises", constant.replace(FITS, f"{FITS}{count}        {fault}\n"))
    report = check("diagnosis.acme-raises")
    (failed,) = report.of(State.FAILED)
    assert (failed.check, report.counts["passed"], report.ok) == ("well-shaped", 2, False)
    assert failed.reason == f"fit raised {fault[6:16]}: boom, in acme_raises.py:12"
    assert "--debug" in failed.mend
    assert fault in failed.trace
    assert {outcome.reason for outcome in report.of(State.SKIPPED)} == {"not made: fit failed"}
    assert (plugins.folder / "fits").read_text() == "x"


@pytest.mark.usefixtures("without_processes")
def test_answers_of_a_wrong_form_are_one_failure(plugins: Any, constant: str) -> None:
    plugins.model("acme-nan", constant.replace("(len(cases), 1))", "(len(cases), 1)) * np.nan"))
    report = check("diagnosis.acme-nan")
    (failed,) = report.of(State.FAILED)
    assert failed.check == "well-shaped"
    assert {outcome.check for outcome in report.of(State.SKIPPED)} >= {"row-order", "fresh-process", "learns"}
    assert all("not finite" in outcome.reason for outcome in report.of(State.SKIPPED))
    assert {outcome.check for outcome in report.of(State.PASSED)} >= {"empty-input", "safe-files", "quiet-stdout"}


def test_the_command_shows_a_traceback_on_request(plugins: Any, constant: str, cli: Callable[..., Any]) -> None:
    plugins.model("acme-raises", constant.replace(FITS, f"{FITS}        return {{}}['key']\n"))
    done = cli("plugins", "check", "diagnosis.acme-raises")
    assert done.code == 1
    assert done.out.count("KeyError") == 1
    assert "Traceback" not in done.out + done.err
    done = cli("plugins", "check", "diagnosis.acme-raises", "--debug")
    assert done.code == 1
    assert "return {}['key']" in done.err
    assert "Traceback" not in done.out


def test_settings_replace_those_of_the_toy(plugins: Any, constant: str) -> None:
    with pytest.raises(UsageError, match="unknown setting"):
        check("treatment.linear-dose", {"depth": 3})


def test_the_command_checks_in_a_process_of_its_own_and_leaves_nothing_behind(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    done = cli("plugins", "check", "treatment.best-arm", "--expect", "learns=one arm for everybody", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["model"], found["ok"], found["defined"]) == ("treatment.best-arm", True, len(CHECKS))
    assert found["ran"] + found["absent"] == found["defined"]
    assert (found["failed"], found["skipped"], found["expected"]) == (0, 0, 1)
    assert {line["check"] for line in found["checks"]} == set(CHECKS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os._exit(7)", "exit code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "signal 11"),
        pytest.param("import time; time.sleep(300)", "longer than 40 s", marks=pytest.mark.slow),
    ],
    ids=["exits", "crashes", "hangs"],
)
def test_a_crash_or_a_hang_is_reported_with_the_check(
    plugins: Any, cli: Callable[..., Any], constant: str, code: str, reason: str
) -> None:
    plugins.model("acme-crash", constant.replace(FITS, f"{FITS}        {code}\n"))
    done = cli("plugins", "check", "diagnosis.acme-crash", "--timeout", "40")  # a busy machine takes 10 to get there
    assert done.code == 1
    failed = next(line for line in done.out.splitlines() if line.startswith("failed"))
    assert "well-shaped" in failed
    assert reason in failed
    assert done.out.count("skipped ") == len(CHECKS) - 3
    assert f"3 of {len(CHECKS)} checks ran: 2 passed, 1 failed" in done.out


def test_a_model_that_does_not_load_is_the_plugins_fault(plugins: Any, cli: Callable[..., Any]) -> None:
    plugins.model("acme-bad", "raise RuntimeError('no licence')")
    done = cli("plugins", "check", "diagnosis.acme-bad")
    assert (done.code, done.out) == (3, "")
    assert "no licence" in done.error
    plugins.model("acme-gone", "import os; os._exit(5)")
    done = cli("plugins", "check", "diagnosis.acme-gone")
    assert (done.code, done.out) == (3, "")
    assert "exit code 5" in done.error


def test_a_wrong_name_has_a_hint(cli: Callable[..., Any]) -> None:
    done = cli("plugins", "check", "diagnosis.linear-recrod")
    assert (done.code, done.hint) == (2, "did you mean 'diagnosis.linear-record'?")
    assert cli("plugins", "check", "diagnosis.linear-record", "--expect", "learns").code == 2


@pytest.mark.usefixtures("without_processes")
def test_a_config_that_does_not_come_back_says_which_field(plugins: Any, constant: str) -> None:
    fields = "    class Config(Config):\n        limit: float = float('inf')\n"  # JSON has no infinity
    plugins.model("acme-odd", constant.replace("import Model", "import Config, Model").replace(FITS, fields + FITS))
    (failed,) = (outcome for outcome in check("diagnosis.acme-odd").outcomes if outcome.check == "config")
    assert failed.state is State.FAILED, failed
    assert failed.reason == "it does not come back from JSON: limit: Input should be a valid number"
