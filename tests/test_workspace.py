"""Where a run works, and that two runs do not work in one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtasks.errors import UsageError
from medtasks.workspace import checkpoint_of, fresh_name, kept, workspace

KEY = {"settings": {"seed": 1}}


def test_runs_that_start_together_have_folders_of_their_own() -> None:
    assert len({fresh_name("diagnosis") for _ in range(20)}) == 20


def test_a_run_is_refused_while_another_works_for_the_same_folder(tmp_path: Path) -> None:
    with workspace(tmp_path / "r", KEY, resume=False) as (_, checkpoint):
        (checkpoint / "fold-0").mkdir()
        (checkpoint / "fold-0" / "model").write_text("of the first run")
        for resume in (False, True):
            with pytest.raises(UsageError, match="another run is working for") as caught:
                workspace(tmp_path / "r", KEY, resume=resume).__enter__()
            assert "--out" in str(caught.value.hint)
        assert kept(checkpoint) == [checkpoint / "fold-0" / "model"]
        with workspace(tmp_path / "other", KEY, resume=False):
            pass
    assert list(tmp_path.iterdir()) == []


def test_what_an_interrupted_run_kept_is_resumed_and_else_forgotten(tmp_path: Path) -> None:
    def interrupt(resume: bool, found: list[str]) -> None:
        with workspace(tmp_path / "r", KEY, resume=resume) as (_, checkpoint):
            assert [path.name for path in kept(checkpoint)] == found
            (checkpoint / "half").write_text("a fit")
            raise KeyboardInterrupt

    for resume, found in ((False, []), (True, ["half"]), (False, [])):
        with pytest.raises(KeyboardInterrupt):
            interrupt(resume, found)
    assert kept(checkpoint_of(tmp_path / "r"))
    with pytest.raises(UsageError, match="other settings"):
        workspace(tmp_path / "r", {"settings": {"seed": 2}}, resume=True).__enter__()
    with workspace(tmp_path / "r", KEY, resume=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_kept_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), workspace(tmp_path / "r", KEY, resume=False):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="no interrupted run"):
        workspace(tmp_path / "r", KEY, resume=True).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_half_a_checkpoint_is_none_and_a_file_of_its_name_is_refused(tmp_path: Path) -> None:
    checkpoint_of(tmp_path / "r").mkdir()
    (checkpoint_of(tmp_path / "r") / "for.json").write_text('{"settings"')
    with pytest.raises(UsageError, match="no interrupted run"):
        workspace(tmp_path / "r", KEY, resume=True).__enter__()
    with workspace(tmp_path / "r", KEY, resume=False):
        pass
    assert list(tmp_path.iterdir()) == []
    checkpoint_of(tmp_path / "r").write_text("not ours")
    with pytest.raises(UsageError, match="is a file"):
        workspace(tmp_path / "r", KEY, resume=False).__enter__()
    assert checkpoint_of(tmp_path / "r").read_text() == "not ours"
