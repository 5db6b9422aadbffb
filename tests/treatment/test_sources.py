"""Tables of patients as users have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtasks.dataset import Dataset
from medtasks.errors import DataError, UsageError
from medtasks.model import Context
from medtasks.treatment.options import TreatmentOptions
from medtasks.treatment.sources import read
from medtasks.treatment.task import Treatment

TASK = Treatment()


@pytest.fixture
def table(simulated: Any, as_a_table: Any) -> pd.DataFrame:
    """Return 80 patients with a treatment and an outcome."""
    found: pd.DataFrame = as_a_table(simulated(80))
    return found


def options(**values: Any) -> TreatmentOptions:
    return TreatmentOptions(**values)


def test_the_outcome_stands_under_the_arm_received(table: pd.DataFrame) -> None:
    data = read(table, options())
    assert data.names == ("A", "B")
    assert data.kinds == ("arm", "arm")
    rows, second = np.arange(80), (table["treatment"] == "B").to_numpy().astype(int)
    assert (data.targets[rows, second] == table["outcome"]).all()
    assert np.isnan(data.targets[rows, 1 - second]).all()
    assert [field.name for field in data.cases.fields] == ["a", "b", "c", "d", "e", "age"]  # type: ignore[attr-defined]


def test_a_file_is_read_like_a_table(table: pd.DataFrame, tmp_path: Path) -> None:
    table["outcome"] = table["outcome"].round(3)  # text of 17 digits is read to the last bit but one
    table.to_csv(tmp_path / "t.csv", index=False)
    assert read(tmp_path / "t.csv", options()).digest() == read(table, options()).digest()


def test_binary_outcomes_and_less_is_better_are_noted(table: pd.DataFrame) -> None:
    table["outcome"] = (table["outcome"] > 0).astype(int)
    assert read(table, options(minimise=True)).kinds == ("arm:binary,minimise",) * 2


def test_rows_without_treatment_or_outcome_are_told(table: pd.DataFrame) -> None:
    bad = table.astype(object)
    bad.loc[3, "treatment"] = ""
    bad.loc[5, "outcome"] = "NA"
    bad.loc[7, "outcome"] = "better"
    bad.loc[9, "age"] = "old"
    data = read(bad, options())
    assert len(data) == 76
    assert dict(data.origin.invalid) == {
        "row 4": "the row has no treatment",
        "row 6": "the row's outcome is a text that counts as missing (NA, ?, - and the like)",
        "row 8": "the outcome is no number (decimals take a point)",
        "row 10": "field 'age' is not a number",
    }


def test_outcomes_may_be_yes_and_no_but_no_other_words(table: pd.DataFrame) -> None:
    good = table["outcome"] > 0
    words = table.assign(outcome=np.where(good, "Yes", "no"))
    words.loc[3, "outcome"] = None
    data = read(words, options())
    assert (np.nanmax(data.targets, axis=1) == good.drop(3)).all()
    assert any("read as 1 for yes" in note for note in data.origin.notes)
    with pytest.raises(DataError, match="'outcome' holds words") as caught:
        read(table.assign(outcome=np.where(good, "alive", "died")), options())
    assert "write 1" in str(caught.value.hint)
    assert "alive" not in str(caught.value)


def test_a_missing_truth_value_is_no_treatment(table: pd.DataFrame) -> None:
    given = pd.Series(table["treatment"] == "B", dtype="boolean")
    given[:5] = pd.NA
    data = read(table.assign(treatment=given), options())
    assert data.names == ("False", "True")
    assert len(data) == 75


def test_what_names_a_patient_or_an_arm_twice_is_noted(table: pd.DataFrame) -> None:
    twice = table.assign(mrn=np.arange(80) // 2, treatment=table["treatment"].where(table.index % 2 == 0, "a"))
    data = read(twice, options())
    assert "mrn" not in [field.name for field in data.cases.fields]
    notes = " ".join(data.origin.notes)
    assert "column 'mrn' is passed over: by its name" in notes
    assert "'mrn' has 40 values in 80 rows" in notes
    assert "'A', 'a' differ in case" in notes
    assert "--group" not in " ".join(read(twice, options(group="mrn")).origin.notes)


def test_outcomes_and_fields_in_rows_of_their_own_are_told(table: pd.DataFrame) -> None:
    both = pd.concat([table, table], ignore_index=True).astype(object)
    later = both.index >= len(table)
    fields = [name for name in table.columns if name not in ("treatment", "outcome", "id")]
    both.loc[later, fields] = None
    both.loc[~later, "outcome"] = None
    both["visit"] = np.where(later, "later", "first")
    assert any("join the rows" in note for note in read(both, options()).origin.notes)
    assert not any("join the rows" in note for note in read(table, options()).origin.notes)


def test_allergies_that_rule_out_no_arm_are_noted(table: pd.DataFrame) -> None:
    yes = ["yes", "no"] * 40
    data = read(table.assign(**{"allergy: B (RxNorm 1)": yes, "allergy: nuts": yes}), options())
    (note,) = [note for note in data.origin.notes if "allerg" in note]
    assert note.startswith("nothing is held back for 1 of 2 fields of allergies")
    assert note.endswith("'allergy: nuts'.")


def test_chances_by_lot_or_by_column_are_kept(table: pd.DataFrame) -> None:
    share = (table["treatment"] == "B").mean()
    assert np.allclose(read(table, options(randomised=True)).extra["propensity"], [1 - share, share])
    table["chance"] = 0.25
    assert np.allclose(read(table, options(propensity=("chance",))).extra["propensity"], [0.75, 0.25])
    table.loc[2, "chance"] = 1.25
    assert read(table, options(propensity=("chance",))).origin.invalid[0][1].endswith("are none")
    assert "chance" not in [field.name for field in read(table, options(propensity=("chance",))).cases.fields]  # type: ignore[attr-defined]


def test_the_truth_of_simulated_data_is_for_judging_alone(table: pd.DataFrame) -> None:
    data = read(table.assign(mu0=1.0, mu1=2.0), options(truth=("mu0", "mu1")))
    assert (data.extra["truth"] == [1.0, 2.0]).all()
    assert not {"mu0", "mu1"} & {field.name for field in data.cases.fields}  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="1 columns for 2"):
        read(table.assign(mu0=1.0), options(truth=("mu0",)))
    with pytest.raises(DataError, match="true outcome is no number"):
        read(table.assign(mu0=1.0, mu1=""), options(truth=("mu0", "mu1")))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"treatment": "drug"}, UsageError, "no column 'drug'"),
        ({"outcome": "treatment"}, UsageError, "are one column"),
        ({"arms": "x"}, UsageError, "1 names are given for 2"),
        ({"arms": "x,x"}, UsageError, "one name"),
        ({"randomised": True, "propensity": "age"}, UsageError, "both say"),
        ({"propensity": "a,b,c"}, UsageError, "3 columns for 2"),
        ({"treatment": "age"}, DataError, "different treatments"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    table: pd.DataFrame, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read(table, options(**given))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(outcome=""), "'outcome' is empty throughout"),
        (lambda t: t.assign(id="one"), "79 rows of the table have the id of another row"),
        (lambda t: t[["id", "treatment", "outcome"]], "no column that a model can use"),
        (lambda t: t.iloc[:0], "has no rows"),
    ],
)
def test_tables_that_say_nothing_are_refused(table: pd.DataFrame, change: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(change(table), options())


def test_a_patient_may_have_several_rows_where_a_column_says_so(table: pd.DataFrame) -> None:
    data = read(table.assign(id="one", patient_id=np.arange(80) // 2), options())
    assert data.groups is not None
    assert len(set(data.groups.tolist())) == 40


def test_doses_are_read_with_what_they_must_not_be(table: pd.DataFrame) -> None:
    doses = table.assign(dose=np.arange(80.0)).astype(object)
    doses.loc[4, "dose"] = -2.5
    doses.loc[6, "dose"] = ""
    doses.loc[8, "dose"] = "half"
    data = read(doses, options(dose="dose"))
    assert (data.names, data.kinds, data.targets.shape) == (("dose",), ("dose",), (76, 1))
    reasons = [reason for _, reason in data.origin.invalid]
    assert reasons == [
        "the dose is not above 0",
        "the dose is not above 0",
        "the row has no dose",
        "the dose is no number (decimals take a point)",
    ]
    with pytest.raises(DataError, match="'dose' is empty throughout"):
        read(table.assign(dose=""), options(dose="dose"))


def test_options_of_another_question_are_refused(table: pd.DataFrame) -> None:
    data = read(table, options())
    with pytest.raises(UsageError, match="--within says nothing about the question 'arm'"):
        TASK.check_options(options(within="age"), table, data)
    with pytest.raises(UsageError, match="--at says nothing"):
        TASK.check_options(options(at="24h"), table, data)
    with pytest.raises(UsageError, match="--outcome names a column"):
        TASK.check_options(options(outcome="x"), data, data)
    TASK.check_options(options(minimise=True, group="id"), table, data)


def test_new_data_are_brought_to_the_models_arms(table: pd.DataFrame) -> None:
    data = read(table, options(randomised=True))
    from medtasks.task import Outputs

    wider = TASK.align(data, Outputs(("B", "C", "A"), kinds=("arm",) * 3))
    assert (np.isfinite(wider.targets[:, 2]) == np.isfinite(data.targets[:, 0])).all()
    assert np.isnan(wider.targets[:, 1]).all()
    assert (wider.extra["propensity"][:, 1] == 0).all()
    with pytest.raises(DataError, match="no arm 'A'"):
        TASK.align(data, Outputs(("B", "C"), kinds=("arm",) * 2))
    with pytest.raises(DataError, match="the data ask 'arm', the model answers 'dose'"):
        TASK.align(data, Outputs(("dose",), kinds=("dose",)))


def test_a_data_set_must_say_what_it_asks(table: pd.DataFrame) -> None:
    data = read(table, options())
    with pytest.raises(DataError, match="arms, sets or doses"):
        TASK.accepts(Dataset(data.cases, data.targets, names=data.names))


def test_reading_needs_a_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file or folder"):
        TASK.read(tmp_path / "none.csv", options(), context=Context())
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(DataError, match="is no table: JSON, such as a FHIR bundle, is not read"):
        TASK.read(tmp_path / "x.json", options(), context=Context())
    (tmp_path / "data" / "hosp").mkdir(parents=True)
    (tmp_path / "data" / "hosp" / "admissions.csv").touch()
    with pytest.raises(DataError, match="holds no event tables itself") as caught:
        TASK.read(tmp_path / "data", options(), context=Context())
    assert str(tmp_path / "data" / "hosp") in str(caught.value.hint)
    with pytest.raises(DataError, match="holds no event tables itself"):  # when predicting too
        list(TASK.read_cases(tmp_path / "data", {"kind": "patients", "fields": [], "events": {}}))


def test_a_row_cut_short_is_left_out_with_the_reason(table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    table.assign(patient_id=np.arange(len(table)), split="train").to_csv(path, index=False)
    lines = path.read_text().splitlines()
    lines[3] = lines[3].rsplit(",", 2)[0]
    path.write_text("\n".join(lines))
    data = read(path, options())
    assert len(data) == len(table) - 1
    ((row, reason),) = data.origin.invalid
    assert row == "row 3"
    assert "fields" in reason
