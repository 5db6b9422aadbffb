"""The task ``activity``, through the API that users call."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.activity import splitting
from medtasks.activity.task import Activity
from medtasks.cases import Molecules
from medtasks.dataset import Dataset
from medtasks.errors import DataError, UsageError
from medtasks.evaluation.splits import Plan
from medtasks.model import Context, checked
from medtasks.task import Outputs

Cli = Callable[..., Any]
MODEL = "linear-fingerprint"


@pytest.fixture(scope="module")
def done(molecules: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("runs") / "activity"
    return medtasks.run("activity", molecules, target="pIC50,hit", model=MODEL, out=out, split_by="random")


def test_a_run_judges_each_target_and_leaves_what_is_promised(done: Any) -> None:
    assert set(done.summary["targets"]) == {"pIC50", "hit"}
    assert {"rmse", "mae", "r2", "spearman", "kendall"} <= set(done.summary["targets"]["pIC50"])
    assert {"auroc", "auprc", "mcc", "bedroc", "ef_1pct", "brier"} <= set(done.summary["targets"]["hit"])
    assert done.summary["targets"]["hit"]["auroc"]["value"] > 0.9
    assert done.summary["targets"]["pIC50"]["r2"]["value"] > 0.5
    assert {path.name for path in done.folder.iterdir()} == {
        "bundle", "report.html", "card.md", "metrics.json", "predictions.csv", "config.toml", "run.json",
    }  # fmt: skip
    answers = pd.read_csv(done.folder / "predictions.csv")
    assert {"id", "target_pIC50", "target_hit", "pIC50", "hit", "p_hit"} <= set(answers.columns)
    assert len(answers) == done.summary["n"]


def test_every_row_has_its_answer(done: Any, molecules: pd.DataFrame) -> None:
    clean = molecules["smiles"].tolist()[:40]
    rubbish = {3: "", 11: "CC OC", 12: "C1CC", 25: "c1ccccc1" * 200, 33: "\ufeffC"}
    rows = list(clean)
    for place, text in rubbish.items():
        rows.insert(place, text)
    answers = medtasks.predict(done.bundle, rows)
    assert len(answers) == len(rows)
    assert np.flatnonzero(answers["status"] == "invalid").tolist() == sorted(rubbish)
    assert (answers["error"] != "").sum() == len(rubbish)
    alone = medtasks.predict(done.bundle, clean)
    good = answers[answers["status"] == "ok"].reset_index(drop=True)
    pd.testing.assert_frame_equal(good.drop(columns="id"), alone.drop(columns="id"), check_exact=True)


def test_answers_do_not_depend_on_how_a_molecule_is_written_or_on_the_order(done: Any, molecules: pd.DataFrame) -> None:
    from rdkit import Chem

    texts = molecules["smiles"].tolist()[:30]
    other = [Chem.MolToSmiles(Chem.MolFromSmiles(text), doRandom=True) for text in texts]
    first, second = medtasks.predict(done.bundle, texts), medtasks.predict(done.bundle, other[::-1])
    assert np.allclose(first["pIC50"], second["pIC50"][::-1], atol=1e-9)


def test_predicting_from_a_file_keeps_names(done: Any, molecules: pd.DataFrame, tmp_path: Path, cli: Cli) -> None:
    molecules.head(5).to_csv(tmp_path / "new.csv", index=False)
    told = cli("predict", done.folder, tmp_path / "new.csv", "--json")
    assert told.code == 0, told.err
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert [row["id"] for row in rows] == molecules["name"].tolist()[:5]
    assert {"pIC50", "hit", "p_hit"} <= set(rows[0])


def test_a_bundle_holds_no_training_molecule(done: Any, molecules: pd.DataFrame) -> None:
    for path in done.bundle.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"MOLMARK" not in content
            assert not any(text.encode() in content for text in molecules["smiles"] if len(text) > 20)


def test_other_targets_are_refused(done: Any, molecules: pd.DataFrame) -> None:
    table = molecules.rename(columns={"pIC50": "pKi"})
    with pytest.raises(DataError, match="the data measure pKi, hit"):
        medtasks.evaluate(done.bundle, table, target="pKi,hit")
    with pytest.raises(DataError, match="other values than two classes"):
        medtasks.evaluate(done.bundle, molecules.assign(hit=molecules["pIC50"]))
    again = medtasks.evaluate(done.bundle, molecules)
    assert again.summary["n"] == len(molecules)


def data(n: int, kinds: tuple[str, ...] = ("number",)) -> Dataset:
    rings = ["c1ccccc1", "C1CCCCC1", "c1ccncc1", "C1CCNCC1", "c1ccoc1", "c1ccsc1", "C1CC1"]
    texts = [f"{'C' * (i // len(rings) + 1)}{rings[i % len(rings)]}" for i in range(n)]
    targets = np.random.default_rng(0).random((n, len(kinds)))
    targets[:, [kind == "binary" for kind in kinds]] = (np.arange(n) % 2)[:, None]
    return Dataset(Molecules.from_smiles(texts), targets, names=tuple("abc"[: len(kinds)]), kinds=kinds)


@pytest.mark.parametrize("how", ["scaffold", "cluster", "random"])
@pytest.mark.parametrize("folds", [0, 3])
def test_no_group_is_cut(how: str, folds: int) -> None:
    dataset = data(70)
    assert isinstance(dataset.cases, Molecules)
    groups = splitting.groups(dataset.cases, how)
    options = checked(Activity.Options, {"split_by": how}, "option")
    found = Activity().split(dataset, Plan(folds=folds), options, 0)
    assert len(found) == max(1, folds)
    for fold in found:
        parts = [set(groups[rows]) for rows in (fold.train, fold.valid, fold.test)]
        assert all(parts)
        assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]


def test_the_last_molecules_are_the_test(molecules: pd.DataFrame) -> None:
    years = np.random.default_rng(0).integers(1990, 2020, len(molecules))
    task, table = Activity(), molecules.assign(year=years)
    for column in (table["year"], table["year"].astype(str) + "-05-01"):
        options = checked(Activity.Options, {"target": "pIC50", "split_by": "time", "time": "year"}, "option")
        dataset = task.read(table.assign(year=column), options, context=Context())
        (fold,) = task.split(dataset, Plan(), options, 0)
        train, valid, test = (dataset.extra["time"][rows] for rows in (fold.train, fold.valid, fold.test))
        assert train.max() < valid.min() <= valid.max() < test.min()
        assert 0.1 < len(test) / len(dataset) <= 0.25
    with pytest.raises(UsageError, match="no column of times"):
        task.read(
            table, checked(Activity.Options, {"split_by": "time", "target": "pIC50"}, "option"), context=Context()
        )
    with pytest.raises(DataError, match="holds no time"):
        task.read(table.assign(year="?"), options, context=Context())


def test_scaffolds_are_those_of_bemis_and_murcko() -> None:
    molecules = Molecules.from_smiles(["CCc1ccccc1", "Oc1ccccc1", "CCO", "CCCO", "c1ccc(CC2CCCC2)cc1"])
    first, second, chain, other, bridged = splitting.groups(molecules, "scaffold")
    assert first == second == "c1ccccc1"
    assert chain != other
    assert bridged == "c1ccc(CC2CCCC2)cc1"


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (np.zeros((3, 1)), r"\(3, 1\)"),
        (np.full((3, 2), np.nan), "finite"),
        (np.full((3, 2), 2.0), "probabilities"),
        ([[0, 0]], "list"),
    ],
)
def test_what_a_model_returns_is_checked(raw: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        Activity().check(raw, Outputs(("a", "b"), (), ("number", "binary")), 3)


def test_molecules_trained_on_are_counted_and_the_others_judged_by_themselves(
    done: Any, molecules: pd.DataFrame, tmp_path: Path, cli: Cli
) -> None:
    tested = molecules["name"].isin(pd.read_csv(done.folder / "predictions.csv")["id"])
    new = medtasks.evaluate(done.bundle, molecules[tested], out=tmp_path / "new")
    assert new.summary["in_training"] == {"n": 0, "whole": True, "without": None}
    assert "Molecules trained on" not in (tmp_path / "new" / "report.html").read_text()
    trained = set(medtasks.predict(done.bundle, molecules).query("similarity == 1")["id"])
    half = molecules[tested | molecules["name"].isin(sorted(trained)[:90])]
    found = medtasks.evaluate(done.bundle, half, out=tmp_path / "half")
    overlap = found.summary["in_training"]
    assert 80 <= overlap["n"] <= 90  # mirror images have one fingerprint
    assert overlap["without"]["n"] == len(half) - overlap["n"]
    assert overlap["without"]["metrics"]["auroc"]["value"] == pytest.approx(
        new.summary["metrics"]["auroc"]["value"], abs=0.05
    )
    assert overlap["without"]["baseline"]
    report = (tmp_path / "half" / "report.html").read_text()
    assert f"{overlap['n']} of {len(half)} molecules judged stand in the training data" in report
    assert f"of data that hold {overlap['n']} molecules it was made from" in report
    half.to_csv(tmp_path / "half.csv", index=False)
    told = cli("evaluate", done.bundle, tmp_path / "half.csv")
    assert told.code == 0, told.err
    assert f"note: {overlap['n']} of {len(half)} molecules judged stand in the training data." in told.err
    assert f"without them: {overlap['without']['n']} cases judged" in told.out


def test_of_molecules_trained_on_alone_nothing_is_left_to_judge(
    done: Any, molecules: pd.DataFrame, tmp_path: Path, cli: Cli
) -> None:
    predictor = medtasks.load(done.bundle)
    assert predictor.trust is not None
    assert predictor.trust.known is not None
    table = pd.DataFrame({"smiles": predictor.trust.known.names[:30], "pIC50": 5.0, "hit": "active"})
    table.loc[::2, "hit"] = "inactive"
    table.to_csv(tmp_path / "old.csv", index=False)
    told = cli("evaluate", done.bundle, tmp_path / "old.csv", "-o", tmp_path / "old")
    assert "30 of 30 molecules judged stand in the training data: these measures say nothing" in told.err
    assert "These measures say nothing of new molecules" in (tmp_path / "old" / "report.html").read_text()
    unnamed = medtasks.train("activity", molecules, target="pIC50", model=MODEL, name_nearest=False)
    assert medtasks.evaluate(unnamed, molecules).summary["in_training"] is None


def test_contradictions_are_listed_beside_the_result_and_not_in_the_bundle(
    molecules: pd.DataFrame, tmp_path: Path
) -> None:
    twice = molecules.head(80)
    table = pd.concat([twice, twice.head(2).assign(pIC50=twice["pIC50"].head(2) + 4)])
    found = medtasks.run("activity", table, target="pIC50", model=MODEL, out=tmp_path / "r", split_by="random")
    assert pd.read_csv(tmp_path / "r" / "remarks.csv")["row"].tolist() == ["MOLMARK0000", "MOLMARK0001"]
    assert "MOLMARK0000" in found.report.read_text()
    assert not any(b"MOLMARK" in path.read_bytes() for path in found.bundle.rglob("*") if path.is_file())


def test_too_little_to_learn_from_is_told() -> None:
    few = data(10)
    with pytest.raises(DataError, match="10 measured molecules"):
        Activity().check_trainable(few)
    same = Dataset(few.cases.take(np.arange(10).repeat(3)), np.ones((30, 1)), names=("a",), kinds=("number",))
    with pytest.raises(DataError, match="one value only"):
        Activity().check_trainable(same)


def test_bounds_are_judged_as_bounds(molecules: pd.DataFrame) -> None:
    table = molecules.assign(pIC50=molecules["pIC50"].map(lambda value: "<5" if value < 5 else str(value)))
    assert (table["pIC50"] == "<5").sum() > 10
    found = medtasks.evaluate(medtasks.train("activity", table, target="pIC50", model=MODEL), table)
    exact = medtasks.evaluate(medtasks.train("activity", molecules, target="pIC50", model=MODEL), molecules)
    assert found.evaluation.metrics["rmse"].value is not None
    assert exact.evaluation.metrics["rmse"].value is not None
    assert found.evaluation.metrics["rmse"].value < 2 * exact.evaluation.metrics["rmse"].value


def test_the_demo_needs_no_network_and_says_where_it_is_from() -> None:
    from medtasks.preparing import read

    task = Activity()
    dataset = read(task, task.demo, task.Options())
    assert len(dataset) > 1000
    assert dataset.names == ("pActivity",)
    assert "ChEMBL" in dataset.origin.title
