"""Tables that come through a pipe, and inputs of which no row can be used."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

Cli = Callable[..., Any]


def pipe(environment: dict[str, str], given: bytes, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", "from medtasks.cli import main; main()", *map(str, arguments)],
        input=given, capture_output=True, env=environment, cwd=cwd, check=False,
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def parquet(table: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("source", "write"),
    [
        ("-", lambda table: table.to_csv(index=False).encode()),
        ("/dev/stdin", lambda table: table.to_csv(index=False, sep="\t").encode()),
        ("-", lambda table: gzip.compress(table.to_csv(index=False).encode())),
        ("-", parquet),
    ],
    ids=["csv", "tsv by its device", "gzip", "parquet"],
)
def test_records_come_through_a_pipe(
    environment: dict[str, str], record_run: Path, records_csv: Path, table: pd.DataFrame, tmp_path: Path, cli: Cli,
    source: str, write: Callable[[pd.DataFrame], bytes],
) -> None:  # fmt: skip
    done = pipe(environment, write(table.drop(columns="target")), "predict", record_run, source, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == cli("predict", record_run, records_csv).out
    assert list(tmp_path.iterdir()) == []


def test_paths_of_images_through_a_pipe_count_from_the_current_folder(
    environment: dict[str, str], image_run: Path, image_folder: Path
) -> None:
    names = sorted(path.relative_to(image_folder).as_posix() for path in image_folder.rglob("*.png"))
    manifest = pd.DataFrame({"path": names}).to_csv(index=False).encode()
    done = pipe(environment, manifest, "predict", image_run, "-", cwd=image_folder)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(io.StringIO(done.stdout))
    assert found["id"].tolist() == names
    assert (found["status"] == "ok").all()


def test_records_through_a_pipe_are_explained(
    environment: dict[str, str], record_run: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    given = table.iloc[:5].to_csv(index=False).encode()
    done = pipe(environment, given, "explain", record_run, "-", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["explained"] == 5


def test_an_empty_pipe_is_4(environment: dict[str, str], record_run: Path, tmp_path: Path) -> None:
    done = pipe(environment, b"", "predict", record_run, "-", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert "nothing came through the pipe" in done.stderr


def test_what_came_through_a_pipe_is_not_told_by_its_copy(
    cli: Cli, record_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"age,crp,site\n")))
    done = cli("predict", record_run, "-")
    assert done.code == 4
    assert "error: standard input lacks the columns 'fever', 'ward'" in done.err


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_explaining_no_usable_row_is_4_and_names_only_what_is_there(
    cli: Cli, record_run: Path, table: pd.DataFrame, tmp_path: Path, form: tuple[str, ...]
) -> None:
    table.assign(crp="tall").to_csv(tmp_path / "bad.csv", index=False)
    done = cli("explain", record_run, tmp_path / "bad.csv", "--out", tmp_path / "e", *form)
    assert done.code == 4
    assert "no row of the input could be used" in done.error
    assert "values" not in done.out or json.loads(done.out)["values"] is None
    assert [path.name for path in (tmp_path / "e").iterdir()] == ["report.html"]
    assert "is not a number" in (tmp_path / "e" / "report.html").read_text()
