"""A bundle predicts anywhere, is refused when touched, and no crash leaves half of one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import medtasks
from medtasks import bundle
from medtasks.cases import Images
from medtasks.errors import BundleError, DataError, PluginError, UsageError
from medtasks.model import Context

FILES = ["medtasks.json", "report.html", "model/linear.npz", "model/fields.json", "baseline/linear.npz"]


def reseal(folder: Path) -> None:
    """Write the sums anew, as somebody who knows the format would."""
    (folder / bundle.SUMS).unlink()
    bundle._write_sums(folder)


def edit(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "medtasks.json").read_text(encoding="utf-8"))
    (folder / "medtasks.json").write_text(json.dumps({**content, **changes}), encoding="utf-8")
    reseal(folder)


def test_it_predicts_elsewhere_without_the_training_data(
    record_run: Path, table: pd.DataFrame, tmp_path: Path, shell: Callable[..., Any]
) -> None:
    shutil.copytree(record_run / "bundle", tmp_path / "far" / "moved")
    (tmp_path / "else" / "where").mkdir(parents=True)
    table.drop(columns="target").to_csv(tmp_path / "else" / "where" / "new.csv", index=False)
    done = shell("predict", "../../far/moved", "new.csv", "-o", "out.csv", cwd=tmp_path / "else" / "where")
    assert (done.code, done.out) == (0, "")
    there = pd.read_csv(tmp_path / "else" / "where" / "out.csv")
    here = medtasks.predict(record_run, table)
    # The same arithmetic on the same machine; CSV keeps 17 digits.
    assert (there["p_sick"] - here["p_sick"]).abs().max() < 1e-12
    assert there["prediction"].tolist() == here["prediction"].tolist()


def test_a_run_names_its_bundle_and_lists_every_file(record_run: Path) -> None:
    named = {line.partition("  ")[2] for line in (record_run / "bundle" / "SHA256SUMS").read_text().splitlines()}
    there = {path.relative_to(record_run / "bundle").as_posix() for path in (record_run / "bundle").rglob("*.*")}
    assert named == there
    assert set(FILES) <= named


def test_the_sums_are_what_sha256sum_reads(record_run: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"],
        cwd=record_run / "bundle",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def replace_by_link(path: Path) -> None:
    other = path.parents[2] / f"other-{path.name}"
    shutil.move(path, other)
    path.symlink_to(other)


@pytest.mark.parametrize("harm", [shorten, flip, Path.unlink, replace_by_link], ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("name", [*FILES, bundle.SUMS])
def test_no_file_can_be_touched(
    bundle_copy: Path, name: str, harm: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    harm(bundle_copy / name)

    def parsed(*arguments: object, **options: object) -> None:
        raise AssertionError("a file of a harmed bundle was parsed")

    monkeypatch.setattr("medtasks.diagnosis.baseline.LinearRecord.load", parsed)
    if name != "medtasks.json" or harm is not Path.unlink:
        monkeypatch.setattr(bundle, "_manifest", parsed)
    with pytest.raises(BundleError) as caught:
        bundle.load(bundle_copy)
    assert caught.value.exit_code == 4
    assert caught.value.hint


@pytest.mark.parametrize(
    "add",
    [
        lambda folder: (folder / "model" / "extra.py").write_text("print(1)"),
        lambda folder: (folder / ".hidden").write_text(""),
        lambda folder: (folder / "model" / "link").symlink_to("/etc"),
        lambda folder: (folder / "model" / "dangling").symlink_to("nowhere"),
        lambda folder: os.mkfifo(folder / "pipe"),
    ],
    ids=["a module", "a hidden file", "a link to a folder", "a dangling link", "a pipe"],
)
def test_nothing_can_be_added(bundle_copy: Path, add: Callable[[Path], object]) -> None:
    add(bundle_copy)
    with pytest.raises(BundleError, match="not its own"):
        bundle.load(bundle_copy)


def test_a_linked_folder_is_refused(bundle_copy: Path, tmp_path: Path) -> None:
    shutil.move(bundle_copy / "model", tmp_path / "model")
    (bundle_copy / "model").symlink_to(tmp_path / "model")
    with pytest.raises(BundleError):
        bundle.load(bundle_copy)


def test_a_file_outside_cannot_be_listed(bundle_copy: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    with (bundle_copy / bundle.SUMS).open("a") as file:
        file.write(f"{bundle.sha256(tmp_path / 'outside')}  ../outside\n")
    with pytest.raises(BundleError):
        bundle.load(bundle_copy)


def test_a_newer_format_is_refused_with_the_version_that_wrote_it(bundle_copy: Path) -> None:
    edit(bundle_copy, format=bundle.FORMAT + 1, medtasks="9.9.9", something_new=[1])
    with pytest.raises(BundleError, match=r"medtasks 9\.9\.9") as caught:
        bundle.load(bundle_copy)
    assert "upgrade" in str(caught.value.hint)


@pytest.mark.parametrize(
    "changes", [{"format": "x"}, {"model": {}}, {"unknown": 1}, {"medtasks": "not a version"}, {"classes": "sick"}]
)
def test_a_manifest_that_is_none_is_refused(bundle_copy: Path, changes: dict[str, Any]) -> None:
    edit(bundle_copy, **changes)
    with pytest.raises(BundleError, match="damaged"):
        bundle.load(bundle_copy)


@pytest.mark.parametrize("text", ["", "[]", "{", "3", "null", "\x00"])
def test_a_manifest_that_is_no_object_is_refused(bundle_copy: Path, text: str) -> None:
    (bundle_copy / "medtasks.json").write_text(text, encoding="utf-8")
    reseal(bundle_copy)
    with pytest.raises(BundleError):
        bundle.load(bundle_copy)


def test_weights_that_the_plugin_cannot_read_name_the_versions(bundle_copy: Path) -> None:
    (bundle_copy / "model" / "linear.npz").write_bytes(b"not an archive")
    reseal(bundle_copy)
    with pytest.raises(BundleError) as caught:
        bundle.load(bundle_copy)
    assert f"medtasks {medtasks.tasks()[0].version}" in caught.value.message


UNREADABLE = """
from acme_fine import It as Fine
class It(Fine):
    @classmethod
    def load(cls, folder, *, context):
        raise ValueError(f"{folder / 'model.npz'}: 3 columns, not 4")
"""


@pytest.mark.parametrize(("version", "advice"), [("1.0", "tell its author"), ("2.0", "install the version that")])
def test_a_model_that_does_not_read_its_own_bundle_is_told_with_its_reason(
    plugins: Any, constant: str, bundle_copy: Path, version: str, advice: str
) -> None:
    plugins.model("acme-fine", constant)
    plugins.model("acme-model", UNREADABLE, version=version)
    content = json.loads((bundle_copy / "medtasks.json").read_text(encoding="utf-8"))
    told = {"id": "diagnosis.acme-model", "plugin": "acme-model 1.0", "config": {}}
    edit(bundle_copy, model={**content["model"], **told})
    with pytest.raises(BundleError, match=r"\(ValueError: model\.npz: 3 columns, not 4\)") as caught:
        bundle.load(bundle_copy)
    assert advice in str(caught.value.hint)
    assert ("1.0, here is acme-model 2.0" in caught.value.message) == (version == "2.0")


SAVE = '        np.savez(folder / "model.npz", share=self.share)\n'
LOAD = '        with np.load(folder / "model.npz") as file:\n            model.share = file["share"]\n'
UNSAFE = SAVE + '        np.savez(folder / "more.npz", names=np.array(["a", None], dtype=object))\n'
PICKLED = SAVE + '        import pickle; (folder / "more.bin").write_bytes(pickle.dumps(self.share))\n'
FAULTY_SAVES = {
    "writes nothing": (
        SAVE,
        "        pass\n",
        r"cannot be read back \(FileNotFoundError: .*'model\.npz', in acme_model",
    ),
    "writes half": (SAVE, SAVE.replace("share=", "half="), r"cannot be read back \(KeyError: .*, in acme_model\.py:"),
    "an object array": (SAVE, UNSAFE, r"names\.npy in more\.npz is an array of Python objects"),
    "a pickle": (SAVE, PICKLED, r"more\.bin is a pickle"),
    "a damaged archive": (SAVE, SAVE + '        (folder / "a.npz").write_bytes(b"PK\\3\\4...")\n', "damaged zip"),
    "reads another": (LOAD, LOAD + "        model.share = model.share[::-1]\n", r"answers differ: by up to 0\.\d"),
    "reads too little": (LOAD, "", r"cannot be asked after it was read back \(AttributeError in acme_model\.py:"),
}


@pytest.mark.parametrize("case", FAULTY_SAVES)
def test_a_model_that_does_not_come_back_leaves_no_result(
    plugins: Any, constant: str, table: pd.DataFrame, tmp_path: Path, case: str
) -> None:
    old, new, reason = FAULTY_SAVES[case]
    assert constant.count(old) == 1
    plugins.model("acme-model", constant.replace(old, new))
    with pytest.raises(PluginError, match=reason) as caught:
        medtasks.run("diagnosis", table[20:], out=tmp_path / "result", model="acme-model", folds=2)
    assert "`medtasks plugins check diagnosis.acme-model`" in str(caught.value.hint)
    assert "MARK" not in caught.value.message
    assert {path.name for path in tmp_path.iterdir()} == {"site"}  # no half result, and no fit to go on with


def test_a_predictor_whose_model_does_not_come_back_is_not_saved(
    plugins: Any, constant: str, table: pd.DataFrame, bundle_copy: Path
) -> None:
    plugins.model("acme-model", constant.replace(SAVE, "        pass\n"))
    predictor = medtasks.train("diagnosis", table, model="acme-model")
    with pytest.raises(PluginError, match="cannot be read back"):
        bundle.save(predictor, bundle_copy)
    assert bundle.load(bundle_copy).model_id == "diagnosis.linear-record"


@pytest.mark.parametrize("place", ["nothing", "empty", "file"])
def test_what_is_no_bundle_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError) as caught:
        bundle.load(tmp_path / place)
    assert caught.value.exit_code == 4
    assert place in caught.value.message


def test_a_missing_plugin_is_named(cli: Callable[..., Any], bundle_copy: Path, records_csv: Path) -> None:
    content = json.loads((bundle_copy / "medtasks.json").read_text(encoding="utf-8"))
    edit(bundle_copy, model={**content["model"], "id": "diagnosis.acme-gone", "plugin": "acme-gone 1.2"})
    done = cli("predict", bundle_copy, records_csv)
    assert (done.code, done.out) == (3, "")
    assert "diagnosis.acme-gone" in done.error
    assert "acme-gone 1.2" in done.error + done.hint


def test_a_missing_task_is_told_as_a_missing_plugin(
    cli: Callable[..., Any], bundle_copy: Path, records_csv: Path
) -> None:
    edit(bundle_copy, task="acme-gone")
    done = cli("predict", bundle_copy, records_csv)
    assert done.code == 3
    assert "acme-gone" in done.error


def test_saving_and_loading_changes_no_answer(record_run: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    predictor = medtasks.load(record_run)
    again = bundle.load(bundle.save(predictor, tmp_path / "again"))
    pd.testing.assert_frame_equal(again.predict(table), predictor.predict(table))
    assert again.facts == predictor.facts
    assert again.baseline is not None


@pytest.mark.parametrize("content", ["mine.txt", "report.html", "metrics.json"])
def test_a_folder_of_somebody_else_is_left_alone(record_run: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / content).write_text("precious")
    with pytest.raises(UsageError, match="no earlier result"):
        bundle.save(medtasks.load(record_run), tmp_path / "mine")
    assert (tmp_path / "mine" / content).read_text() == "precious"


def test_an_earlier_bundle_with_something_added_is_left_alone(record_run: Path, bundle_copy: Path) -> None:
    (bundle_copy / "notes.txt").write_text("precious")
    with pytest.raises(UsageError):
        bundle.save(medtasks.load(record_run), bundle_copy)
    assert (bundle_copy / "notes.txt").read_text() == "precious"


def test_what_a_file_manager_left_does_not_stop_a_replacement(record_run: Path, bundle_copy: Path) -> None:
    (bundle_copy / ".DS_Store").write_bytes(b"\0")
    bundle.save(medtasks.load(record_run), bundle_copy)
    assert not (bundle_copy / ".DS_Store").exists()


def test_an_error_while_writing_leaves_the_earlier_folder(tmp_path: Path) -> None:
    target = tmp_path / "result"
    with bundle.replacing(target, ("mark",)) as fresh:
        (fresh / "mark").write_text("first")

    def fail_halfway() -> None:
        with bundle.replacing(target, ("mark",)) as fresh:
            (fresh / "mark").write_text("second")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fail_halfway()
    assert (target / "mark").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


@pytest.mark.parametrize("reader", ["load", "check_target"])
def test_a_crash_between_the_two_renames_is_mended(bundle_copy: Path, reader: str) -> None:
    bundle_copy.rename(bundle_copy.with_name(f".{bundle_copy.name}.old"))
    if reader == "load":
        assert bundle.load(bundle_copy).outputs.classes == ("healthy", "sick")
    else:
        bundle.check_target(bundle_copy, bundle.FILES)
    assert (bundle_copy / "medtasks.json").is_file()


def test_a_crash_between_the_renames_of_a_run_is_mended_for_its_bundle_too(record_run: Path, tmp_path: Path) -> None:
    shutil.copytree(record_run, tmp_path / ".run.old")
    assert bundle.load(tmp_path / "run" / "bundle").outputs.classes == ("healthy", "sick")


KILL = """
import os, signal
from acme_base import It as Base
class It(Base):
    def fit(self, train, valid, *, context):
        super().fit(train, valid, context=context)
        if os.environ.get("DIE") == "fit": os._exit(77)
    def save(self, folder):
        super().save(folder)
        if os.environ.get("DIE") == "save": os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("when", ["fit", "save"])
def test_a_crash_leaves_the_earlier_result(
    plugins: Any, constant: str, environment: dict[str, str], records_csv: Path, tmp_path: Path, when: str
) -> None:
    plugins.model("acme-base", constant)
    plugins.model("acme-kill", KILL)
    command = [sys.executable, "-c", "from medtasks.cli import main; main()", "run", "diagnosis"]
    command += ["--data", str(records_csv), "--model", "acme-kill", "--folds", "1", "--out", "result"]

    def run(die: str) -> int:
        return subprocess.run(
            command, env={**environment, "DIE": die}, cwd=tmp_path, capture_output=True, timeout=120, check=False
        ).returncode

    assert run("no") == 0
    before = {path: path.read_bytes() for path in (tmp_path / "result").rglob("*") if path.is_file()}
    assert run(when) in (77, -9)
    assert {path: path.read_bytes() for path in (tmp_path / "result").rglob("*") if path.is_file()} == before
    assert bundle.load(tmp_path / "result", context=Context()).model_id == "diagnosis.acme-kill"
    assert run("no") == 0  # what the crash left behind is in nobody's way
    assert {path.name for path in tmp_path.iterdir()} == {"result", "site"}


def test_no_training_row_stands_in_a_bundle(record_run: Path, image_run: Path) -> None:
    for run in (record_run, image_run):
        for path in (run / "bundle").rglob("*"):
            if not path.is_file():
                continue
            content = path.read_bytes()
            for mark in (b"CASEMARK", b"PATIENTMARK", b"TEXTMARK", b"IMAGEMARK"):
                assert mark not in content, f"{path} holds {mark.decode()}"


def test_a_bundle_names_no_folder_of_the_machine_it_was_made_on(record_run: Path, records_csv: Path) -> None:
    for path in (record_run / "bundle").rglob("*.*"):
        assert str(records_csv.parent).encode() not in path.read_bytes(), path


def test_a_plugin_that_cannot_be_loaded_is_no_damaged_bundle(bundle_copy: Path, plugins: Any) -> None:
    content = json.loads((bundle_copy / "medtasks.json").read_text(encoding="utf-8"))
    plugins.model("acme-bad", "raise RuntimeError('no licence')")
    edit(bundle_copy, model={**content["model"], "id": "diagnosis.acme-bad", "plugin": "acme-bad 1.0"})
    with pytest.raises(PluginError, match="no licence"):
        bundle.load(bundle_copy)


@pytest.fixture
def thief(plugins: Any, constant: str) -> None:
    """Install a stranger's package that claims the name of the core's own baseline."""
    plugins.install("acme-thief", {"medtasks.models": {"diagnosis.linear-record": "acme_thief:It"}}, constant)


@pytest.mark.usefixtures("thief")
def test_a_stranger_with_the_baselines_name_blocks_no_bundle(
    record_run: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    predictor = medtasks.load(record_run)
    assert type(predictor.model).__module__ == "medtasks.diagnosis.baseline"
    assert predictor.predict(table)["p_sick"].nunique() > 10  # the stranger's answers would be all alike
    again = bundle.load(bundle.save(predictor, tmp_path / "again"))
    assert json.loads((tmp_path / "again" / "medtasks.json").read_text())["model"]["plugin"].startswith("medtasks ")
    assert again.predict(table).equals(predictor.predict(table))


@pytest.mark.usefixtures("thief")
def test_a_stranger_with_the_baselines_name_blocks_no_run(records_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="acme-thief and medtasks"):
        medtasks.run("diagnosis", records_csv, out=tmp_path / "r", model="linear-record", folds=1)
    names = ("acme-thief:diagnosis.linear-record", "medtasks:diagnosis.linear-record")
    for name, made in zip(names, ("acme_thief", "medtasks.diagnosis.baseline"), strict=True):
        done = medtasks.run("diagnosis", records_csv, out=tmp_path / made, model=name, folds=1)
        loaded = medtasks.load(done.bundle)
        assert loaded.baseline is not None
        assert type(loaded.model).__module__ == made
        assert type(loaded.baseline.model).__module__ == "medtasks.diagnosis.baseline"


def test_a_model_of_the_same_name_from_elsewhere_does_not_read_a_bundle(bundle_copy: Path) -> None:
    content = json.loads((bundle_copy / "medtasks.json").read_text())
    edit(bundle_copy, model={**content["model"], "plugin": "acme-linear 2.0"})
    with pytest.raises(PluginError, match=r"needs acme-linear 2\.0"):
        medtasks.load(bundle_copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fields": [{"name": "age", "type": "essay", "categories": [], "open": False}]}, "'essay'"),
        ({"fields": [{"name": "age"}]}, "cannot be read"),
        ({"fields": None}, "cannot be read"),
    ],
)
def test_a_description_of_the_input_that_is_unknown_is_refused(
    bundle_copy: Path, change: dict[str, Any], message: str
) -> None:
    content = json.loads((bundle_copy / "medtasks.json").read_text())
    edit(bundle_copy, input={**content["input"], **change})
    with pytest.raises(BundleError, match=message):
        medtasks.load(bundle_copy)


@pytest.mark.parametrize("within", [[1, 0], [0], "wide", [0, "x"]])
def test_a_range_of_pixels_that_is_none_is_refused(within: Any) -> None:
    with pytest.raises(BundleError, match="range of pixels"):
        Images.check_schema({"kind": "images", "within": within})
