"""The Python API: what `import medtasks` offers."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import medtasks
from medtasks.errors import DataError, UsageError


def test_the_public_names_are_there_and_documented() -> None:
    assert set(medtasks.__all__) == {
        "audit", "compare", "datasets", "evaluate", "explain", "load", "models", "predict", "rerun", "run", "tasks",
        "train",
    }  # fmt: skip
    for name in medtasks.__all__:
        assert inspect.getdoc(getattr(medtasks, name)), name
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = medtasks.trian  # type: ignore[attr-defined]


def test_train_gives_a_predictor_and_writes_nothing(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    predictor = medtasks.train("diagnosis", table, model="linear-record", config={"strengths": (0.1,)})
    assert predictor.outputs.classes == ("healthy", "sick")
    assert predictor.model.config.strengths == (0.1,)
    assert medtasks.predict(predictor, table)["status"].eq("ok").all()
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_may_be_named_by_its_run_or_itself(record_run: Path, table: pd.DataFrame) -> None:
    found = [medtasks.predict(place, table) for place in (record_run, record_run / "bundle", str(record_run))]
    pd.testing.assert_frame_equal(found[0], found[1])
    pd.testing.assert_frame_equal(found[0], found[2])


def test_a_table_and_its_file_are_answered_alike(record_run: Path, records_csv: Path, table: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(medtasks.predict(record_run, records_csv), medtasks.predict(record_run, table))


def test_evaluating_the_test_cases_repeats_their_measures(record_run: Path, table: pd.DataFrame) -> None:
    tested = pd.read_csv(record_run / "predictions.csv")["id"]
    found = medtasks.evaluate(record_run, table[table["id"].isin(tested)])
    judged = medtasks.load(record_run).facts["judged"]["metrics"]
    for name, measure in found.evaluation.metrics.items():
        assert measure.value == pytest.approx(judged[name]["value"], abs=1e-9), name
    assert found.baseline is not None
    assert found.summary["n"] == len(tested)


def test_evaluating_takes_the_test_part_of_data_with_a_split(record_run: Path, table: pd.DataFrame) -> None:
    parts = np.where(np.arange(len(table)) < 30, "test", "train")
    assert medtasks.evaluate(record_run, table.assign(split=parts)).summary["n"] == 30


def test_new_classes_are_refused(record_run: Path, table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="no class 'dead'") as caught:
        medtasks.evaluate(record_run, table.assign(target=table["target"].replace("sick", "dead")))
    assert caught.value.exit_code == 4


def test_classes_called_otherwise_are_judged_once_named_as_the_hint_says(record_run: Path, table: pd.DataFrame) -> None:
    called = table.assign(target=(table["target"] == "sick").astype(int))
    with pytest.raises(DataError, match="no class '0'") as caught:
        medtasks.evaluate(record_run, called)
    assert "--classes healthy,sick" in str(caught.value.hint)
    found = medtasks.evaluate(record_run, called, classes="healthy,sick")
    assert found.evaluation.metrics == medtasks.evaluate(record_run, table).evaluation.metrics


def test_explain_tells_what_speaks_for_a_class(record_run: Path, table: pd.DataFrame) -> None:
    found = medtasks.explain(record_run, table.iloc[:4], "sick")
    assert [part.target for part in found] == ["sick"]
    assert found[0].ids == tuple(table["id"].iloc[:4])


def test_options_and_hyper_parameters_are_checked(table: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="unknown option of diagnosis 'targte'"):
        medtasks.train("diagnosis", table, model="linear-record", targte="target")
    with pytest.raises(UsageError, match=r"unknown setting of diagnosis\.linear-record 'strength'"):
        medtasks.train("diagnosis", table, model="linear-record", config={"strength": 1})


def test_lists_tell_what_is_installed() -> None:
    assert "diagnosis" in {entry.name for entry in medtasks.tasks()}
    assert "diagnosis.linear-image" in {entry.name for entry in medtasks.models()}
    assert "diagnosis.phantom" in {entry.name for entry in medtasks.datasets()}


REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "diagnosis" / "cleveland.tsv.gz"


@pytest.mark.skipif(not REAL.is_file(), reason="the real data lie beside the checkout of the authors only")
def test_real_patients_are_told_apart_better_than_by_chance() -> None:
    predictor = medtasks.train("diagnosis", REAL, model="linear-record", positive="1,2,3,4")
    assert len(predictor.outputs.classes) == 2
    answers = medtasks.predict(predictor, REAL)
    truth = pd.read_csv(REAL, sep="\t")["target"].astype(str)
    decided = answers["prediction"] == predictor.outputs.classes[1]
    assert (decided == (truth != "0"))[answers["status"] == "ok"].mean() > 0.7


def test_a_model_is_judged_as_it_decides(record_run: Path, table: pd.DataFrame) -> None:
    for name, value in (("threshold", "0.05"), ("positive", "healthy")):
        with pytest.raises(UsageError, match=f"--{name} was settled"):
            medtasks.evaluate(record_run, table, **{name: value})
    assert medtasks.evaluate(record_run, table, threshold="youden").summary["n"] == len(table)


def test_a_report_on_the_training_data_says_so(record_run: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    medtasks.evaluate(record_run, table, out=tmp_path / "same")
    medtasks.evaluate(record_run, table.iloc[::2], out=tmp_path / "other")
    same, other = ((tmp_path / name / "report.html").read_text() for name in ("same", "other"))
    assert "says nothing about new ones" in same
    assert "other than those it was made from" in other
    assert not any("config.toml" in text or "had not seen" in text for text in (same, other))


def test_a_run_prints_in_a_few_lines(table: pd.DataFrame) -> None:
    assert len(repr(medtasks.evaluate(medtasks.train("diagnosis", table, model="linear-record"), table))) < 20_000


def test_a_trained_predictor_knows_what_it_learnt_from(table: pd.DataFrame) -> None:
    predictor = medtasks.train("diagnosis", table, model="linear-record")
    parts = predictor.facts["split"]["parts"]
    assert set(parts) == {"train", "valid"}
    assert parts["train"]["cases"] + parts["valid"]["cases"] == len(table)
    half = np.where(np.arange(len(table)) < 60, "train", "test")
    given = medtasks.train("diagnosis", table.assign(split=half).drop(columns="patient_id"), model="linear-record")
    assert given.facts["split"]["parts"]["test"]["cases"] == 30


class Polars:
    """A table of another library, which pandas' is made of as polars' and Arrow's are."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    def to_pandas(self) -> pd.DataFrame:
        return self.table


@pytest.mark.parametrize("form", [Polars, lambda table: table.to_dict("records"), lambda table: pa.table(dict(table))])
def test_other_tables_and_lists_of_rows_are_taken_everywhere(record_run: Path, table: pd.DataFrame, form: Any) -> None:
    given = form(table)
    predictor = medtasks.train("diagnosis", given, model="linear-record")
    learnt = medtasks.train("diagnosis", table, model="linear-record")
    pd.testing.assert_frame_equal(medtasks.predict(predictor, given), medtasks.predict(learnt, table))
    assert medtasks.explain(record_run, given)[0].ids == medtasks.explain(record_run, table)[0].ids
    assert medtasks.audit("diagnosis", given).findings == medtasks.audit("diagnosis", table).findings
    assert medtasks.evaluate(record_run, given).evaluation.metrics == (
        medtasks.evaluate(record_run, table).evaluation.metrics
    )


def test_molecules_are_taken_from_other_tables(molecules: pd.DataFrame) -> None:
    predictor = medtasks.train("activity", Polars(molecules), target="pIC50", model="linear-fingerprint")
    few = molecules.head(3)[["name", "smiles"]]
    wanted = medtasks.predict(predictor, few)
    for given in (pa.table(dict(few)), few.to_dict("records"), Polars(few)):
        pd.testing.assert_frame_equal(medtasks.predict(predictor, given), wanted)
    arrow = medtasks.predict(predictor, pa.array(few["smiles"].tolist()))
    assert arrow["pIC50"].tolist() == wanted["pIC50"].tolist()
    with pytest.raises(DataError, match="array of 2 dimensions") as error:
        medtasks.predict(predictor, few.to_numpy())
    assert "array[:, 0]" in str(error.value.hint)
    mixed = medtasks.predict(predictor, [["CCO"], np.array(["CCO"]), pd.NA, pd.NaT, "CCO"])
    assert mixed["status"].tolist() == ["invalid"] * 4 + ["ok"]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (None, "give a path"),
        (np.zeros((3, 2)), "columns="),
        ({"age": [61], "target": ["ill"]}, "a dictionary for each row"),
        (["CCO", "CC"], "pandas.DataFrame"),
        (3, "pandas.DataFrame"),
    ],
)
@pytest.mark.parametrize("call", ["train", "run", "audit", "evaluate"])
@pytest.mark.parametrize("task", ["diagnosis", "activity", "treatment"])
def test_what_is_no_data_is_told_by_its_type(record_run: Path, call: str, task: str, given: Any, hint: str) -> None:
    if given is None and call in ("train", "run"):
        return  # the demo
    with pytest.raises(UsageError, match=f"not as a {type(given).__name__}") as error:
        getattr(medtasks, call)(record_run if call == "evaluate" else task, given)
    assert hint in str(error.value.hint)


def test_images_are_not_read_from_a_list(image_run: Path) -> None:
    with pytest.raises(UsageError, match="not as a list") as error:
        medtasks.predict(image_run, [np.zeros((9, 9))])
    assert "'path'" in str(error.value.hint)


@pytest.mark.parametrize("device", ["cuda", "GPU", "gpu:0", "", None])
def test_a_wrong_device_is_refused_everywhere(record_run: Path, table: pd.DataFrame, device: Any) -> None:
    predictor = medtasks.load(record_run)
    for call in (
        lambda: medtasks.load(record_run, device=device),
        lambda: medtasks.predict(record_run, table, device=device),
        lambda: medtasks.predict(predictor, table, device=device),
        lambda: medtasks.explain(predictor, table, device=device),
        lambda: medtasks.evaluate(predictor, table, device=device),
        lambda: medtasks.train("diagnosis", table, device=device),
    ):
        with pytest.raises(UsageError, match="device"):
            call()


def test_a_predictor_in_hand_does_not_fall_back_to_the_cpu(record_run: Path, table: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="does not run on a GPU"):
        medtasks.predict(medtasks.load(record_run), table, device="gpu")


def test_progress_is_an_object(record_run: Path, table: pd.DataFrame) -> None:
    told: Any = True
    for call in (
        lambda: medtasks.train("diagnosis", table, progress=told),
        lambda: medtasks.predict(record_run, table, progress=told),
        lambda: medtasks.audit("diagnosis", table, progress=told),
    ):
        with pytest.raises(UsageError, match="progress") as error:
            call()
        assert "`track` and `note`" in str(error.value.hint)


def test_results_print_in_a_line_and_name_no_patient(record_run: Path, table: pd.DataFrame) -> None:
    judged, found = medtasks.evaluate(record_run, table), medtasks.audit("diagnosis", table)
    for one in (judged, found, medtasks.explain(record_run, table)[0], medtasks.models()[0]):
        assert len(repr(one)) < 200
        assert "MARK" not in repr(one)
    assert repr(judged).startswith("<Evaluated diagnosis.linear-record: <Evaluation of 90 cases: auroc")
    assert repr(found).startswith("<Audit of 90 cases: ")


def test_the_version_is_the_installed_one() -> None:
    assert medtasks.__version__ == version("medtasks")
