"""Reading molecules into codes: the quick way gives what RDKit's own functions give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem, RDConfig, rdBase

from medtasks.cases import Molecules
from medtasks.cases.structures import Standard
from medtasks_mol_graph import binary
from medtasks_mol_graph.codes import ATOM, BOND, by_getters, features, width
from medtasks_mol_graph.graphs import Graphs


@pytest.fixture(scope="module")
def messy() -> list[Chem.Mol]:
    """Five thousand of the National Cancer Institute's structures: metals, radicals, charges, cages."""
    lines = (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").read_text().splitlines()
    with rdBase.BlockLogs():
        mols = [Chem.MolFromSmiles(line.split()[0]) for line in lines if line.strip()]
    return [mol for mol in mols if mol is not None and mol.GetNumAtoms()]


def test_both_ways_agree_on_messy_structures(messy: list[Chem.Mol]) -> None:
    assert len(messy) > 4000
    quick = 0
    for mol in messy:
        try:
            assert binary.by_bytes(mol.ToBinary()) == by_getters(mol)
            quick += 1
        except binary.Unusual:
            pass
    assert quick > 0.99 * len(messy)


@pytest.mark.parametrize(
    "text", ["[CH3:7]O", "*C", "C" * 300, "[#6;R]", "CC~C"], ids=["map", "any", "long", "query", "any bond"]
)
def test_what_is_unusual_is_read_the_slow_way(text: str) -> None:
    mol = Chem.MolFromSmarts(text) if text == "[#6;R]" else Chem.MolFromSmiles(text)
    mol.UpdatePropertyCache(strict=False)
    Chem.GetSymmSSSR(mol)
    assert list(binary.read([mol.ToBinary()])) == [by_getters(mol)]


def test_bytes_that_are_cut_or_of_another_version_are_not_guessed_at() -> None:
    whole = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O").ToBinary()
    with pytest.raises((binary.Unusual, IndexError)):
        binary.by_bytes(whole[:60])
    with pytest.raises(binary.Unusual):
        binary.by_bytes(whole[:8] + bytes([17]) + whole[9:])


def test_a_reader_that_differs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Chem.MolFromSmiles("C1CC1").ToBinary()
    right = list(binary.read([data]))
    monkeypatch.setattr(binary, "by_bytes", lambda data: ([0], [], []))
    binary.trusted.cache_clear()
    try:
        assert list(binary.read([data])) == right
    finally:
        binary.trusted.cache_clear()


def test_features_say_what_an_atom_is() -> None:
    atoms, _, bonds = by_getters(Chem.MolFromSmiles("C[N+](C)(C)C"))
    rows = features(np.array(atoms), ATOM)
    assert rows.shape == (5, width(ATOM))
    assert (rows.sum(axis=1) == len(ATOM)).all()
    assert not np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[0], rows[2])
    assert features(np.array(bonds), BOND).shape == (4, width(BOND))


def seen(molecules: Molecules) -> list[list[tuple[float, ...]]]:
    """The features of each molecule's atoms, sorted: they do not tell in which order a molecule is written."""
    graphs = Graphs.of(molecules)
    rows = graphs.atom_table[graphs.atoms]
    return [sorted(map(tuple, part.tolist())) for part in np.split(rows, graphs.atom_start[1:-1])]


def test_mirror_images_differ_however_they_are_written() -> None:
    pairs = ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"), ("C[S@](=O)CC", "C[S@@](=O)CC"), ("C[C@H](F)C#N", "C[C@@H](F)C#N")
    for left, right in pairs:
        spellings = [Chem.MolToSmiles(Chem.MolFromSmiles(left), rootedAtAtom=i) for i in range(4)]
        one, other, *same = seen(Molecules.from_smiles([left, right, *spellings, "CC(N)C(=O)O"]))
        assert one != other
        assert all(again == one for again in same[:-1])
        assert same[-1] not in (one, other)


def test_hands_do_not_depend_on_how_molecules_are_kept() -> None:
    """A chunk keeps what RDKit read, whatever is larger only the binary form, which has no R and S."""
    texts = ["C[C@@H](C[NH+](C)C)CN(C)CC", "O[C@H]1CC[C@@H](C)CC1", "CCO", "C[C@H]1CN[C@@H](C)C1=O"]
    schema = {"standard": Standard().as_json()}
    (reading,) = Molecules.read(texts, schema)
    assert reading.cases is not None
    assert (
        seen(reading.cases)
        == seen(Molecules.from_smiles(texts))
        == [seen(Molecules.from_smiles([one]))[0] for one in texts]
    )


def test_a_metal_with_many_neighbours_has_the_last_degree() -> None:
    mol = Chem.MolFromSmiles("[U](C)(C)(C)(C)(C)(C)(C)C", sanitize=False)
    mol.UpdatePropertyCache(strict=False)
    Chem.GetSymmSSSR(mol)
    rows = features(np.array(by_getters(mol)[0]), ATOM)
    assert (rows.sum(axis=1) == len(ATOM)).all()
