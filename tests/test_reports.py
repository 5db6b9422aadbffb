"""What a reader finds in a report: cases as they are beside what explains them."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import medtasks
from medtasks import fields
from medtasks.cases import Records
from medtasks.dataset import Dataset
from medtasks.report.blocks import Table
from medtasks.task import Judged

Cli = Callable[..., Any]


def section(page: str, title: str) -> str:
    """Return the part of a report under one heading."""
    return page.split(f"<h2>{title}</h2>")[1].partition("<h2>")[0]


def captions(page: str) -> list[str]:
    return re.findall(r"<figcaption>(.*?)</figcaption>", page)


def pictures(page: str) -> list[Image.Image]:
    found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in found]


@pytest.fixture(scope="module")
def folds_run(tmp_path_factory: pytest.TempPathFactory, records_csv: Path) -> Path:
    out = tmp_path_factory.mktemp("reports") / "folds"
    medtasks.run("diagnosis", records_csv, out=out, model="linear-record", folds=3)
    return out


def test_an_explained_record_shows_its_own_values_in_the_order_of_the_input(
    cli: Cli, record_run: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    asked = table.iloc[:12].astype(object)
    asked.loc[asked.index[0], "crp"] = "?"
    asked.to_csv(tmp_path / "asked.csv", index=False)
    done = cli("explain", record_run, tmp_path / "asked.csv", "--out", tmp_path / "e")
    assert done.code == 0, done.err
    page = (tmp_path / "e" / "report.html").read_text()
    assert [text.partition(":")[0] for text in captions(page)] == asked["id"].tolist()
    for value in asked["crp"][1:]:
        assert f"crp = {value:g}" in page
    assert "crp = not known" in page
    assert "fever = yes" in page
    assert "ward = north" in page
    assert pd.read_csv(tmp_path / "e" / "values.csv")["id"].tolist() == asked["id"].tolist()


def test_the_most_telling_field_of_a_record_comes_first(
    cli: Cli, record_run: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    table.iloc[:1].to_csv(tmp_path / "one.csv", index=False)
    assert cli("explain", record_run, tmp_path / "one.csv", "--out", tmp_path / "e").code == 0
    parts = pd.read_csv(tmp_path / "e" / "values.csv").iloc[0, 2:].astype(float).abs()
    page = (tmp_path / "e" / "report.html").read_text()
    names = re.findall(r">(\w+) = ", page)
    assert names[::-1] == parts.sort_values(ascending=False).index.tolist()  # drawn from the bottom up


def test_mistakes_on_records_are_explained_in_every_fold(folds_run: Path, table: pd.DataFrame) -> None:
    found = pd.read_csv(folds_run / "predictions.csv").set_index("id")
    wrong = found[found["target"] != found["prediction"]]
    mistakes = section((folds_run / "report.html").read_text(), "Most confident mistakes")
    shown = [text.partition(":")[0] for text in captions(mistakes)]
    assert len(shown) == min(12, len(wrong)) > 0
    assert found.loc[shown, "fold"].nunique() > 1
    for name in shown:
        assert f"crp = {table.set_index('id').loc[name, 'crp']:g}" in mistakes
    assert "Most confident mistakes" not in (folds_run / "bundle" / "report.html").read_text()


def test_an_image_stands_beside_its_heat_map_with_a_scale(
    cli: Cli, image_run: Path, image_folder: Path, tmp_path: Path
) -> None:
    done = cli("explain", image_run, image_folder / "opacity", "--out", tmp_path / "e")
    assert done.code == 0, done.err
    page = (tmp_path / "e" / "report.html").read_text()
    assert "how much a place speaks for the class" in page
    drawn = pictures(page)
    assert len(drawn) == 14
    width, height = drawn[0].size
    assert width > 2 * height  # two squares and a gap
    colours = np.ptp(np.asarray(drawn[0], dtype=int), axis=2)
    assert colours[:, :height].max() == 0  # the image itself is grey
    assert colours[:, -height:].max() > 0


def test_an_evaluation_explains_its_mistakes_too(record_run: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    turned = table.assign(target=table["target"].map({"sick": "healthy", "healthy": "sick"}))
    medtasks.evaluate(record_run, turned, out=tmp_path / "e")
    page = (tmp_path / "e" / "report.html").read_text()
    assert "crp = " in section(page, "Most confident mistakes")


def test_a_report_on_records_lists_the_fields_of_the_training_part(
    record_run: Path, folds_run: Path, table: pd.DataFrame
) -> None:
    for folder, about in ((record_run, "the training part"), (folds_run, "the data")):
        for name in ("report.html", "bundle/report.html"):
            fields = section((folder / name).read_text(), "Fields of the data")
            assert f"The fields of {about}" in fields
            rows = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", fields)[1:]]
            assert {row[0]: row[1] for row in rows} == {
                "age": "number", "crp": "number", "fever": "boolean", "ward": "category"
            }  # fmt: skip
            assert rows[0][0] == "crp"  # what tells the sick from the healthy drives the model
            weights = [float(row[4]) for row in rows]
            assert weights == sorted(weights, reverse=True)
            shown = {row[0]: row[3] for row in rows}
            assert re.fullmatch(r"yes in \d+%", shown["fever"])
            assert re.fullmatch(r"(north|south) \d+%, (north|south) \d+%", shown["ward"])
            assert all(row[2] == "0%" for row in rows)
            assert f"{table['crp'].max():g}" not in fields  # the extremes are single patients


def test_fields_of_few_cases_and_of_gaps_are_described_without_a_range() -> None:
    frame = pd.DataFrame({"x": ["1", "?"] * 15, "y": ["2"] * 30, "k": [*"aabbccddeeffgghh" * 2][:30]})
    data = Dataset(Records.from_table(frame), np.arange(30) % 2, classes=("n", "y"))
    judged = Judged(data, pd.DataFrame(), None, {})  # type: ignore[arg-type]
    table = fields.section(data.cases, judged, "the data", data.targets)[0]
    assert isinstance(table, Table)
    assert table.header[-1] == "Values"  # a model that does not explain itself has no weights
    assert [row[2:] for row in table.rows[:2]] == [["50%", "1 different, median 1"], ["0%", "1 different, median 2"]]
    assert table.rows[2][3].endswith("and 2 more")


def test_of_many_classes_the_curves_are_of_those_told_apart_worst(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(9), 12)
    table = pd.DataFrame(rng.normal(0, 0.3, (len(codes), 3)) + np.eye(9)[codes] @ rng.normal(0, 3, (9, 3)))
    table = table.rename(columns=str).assign(kind=[f"kind ${code}" for code in codes])
    table.loc[codes >= 7, ["0", "1", "2"]] = rng.normal(0, 2, (24, 3))
    run = medtasks.run("diagnosis", table, target="kind", model="linear-record", out=tmp_path / "r", folds=2)
    assert repr(run) == f"<Run diagnosis.linear-record in {tmp_path / 'r'}: {run.evaluation!r}>"
    assert repr(run.evaluation).startswith("<Evaluation of 108 cases and 9 targets: auroc 0.")
    curves = section(run.report.read_text(), "Curves")
    assert all("The 7 classes of 9 that are told apart worst." in text for text in captions(curves)[:2])
    drawn = set(re.findall(r"kind \$\d", curves))
    assert len(drawn) == 7
    assert {"kind $7", "kind $8"} < drawn
