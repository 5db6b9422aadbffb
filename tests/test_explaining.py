"""Explaining new cases: each is answered once, and values are written as they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from rdkit import Chem

import medtasks
from medtasks import explaining
from medtasks.cases import Images
from medtasks.errors import UsageError
from medtasks.predictor import Predictor


def test_cases_are_answered_once_beside_the_test_of_some(
    record_run: Path, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, asked, plain = medtasks.load(record_run), [0], Predictor.scores

    def scores(self: Predictor, cases: medtasks.cases.Cases, **options: object) -> npt.NDArray[np.float64]:
        asked[0] += len(cases)
        return plain(self, cases, **options)  # type: ignore[arg-type]

    many = pd.concat([table] * 7, ignore_index=True)  # 630 cases, three chunks
    monkeypatch.setattr(Predictor, "scores", scores)
    told = explaining.write(predictor, many, tmp_path / "e")
    assert told["explained"] == len(many)
    assert asked[0] <= len(many) + 5 * explaining.TESTED  # itself, the parts named hidden, and three draws
    written = pd.read_csv(tmp_path / "e" / "values.csv")
    assert written["id"].tolist() == many["id"].tolist()
    found = medtasks.explain(predictor, table)
    each = {name: (one.target, value) for one in found for name, value in zip(one.ids, one.values, strict=True)}
    assert written["explains"][:90].tolist() == [each[name][0] for name in table["id"]]
    expected = np.array([each[name][1] for name in table["id"]])
    assert written.iloc[:90, 2:].to_numpy(dtype=float) == pytest.approx(expected)


def test_a_class_that_is_not_there_is_told_before_anything_is_answered(
    record_run: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no class or target"):
        explaining.write(medtasks.load(record_run), table, tmp_path / "e", target="sik")
    assert not (tmp_path / "e").exists()


def test_values_of_images_are_as_numpy_reads_them(
    image_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = medtasks.load(image_run)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), dtype=np.uint8)
    np.savez(tmp_path / "four.npz", images=pixels)
    read = Images.read

    def twins(cls: type[Images], *arguments: object, **options: object) -> object:
        for reading in read(*arguments, **{**options, "chunk": 2}):  # type: ignore[arg-type]
            assert reading.cases is not None
            reading.cases.ids = np.array(["one", "two"], dtype=object)
            yield reading

    monkeypatch.setattr(Images, "read", classmethod(twins))
    told = explaining.write(predictor, str(tmp_path / "four.npz"), tmp_path / "e", target="opacity")
    assert (told["explained"], Path(told["values"]).name) == (4, "values.npz")
    with np.load(tmp_path / "e" / "values.npz", allow_pickle=False) as file:
        assert set(file.files) == {f"{name}::opacity{twin}" for name in ("one", "two") for twin in ("", "::2")}
        shapes = {file[name].shape for name in file.files}
        assert len(shapes) == 1
    assert {path.name for path in (tmp_path / "e").iterdir()} == {"report.html", "values.npz"}


def test_atoms_are_numbered_as_in_the_structure_beside_them(molecules: pd.DataFrame, tmp_path: Path) -> None:
    """A salt is taken off before anything is answered, and its atoms with it."""
    predictor = medtasks.train("activity", molecules, target="pIC50", model="linear-fingerprint")
    salts = pd.DataFrame({"smiles": ["Cl.OCCc1ccc(F)cc1", "[Na+].[O-]C(=O)c1ccccc1F"]})
    (told,) = medtasks.explain(predictor, salts)
    assert [Chem.MolToSmiles(mol) for mol in told.structures] == ["OCCc1ccc(F)cc1", "O=C(O)c1ccccc1F"]
    explaining.write(predictor, salts, tmp_path / "e")
    written = pd.read_csv(tmp_path / "e" / "values.csv")
    for row, (mol, value) in enumerate(zip(told.structures, told.values, strict=True)):
        mine = written[written["id"] == row + 1]
        again = Chem.MolFromSmiles(mine["smiles"].iloc[0])
        assert mine["element"].tolist() == [atom.GetSymbol() for atom in again.GetAtoms()]
        assert mine["atom"].tolist() == list(range(again.GetNumAtoms()))
        place = mol.GetSubstructMatch(again)
        fluorine = [i for i, symbol in enumerate(mine["element"]) if symbol == "F"]
        assert mine["contribution"].iloc[fluorine].tolist() == pytest.approx([value[place[i]] for i in fluorine])
        assert sorted(mine["contribution"]) == pytest.approx(sorted(value))
