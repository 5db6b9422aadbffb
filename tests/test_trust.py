"""What a model gets for two methods: sets, intervals, domain, and advice to abstain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.activity import judging
from medtasks.cases import Molecules
from medtasks.cases.neighbours import Neighbours
from medtasks.dataset import Dataset
from medtasks.errors import BundleError, UsageError
from medtasks.trust import Trust


def test_a_record_like_no_other_is_out_and_not_decided(record_run: Path, table: pd.DataFrame) -> None:
    odd = table.copy()
    odd.loc[0, ["age", "crp"]] = [900, 9000.0]
    answers = medtasks.predict(record_run, odd)
    assert answers.loc[0, "domain"] == "out"
    assert answers.loc[0, "decision"] == "abstain"
    assert answers.loc[0, "reason"] == "unlike the cases that the model was trained on"
    assert (answers.loc[1:, "domain"] == "in").mean() > 0.8


def test_another_value_of_a_field_that_never_varied_is_no_distance(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    age = rng.integers(20, 90, 120)
    table = pd.DataFrame({"age": age, "device": 1, "target": np.where(age > 55, "sick", "well")})
    done = medtasks.run("diagnosis", table, model="linear-record", out=tmp_path / "r")
    assert "column 'device' has one value in every row" in (tmp_path / "r" / "report.html").read_text().replace(
        "&#39;", "'"
    )
    usual, other = done.predictor.predict(table[:5]), done.predictor.predict(table[:5].assign(device=7))
    pd.testing.assert_frame_equal(usual, other)


def test_two_methods_are_enough(plugins: Any, constant: str, records_csv: Path, tmp_path: Path) -> None:
    plugins.model("acme-share", constant)
    run = medtasks.run("diagnosis", records_csv, model="acme-share", out=tmp_path / "r", folds=1)
    answers = medtasks.predict(run.bundle, records_csv)
    assert {"prediction_set", "domain", "distance", "decision", "reason"} <= set(answers)
    assert "coverage" in run.evaluation.metrics
    page = run.report.read_text("utf-8")
    assert "How far to trust it" in page
    assert "was not tested" in page  # 13 validation cases are too few


def test_what_was_learnt_is_read_back_to_the_bit(record_run: Path, table: pd.DataFrame) -> None:
    one, two = medtasks.load(record_run), medtasks.load(record_run)
    assert one.trust is not None
    pd.testing.assert_frame_equal(one.predict(table), two.predict(table))
    judged = pd.read_csv(record_run / "predictions.csv").set_index("id")
    again = one.predict(table).set_index("id").loc[judged.index]
    assert (again["prediction_set"] == judged["prediction_set"].fillna("")).all()
    assert np.allclose(again["distance"], judged["distance"], atol=1e-9)


def test_a_damaged_file_of_trust_is_refused(record_run: Path, tmp_path: Path) -> None:
    import hashlib
    import shutil

    place = shutil.copytree(record_run / "bundle", tmp_path / "b")
    (place / "trust" / "trust.json").write_text("{}")
    sums = (place / "SHA256SUMS").read_text().splitlines()
    fresh = hashlib.sha256(b"{}").hexdigest()
    (place / "SHA256SUMS").write_text(
        "".join((f"{fresh}  trust/trust.json" if line.endswith("trust.json") else line) + "\n" for line in sums)
    )
    with pytest.raises(BundleError, match="trust cannot be read"):
        medtasks.load(place)


def test_no_patient_stands_in_what_was_learnt(record_run: Path, table: pd.DataFrame) -> None:
    with np.load(record_run / "bundle" / "trust" / "trust.npz") as file:
        assert not any(array.dtype.kind in "US" for array in (file[name] for name in file.files))
        assert max(len(np.atleast_1d(file[name])) for name in file.files) < len(table) / 2


@pytest.fixture(scope="module")
def chemistry(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """Return a run on alcohols and amines of growing chains, and its table."""
    rng = np.random.default_rng(0)
    chains = ["C" * (i % 20 + 2) + tail for i in range(120) for tail in ("O", "N", "(C)O", "C(=O)O")]
    table = pd.DataFrame({"smiles": list(dict.fromkeys(chains))})
    table["y"] = table["smiles"].str.len() / 4 + rng.normal(0, 0.3, len(table))
    out = tmp_path_factory.mktemp("chemistry") / "r"
    medtasks.run("activity", table, target="y", split_by="random", model="linear-fingerprint", out=out)
    return out, table


def test_a_molecule_is_told_its_nearest_and_its_interval(chemistry: tuple[Path, pd.DataFrame]) -> None:
    out, table = chemistry
    answers = medtasks.predict(out, ["CCCCCCO", "c1ccc2c(c1)[nH]c1ccccc12"])
    assert answers["domain"].tolist() == ["in", "out"]
    assert answers["similarity"][0] > answers["similarity"][1]
    assert set(answers["nearest"]) <= {
        "".join(text) for text in Molecules.from_smiles(table["smiles"].tolist()).smiles()
    }
    assert (answers["low_y"] < answers["y"]).all()
    width = answers["high_y"] - answers["low_y"]
    assert width[1] >= width[0]
    assert answers["decision"].tolist() == ["answer", "abstain"]


def test_the_nearest_need_not_be_named(tmp_path: Path, chemistry: tuple[Path, pd.DataFrame]) -> None:
    _, table = chemistry
    run = medtasks.run("activity", table, target="y", split_by="random", model="linear-fingerprint",
                       out=tmp_path / "r", name_nearest=False)  # fmt: skip
    assert "nearest" not in medtasks.predict(run.bundle, ["CCO"])
    with np.load(run.bundle / "trust" / "trust.npz") as file:
        assert not [name for name in file.files if file[name].dtype.kind in "US" and file[name].size]


def test_neighbours_survive_being_written_down() -> None:
    mols = Molecules.from_smiles(["CCO", "CCN", "c1ccccc1"])
    known = Neighbours.of(mols, mols.smiles())
    again = Neighbours.from_arrays(known.to_arrays())
    asked = Molecules.from_smiles(["CCCO", "Cc1ccccc1"])
    assert again.names == known.names
    assert np.array_equal(again.nearest(asked)[0], known.nearest(asked)[0])
    assert again.nearest(asked)[1].tolist() == [0, 2]


def test_data_judged_later_are_told_from_those_calibrated_on(record_run: Path, table: pd.DataFrame) -> None:
    same = medtasks.evaluate(record_run, table)
    assert same.summary["validity"]["status"] == "exchangeable"
    moved = medtasks.evaluate(record_run, table.assign(crp=table["crp"] + 500))
    assert moved.summary["validity"]["status"] == "shifted"


def test_images_of_another_make_are_out(image_run: Path, tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(1)
    Image.fromarray((rng.random((16, 16)) > 0.5).astype(np.uint8) * 255).save(tmp_path / "odd.png")
    answers = medtasks.predict(image_run, tmp_path)
    assert answers["domain"].tolist() == ["out"]


def test_a_class_of_too_few_cases_for_sets_of_its_own_is_told_of(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"age": rng.normal(60, 9, 160), "target": np.where(np.arange(160) < 20, "sepsis", "none")})
    for per_class in (True, False):
        done = medtasks.run("diagnosis", table, model="linear-record", folds=1, out=tmp_path / "r", per_class=per_class)
        told = [text for text in done.summary.get("notes", ()) if "hold 'sepsis' always" in text]
        assert len(told) == len(done.summary.get("notes", ())) == per_class
        assert all("at least 9 cases" in text for text in told)


def test_sets_are_calibrated_within_groups(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 1500
    site = rng.choice(["clear", "blurred"], n, p=[0.8, 0.2])
    ill = rng.random(n) < 0.5
    marker = ill * 2.0 + rng.normal(0, np.where(site == "clear", 0.5, 2.5))
    table = pd.DataFrame({"marker": marker, "site": site, "target": np.where(ill, "ill", "well")})
    held = {}
    for within in (None, "site"):
        options = {} if within is None else {"within": within}
        shares = {"folds": 1, "valid": 0.3, "test": 0.3, "calibration": "none"}
        run = medtasks.run("diagnosis", table, model="linear-record", out=tmp_path / str(within), **shares, **options)
        judged = pd.read_csv(run.folder / "predictions.csv").merge(
            table.assign(id=np.arange(1, n + 1))[["id", "site"]], on="id"
        )
        inside = [
            target in str(one).split(" | ")
            for target, one in zip(judged["target"], judged["prediction_set"], strict=True)
        ]
        held[within] = pd.Series(inside).groupby(judged["site"]).mean()
    assert abs(held["site"]["blurred"] - 0.9) < abs(held[None]["blurred"] - 0.9)
    assert held["site"].sub(0.9).abs().max() < 0.06
    new = medtasks.predict(tmp_path / "site", table.head(2))
    assert (new["status"] == "ok").all()


def test_what_a_class_is_called_changes_no_set(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    code = rng.integers(0, 3, 300)
    table = pd.DataFrame(rng.normal(size=(300, 2)) + code[:, None], columns=["a", "b"])
    told = {}
    for names in (("A", "B", "C"), ("A", "B", "A | B")):
        data = table.assign(target=np.array(names)[code])
        run = medtasks.run("diagnosis", data, model="linear-record", folds=1, valid=0.3, out=tmp_path / names[2])
        found = run.evaluation.metrics
        alone = medtasks.predict(run.bundle, table)
        told[names[2]] = found["coverage"], found["set_size"], alone["decision"].tolist(), alone["reason"].tolist()
    assert told["A | B"] == told["C"]


LONG = {"split_by": "random", "folds": 1, "valid": 0.35, "test": 0.35, "model": "linear-fingerprint"}


def test_intervals_of_molecules_are_calibrated_within_groups(tmp_path: Path) -> None:
    from medtasks.preparing import named_dataset

    cases = named_dataset("activity.chembl2321810")().load(None, cache=tmp_path, seed=0).cases
    assert isinstance(cases, Molecules)
    table = pd.DataFrame({"smiles": cases.smiles()})
    rng = np.random.default_rng(0)
    table["assay"] = rng.choice(["sharp", "vague", "rare"], len(table), p=[0.76, 0.22, 0.02])
    table["y"] = table["smiles"].str.count("N") + rng.normal(0, np.where(table["assay"] == "vague", 4.0, 0.5))
    run = medtasks.run("activity", table, within="assay", out=tmp_path / "r", **LONG)  # type: ignore[arg-type]
    judged = pd.read_csv(run.folder / "predictions.csv")
    assert set(judged.loc[judged["group"] == "vague", "calibrated_on"]) == {"group"}
    assert set(judged.loc[judged["group"] == "rare", "calibrated_on"]) == {"all cases"}
    width = (judged["high_y"] - judged["low_y"]).groupby(judged["group"]).median()
    assert width["vague"] > 2 * width["sharp"]
    told = {one["value"]: one for one in run.summary["subgroups"]}
    assert abs(told["vague"]["metrics"]["coverage"]["value"] - 0.9) < 0.12  # 60 cases: two standard errors and a half
    assert abs(told["sharp"]["metrics"]["coverage"]["value"] - 0.9) < 0.08  # 240
    assert "rare" not in told  # of a group of so few not even the name is told
    assert told["1 smaller group"]["metrics"] == {}
    page, card = ((run.folder / name).read_text("utf-8") for name in ("report.html", "card.md"))
    assert "Groups calibrated each by itself" in page
    assert "| assay: vague |" in card
    assert "coverage" in card[card.index("| assay: vague |") :].splitlines()[0]
    new = table.head(3).assign(assay=["vague", "never seen", None])
    answers = medtasks.predict(run.bundle, new)
    assert answers["group"].tolist() == ["vague", "never seen", "not known"]
    assert answers["calibrated_on"].tolist() == ["group", "all cases", "all cases"]
    assert np.isfinite(answers["high_y"]).all()
    assert medtasks.predict(run.bundle, list(new["smiles"]))["calibrated_on"].tolist() == ["all cases"] * 3
    with pytest.raises(UsageError, match="--within: the table has no column 'assay'"):
        medtasks.predict(run.bundle, new.drop(columns="assay"))
    again = medtasks.evaluate(run.bundle, table)
    assert again.answers["group"].tolist() == table["assay"].tolist()


def test_sets_of_images_are_calibrated_within_groups(tmp_path: Path) -> None:
    from PIL import Image

    rng, rows = np.random.default_rng(0), []
    for i in range(400):
        scanner, ill = ("noisy" if i % 3 == 0 else "clear"), bool(rng.random() < 0.5)
        bright = 90 + 60 * ill + rng.normal(0, 60 if scanner == "noisy" else 12)
        Image.fromarray((bright + rng.normal(0, 5, (8, 8))).clip(0, 255).astype(np.uint8)).save(tmp_path / f"{i}.png")
        rows.append((f"{i}.png", "ill" if ill else "well", scanner if i else "one"))
    table = pd.DataFrame(rows, columns=["path", "target", "scanner"])
    table.to_csv(tmp_path / "films.csv", index=False)
    shares = {"valid": 0.35, "test": 0.35, "model": "linear-image"}
    run = medtasks.run("diagnosis", tmp_path / "films.csv", within="scanner", out=tmp_path / "r", **shares)  # type: ignore[arg-type]
    told = {one["value"]: one["metrics"] for one in run.summary["subgroups"] if one["n"] > 20}
    assert set(told) == {"clear", "noisy"}
    assert abs(told["clear"]["coverage"]["value"] - 0.9) < 0.12
    assert told["noisy"]["set_size"]["value"] > told["clear"]["set_size"]["value"]
    found = medtasks.predict(run.bundle, tmp_path / "films.csv")
    assert found["group"].tolist() == table["scanner"].tolist()
    assert found.loc[found["group"] == "noisy", "calibrated_on"].eq("group").all()
    assert found["calibrated_on"][0] == "all cases"  # the only image of its scanner
    assert medtasks.predict(run.bundle, tmp_path / "1.png")["calibrated_on"].tolist() == ["all cases"]
    assert not any(b"films" in path.read_bytes() for path in run.bundle.rglob("*.npz"))


def test_groups_too_small_share_what_was_calibrated_on_all() -> None:
    from medtasks.task import Quantity
    from medtasks.trust import POOLED

    rng = np.random.default_rng(0)
    molecules = Molecules.from_smiles(["C" * (1 + i % 9) for i in range(60)])
    molecules.cohorts = np.array(["big"] * 52 + ["PATIENTMARK"] * 8, dtype=object)
    data = Dataset(molecules, rng.normal(size=(60, 1)), names=("y",), kinds=("number",))
    quantity = judging.quantities(("y",), ("number",))
    assert isinstance(quantity[0], Quantity)
    answers = pd.DataFrame({"y": np.zeros(60)})

    class Options:
        within = "assay"

    trust = Trust().calibrate(quantity, data, answers, Options)
    assert set(trust.reaches["y"]) == {"big", POOLED}
    assert "PATIENTMARK" not in json.dumps(trust.as_json())  # of a group too small not even the name is kept
    bound = trust.bound(quantity, answers, data.cases)
    assert bound["calibrated_on"].tolist() == ["group"] * 52 + ["all cases"] * 8
    assert bound["high_y"].notna().all()
    assert data.take(np.array([59, 0])).cases.cohorts.tolist() == ["PATIENTMARK", "big"]  # type: ignore[union-attr]


def test_cases_of_unknown_group_rest_on_all_cases() -> None:
    from dataclasses import replace

    from medtasks.trust import POOLED, UNKNOWN

    rng = np.random.default_rng(0)
    molecules = Molecules.from_smiles(["C" * (1 + i % 9) for i in range(120)])
    molecules.cohorts = np.array(["a"] * 60 + [None] * 60, dtype=object)
    spread = np.repeat([1.0, 9.0], 60)[:, None]
    data = Dataset(molecules, spread * rng.normal(size=(120, 1)), names=("y",), kinds=("number",))
    quantity, answers = judging.quantities(("y",), ("number",)), pd.DataFrame({"y": np.zeros(120)})

    class Options:
        within = "assay"

    trust = Trust().calibrate(quantity, data, answers, Options)
    assert set(trust.reaches["y"]) == {"a", POOLED}
    bound = trust.bound(quantity, answers, data.cases)
    assert bound["calibrated_on"].tolist() == ["group"] * 60 + ["all cases"] * 60
    assert bound["high_y"][60] > 3 * bound["high_y"][0]
    older = replace(trust, reaches={"y": {**trust.reaches["y"], UNKNOWN: trust.reaches["y"]["a"]}})
    assert older.bound(quantity, answers, data.cases).equals(bound)


def test_a_column_to_calibrate_within_must_exist(tmp_path: Path) -> None:
    table = pd.DataFrame({"smiles": ["CCO"] * 30, "y": np.arange(30.0), "assay": "a"})
    with pytest.raises(UsageError, match="--within: the table has no column 'asay'") as caught:
        medtasks.run("activity", table, within="asay", model="linear-fingerprint")
    assert "assay" in str(caught.value.hint)
    with pytest.raises(UsageError, match="has no column 'assay'"):
        medtasks.run("activity", "chembl2321810", within="assay", model="linear-fingerprint")
    with pytest.raises(UsageError, match="--within: the table has no column 'site'"):
        medtasks.run(
            "diagnosis", pd.DataFrame({"path": ["a.png"], "target": ["x"]}), within="site", model="linear-image"
        )


def test_a_field_to_calibrate_within_must_exist(table: pd.DataFrame, image_folder: Path) -> None:
    with pytest.raises(UsageError, match="no field is called 'wrad'"):
        medtasks.run("diagnosis", table, model="linear-record", within="wrad")
    with pytest.raises(UsageError, match="no field is called 'ward'"):
        medtasks.run("diagnosis", image_folder, model="linear-image", within="ward")
