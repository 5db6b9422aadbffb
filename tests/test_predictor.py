"""A predictor: one row in, one row out, whatever the rows are."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.cases import Images, Records
from medtasks.cases.base import CHUNK
from medtasks.errors import DataError, UsageError
from medtasks.predictor import Predictor


@pytest.fixture(scope="module")
def predictor(record_run: Path) -> Predictor:
    return medtasks.load(record_run)


@pytest.fixture(scope="module")
def films(image_run: Path) -> Predictor:
    return medtasks.load(image_run)


def harmed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with rows 1 and 3 made unreadable."""
    bad = table.astype(object).copy()
    bad.loc[1, "crp"] = "SECRETVALUE"
    bad.loc[3, ["age", "crp", "fever", "ward"]] = None
    return bad


def test_answers_are_probabilities_with_a_decision(predictor: Predictor, table: pd.DataFrame) -> None:
    answers = predictor.predict(table)
    assert answers.columns.tolist() == [
        *("id", "status", "error", "prediction", "probability", "p_healthy", "p_sick"),
        *("domain", "distance", "prediction_set", "decision", "reason"),
    ]
    assert answers["id"].tolist() == table["id"].tolist()
    assert set(answers["status"]) == {"ok"}
    assert np.allclose(answers["p_healthy"] + answers["p_sick"], 1)
    cut = predictor.decision["threshold"]
    assert (answers["prediction"] == np.where(answers["p_sick"] >= cut, "sick", "healthy")).all()
    # The two classes differ by two standard deviations of CRP and in fever: 0.8 is far above chance.
    assert (answers["prediction"] == table["target"]).mean() > 0.8


def test_no_row_in_is_no_row_out(predictor: Predictor, table: pd.DataFrame) -> None:
    usual = predictor.predict(table.head(1)).columns.tolist()
    for source in (table.head(0), []):
        answers = predictor.predict(source)
        assert (len(answers), answers.columns.tolist()) == (0, usual)


def test_rows_in_a_list_are_told_to_become_a_table(predictor: Predictor) -> None:
    with pytest.raises(UsageError, match="not as a list") as caught:
        predictor.predict([("SECRETVALUE", 3)])
    assert "pandas.DataFrame(rows)" in str(caught.value.hint)
    assert "SECRETVALUE" not in str(caught.value)


def test_a_predictor_is_shown_in_a_line(predictor: Predictor) -> None:
    assert repr(predictor) == "<Predictor diagnosis.linear-record (diagnosis): healthy, sick>"


def test_bad_rows_keep_their_place_and_shift_no_other(predictor: Predictor, table: pd.DataFrame) -> None:
    whole, part = predictor.predict(table), predictor.predict(harmed(table))
    assert part["id"].tolist() == table["id"].tolist()
    assert np.flatnonzero(part["status"] == "invalid").tolist() == [1, 3]
    assert "'crp'" in part.loc[1, "error"]
    assert "SECRETVALUE" not in part.loc[1, "error"]
    assert "every field is missing" in part.loc[3, "error"]
    assert part.loc[[1, 3], ["prediction", "probability", "p_sick"]].isna().all(axis=None)
    good = part["status"] == "ok"
    pd.testing.assert_frame_equal(part[good], whole[good])


def test_rows_do_not_depend_on_their_company(predictor: Predictor, table: pd.DataFrame) -> None:
    whole = predictor.predict(table)
    alone = predictor.predict(table.iloc[[17]])
    assert alone["p_sick"].iloc[0] == pytest.approx(whole["p_sick"].iloc[17], abs=1e-12)
    turned = predictor.predict(table.iloc[::-1])
    assert np.allclose(turned["p_sick"].to_numpy()[::-1], whole["p_sick"], atol=1e-12)


def test_a_chunk_without_a_valid_row_changes_no_type(predictor: Predictor, table: pd.DataFrame) -> None:
    long = pd.concat([table] * 9, ignore_index=True).astype(object)
    long.loc[CHUNK : 2 * CHUNK - 1, "crp"] = "x"
    answers = predictor.predict(long)
    assert len(answers) == len(long) > 3 * CHUNK
    assert (answers["status"] == "invalid").sum() == CHUNK
    assert answers["p_sick"].dtype == np.float64
    assert set(answers["prediction"].dropna()) == {"healthy", "sick"}
    none = predictor.predict(long.iloc[CHUNK : CHUNK + 2])
    assert none["status"].tolist() == ["invalid", "invalid"]
    assert none.columns.tolist() == answers.columns.tolist()


def test_columns_may_come_in_any_order_and_more_of_them(predictor: Predictor, table: pd.DataFrame) -> None:
    other = table[table.columns[::-1]].assign(more=1)
    assert np.allclose(predictor.predict(other)["p_sick"], predictor.predict(table)["p_sick"])


def test_a_missing_column_is_named(predictor: Predictor, table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="'crp'") as caught:
        predictor.predict(table.rename(columns={"crp": "crb"}))
    assert "crb" in str(caught.value.hint)


def test_cases_in_memory_are_answered(predictor: Predictor, films: Predictor, table: pd.DataFrame) -> None:
    images = Images(["a", "b"], np.zeros((2, 16, 16), dtype=np.uint8))
    answers = films.predict(images)
    assert answers["id"].tolist() == ["a", "b"]
    assert answers["p_normal"].iloc[0] == answers["p_normal"].iloc[1]
    with pytest.raises(UsageError, match="records, not images"):
        predictor.predict(images)
    with pytest.raises(UsageError, match="images, not records"):
        films.predict(Records.from_table(table[["age", "crp"]]))


def test_an_unreadable_image_keeps_its_place(films: Predictor, image_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(image_folder, tmp_path / "films")
    names = sorted(path.relative_to(tmp_path / "films").as_posix() for path in (tmp_path / "films").rglob("*.png"))
    whole = films.predict(tmp_path / "films")
    assert whole["id"].tolist() == names
    (tmp_path / "films" / names[2]).write_bytes(b"")
    (tmp_path / "films" / names[5]).write_bytes(b"no image")
    part = films.predict(tmp_path / "films")
    assert part["id"].tolist() == names
    assert np.flatnonzero(part["status"] == "invalid").tolist() == [2, 5]
    assert "empty" in part.loc[2, "error"]
    good = part["status"] == "ok"
    pd.testing.assert_frame_equal(part[good], whole[good])


def test_explanations_are_in_input_units(
    predictor: Predictor, films: Predictor, table: pd.DataFrame, image_folder: Path
) -> None:
    found = list(predictor.explain(table.iloc[:20], "sick"))
    assert found[0].parts == ("age", "crp", "fever", "ward")
    assert sum(len(part.values) for part in found) == 20
    assert all(value.shape == (4,) for part in found for value in part.values)
    strongest = np.abs(np.concatenate([np.stack(part.values) for part in found])).mean(axis=0)
    assert strongest[1] > strongest[3]  # CRP tells the classes apart, the ward does not
    heat = next(films.explain(image_folder / "opacity", "opacity"))
    assert all(value.shape == (16, 16) for value in heat.values)


def test_each_case_is_explained_for_its_own_decision(predictor: Predictor, table: pd.DataFrame) -> None:
    decided = dict(zip(table["id"], predictor.predict(table)["prediction"], strict=True))
    found = {name: part.target for part in predictor.explain(table) for name in part.ids}
    assert found == decided


def test_an_unknown_class_is_told(predictor: Predictor, table: pd.DataFrame) -> None:
    with pytest.raises(UsageError) as caught:
        list(predictor.explain(table, "sik"))
    assert caught.value.hint == "did you mean 'sick'?"
