"""The profile ``gpu`` of the kit: it tells a model whose devices disagree, and never passes where there is no GPU."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medtasks import machine
from medtasks.errors import UsageError
from medtasks.testing import CHECKS, PROFILES, State, check, conformance, fresh
from medtasks.testing.bench import Bench

from .test_saboteurs import FIT, HONEST, PREDICT, failed

TOLD = "        context.used.update(device=context.device)\n"
BOTH = '    accepts = "records"\n    devices = ("cpu", "gpu")\n'
HOME = FIT + "        self.home = context.device\n" + TOLD
AT_HOME = PREDICT + "        here = context.device\n" + TOLD


def on_both() -> str:
    """Return the code of the honest model as one that runs on both devices and keeps in mind where it was fitted."""
    text = HONEST
    for old, new in (
        ('    accepts = "records"\n', BOTH),
        (FIT, HOME),
        (PREDICT, AT_HOME),
        ("coef=self.coef, **", "coef=self.coef, home=self.home, **"),
        ('model.coef = arrays.pop("coef")', 'model.coef, model.home = arrays.pop("coef"), str(arrays.pop("home"))'),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def after(condition: str) -> tuple[str, str]:
    """Return the change by which answers are less sure where a condition holds."""
    return AT_HOME, AT_HOME + f"        score = score / 2 if {condition} else score\n"


SABOTEURS = {
    "uses-gpu": (HOME, HOME.replace("device=context.device", 'device="cpu"')),
    "answers-on-gpu": after('(self.home, here) == ("cpu", "gpu")'),
    "fitted-on-gpu": after('(self.home, here) == ("gpu", "cpu")'),
    "learns-on-gpu": (HOME, HOME + '        self.coef = self.coef * (context.device == "cpu")\n'),
}
Cli = Callable[..., Any]


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpu", lambda: "a GPU of paper")


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the driver's tool say that it finds none; child processes ask it too."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tool.parent), os.environ["PATH"]]))


def test_every_check_of_the_profile_has_a_saboteur() -> None:
    assert set(SABOTEURS) == set(PROFILES["gpu"])
    assert not set(PROFILES["gpu"]) & set(CHECKS)


@pytest.mark.usefixtures("with_gpu")
def test_an_honest_model_passes_in_fresh_processes(plugins: Any) -> None:
    plugins.model("acme-both", on_both())
    report = check("diagnosis.acme-both", profile="gpu")
    assert report.ok, str(report)
    assert (report.counts["defined"], report.counts["passed"]) == (len(PROFILES["gpu"]),) * 2


@pytest.mark.usefixtures("with_gpu", "without_processes")
@pytest.mark.parametrize("which", SABOTEURS)
def test_a_saboteur_fails_its_check_and_no_other(plugins: Any, which: str) -> None:
    old, new = SABOTEURS[which]
    text = on_both()
    assert text.count(old) == 1
    plugins.model(f"acme-{which}", text.replace(old, new))
    report = check(f"diagnosis.acme-{which}", profile="gpu")
    assert failed(report) == {which}, str(report)
    assert report.of(State.FAILED)[0].mend.startswith("To mend: ")


@pytest.mark.usefixtures("with_gpu", "without_processes")
def test_a_model_whose_answers_depend_on_the_device_fails_both_ways(plugins: Any) -> None:
    old, new = after('here == "gpu"')
    plugins.model("acme-two-faced", on_both().replace(old, new))
    report = check("diagnosis.acme-two-faced", profile="gpu")
    assert failed(report) == {"answers-on-gpu", "fitted-on-gpu"}
    assert all("rounding explains" in outcome.reason for outcome in report.of(State.FAILED))


@pytest.mark.usefixtures("with_gpu", "without_processes")
def test_a_model_that_finds_no_gpu_where_there_is_one_fails(plugins: Any) -> None:
    refuse = HOME + '        assert context.device == "cpu", "it sees no GPU"\n'
    plugins.model("acme-blind", on_both().replace(HOME, refuse))
    report = check("diagnosis.acme-blind", profile="gpu")
    assert failed(report) == {"uses-gpu"}  # one cause is told once
    assert "it sees no GPU" in report.of(State.FAILED)[0].reason
    for_want = {
        outcome.check for outcome in report.of(State.SKIPPED) if outcome.reason == "not made: fit on gpu failed"
    }
    assert for_want == {"fitted-on-gpu", "learns-on-gpu"}


@pytest.mark.usefixtures("with_gpu")
def test_what_a_model_has_hidden_from_this_process_is_not_hidden_from_the_next(
    plugins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = HOME + '        import os\n        assert "CUDA_VISIBLE_DEVICES" not in os.environ, "it is hidden"\n'
    plugins.model("acme-hidden", on_both().replace(HOME, need))
    monkeypatch.setattr(fresh, "_SEEN", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    bench = Bench("diagnosis.acme-hidden")
    assert fresh.answered(bench, bench.folder / "kept", fit=True, device="gpu").used == {"device": "gpu"}


@pytest.mark.usefixtures("with_gpu")
def test_to_a_model_for_the_cpu_alone_it_does_not_apply() -> None:
    report = check("diagnosis.linear-record", profile="gpu")
    assert (report.ok, report.counts["absent"]) == (True, len(PROFILES["gpu"]))


@pytest.mark.usefixtures("without_gpu")
def test_without_a_gpu_each_check_is_skipped_and_a_skip_is_never_green(plugins: Any, cli: Cli) -> None:
    plugins.model("acme-both", on_both())
    done = cli("plugins", "check", "diagnosis.acme-both", "--profile", "gpu", "--json")
    assert done.code == 1, done.err
    found = json.loads(done.out)
    assert (found["ok"], found["ran"], found["skipped"], found["defined"]) == (False, 0, *[len(PROFILES["gpu"])] * 2)
    assert {one["reason"] for one in found["checks"]} == {"there is no GPU here: nvidia-smi names none"}

    @conformance("diagnosis.acme-both", profile="gpu")
    def test_it(check: Callable[[], None]) -> None:
        check()

    (mark,) = test_it.pytestmark  # type: ignore[attr-defined]
    assert [param.id for param in mark.args[1]] == list(PROFILES["gpu"])
    with pytest.raises(pytest.fail.Exception, match="it cannot be checked: there is no GPU here"):
        mark.args[1][0].values[0]()


def test_the_profile_that_is_made_where_none_is_named_needs_no_gpu() -> None:
    assert PROFILES["default"] is CHECKS


def test_an_unknown_profile_or_a_check_of_another_has_a_hint(cli: Cli) -> None:
    assert cli("plugins", "check", "diagnosis.linear-record", "--profile", "gpus").code == 2
    for make in (check, conformance):
        with pytest.raises(UsageError, match="no profile") as caught:
            make("diagnosis.linear-record", profile="gpus")
        assert caught.value.hint == "did you mean 'gpu'?"
        with pytest.raises(UsageError, match="no check"):
            make("diagnosis.linear-record", profile="gpu", expected={"learns": "a reason"})
