"""``medtasks run``: exit codes, what stands on stdout and stderr, and what is left on disk."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Cli = Callable[..., Any]
QUICK = ("--model", "linear-record", "--folds", "1")
KEYS = {
    "task", "model", "data", "n", "metrics", "targets", "baseline", "validity", "bundle", "report", "device", "seconds",
    "seed",
}  # fmt: skip


def numbers(content: Any) -> Iterator[float]:
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for item in content:
            yield from numbers(item)
    elif isinstance(content, float):
        yield content


def test_json_is_one_object_and_nothing_else(cli: Cli, records_csv: Path, tmp_path: Path) -> None:
    done = cli("run", "diagnosis", "--data", records_csv, *QUICK, "--out", tmp_path / "r", "--json", "--seed", 5)
    assert done.code == 0, done.err
    assert done.out.count("\n") == 1
    found = json.loads(done.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert set(found) == KEYS
    assert (found["task"], found["model"], found["data"]) == ("diagnosis", "diagnosis.linear-record", str(records_csv))
    assert (found["seed"], found["device"], found["targets"]) == (5, "cpu", {})
    assert all(set(metric) == {"value", "low", "high"} for metric in found["metrics"].values())
    assert set(found["baseline"]) == set(found["metrics"]) - {"coverage", "set_size"}
    assert {"auroc", "auprc", "accuracy", "sensitivity", "specificity", "brier", "ece"} <= set(found["metrics"])
    assert found["metrics"]["auroc"]["low"] <= found["metrics"]["auroc"]["value"] <= found["metrics"]["auroc"]["high"]
    assert all(map(math.isfinite, numbers(found)))
    assert Path(found["bundle"]).is_dir()
    assert Path(found["report"]).is_file()
    assert json.loads((tmp_path / "r" / "run.json").read_text())["metrics"] == found["metrics"]


def test_text_tells_the_result_and_the_next_command(cli: Cli, records_csv: Path, tmp_path: Path) -> None:
    done = cli("run", "diagnosis", "--data", records_csv, *QUICK, "--out", tmp_path / "my result")
    assert done.code == 0, done.err
    assert "auroc" in done.out
    assert "baseline" in done.out
    assert done.out.splitlines()[-1] == f"next: medtasks predict '{tmp_path / 'my result' / 'bundle'}' NEW_CASES"
    assert "Training diagnosis.linear-record; 90 cases in all." in done.err
    assert "note: column 'letter' is passed over" in done.err


def test_a_run_longer_than_the_minutes_asked_says_so(cli: Cli, records_csv: Path, tmp_path: Path) -> None:
    done = cli("run", "diagnosis", "--data", records_csv, *QUICK, "--out", tmp_path / "r", "--minutes", "0.0001")
    assert done.code == 0, done.err
    assert "longer than --minutes 0.0001" in done.err
    easy = cli("run", "diagnosis", "--data", records_csv, *QUICK, "--out", tmp_path / "r", "--minutes", "60")
    assert "--minutes" not in easy.err


def test_the_result_folder_holds_what_is_promised(record_run: Path) -> None:
    assert {path.name for path in record_run.iterdir()} == {
        "bundle", "report.html", "card.md", "metrics.json", "predictions.csv", "config.toml", "run.json",
    }  # fmt: skip
    assert {path.name for path in record_run.parent.iterdir()} <= {"records", "images"}  # nothing beside it


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["run", "diagnosys"], "'diagnosys'", "did you mean 'diagnosis'?"),
        (["run"], "no task", "medtasks run diagnosis"),
        (["rum", "diagnosis"], "Did you mean 'run'", "medtasks --help"),
        (["run", "diagnosis", "--model", "linear-recrod"], "linear-recrod", "did you mean 'diagnosis.linear-record'?"),
        (["run", "diagnosis", "--sede", "3"], "--sede", "did you mean '--seed'?"),
        (["run", "diagnosis", "--positve", "sick"], "--positve", "did you mean '--positive'?"),
        (["run", "diagnosis", "--positive"], "--positive", "--positive VALUE"),
        (["run", "diagnosis", "extra"], "extra", "--help"),
        (["run", "diagnosis", "--seed", "three"], "--seed", "--help"),
        (["run", "diagnosis", "--device", "tpu"], "tpu", "--help"),
        (["run", "diagnosis", *QUICK, "--set", "strenghts=1"], "strenghts", "did you mean 'strengths'?"),
        (["run", "diagnosis", *QUICK, "--set", "strengths=much"], "strengths", "medtasks models"),
        (["run", "diagnosis", *QUICK, "--set", "strengths"], "key=value", "--set epochs=20"),
        (["run", "diagnosis", *QUICK, "--target", "targt"], "targt", "did you mean 'target'?"),
        (["run", "diagnosis", *QUICK, "--group", "patient"], "patient", "did you mean 'patient_id'?"),
        (["run", "diagnosis", *QUICK, "--ignore", "age,wrad"], "wrad", "did you mean 'ward'?"),
        (["run", "diagnosis", *QUICK, "--positive", "sik"], "sik", "did you mean 'sick'?"),
        (["run", "diagnosis", *QUICK, "--threshold", "best"], "'best'", "youden"),
        (["run", "diagnosis", *QUICK, "--test", "1.5"], "test", "medtasks run --help"),
        (["run", "diagnosis", *QUICK, "--valid", "0"], "valid", "medtasks run --help"),
        (["run", "diagnosis", *QUICK, "--folds", "99"], "folds", "medtasks run --help"),
        (["run", "diagnosis", *QUICK, "--test", "0.6", "--valid", "0.5"], "nothing to train on", "test = 0.2"),
        (["run", "diagnosis", *QUICK, "--seed", "-1"], "seed", "medtasks run --help"),
        (["run", "diagnosis", *QUICK, "--resume"], "no interrupted run", "--resume"),
        (["run", "diagnosis", "--model", "linear-image"], "images", "medtasks models"),
        (["run", "diagnosis", *QUICK, "--device", "gpu"], "GPU", "--device cpu"),
        (["run", "diagnosis", "--config", "nowhere.toml"], "nowhere.toml", "path"),
        (["models", "diagnosis.linear"], "diagnosis.linear", "diagnosis.linear"),
        (["tasks", "diagnosi"], "diagnosi", "did you mean 'diagnosis'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_with_the_nearest_name(
    cli: Cli, records_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], error: str, hint: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "run" and len(arguments) > 1:
        arguments = [*arguments[:2], "--data", str(records_csv), *arguments[2:]]
    done = cli(*arguments)
    assert (done.code, done.out) == (2, ""), done.err
    assert [line.partition(":")[0] for line in done.err.splitlines()[-2:]] == ["error", "hint"]
    assert all(line.startswith(("Training ", "note: ")) for line in done.err.splitlines()[:-2]), done.err
    assert error in done.error
    assert hint in done.hint
    assert list(tmp_path.iterdir()) == []


def test_no_command_shows_the_help(cli: Cli) -> None:
    done = cli()
    assert (done.code, done.err) == (0, "")
    assert "Usage: medtasks" in done.out


def test_version(cli: Cli) -> None:
    done = cli("--version")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("medtasks ")


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda here: here / "nowhere.csv", "nowhere.csv"),
        (lambda here: (here / "empty").mkdir() or here / "empty", "no images"),
        (lambda here: write(here, "id,age,target\n1,2,sick\n2,3,sick\n3,9,sick\n"), "one class only"),
        (lambda here: write(here, "id,age,target\n1,2,a\n2,3,a\n3,9,a\n4,4,a\n5,5,b\n"), "class 'b' has 1 case"),
        (lambda here: write(here, ""), "empty"),
        (lambda here: write(here, "age,target\n"), "no rows"),
        (lambda here: write(here, "age,target\n1,\n2,\n"), "no label"),
        (lambda here: write(here, "target\nsick\nwell\n"), "no column that a model can use"),
        (lambda here: write(here, "age,age,target\n1,2,sick\n"), "more than one column"),
        (lambda here: "phantm", "phantm"),
        (lambda here: "breast-cancer/half", "half"),
    ],
    ids=["no file", "empty folder", "one class", "one case", "empty file", "header only", "no labels", "no fields",
         "a column twice", "data set misspelt", "unknown variant"],
)  # fmt: skip
def test_unusable_data_are_4(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Any], error: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = cli("run", "diagnosis", "--data", source, "--model", "linear-record")
    assert (done.code, done.out) == (4, ""), done.err
    assert error in done.error
    assert done.hint
    assert sorted(tmp_path.rglob("*")) == before


def write(folder: Path, text: str) -> Path:
    (folder / "visits.csv").write_text(text, encoding="utf-8")
    return folder / "visits.csv"


def test_folders_of_one_class_and_of_one_case_are_4(cli: Cli, tmp_path: Path, image_folder: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "normal").symlink_to(image_folder / "normal")
    one = cli("run", "diagnosis", "--data", image_folder / "normal", "--model", "linear-image")
    assert one.code == 4
    assert "sub-folders" in one.error
    (tmp_path / "single" / "a").mkdir(parents=True)
    (tmp_path / "single" / "b").mkdir()
    for i, film in enumerate(sorted((image_folder / "normal").iterdir())[:5]):
        (tmp_path / "single" / ("a" if i else "b") / film.name).write_bytes(film.read_bytes())
    single = cli("run", "diagnosis", "--data", tmp_path / "single", "--model", "linear-image")
    assert single.code == 4
    assert "class 'b' has 1 case" in single.error


def test_a_dry_run_tells_the_plan_and_writes_nothing(
    cli: Cli, records_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("run", "diagnosis", "--data", records_csv, *QUICK, "--dry-run", "--set", "strengths=[0.5]", "--json")
    assert done.code == 0, done.err
    plan = json.loads(done.out)
    assert plan["cases"] == 90
    assert plan["config"]["strengths"] == [0.5]
    assert sum(part["cases"] for part in plan["parts"].values()) == 90
    text = cli("run", "diagnosis", "--data", records_csv, *QUICK, "--dry-run", "--out", "r")
    assert "Nothing was trained or written." in text.out
    assert "positive: sick (negative: healthy)" in text.out
    assert list(tmp_path.iterdir()) == []


def test_the_config_beside_a_result_repeats_it_exactly(cli: Cli, records_csv: Path, tmp_path: Path) -> None:
    asked = ("--set", "strengths=[0.01, 0.3]", "--test", "0.3", "--threshold", "sensitivity=0.9", "--ignore", "ward")
    first = cli("run", "diagnosis", "--data", records_csv, *QUICK, *asked, "--seed", "11", "--out", tmp_path / "a")
    assert first.code == 0, first.err
    second = cli("run", "--config", tmp_path / "a" / "config.toml", "--out", tmp_path / "b")
    assert second.code == 0, second.err
    for name in ("predictions.csv", "metrics.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    other = cli("run", "--config", tmp_path / "a" / "config.toml", "--out", tmp_path / "c", "--seed", "12")
    assert other.code == 0
    assert (tmp_path / "a" / "predictions.csv").read_bytes() != (tmp_path / "c" / "predictions.csv").read_bytes()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("task = 'diagnosis'\nsead = 3\n", "sead"),
        ("task = 'diagnosis'\nset = 3\n", "set"),
        ("task = 'diagnosis'\noptions = 'x'\n", "options"),
        ("task = 'diagnosis'\n[options]\ntarget = ['a']\n", "target"),
        ("task = 3\n", "task"),
        ("task = \n", "TOML"),
        ("\xff", "TOML"),
    ],
)
def test_a_wrong_config_is_a_usage_error(cli: Cli, tmp_path: Path, records_csv: Path, text: str, error: str) -> None:
    (tmp_path / "c.toml").write_text(text, encoding="latin-1")
    done = cli("run", "--config", tmp_path / "c.toml", "--data", records_csv, "--dry-run")
    assert (done.code, done.out) == (2, ""), done.err
    assert error in done.error


def test_somebody_elses_out_is_refused_before_training_and_left_alone(
    cli: Cli, records_csv: Path, tmp_path: Path
) -> None:
    for name in ("notes.txt", "report.html", "run.json"):
        mine = tmp_path / name.partition(".")[0]
        mine.mkdir()
        (mine / name).write_text("precious")
        (mine / "thesis.tex").write_text("precious")
        done = cli("run", "diagnosis", "--data", records_csv, *QUICK, "--out", mine)
        assert (done.code, done.out) == (2, "")
        assert "no earlier result" in done.error
        assert "nothing was changed" in done.hint
        assert {path.name: path.read_text() for path in mine.iterdir()} == {name: "precious", "thesis.tex": "precious"}
    (tmp_path / "file").write_text("precious")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        done = cli("run", "diagnosis", "--data", records_csv, *QUICK, "--out", out)
        assert done.code == 2, done.err
    assert (tmp_path / "file").read_text() == "precious"


def test_the_current_folder_is_refused_before_training(
    cli: Cli, records_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("run", "diagnosis", "--data", records_csv, *QUICK, "--out", ".")
    assert done.code == 2
    assert "current folder" in done.error


def test_an_earlier_result_is_replaced(cli: Cli, records_csv: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        done = cli("run", "diagnosis", "--data", records_csv, *QUICK, "--out", tmp_path / "r", "--seed", seed)
        assert done.code == 0, done.err
    assert json.loads((tmp_path / "r" / "run.json").read_text())["seed"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_no_command_destroys_the_result_of_another(cli: Cli, record_run: Path, records_csv: Path) -> None:
    before = sorted(record_run.rglob("*"))
    for command in ("evaluate", "explain"):
        done = cli(command, record_run, records_csv, "--out", record_run)
        assert done.code == 2, done.err
        assert sorted(record_run.rglob("*")) == before


def test_rows_that_cannot_be_used_are_listed(cli: Cli, table: pd.DataFrame, tmp_path: Path) -> None:
    bad = table.astype(object).copy()
    bad.loc[4, "target"] = ""
    bad.loc[7, "crp"] = "tall"
    bad.to_csv(tmp_path / "bad.csv", index=False)
    done = cli("run", "diagnosis", "--data", tmp_path / "bad.csv", *QUICK, "--out", tmp_path / "r")
    assert done.code == 0, done.err
    assert "2 rows could not be used" in done.out
    listed = pd.read_csv(tmp_path / "r" / "invalid.csv")
    assert listed["row"].tolist() == ["row 5", "row 8"]
    assert "tall" not in (tmp_path / "r" / "invalid.csv").read_text()


WAITS = """
import time
from acme_base import It as Base
class It(Base):
    def fit(self, train, valid, *, context):
        print("fitting", flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_is_130_and_sigterm_143_and_nothing_is_left(
    plugins: Any, constant: str, environment: dict[str, str], records_csv: Path, tmp_path: Path, number: int, code: int
) -> None:
    plugins.model("acme-base", constant)
    plugins.model("acme-waits", WAITS)
    child = subprocess.Popen(
        [sys.executable, "-c", "from medtasks.cli import main; main()", "run", "diagnosis", "--data", str(records_csv),
         "--model", "acme-waits", "--folds", "1", "--out", "result"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert child.stderr is not None
    try:
        said = ""
        while "fitting" not in said:
            line = child.stderr.readline()
            assert line, f"it ended before it trained: {said}"
            said += line
        child.send_signal(number)
        out, err = child.communicate(timeout=30)
    finally:
        child.kill()
    assert (child.returncode, out) == (code, ""), f"before the signal: {said}\nafter it: {err}"
    assert "error: interrupted" in err
    assert "Traceback" not in err
    assert {path.name for path in tmp_path.iterdir()} == {"site"}


@pytest.mark.parametrize("keeps", [False, True])
def test_ctrl_c_speaks_of_resume_only_where_something_was_kept(
    plugins: Any, constant: str, cli: Cli, records_csv: Path, tmp_path: Path, keeps: bool
) -> None:
    name = f"acme-stopped-{keeps}".lower()
    kept = "context.checkpoint.mkdir(parents=True); (context.checkpoint / 'half').write_text('x')" if keeps else "pass"
    fit = f"    def fit(self, train, valid, *, context):\n        {kept}\n        raise KeyboardInterrupt\n"
    plugins.model(name, constant + fit)
    done = cli("run", "diagnosis", "--data", records_csv, "--model", name, "--folds", "1", "--out", tmp_path / "r")
    assert done.code == 130
    assert "hint: no half result was left" in done.err
    assert ("--resume" in done.err) == keeps
    again = cli("run", "diagnosis", "--data", records_csv, "--model", name, "--folds", "1", "--out", tmp_path / "r",
                "--resume")  # fmt: skip
    assert ("there is no interrupted run" in again.err) != keeps


SLOW = """
import time
from acme_base import It as Base
class It(Base):
    def predict(self, cases, *, context):
        if context.checkpoint is None and len(cases) == 90:
            print("answering", flush=True)
            time.sleep(60)
        return super().predict(cases, context=context)
"""


def test_sigterm_while_predicting_leaves_no_half_file(
    plugins: Any, constant: str, environment: dict[str, str], records_csv: Path, tmp_path: Path, cli: Cli
) -> None:
    plugins.model("acme-base", constant)
    plugins.model("acme-slow", SLOW)
    done = cli(
        "run", "diagnosis", "--data", records_csv, "--model", "acme-slow", "--folds", "1", "--out", tmp_path / "r"
    )
    assert done.code == 0, done.err
    child = subprocess.Popen(
        [sys.executable, "-c", "from medtasks.cli import main; main()", "predict", "r", records_csv, "-o", "p.csv"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert child.stderr is not None
    try:
        assert child.stderr.readline() == "answering\n"
        assert (tmp_path / ".p.csv.writing").exists()
        child.terminate()
        _, err = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == 143
    assert "error: interrupted" in err
    assert {path.name for path in tmp_path.iterdir()} == {"site", "r"}


RESUMES = """
import os
from acme_base import It as Base
class It(Base):
    def fit(self, train, valid, *, context):
        context.checkpoint.mkdir(parents=True, exist_ok=True)
        half = context.checkpoint / "half"
        if not half.exists():
            half.write_text("x")
            os._exit(77)
        super().fit(train, valid, context=context)
"""


def test_an_interrupted_run_is_resumed(
    plugins: Any, constant: str, shell: Cli, records_csv: Path, tmp_path: Path
) -> None:
    plugins.model("acme-base", constant)
    plugins.model("acme-resumes", RESUMES)
    command = ("run", "diagnosis", "--data", records_csv, "--model", "acme-resumes", "--folds", "1", "--out", "r")
    assert shell(*command).code == 77
    other = shell(*command, "--resume", "--seed", "4")
    assert other.code == 2
    assert "other settings" in other.error
    done = shell(*command, "--resume")
    assert done.code == 0, done.err
    assert {path.name for path in tmp_path.iterdir()} == {"site", "r"}


STOPS_IN_THE_THIRD_FOLD = """
import os, pathlib
from acme_base import It as Base
class It(Base):
    def fit(self, train, valid, *, context):
        count = pathlib.Path("fits")
        fits = count.read_text() if count.exists() else ""
        count.write_text(fits + "x")
        if len(fits) == 2:
            os._exit(77)
        super().fit(train, valid, context=context)
        context.used["fit"] = len(fits)
"""


def test_finished_folds_of_any_model_are_not_fitted_again(
    plugins: Any, constant: str, shell: Cli, records_csv: Path, tmp_path: Path
) -> None:
    plugins.model("acme-base", constant)
    plugins.model("acme-stops", STOPS_IN_THE_THIRD_FOLD)
    command = ("run", "diagnosis", "--data", records_csv, "--model", "acme-stops", "--folds", "4", "--out", "r")
    assert shell(*command).code == 77
    done = shell(*command, "--resume")
    assert done.code == 0, done.err
    assert "note: 2 of 5 fits were finished and are not repeated." in done.err
    assert (tmp_path / "fits").read_text() == "x" * 6  # 3 before; then the third again, the fourth, the final one
    whole = shell(*command[:-1], "whole")  # in one go
    assert whole.code == 0, whole.err
    for name in ("predictions.csv", "metrics.json"):
        assert (tmp_path / "r" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_a_model_of_which_nothing_was_kept_is_told_to_start_anew(
    plugins: Any, constant: str, shell: Cli, records_csv: Path, tmp_path: Path
) -> None:
    plugins.model("acme-base", constant)
    plugins.model("acme-stops", STOPS_IN_THE_THIRD_FOLD.replace("len(fits) == 2", "len(fits) == 0"))
    command = ("run", "diagnosis", "--data", records_csv, "--model", "acme-stops", "--folds", "2", "--out", "r")
    assert shell(*command).code == 77
    done = shell(*command, "--resume")
    assert done.code == 0, done.err
    assert "it starts anew" in done.err


EXITS = """
import os, sys
from acme_base import It as Base
class It(Base):
    def fit(self, train, valid, *, context):
        if os.environ.get("EXIT") == "fit": sys.exit("no licence for CASEMARK0000")
        super().fit(train, valid, context=context)
    def predict(self, cases, *, context):
        if os.environ.get("EXIT") == "predict": sys.exit()
        return super().predict(cases, context=context)
    def save(self, folder):
        if os.environ.get("EXIT") == "save": sys.exit(0)
        super().save(folder)
"""


@pytest.mark.parametrize("where", ["fit", "predict", "save"])
def test_a_plugin_cannot_end_the_program(
    plugins: Any,
    constant: str,
    cli: Cli,
    records_csv: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    plugins.model("acme-base", constant)
    plugins.model("acme-exits", EXITS)
    monkeypatch.setenv("EXIT", where)
    out = tmp_path / "r"
    done = cli("run", "diagnosis", "--data", records_csv, "--model", "acme-exits", "--folds", "1", "--out", out)
    assert (done.code, done.out, out.exists()) == (3, "", False)
    assert "diagnosis.acme-exits called sys.exit in acme_exits.py:" in done.error
    assert "CASEMARK" not in done.err


def test_what_ends_the_program_elsewhere_is_no_success(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(kind: str) -> list[Any]:
        raise SystemExit("CASEMARK0000")

    monkeypatch.setattr("medtasks.registry.entries", leave)
    done = cli("models")
    assert (done.code, done.out) == (1, "")
    assert done.error.startswith("unexpected SystemExit in ")
    assert "CASEMARK" not in done.err


def test_the_reader_of_a_pipe_may_leave(environment: dict[str, str], tmp_path: Path) -> None:
    read, write = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", "from medtasks.cli import main; main()", "models"],
        stdout=write, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    os.close(write)
    os.close(read)
    _, err = child.communicate(timeout=60)
    assert err == ""
    assert child.returncode == 0


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream_is_no_fault(environment: dict[str, str], closed: int) -> None:
    child = subprocess.run(
        [sys.executable, "-c", "from medtasks.cli import main; main()", "models"],
        capture_output=True, text=True, env=environment, preexec_fn=lambda: os.close(closed), check=False,
    )  # fmt: skip
    assert (child.returncode, child.stderr) == (0, "")
    assert ("diagnosis.linear-record" in child.stdout) == (closed == 2)


def test_ctrl_c_inside_a_command_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(kind: str) -> list[Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr("medtasks.registry.entries", interrupt)
    done = cli("models")
    assert (done.code, done.out, done.error) == (130, "", "interrupted")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--group", "patient_id"], "--group names a column"),
        (["--target", "label"], "--target names a column"),
        (["--group-pattern", "("], "regular expression"),
    ],
)
def test_an_option_that_says_nothing_about_the_data_is_refused(
    cli: Cli, image_folder: Path, arguments: list[str], error: str
) -> None:
    done = cli("run", "diagnosis", "--data", image_folder, "--model", "linear-image", *arguments, "--dry-run")
    assert done.code == 2, done.err
    assert error in done.error
    named = cli("run", "diagnosis", "--data", "breast-cancer", "--model", "linear-record", *arguments, "--dry-run")
    assert named.code == 2, named.err


def test_a_threshold_for_three_classes_and_a_pattern_for_a_table_are_refused(
    cli: Cli, table: pd.DataFrame, tmp_path: Path
) -> None:
    three = table.assign(target=[f"c{i % 3}" for i in range(len(table))])
    three.to_csv(tmp_path / "three.csv", index=False)
    for words, error in ((["--threshold", "0.3"], "two classes"), (["--group-pattern", "(.)"], "paths of images")):
        done = cli("run", "diagnosis", "--data", tmp_path / "three.csv", *QUICK, *words, "--dry-run")
        assert done.code == 2, done.err
        assert error in done.error


def test_a_wrong_out_is_told_by_the_dry_run_too(cli: Cli, records_csv: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    done = cli("run", "diagnosis", "--data", records_csv, *QUICK, "--out", tmp_path / "mine", "--dry-run")
    assert done.code == 2
    assert "Training" not in done.err


def test_the_config_repeats_a_run_from_any_folder_into_a_new_one(
    cli: Cli, records_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(records_csv.parent)
    assert cli("run", "diagnosis", "--data", records_csv.name, *QUICK, "--out", tmp_path / "r").code == 0
    monkeypatch.chdir(tmp_path / "r")
    before = (tmp_path / "r" / "run.json").read_bytes()
    again = cli("run", "--config", "config.toml", "--json", "--out", tmp_path / "again")
    assert again.code == 0, again.err
    assert (tmp_path / "r" / "run.json").read_bytes() == before
    assert "out" not in (tmp_path / "r" / "config.toml").read_text()
