"""Reading one structure: what RDKit would take in silence, limits, and the standard form."""

from __future__ import annotations

import random

import pytest

from medtasks.cases import structures
from medtasks.cases.structures import (
    Standard,
    StructureError,
    is_clean,
    quiet,
    read_mol,
    read_smiles,
    scaffold,
    smiles,
    standardise,
)

PLAIN = Standard()
CLEAN = ("O=[N+]([O-])c1ccccc1", "CN=[N+]=[N-]", "C[N+](C)(C)CCO", "COP(=O)(OC)OC", "CC(=O)O.NCCO", "C[Si](C)(C)C.O")
DIRTY = (
    "CC(=O)[O-].[Na+]", "CS(=O)CC(=O)[O-]", "C[NH+](C)CC([O-])=O", "[NaH].OC(=O)CS(=O)(=O)O", "C[Sn](C)(C)c1ccccc1",
    "C[n+]1ccccc1.[I-]", "CC[O-].[Na+].[Cl-]", "[O-][n+]1ccccc1C(=O)[O-].[K+]", "[2H]C([2H])([2H])S(C)=O", "CN(=O)=O",
    "CC1(C)C=N[N+]2(C)C3C=CC(CC3)C12.[I-]", "O=[As]1(c2ccccc2)c2ccccc2Oc2ccccc21", "COc1ccc(S(=O)[O-])cc1.[NH4+]",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no structure"),
        ("CC OC", "white space"),
        ("CC\nOC", "white space"),
        ("C\tC", "white space"),
        ("\ufeffCC", "printable ASCII"),
        ("C\u0421", "printable ASCII"),  # a Cyrillic letter that looks like C
        ("C\x00C", "printable ASCII"),
        ("C1CC", "cannot be parsed"),
        ("CC(", "cannot be parsed"),
        ("not a molecule", "white space"),
        ("C(C)(C)(C)(C)C", "valence"),
        ("c1cccc1", "Kekul"),
        ("[H][H]", "no heavy atom"),
        ("C" * 1001, "1001 characters"),
        ("C" * 201, "201 heavy atoms"),
        ("." * 5, "cannot be parsed"),
    ],
)
def test_what_is_no_molecule_is_told(text: str, reason: str) -> None:
    with quiet(), pytest.raises(StructureError, match=reason):
        read_smiles(text, PLAIN)


def test_a_molecule_that_would_never_end_is_refused_before_it_is_parsed() -> None:
    endless = Standard(max_length=10**6)
    with pytest.raises(StructureError, match="more than 200 heavy atoms"):
        read_smiles("c1ccccc1" * 3000, endless)


@pytest.mark.parametrize(
    ("text", "standard"),
    [
        ("CC(=O)[O-].[Na+]", "CC(=O)O"),
        ("C[NH3+].[Cl-]", "CN"),
        ("CN(=O)=O", "C[N+](=O)[O-]"),
        ("CS(=O)C", "C[S+](C)[O-]"),
        ("OCC.CCOC(=O)c1ccccc1", "CCOC(=O)c1ccccc1"),
        ("C[N+](C)(C)C.[Br-]", "C[N+](C)(C)C"),
    ],
)
def test_salts_and_charges_come_to_one_form(text: str, standard: str) -> None:
    with quiet():
        assert smiles(read_smiles(text, PLAIN)) == standard
        kept = read_smiles(text, Standard(standardise=False))
    assert smiles(kept) != standard or text == "CN(=O)=O"  # which RDKit itself writes with charges


def test_tautomers_meet_where_asked_for() -> None:
    with quiet():
        forms = {smiles(read_smiles(text, Standard(tautomers=True))) for text in ("Oc1ccccn1", "O=c1cccc[nH]1")}
        apart = {smiles(read_smiles(text, PLAIN)) for text in ("Oc1ccccn1", "O=c1cccc[nH]1")}
    assert len(forms) == 1
    assert len(apart) == 2


def test_what_counts_as_clean_is_left_alone_by_the_clean_up(drugs: list[str]) -> None:
    """The short cut must give what the long way gives, also however a molecule is written."""
    from rdkit import Chem

    random.seed(0)
    tried = 0
    with quiet():
        for text in [*drugs[::4], *CLEAN]:
            mol = Chem.MolFromSmiles(text)
            for written in (text, Chem.MolToSmiles(mol, doRandom=True)):
                again = Chem.MolFromSmiles(written)
                if is_clean(written, again):
                    tried += 1
                    assert smiles(standardise(again, PLAIN)) == smiles(standardise(again, PLAIN, clean=True))
                else:
                    assert text not in CLEAN
    assert tried > 100
    for odd in ("CC(=O)[O-]", "CS(=O)C", "[Na]CC", "[2H]C", "[CH2]C", "C[NH3+].[Cl-]", "[O-][N+](=O)[O-]", "CB(O)O"):
        assert not is_clean(odd, Chem.MolFromSmiles(odd))


def test_the_clean_up_is_rdkits() -> None:
    from rdkit import Chem
    from rdkit.Chem.MolStandardize import rdMolStandardize

    with quiet():
        for text in DIRTY:
            mol = Chem.MolFromSmiles(text)
            slow = rdMolStandardize.Uncharger().uncharge(rdMolStandardize.FragmentParent(rdMolStandardize.Cleanup(mol)))
            assert smiles(standardise(mol, PLAIN)) == smiles(slow)


def test_the_standard_form_has_its_rings() -> None:
    """Fingerprints need ring information, which RDKit's standardisers drop."""
    from rdkit import Chem

    with quiet():
        mol = Chem.Mol(read_smiles("[Na+].[O-]C(=O)c1ccccc1", PLAIN).ToBinary())
    assert mol.GetRingInfo().NumRings() == 1


def test_r_and_s_are_those_of_the_standard_form() -> None:
    """A charge can decide which neighbour comes first: the name as written is not that of the neutral molecule."""
    from rdkit import Chem

    def hand(mol: Chem.Mol) -> str:
        return str(mol.GetAtomWithIdx(1).GetProp("_CIPCode"))

    with quiet():
        text = "C[C@@H](C[NH+](C)C)CN(C)CC"
        mol = read_smiles(text, PLAIN)
    written, again = Chem.MolFromSmiles(text), Chem.Mol(mol.ToBinary())
    Chem.AssignStereochemistry(again, cleanIt=True, force=True)
    assert (hand(written), hand(mol), hand(again)) == ("R", "S", "S")


@pytest.mark.parametrize("standard", [PLAIN, Standard(standardise=False)])
@pytest.mark.parametrize(
    ("mapped", "plain"),
    [
        ("[CH3:1][C@H:2]([CH3:3])[OH:4]", "CC(C)O"),  # no mirror image: its two methyl groups are alike
        ("C/C([CH3:1])=C/F", "CC(C)=CF"),
        ("[CH3:1][C@H:12](N)C(=O)O", "C[C@H](N)C(=O)O"),
        ("[H:1][O:2][CH3:3]", "CO"),
        ("[13CH3:1]O", "[13CH3]O"),
        ("c1:c:c:c:c:c1", "c1ccccc1"),
    ],
)
def test_a_molecule_with_atom_maps_is_the_same_molecule(mapped: str, plain: str, standard: Standard) -> None:
    from rdkit import Chem

    given = Chem.MolFromSmiles(mapped)
    before = Chem.MolToSmiles(given)
    assert smiles(read_smiles(mapped, standard)) == plain
    assert smiles(read_mol(given, standard)) == plain
    assert Chem.MolToSmiles(given) == before  # it is the caller's


@pytest.mark.parametrize(
    ("text", "same"),
    [("[2H]C([2H])([2H])O", "CO"), ("C[13CH]1CC1", "C1CC1"), ("[2H]n1cccc1", "c1cc[nH]c1"), ("C[C@H](N)O", "CC(N)O")],
)
def test_isotopes_and_mirror_images_have_one_scaffold(text: str, same: str) -> None:
    assert scaffold(read_smiles(text, PLAIN)) == same


@pytest.mark.parametrize(
    ("text", "parent", "before"),
    [
        ("CC(=O)Oc1ccccc1C(=O)O.OC(=O)CC(O)(CC(=O)O)C(=O)O", "CC(=O)Oc1ccccc1C(=O)O", "O=C(O)CC(O)(CC(=O)O)C(=O)O"),
        ("C[NH3+].[O-]C(=O)[C@H](O)[C@@H](O)C(=O)O", "CN", "O=C(O)[C@H](O)[C@@H](O)C(=O)O"),
        ("CCc1ccccc1.CN.[Na+].[O-]C(=O)C(F)(F)F", "CCc1ccccc1", "CCc1ccccc1"),
        ("OC(=O)CC(O)(CC(=O)O)C(=O)[O-].[Na+]", "O=C(O)CC(O)(CC(=O)O)C(=O)O", "O=C(O)CC(O)(CC(=O)O)C(=O)O"),
        ("OC(=O)CCC(=O)O.NC(CO)(CO)CO", "NC(CO)(CO)CO", "NC(CO)(CO)CO"),  # nothing but counter-ions: the largest
    ],
)
def test_counter_ions_give_way_to_what_they_are_a_salt_of(text: str, parent: str, before: str) -> None:
    from rdkit import Chem

    stored = {key: value for key, value in PLAIN.as_json().items() if key != "counter_ions"}
    with quiet():
        mol = read_smiles(text, PLAIN)
        assert smiles(mol) == parent
        assert mol.GetRingInfo().NumRings() == Chem.MolFromSmiles(parent).GetRingInfo().NumRings()
        assert smiles(read_smiles(text, Standard.of(stored))) == before  # as bundles that are older read it
    assert Standard.of(PLAIN.as_json()) == PLAIN


def test_counter_ions_are_named_in_their_canonical_form() -> None:
    from rdkit import Chem

    for text in structures._COUNTER_IONS:
        assert Chem.MolToSmiles(Chem.MolFromSmiles(text), isomericSmiles=False) == text
