"""What is installed: found from metadata, and no plugin harms another."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

from medtasks import guarding, registry
from medtasks.errors import PluginError, UsageError
from medtasks.registry import State

MODELS = "medtasks.models"


def state_of(name: str) -> Any:
    found = [entry for entry in registry.entries() if entry.name == name]
    assert len(found) == 1, f"{name}: {found}"
    return found[0]


def test_listing_tells_the_distribution_and_imports_nothing(plugins: Any) -> None:
    plugins.model("acme-model", "raise SystemExit('imported')", version="2.5")
    entry = state_of("diagnosis.acme-model")
    assert (entry.kind, entry.task, entry.origin, entry.summary) == (
        "model",
        "diagnosis",
        "acme-model 2.5",
        "a throw-away",
    )
    assert entry.state is State.READY
    assert "acme_model" not in sys.modules


def test_what_comes_with_medtasks_is_ready() -> None:
    names = {entry.name for entry in registry.entries() if entry.state is State.READY}
    assert {"diagnosis", "diagnosis.linear-image", "diagnosis.linear-record", "diagnosis.phantom"} <= names


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("import acme_is_not_installed", "No module named 'acme_is_not_installed'"),
        ("def broken(:", "SyntaxError"),
        ("There = 1", "It"),
    ],
    ids=["raises", "exits", "lacks a dependency", "is no Python", "lacks the object"],
)
def test_a_plugin_that_does_not_load_says_why(plugins: Any, code: str, reason: str) -> None:
    plugins.model("acme-bad", code)
    with pytest.raises(PluginError) as caught:
        registry.find("model", "diagnosis.acme-bad").load()
    assert reason in caught.value.message
    assert "acme-bad 1.0" in caught.value.message
    assert "pip uninstall acme-bad" in str(caught.value.hint)
    assert registry.find("model", "diagnosis.linear-record").load().__name__ == "LinearRecord"


def test_what_a_plugin_prints_on_import_stays_off_stdout(plugins: Any, capfd: pytest.CaptureFixture[str]) -> None:
    plugins.model("acme-loud", "import os; print('buy acme'); os.write(1, b'and more'); It = 3")
    with guarding.results_on_stdout():
        assert registry.find("model", "diagnosis.acme-loud").load() == 3
    said = capfd.readouterr()
    assert said.out == ""
    assert "buy acme" in said.err
    assert "and more" in said.err


def test_ctrl_c_during_an_import_is_no_broken_plugin(plugins: Any) -> None:
    plugins.model("acme-slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        registry.find("model", "diagnosis.acme-slow").load()


@pytest.mark.parametrize(
    "text",
    [
        "[medtasks.models]\ndiagnosis.mess\n  = = =\n[",
        "[medtasks.models]\na = b:C\na = b:D\n",
        "diagnosis.x = medtasks.models:X\n",
    ],
    ids=["not ini", "a key twice", "no section"],
)
def test_malformed_entry_points_are_told_and_harm_nobody_else(plugins: Any, text: str) -> None:
    before = {(entry.kind, entry.name) for entry in registry.entries()}
    plugins.install("acme-mess", text)
    after = registry.entries()
    mine = [entry for entry in after if entry.distribution == "acme-mess"]
    assert [entry.state for entry in mine] == [State.BROKEN]
    assert "malformed" in str(mine[0].reason)
    assert before <= {(entry.kind, entry.name) for entry in after}
    with pytest.raises(PluginError):
        mine[0].load()


def test_an_unrelated_package_with_malformed_entry_points_is_not_our_business(plugins: Any) -> None:
    plugins.install("unrelated", "[console_scripts\nthis = is = broken")
    assert "unrelated" not in {entry.distribution for entry in registry.entries()}
    assert "malformed" in dict(registry.unread())["unrelated"]
    assert state_of("diagnosis.linear-record").state is State.READY


def test_a_target_that_is_no_object_reference_is_broken(plugins: Any) -> None:
    plugins.install("acme-odd", {MODELS: {"diagnosis.acme-odd": "not a reference"}})
    entry = state_of("diagnosis.acme-odd")
    assert entry.state is State.BROKEN
    assert "module:object" in str(entry.reason)


def test_what_a_plugin_lacks_is_to_be_installed_and_not_itself_again(plugins: Any) -> None:
    plugins.model("acme-lacking", "import acme_library.fast\n")
    with pytest.raises(PluginError, match="No module named 'acme_library'") as caught:
        registry.find("model", "diagnosis.acme-lacking").load()
    assert "install what brings the module 'acme_library'" in str(caught.value.hint)
    assert "reinstall" not in str(caught.value.hint)


@pytest.mark.parametrize("damage", ["no metadata", "not UTF-8", "no name"])
def test_a_distribution_with_damaged_metadata_harms_only_itself(plugins: Any, damage: str) -> None:
    plugins.model("acme-damaged", "It = 3")
    (about,) = plugins.folder.glob("acme_damaged-*/METADATA")
    if damage == "no metadata":
        about.unlink()
    else:
        about.write_bytes(b"Metadata-Version: 2.1\nSummary: \xff\xfe\n" if damage == "not UTF-8" else b"Version: 1\n")
    assert state_of("diagnosis.linear-record").state is State.READY
    entry = state_of("diagnosis.acme-damaged")
    assert (entry.state, entry.distribution) == (State.BROKEN, "acme-damaged")
    assert "METADATA" in str(entry.reason)
    assert "pip install --force-reinstall acme-damaged" in str(entry.fix)


def test_unreadable_entry_points_harm_only_themselves(plugins: Any) -> None:
    plugins.model("acme-bytes", "It = 3")
    (file,) = plugins.folder.glob("acme_bytes-*/entry_points.txt")
    file.write_bytes(b"[medtasks.models]\n\xff\xfe = x:Y\n")
    assert state_of("diagnosis.linear-record").state is State.READY
    assert ("acme-bytes", "its entry_points.txt is not UTF-8") in registry.unread()


@pytest.mark.parametrize(
    ("target", "reason", "fix"),
    [
        ("acme_typo:Modle", "has no attribute 'Modle'", "did you mean 'Model'?"),
        ("acme_tpyo:Model", "No module named 'acme_tpyo'", "there is no module 'acme_tpyo'"),
        ("acme_typo.inner:Model", "No module named 'acme_typo.inner'", "there is no module 'acme_typo.inner'"),
        ("acme_typo Model", "does not read 'module:object'", "mend its entry point"),
    ],
)
def test_an_entry_point_that_names_nothing_is_shown(plugins: Any, target: str, reason: str, fix: str) -> None:
    plugins.install("acme-typo", {MODELS: {"diagnosis.acme-typo": target}}, "Model = 3")
    with pytest.raises(PluginError) as caught:
        registry.find("model", "diagnosis.acme-typo").load()
    assert reason in caught.value.message
    hint = str(caught.value.hint)
    assert f'"diagnosis.acme-typo" = "{target}" of [project.entry-points."medtasks.models"]' in hint
    assert fix in hint
    assert "reinstall" not in hint


def test_an_import_that_takes_too_long_is_not_to_be_installed_again(
    plugins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins.model("acme-slow", "import time\ntime.sleep(60)\nIt = 3")
    monkeypatch.setenv("MEDTASKS_LOAD_SECONDS", "0.1")
    with pytest.raises(PluginError, match="did not end within") as caught:
        registry.find("model", "diagnosis.acme-slow").load()
    assert "MEDTASKS_LOAD_SECONDS" in str(caught.value.hint)
    assert "reinstall" not in str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("no-dot", "called TASK.NAME, as in"), ("diagnosys.it", "no task 'diagnosys' (did you mean 'diagnosis'?)")],
)
def test_a_name_that_says_no_task_is_told_by_the_metadata(plugins: Any, name: str, reason: str) -> None:
    plugins.install("acme-name", {MODELS: {name: "acme_name:It"}}, "raise SystemExit('imported')")
    entry = state_of(name)
    assert entry.state is State.BROKEN
    assert reason in str(entry.reason)
    assert "mend its entry point" in str(entry.fix)
    assert "acme_name" not in sys.modules


def test_a_model_of_a_task_from_another_distribution_is_ready(plugins: Any) -> None:
    plugins.install("acme-task", {"medtasks.tasks": {"eyes": "acme_task:It"}}, "It = 3")
    plugins.model("acme-sees", "It = 3", task="eyes")
    assert state_of("eyes.acme-sees").state is State.READY


def test_a_plugin_written_for_another_medtasks_is_incompatible(plugins: Any) -> None:
    plugins.model("acme-future", "It = 3", requires=("numpy", "medtasks>=99"))
    entry = state_of("diagnosis.acme-future")
    assert entry.state is State.INCOMPATIBLE
    with pytest.raises(PluginError) as caught:
        entry.load()
    assert "written for medtasks >=99" in caught.value.message
    assert "install a version of acme-future" in str(caught.value.hint)
    assert "acme_future" not in sys.modules


@pytest.mark.parametrize(
    "line", ["medtasks", "medtasks>=0.1,<99", "Medtasks (>=0.0.1)", "medtasks>=99; extra == 'next'", "???"]
)
def test_a_pin_that_allows_this_medtasks_is_ready(plugins: Any, line: str) -> None:
    plugins.model("acme-fits", "It = 3", requires=(line,))
    assert state_of("diagnosis.acme-fits").state is State.READY


def test_two_claims_to_a_name_are_a_conflict_that_a_prefix_settles(plugins: Any) -> None:
    for name in ("acme-one", "acme-two"):
        plugins.install(
            name, {MODELS: {"diagnosis.twin": f"{name.replace('-', '_')}:It"}}, f"It = {name!r}", version="1.1"
        )
    twins = [entry for entry in registry.entries("model") if entry.name == "diagnosis.twin"]
    assert [entry.state for entry in twins] == [State.CONFLICT] * 2
    with pytest.raises(PluginError) as caught:
        registry.find("model", "diagnosis.twin").load()
    assert "is claimed by acme-one and acme-two" in caught.value.message
    assert "acme-one:diagnosis.twin" in str(caught.value.hint)
    assert registry.find("model", "acme-one:diagnosis.twin").load() == "acme-one"
    assert registry.find("model", "Acme_Two:diagnosis.twin").load() == "acme-two"


def test_a_stranger_cannot_take_a_built_in_name_unnoticed(plugins: Any) -> None:
    plugins.install("acme-thief", {MODELS: {"diagnosis.linear-record": "acme_thief:It"}}, "It = 3")
    with pytest.raises(PluginError):
        registry.find("model", "diagnosis.linear-record").load()
    assert registry.find("model", "medtasks:diagnosis.linear-record").load().__name__ == "LinearRecord"


@pytest.mark.parametrize("harm", ["incompatible", "damaged"])
def test_one_that_cannot_be_used_takes_no_name_from_another(plugins: Any, harm: str) -> None:
    plugins.install(
        "acme-first",
        {MODELS: {"diagnosis.linear-record": "acme_first:It"}},
        "It = 3",
        requires=("medtasks>=99",) if harm == "incompatible" else (),
    )
    if harm == "damaged":
        (about,) = plugins.folder.glob("acme_first-*/METADATA")
        about.unlink()
    assert registry.find("model", "diagnosis.linear-record").load().__name__ == "LinearRecord"
    with pytest.raises(PluginError, match=harm if harm == "incompatible" else "broken"):
        registry.find("model", "acme-first:diagnosis.linear-record").load()


def test_an_import_may_end_what_it_has_forked(plugins: Any) -> None:
    code = """
    import os, warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads, which the tests may have
        child = os.fork()
    if child == 0:
        os._exit(3)
    It = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    """
    plugins.model("acme-forks", code)
    assert registry.find("model", "diagnosis.acme-forks").load() == 3


def test_a_limit_that_is_no_number_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, seconds in (("soon", guarding.SECONDS), ("0", 0.0), ("nan", 0.0), ("2.5", 2.5)):
        monkeypatch.setenv(guarding.VARIABLE, text)
        assert guarding._seconds() == seconds


def test_an_alarm_clock_that_somebody_else_has_set_is_left_alone(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins.model("acme-slow", "import time\ntime.sleep(0.3)\nIt = 3")
    monkeypatch.setenv(guarding.VARIABLE, "0.1")
    before = signal.signal(signal.SIGALRM, mine := lambda number, frame: None)
    try:
        assert registry.find("model", "diagnosis.acme-slow").load() == 3
        assert signal.getsignal(signal.SIGALRM) is mine
    finally:
        signal.signal(signal.SIGALRM, before)


def test_an_older_copy_further_down_the_path_does_not_count(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins.model("acme-model", "It = 'new'", version="2.0")
    old = plugins.folder.parent / "old"
    plugins.model("acme-model", "It = 'old'", version="1.0", folder=old)
    monkeypatch.setattr(sys, "path", [*sys.path, str(old)])
    assert state_of("diagnosis.acme-model").version == "2.0"


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        registry.find("model", "diagnosis.linear-recrod")
    assert caught.value.hint == "did you mean 'diagnosis.linear-record'?"


@pytest.mark.parametrize("bad", ["raise RuntimeError('x')", "import sys; sys.exit(7)"])
def test_a_broken_plugin_does_not_stop_other_commands(plugins: Any, cli: Callable[..., Any], bad: str) -> None:
    plugins.model("acme-bad", bad)
    assert cli("models").code == 0
    assert cli("models", "diagnosis.linear-record").code == 0
    done = cli("models", "diagnosis.acme-bad")
    assert (done.code, done.out) == (3, "")
    assert "acme-bad 1.0" in done.error
    assert done.hint


def test_what_is_installed_is_scanned_once_until_it_changes(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scans, scan = [], registry._scan

    def counted() -> Any:
        scans.append(1)
        return scan()

    monkeypatch.setattr(registry, "_scan", counted)
    registry.forget()
    for _ in range(3):
        registry.entries()
        registry.find("model", "diagnosis.linear-record")
    assert len(scans) == 1
    about = plugins.folder / "acme_new-1.0.dist-info"  # as pip would, which tells nobody
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-new\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(f"[{MODELS}]\ndiagnosis.acme-new = acme_new:It\n", encoding="utf-8")
    assert state_of("diagnosis.acme-new").state is State.READY
    monkeypatch.setenv(registry.ALLOWED, "acme-other")
    assert "diagnosis.acme-new" not in {entry.name for entry in registry.entries()}
    monkeypatch.delenv(registry.ALLOWED)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(plugins.folder)])
    assert "diagnosis.acme-new" not in {entry.name for entry in registry.entries()}
    assert len(scans) == 4
