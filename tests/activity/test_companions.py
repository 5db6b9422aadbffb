"""Relations, units and types in columns of their own, as databases export them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import medtasks
from medtasks.activity.options import ActivityOptions
from medtasks.activity.sources import read
from medtasks.cli.app import app
from medtasks.dataset import Dataset
from medtasks.errors import DataError, UsageError
from medtasks.model import Context, checked

SMILES = ["CCO", "CCN", "CCC", "CCCl", "CCBr", "CCF"]


def dataset(table: dict[str, list[Any]], **options: Any) -> Dataset:
    frame = pd.DataFrame({"smiles": SMILES[: len(next(iter(table.values())))], **table})
    return read(frame, checked(ActivityOptions, options, "option"), Context())


@pytest.mark.parametrize(
    ("target", "column", "greater"),
    [
        ("IC50", "IC50_sign", ">"),
        ("IC50", "IC50_prefix", ">"),
        ("IC50", "inequality", "greater than"),
        ("IC50", "Censor", ">"),
        ("EGFR IC50", "IC50 relation", ">"),
        ("Standard Value", "Standard Relation", "'>'"),
        ("standard_value", "standard_relation", ">"),
        ("StandardValue", "StandardRelation", ">>"),
        ("value", "relation", " > "),
        ("IC50", "IC50 Qualifier", ">="),
        ("IC50 (nM)", "IC50_operator", "≥"),
        ("activity", "modifier", "\N{FULLWIDTH GREATER-THAN SIGN}"),
        ("IC50", "standard_relation", "'>>'"),
    ],
)
def test_a_relation_in_its_own_column_makes_bounds(target: str, column: str, greater: str) -> None:
    data = dataset({column: [greater, "'='", "", "~"], target: ["10000", "10", "100", "1"]}, target=target, unit="nM")
    assert data.targets[:, 0].tolist() == pytest.approx([5, 8, 7, 9])
    assert data.bounds[:, 0].tolist() == [-1, 0, 0, 0]
    (note,) = data.origin.notes
    assert repr(column) in note
    assert "1 of 4 values are bounds (1 with >, 0 with <)" in note
    written = dataset({target: [">10000", "10", "100", "1"]}, target=target, unit="nM")
    assert written.digest() == data.digest()
    exact = dataset({column: [greater] * 4, target: ["10000", "10", "100", "1"]}, target=target, relation="none")
    assert not exact.bounds.any()
    assert not exact.origin.notes


def test_a_relation_that_is_none_or_contradicts_its_value_costs_the_row() -> None:
    table = {"relation": [">", "<", "n.d.x", "=", "<<", ">"], "value": [">5", ">5", "5", ">5", "=5", "7"]}
    data = dataset(table, target="value")
    assert data.cases.ids.tolist() == ["1", "6"]
    assert data.bounds[:, 0].tolist() == [1, 1]
    reasons = [reason for _, reason in data.origin.invalid]
    assert ["none of <" in reason for reason in reasons] == [False, True, False, False]
    assert ["another sign" in reason for reason in reasons] == [True, False, True, True]
    assert "n.d.x" not in str(data.origin)


def test_each_of_several_targets_has_its_own_relation() -> None:
    table = {
        "IC50 Qualifier": [">", "="], "IC50": [5.0, 6.0], "Ki relation": ["<", "="], "Ki": [7.0, 8.0], "Kd": [1.0, 2.0]
    }  # fmt: skip
    data = dataset(table, target="IC50,Ki,Kd")
    assert data.bounds.tolist() == [[1, -1, 0], [0, 0, 0]]
    shared = dataset({"relation": [">", "="], "IC50": [5.0, 6.0], "Ki": [7.0, 8.0]}, target="IC50,Ki")
    assert not shared.bounds.any()
    assert all("count as exact" in note for note in shared.origin.notes)
    assert len(shared.origin.notes) == 2
    with pytest.raises(UsageError, match="one column for 2 targets"):
        dataset({"relation": [">", "="], "IC50": [5.0, 6.0], "Ki": [7.0, 8.0]}, target="IC50,Ki", relation="relation")


def test_a_column_that_is_anothers_or_no_relation_is_left_alone() -> None:
    other = dataset({"IC50 Qualifier": [">", "="], "IC50": [5.0, 6.0], "Ki": [7.0, 8.0]}, target="Ki")
    people = dataset({"operator": ["Ann", "Ben"], "target": [7.0, 8.0]})
    classes = dataset({"relation": [">", "="], "outcome": ["active", "inactive"]}, target="outcome")
    for data in (other, people, classes):
        assert not data.bounds.any()
        assert not data.origin.notes
        assert not data.origin.invalid
    assert classes.kinds == ("binary",)
    with pytest.raises(UsageError, match="holds classes"):
        dataset({"relation": [">", "="], "outcome": ["active", "inactive"]}, target="outcome", relation="relation")
    with pytest.raises(UsageError, match="no column 'relatoin'") as told:
        dataset({"relation": [">", "="], "target": [7.0, 8.0]}, relation="relatoin")
    assert "relation" in str(told.value.hint)


def test_the_sign_of_a_concentration_is_not_read_as_that_of_its_logarithm() -> None:
    table: dict[str, list[Any]] = {"relation": [">", "="], "pIC50": [5.0, 6.0]}
    with pytest.raises(UsageError, match="which of them") as told:
        dataset(table, target="pIC50")
    assert "--relation 'relation'" in str(told.value.hint)
    assert dataset(table, target="pIC50", relation="relation").bounds[:, 0].tolist() == [1, 0]
    assert not dataset(table, target="pIC50", relation="none").bounds.any()
    own = dataset({"pIC50 relation": [">", "="], "pIC50": [5.0, 6.0]}, target="pIC50")
    assert own.bounds[:, 0].tolist() == [1, 0]
    others = dataset({"Standard Value": [1e4, 1e3], "Standard Relation": [">", "="], "pIC50": [5.0, 6.0]},
                     target="pIC50")  # fmt: skip
    assert not others.bounds.any()
    assert "another column's by its name: they count as exact" in others.origin.notes[0]
    known = dataset({"Standard Value": [1e4, 1e3], "Standard Relation": [">", "="], "pchembl_value": ["", 6.0]},
                    target="pchembl_value")  # fmt: skip
    assert not known.origin.notes


def test_each_row_is_converted_by_its_own_unit() -> None:
    table = {
        "Standard Value": ["100", "0.1", "37", ">10", "100", "3"],
        "Standard Units": ["nM", "µM", "%", "uM", "", "furlongs"],
    }
    data = dataset(table, target="Standard Value", unit="nM")
    assert data.targets[:, 0].tolist() == pytest.approx([7, 7, 5, 7])
    assert data.bounds[:, 0].tolist() == [0, 0, -1, 0]
    assert [row for row, _ in data.origin.invalid] == ["row 3", "row 6"]
    why = "column 'Standard Value' is in a unit that is no known concentration (column 'Standard Units')"
    assert {reason for _, reason in data.origin.invalid} == {why}
    first, second = data.origin.notes
    assert "2 in uM, 1 in nM" in first
    assert "taken for nM" in second
    assert "furlongs" not in str(data.origin)
    one = dataset(table, target="Standard Value", unit="nM", unit_column="none")
    assert one.targets[:, 0].tolist() == pytest.approx([7, 10, 9 - np.log10(37), 8, 7, 9 - np.log10(3)])
    mass = dataset({"MIC": ["46.07", "1"], "MIC Unit": ["ug.mL-1", "mM"]}, target="MIC", unit="uM")
    assert mass.targets[:, 0].tolist() == pytest.approx([3, 3], abs=1e-3)


@pytest.mark.parametrize("units", [["nM", "uM"], ["nM", "%"], ["%", "mL/min"]])
def test_several_units_are_never_mixed_in_silence(units: list[str]) -> None:
    table = {"Standard Value": [5.0, 70.0], "Standard Units": units}
    with pytest.raises(DataError, match=r"several units: .*'Standard Units'") as told:
        dataset(table, target="Standard Value")
    assert ("--unit nM" in str(told.value.hint)) is ("nM" in units)
    assert dataset(table, target="Standard Value", unit_column="none").targets[:, 0].tolist() == [5, 70]


def test_one_unit_leaves_the_numbers_as_they_are() -> None:
    data = dataset({"IC50": [5.0, 70.0], "unit": ["nM", "nM"]}, target="IC50")
    assert (data.names, data.targets[:, 0].tolist()) == (("IC50",), [5, 70])
    assert "--unit nM" in data.origin.notes[0]
    others = dataset(
        {"y": [5.0, 7.0], "Dose": [1, 2], "Dose Unit": ["nM", "uM"], "uo_units": ["U_1", "U_2"]}, target="y"
    )
    assert not others.origin.notes
    logs = dataset({"pIC50": [5.0, 7.0], "units": ["nM", "uM"]}, target="pIC50")
    assert not logs.origin.notes
    with pytest.raises(UsageError, match="does not hold concentrations"):
        dataset({"pIC50": [5.0, 7.0], "units": ["nM", "uM"]}, target="pIC50", unit_column="units")


def test_types_that_are_mixed_are_noted_and_found_by_an_audit(molecules: pd.DataFrame) -> None:
    table = pd.DataFrame(
        {
            "smiles": molecules["smiles"][:60],
            "Standard Value": 10 ** (9 - molecules["pIC50"][:60]),
            "Standard Units": "nM",
            "Standard Type": ["IC50"] * 50 + ["Inhibition"] * 10,
        }
    )
    data = read(table, ActivityOptions(target=("Standard Value",), unit="nM"), Context())
    (note,) = [note for note in data.origin.notes if "several types" in note]
    assert "'Standard Type'" in note
    assert "IC50 (50), Inhibition (10)" in note
    (found,) = [
        one
        for one in medtasks.audit("activity", table, target="Standard Value", unit="nM").findings
        if "several types" in one.title
    ]
    assert (found.severity, found.check) == ("warning", "values")
    assert "IC50 (" in found.title
    percent = table.assign(**{"Standard Units": ["nM"] * 50 + ["%"] * 10})
    data = read(percent, ActivityOptions(target=("Standard Value",), unit="nM"), Context())
    assert not any("several types" in note for note in data.origin.notes)
    assert "type" not in data.extra


def test_all_commands_read_the_relation_alike(molecules: pd.DataFrame, tmp_path: Path) -> None:
    rows = molecules.iloc[:80]
    table = pd.DataFrame(
        {
            "smiles": rows["smiles"],
            "IC50": (10 ** (9 - rows["pIC50"])).round(3),
            "sign": np.where(np.arange(80) % 3 == 0, "'>'", "'='"),
        }
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    named = {"target": "IC50", "unit": "nM", "relation": "sign"}
    done = medtasks.run("activity", tmp_path / "t.csv", model="linear-fingerprint", out=tmp_path / "r", **named)
    assert json.loads((tmp_path / "r" / "run.json").read_text())["settings"]["options"]["relation"] == "sign"
    assert medtasks.rerun(tmp_path / "r", out=tmp_path / "again").same == "identical"
    prefixed = table.assign(IC50=table["sign"].str.strip("'=") + table["IC50"].astype(str)).drop(columns="sign")
    here = medtasks.evaluate(done.folder, table)
    there = medtasks.evaluate(done.folder, prefixed, relation="none")
    assert here.evaluation.metrics["rmse"] == there.evaluation.metrics["rmse"]
    table.assign(sign="'='").to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match="the data are not those of the run"):
        medtasks.rerun(tmp_path / "r", out=tmp_path / "other")


@pytest.mark.parametrize("column", ["Units", "unit", "Standard Units", "IC50 unit", "result_unit"])
def test_a_few_units_are_enough_in_a_column_of_units(column: str) -> None:
    table = {"IC50": [100.0, 5.0, 7.0, 8.0], column: ["uM", "%", "mL/min", "furlongs"]}
    data = dataset(table, target="IC50", unit="nM")
    assert data.targets[:, 0].tolist() == pytest.approx([4])
    assert len(data.origin.invalid) == 3
    with pytest.raises(DataError, match="several units"):
        dataset(table, target="IC50")
    with pytest.raises(DataError, match=r"no value of 'IC50' .* is in a unit of concentration") as told:
        dataset({**table, column: ["%"] * 4}, target="IC50", unit="nM")
    assert "--unit-column none" in str(told.value.hint)


def test_units_of_mass_are_converted_by_the_molecular_weight() -> None:
    units = ["ng/ml", "pg/mL", "mg/L", "ug/L", "g/L", "mg.ml-1"]
    data = dataset({"IC50": [46.07, 45.08, 44.1, 64.51, 108.97, 48.06], "Units": units}, target="IC50", unit="nM")
    assert data.targets[:, 0].tolist() == pytest.approx([6, 9, 3, 6, 0, 0], abs=1e-3)


def test_a_generic_column_of_units_is_that_of_all_targets() -> None:
    table = {"IC50": [1.0, 2.0], "EC50": [3.0, 4.0], "Units": ["uM", "nM"]}
    data = dataset(table, target="IC50,EC50", unit="nM")
    assert data.targets.tolist() == [
        [6, pytest.approx(6 - np.log10(3))],
        pytest.approx([9 - np.log10(2), 9 - np.log10(4)]),
    ]
    assert [note.count("'Units'") for note in data.origin.notes] == [1, 1]


def test_a_column_of_units_whose_texts_are_none_is_told() -> None:
    table = {"IC50": [1.0, 2.0], "Unit": ["Oncology", "Virology"]}
    data = dataset(table, target="IC50", unit="nM")
    assert data.targets[:, 0].tolist() == pytest.approx([9, 9 - np.log10(2)])
    (note,) = data.origin.notes
    assert "'Unit' holds no units" in note
    both = dataset({**table, "Standard Units": ["uM", "uM"]}, target="IC50", unit="nM")
    assert both.targets[:, 0].tolist() == pytest.approx([6, 6 - np.log10(2)])


@pytest.mark.parametrize(
    ("column", "told"), [("substrate_unit", False), ("dose_unit", True), ("max conc unit", True), ("Ki unit", False)]
)
def test_the_unit_of_another_quantity_is_not_the_targets(column: str, told: bool) -> None:
    table = {"IC50": [1.0, 2.0], "substrate_conc": [5, 5], "Ki": [5, 5], column: ["mM", "mM"]}
    data = dataset(table, target="IC50", unit="nM")
    assert data.targets[0, 0] == pytest.approx(9)
    assert [repr(column) in note for note in data.origin.notes] == [True] * told
    mixed = dataset({**table, column: ["mM", "nM"]}, target="IC50")
    assert mixed.targets[:, 0].tolist() == [1, 2]


@pytest.mark.parametrize("column", ["IC50 relation", "relation", "Standard Relation"])
def test_one_sign_is_enough_in_a_column_of_relations(column: str) -> None:
    table = {"IC50": [1.0, 2.0, 3.0, 4.0], column: ["exact", "Equal", "ND", "less than"]}
    data = dataset(table, target="IC50")
    assert data.cases.ids.tolist() == ["1", "2", "4"]
    assert data.bounds[:, 0].tolist() == [0, 0, -1]
    assert "none of <" in data.origin.invalid[0][1]


def test_signs_that_are_not_read_are_told() -> None:
    for column in ("comparator", "EC50 relation", "flag"):
        data = dataset({"IC50": [5.0, 6.0], column: [">", "="]}, target="IC50")
        assert not data.bounds.any()
        (note,) = data.origin.notes
        assert f"column {column!r} holds > or < and is not read: add --relation {column!r}" in note
        assert not dataset({"IC50": [5.0, 6.0], column: [">", "="]}, target="IC50", relation="none").origin.notes
    two = dataset({"IC50": [5.0, 6.0], "Ki": [5.0, 6.0], "Ki relation": [">", "="], "flag": [">", "="]}, target="IC50")
    assert ["'flag'" in note for note in two.origin.notes] == [True]
    remarks = dataset({"IC50": [5.0, 6.0, 7.0], "remark": ["see lab book", "again", ">"]}, target="IC50")
    assert not remarks.origin.notes


def test_a_table_without_the_columns_of_training_can_be_judged(molecules: pd.DataFrame, tmp_path: Path) -> None:
    rows = molecules.iloc[:80]
    table = pd.DataFrame({"smiles": rows["smiles"], "Standard Value": 10 ** (9 - rows["pIC50"])})
    full = table.assign(**{"Standard Units": "nM", "Standard Relation": np.where(np.arange(80) % 3 == 0, ">", "=")})
    named = {"relation": "Standard Relation", "unit_column": "Standard Units"}
    done = medtasks.run(
        "activity", full, model="linear-fingerprint", out=tmp_path / "r", target="Standard Value", unit="nM", **named
    )
    for key, column in named.items():
        with pytest.raises(UsageError, match=f"no column '{column}'") as told:
            medtasks.evaluate(done.folder, full.drop(columns=column))
        flag = f"--{key.replace('_', '-')}"
        assert f"{flag} none reads none" in str(told.value.hint)
        assert "did you mean" not in str(told.value.hint)
    table.to_csv(tmp_path / "new.csv", index=False)
    call = ["evaluate", str(done.folder), str(tmp_path / "new.csv"), "--relation", "none", "--unit-column", "none"]
    told_on_terminal = CliRunner().invoke(app, call)
    assert told_on_terminal.exit_code == 0
    note = "Training read units from a column; here none is read: all values are taken for nM (--unit)."
    assert f"note: {note}" in told_on_terminal.stderr
    assert json.loads(CliRunner().invoke(app, [*call, "--json"]).stdout)["notes"] == [note]
    assert "read from the column 'Standard Units'" in str(medtasks.evaluate(done.folder, full).summary["notes"])
