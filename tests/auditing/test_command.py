"""``medtasks audit``: exit codes, JSON, the HTML file; and the section in the report of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks import auditing
from medtasks.errors import DataError, UsageError
from medtasks.evaluation.splits import Fold

from .conftest import film_set

Cli = Callable[..., Any]
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "diagnosis" / "pneumoniamnist.npz"


@pytest.fixture
def leaking(clinic: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "leaking.csv"
    clinic.assign(code=np.where(clinic["target"] == "sick", 7, 3)).to_csv(path, index=False)
    return path


@pytest.fixture
def clean(clinic: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "clean.csv"
    clinic.to_csv(path, index=False)
    return path


def test_strict_is_for_severe_findings_alone(cli: Cli, leaking: Path, clean: Path) -> None:
    assert cli("audit", clean, "--task", "diagnosis", "--strict").code == 0
    assert cli("audit", leaking, "--task", "diagnosis").code == 0
    done = cli("audit", leaking, "--task", "diagnosis", "--strict")
    assert done.code == 4
    assert done.error == "1 finding of the audit is severe"
    assert "Field 'code' alone tells the class" in done.out
    assert "P0" not in done.out  # rows are named in files only
    assert cli("audit", clean, "--task", "diagnosis").out == f"{clean} for diagnosis: 300 cases, nothing found\n"


def test_json_is_one_object(cli: Cli, leaking: Path) -> None:
    done = cli("audit", leaking, "--task", "diagnosis", "--json", "--strict")
    assert done.code == 4
    assert done.out.count("\n") == 1
    found = json.loads(done.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert set(found) == {"task", "data", "n", "counts", "findings", "report", "seconds", "seed"}
    assert found["counts"] == {"severe": 1, "warning": 0, "note": 0}
    assert set(found["findings"][0]) == {
        "severity", "check", "title", "advice", "count", "rows", "together", "parts",
    }  # fmt: skip


def test_the_file_names_rows_and_no_values(cli: Cli, clinic: pd.DataFrame, tmp_path: Path) -> None:
    table = clinic.assign(glucose=clinic["glucose"].where(clinic.index != 4, 77123.25))
    table.to_csv(tmp_path / "far.csv", index=False)
    done = cli("audit", tmp_path / "far.csv", "--task", "diagnosis", "-o", tmp_path / "audit.html")
    assert done.code == 0, done.err
    text = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert clinic["id"].iloc[4] in text
    assert "77123" not in text + done.out
    assert cli("audit", tmp_path / "far.csv", "--task", "diagnosis", "-o", tmp_path).code == 2


def test_the_file_replaces_nothing_but_an_earlier_one(
    cli: Cli, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = clean.read_bytes()
    (tmp_path / "link.csv").symlink_to(clean)
    for name in ("clean.csv", "link.csv"):
        done = cli("audit", clean, "--task", "diagnosis", "-o", tmp_path / name)
        assert (done.code, done.error) == (2, f"{tmp_path / name} exists and is no HTML file")
        assert clean.read_bytes() == before
    assert cli("audit", clean, "--task", "diagnosis", "-o", tmp_path / "no" / "a.html").code == 2
    out = tmp_path / "audit.html"
    out.write_text("<!DOCTYPE html><p>earlier</p>", encoding="utf-8")

    def fail(self: Path, target: Path) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        assert cli("audit", clean, "--task", "diagnosis", "-o", out).code == 1
    assert "earlier" in out.read_text(encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli("audit", clean, "--task", "diagnosis", "-o", "~/audit.html").code == 0
    assert "earlier" not in out.read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {"clean.csv", "link.csv", "audit.html"}


def test_wrong_usage(cli: Cli, clean: Path) -> None:
    assert cli("audit", clean).code == 2
    assert cli("audit", clean, "--task", "diagnosys").hint == "did you mean 'diagnosis'?"
    assert cli("audit", clean, "--task", "diagnosis", "--positve", "sick").hint.startswith("did you mean '--positive'?")
    assert cli("audit", "nowhere.csv", "--task", "diagnosis").code == 4
    assert cli("audit", clean, "--task", "diagnosis", "--target", "illness").code == 2
    with pytest.raises(UsageError):
        medtasks.audit("diagnosis", clean, colour="red")


def test_data_that_cannot_be_learnt_from_are_severe(clinic: pd.DataFrame) -> None:
    found = medtasks.audit("diagnosis", clinic[clinic["target"] == "sick"])
    assert any(one.title.startswith("Nothing can be learnt") for one in found.severe)
    with pytest.raises(DataError):
        medtasks.audit("diagnosis", clinic.iloc[:0])


def test_the_same_seed_finds_the_same(clinic: pd.DataFrame) -> None:
    table = clinic.assign(sodium=clinic["sodium"] + 5 * (clinic["split"] == "test"))
    one, other = (medtasks.audit("diagnosis", table, seed=3) for _ in range(2))
    assert one.findings == other.findings


def test_a_run_tells_what_the_audit_found(record_run: Path, clinic: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("report.html", "bundle/report.html"):
        assert "Audit of the data" in (record_run / name).read_text(encoding="utf-8")
    leaking = clinic.assign(code=np.where(clinic["target"] == "sick", 7, 3), id="IDMARK" + clinic["id"])
    leaking = pd.concat([leaking, leaking.iloc[:2].assign(id=["IDMARK-A", "IDMARK-B"])])
    medtasks.run("diagnosis", leaking.drop(columns="split"), model="linear-record", folds=1, out=tmp_path / "run")
    for name in ("report.html", "bundle/report.html"):
        text = (tmp_path / "run" / name).read_text(encoding="utf-8")
        assert "alone tells the class" in text
        assert "IDMARK" not in text.split("Audit of the data")[-1].split("What it is not for")[0]


def test_a_report_is_made_even_where_an_audit_fails(films: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    fold = Fold(np.arange(50), np.arange(50, 60), np.arange(60, 90))
    data = film_set(films, split=None)
    assert "Nothing was found" in str(auditing.section(data, [fold]).blocks[0])

    def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("medtasks.auditing.reporting.audit", fail)
    assert "could not be audited (ZeroDivisionError)" in str(auditing.section(data, [fold]).blocks[0])


@pytest.mark.parametrize(
    ("task", "name"), [("diagnosis", "phantom"), ("diagnosis", "breast-cancer"), ("activity", "chembl2321810"),
                       ("treatment", "actg175")]
)  # fmt: skip
def test_nothing_severe_in_the_data_sets_of_the_house(task: str, name: str) -> None:
    if name == "actg175" and not any(entry.name == "treatment.actg175" for entry in medtasks.datasets()):
        pytest.skip("the plugin medtasks-actg175 is not installed")
    found = medtasks.audit(task, name)
    assert found.severe == ()
    assert not any(one.severity == "warning" for one in found.findings), [one.title for one in found.findings]


@pytest.mark.skipif(not SHARED.is_file(), reason="the data are not here")
def test_pneumoniamnist_has_copies_and_a_shift() -> None:
    found = medtasks.audit("diagnosis", SHARED).findings
    copies = [one for one in found if one.severity == "severe"]
    assert [one.title for one in copies] == ["8 valid images are equal to train images"]
    shift = next(one for one in found if one.check == "shift" and one.parts == ("valid", "test"))
    assert "within '0' AUROC 0." in shift.title  # .79 to .80, as a logistic regression finds too
