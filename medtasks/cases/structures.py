"""One chemical structure: strict reading, limits, and bringing it to a standard form."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from medtasks.cases.cxsmiles import needed, split_extension

Mol = Any
"""An RDKit molecule; RDKit has no complete types."""

_PLAIN = re.compile(r"(?:Br|Cl|[CNOSPFIcnosp]|\[(?:nH|C@@?H?|N\+|N-|O-|SiH?\d?|[Ss]e)\]|[0-9%()=#\\/:.-])+")
"""SMILES without metals, isotopes, radicals, and charges beside those that `_ODD` makes exceptions for."""
_NITRO = "[NX3+](=O)([OX1-])[#6,#7,#8+0]"
_DIAZO = "[N+](=[N-])=[#6,#7]"
_ODD = (
    f"[$([!+0;!$({_NITRO});!$([OX1-][NX3+](=O)[#6,#7,#8+0]);!$({_DIAZO});!$([N-]=[N+]=[#6,#7]);"
    "!$([NX4+]([#6])([#6])([#6])[#6])]),$([#16v4])]"
)
"""Atoms that the standard form may change: those with a charge, but for nitro groups, azides, diazo compounds and
quaternary ammonium, and sulfoxides (a nitro group written as N(=O)=O gets its charges from RDKit as it is read)."""
_CHARGED = "[!+0]"
_MAP = re.compile(r":\d+(?=\])")
"""The map number of an atom, which says where it goes in a reaction and not what it is."""
_COUNTER_IONS = frozenset(
    {
        "O=C(O)CC(O)(CC(=O)O)C(=O)O",  # citric acid
        "O=C(O)C(O)C(O)C(=O)O",  # tartaric
        "O=C(O)c1cc2ccccc2c(Cc2c(O)c(C(=O)O)cc3ccccc23)c1O",  # pamoic
        "O=C(O)c1ccc2ccccc2c1O",  # 1-hydroxy-2-naphthoic (xinafoate)
        "O=C(O)C=CC(=O)O",  # maleic, fumaric
        "O=C(O)CCC(=O)O",  # succinic
        "O=C(O)CC(O)C(=O)O",  # malic
        "O=C(O)C(O)C(O)C(O)C(O)CO",  # gluconic
        "CS(=O)(=O)O",  # methanesulfonic
        "O=S(=O)(O)c1ccccc1",  # benzenesulfonic
        "Cc1ccc(S(=O)(=O)O)cc1",  # toluenesulfonic
        "O=S(=O)(O)c1ccc2ccccc2c1",  # naphthalenesulfonic
        "CC1(C)C2CCC1(CS(=O)(=O)O)C(=O)C2",  # camphorsulfonic
        "O=C(O)C(F)(F)F",  # trifluoroacetic
        "CNCC(O)C(O)C(O)C(O)CO",  # meglumine
        "NC(CO)(CO)CO",  # tromethamine
        "C1CCC(NC2CCCCC2)CC1",  # dicyclohexylamine
    }
)
"""Counter-ions of medicines that can be as large as what they are a salt of (Paulekuhn et al. 2007,
doi:10.1021/jm701032y, and those of laboratories), neutral and without stereochemistry."""
_PLACES = re.compile(r"([ct^])\d?:([\d,]+)")
"""The atoms or bonds that a feature of an extension is about."""
_ATOM = re.compile(r"\[[^\[\]]*\]|Br|Cl|[BCNOSPFIbcnosp*]")


class StructureError(ValueError):
    """One structure cannot be used; the message is the reason that its row carries."""


@dataclass(frozen=True)
class Standard:
    """How structures are read: limits, and the standard form they are brought to.

    The limits stand before RDKit because a C++ call cannot be interrupted: a polymer of a few thousand atoms keeps it
    busy for minutes.

    Attributes
    ----------
    standardise : whether to clean up, keep the largest organic fragment and neutralise
    tautomers : whether to take the canonical tautomer too (slow: about 50 ms a molecule)
    max_length : longest SMILES, in characters
    max_atoms : most heavy atoms
    counter_ions : whether known counter-ions give way to any other organic fragment, however small
    """

    standardise: bool = True
    tautomers: bool = False
    max_length: int = 1000
    max_atoms: int = 200
    counter_ions: bool = True

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Standard:
        """Read back what `as_json` returned; bundles that know of no counter-ions go on without."""
        return cls(**{"counter_ions": False, **stored})

    def as_json(self) -> dict[str, Any]:
        """Return the settings as plain JSON."""
        return asdict(self)


def read_smiles(text: str, standard: Standard) -> Mol:
    """Read one SMILES and bring it to its standard form; map numbers of atoms are no part of the molecule.

    Of an extension behind it (CXSMILES), cis and trans bonds and radicals are read, and the rest is left out.

    Raises
    ------
    StructureError
        If the text is no SMILES (RDKit alone would take ``""``, ``"CC OC"`` or ``"CC\\nOC"`` for a molecule), the
        molecule is impossible or empty, an extension leaves it open, or a limit is exceeded.

    Examples
    --------
    >>> read_smiles("CC(=O)[O-].[Na+]", Standard()).GetNumAtoms()
    4
    >>> read_smiles("CC OC", Standard())
    Traceback (most recent call last):
    ...
    medtasks.cases.structures.StructureError: the SMILES holds white space
    """
    text, extension = split_extension(text)
    if ":" in text:  # also an aromatic bond; before RDKit reads it, which takes mapped atoms for different ones
        text = _MAP.sub("", text)
    check_text(text, standard)
    mol = _chem().MolFromSmiles(text)
    if mol is None:
        raise StructureError(_fault(text))
    _check_size(mol, standard)
    extended = _extended(text, extension)
    mol, clean = (mol, is_clean(text, mol)) if extended is None else (extended, False)
    return standardise(mol, standard, clean=clean) if standard.standardise else mol


def _extended(text: str, extension: str) -> Mol | None:
    """Return the molecule of a SMILES and its extension, None where it is that of the SMILES alone."""
    try:
        part = needed(extension)
    except ValueError as error:
        raise StructureError(str(error)) from None
    if not part:
        return None
    how = _chem().SmilesParserParams()
    how.allowCXSMILES = how.strictCXSMILES = True
    mol = _chem().MolFromSmiles(f"{text} {part}", how)
    # RDKit passes over places that there are not
    places = [(key, int(place)) for key, all_ in _PLACES.findall(part) for place in re.findall(r"\d+", all_)]
    if mol is None or any(place >= (mol.GetNumAtoms() if key == "^" else mol.GetNumBonds()) for key, place in places):
        raise StructureError("the CXSMILES extension does not fit the SMILES")
    return mol


def read_mol(mol: Mol, standard: Standard) -> Mol:
    """Take a molecule that RDKit has read already; see `read_smiles`."""
    if mol is None:
        raise StructureError("the structure cannot be read")
    _check_size(mol, standard)
    if any(atom.GetAtomMapNum() for atom in mol.GetAtoms()):
        mol = _without_maps(mol)
    return standardise(mol, standard) if standard.standardise else mol


def _without_maps(mol: Mol) -> Mol:
    """Return a copy whose atoms have no map numbers, nor mirror images that were due to these alone."""
    found = _chem().Mol(mol)
    for atom in found.GetAtoms():
        atom.SetAtomMapNum(0)
    _chem().AssignStereochemistry(found, cleanIt=True, force=True)
    return found


def check_text(text: str, standard: Standard) -> None:
    """Refuse what is no SMILES before RDKit reads it; see `read_smiles`."""
    if not text:
        raise StructureError("the row has no structure")
    if len(text) > standard.max_length:
        raise StructureError(f"the SMILES has {len(text)} characters, more than {standard.max_length}")
    if text.split() != [text]:
        raise StructureError("the SMILES holds white space")
    if not text.isascii() or not text.isprintable():
        raise StructureError("the SMILES holds characters that are not printable ASCII")
    if len(text) > standard.max_atoms and len(_ATOM.findall(text)) > 4 * standard.max_atoms:
        raise StructureError(f"the molecule has more than {standard.max_atoms} heavy atoms")  # with salts, hydrogens


def can_be_smiles(text: str) -> bool:
    """Say whether a text of ordinary length follows the grammar of SMILES, whatever its chemistry.

    >>> can_be_smiles("c1ccccc1"), can_be_smiles("ZINC0")
    (True, False)
    """
    try:
        check_text(text, Standard())
    except StructureError:
        return False
    with quiet():
        return _chem().MolFromSmiles(text, sanitize=False) is not None


def is_clean(text: str, mol: Mol) -> bool:
    """Say whether a molecule is as its clean-up would leave it, as nine of ten are: a hundred times faster than to try.

    Held against `standardise` by tests, and against 58,279 molecules of MoleculeNet's HIV, Tox21, Lipophilicity, BBBP,
    ClinTox, BACE and ESOL, of which it passed 52,266 and was right each time.
    """
    return _PLAIN.fullmatch(text) is not None and not mol.HasSubstructMatch(_query(_ODD))


def standardise(mol: Mol, standard: Standard, *, clean: bool = False) -> Mol:
    """Clean up, keep the parent fragment, neutralise: the steps of the ChEMBL pipeline (Bento et al. 2020,
    doi:10.1186/s13321-020-00456-1), by RDKit's ``rdMolStandardize``.

    Parameters
    ----------
    clean
        Whether it is known, by `is_clean`, that there is nothing to clean up and to neutralise.

    Raises
    ------
    StructureError
        If RDKit cannot do it, or nothing is left.
    """
    chem, tools = _chem(), _tools()
    if clean and not standard.tautomers and len(chem.GetMolFrags(mol)) == 1:
        return mol
    try:
        found = mol if clean else _clean_up(mol)
        if len(chem.GetMolFrags(found)) > 1:
            if standard.counter_ions:
                found = _without_counter_ions(found)
            found = tools.module.FragmentParent(found, skipStandardize=True)
        if not clean and found.HasSubstructMatch(_query(_CHARGED)):
            found = tools.uncharger.uncharge(found)
        if standard.tautomers:
            found = tools.tautomers.Canonicalize(found)
        chem.SanitizeMol(found)  # finds the rings, which fingerprints need and the steps above forget
        chem.AssignStereochemistry(found, cleanIt=True, force=True)  # what was R can be S without a charge
    except Exception as error:  # RDKit raises errors of many kinds on molecules that it cannot sanitise
        raise StructureError(f"the molecule cannot be standardised ({type(error).__name__})") from None
    _check_size(found, standard)
    return found


def _without_counter_ions(mol: Mol) -> Mol:
    """Leave out known counter-ions where another organic fragment remains: of aspirin citrate, the citric acid."""
    chem, carbon = _chem(), _query("[#6]")
    organic = [part for part in chem.GetMolFrags(mol, asMols=True) if part.HasSubstructMatch(carbon)]
    if len(organic) < 2:
        return mol
    neutral = [chem.MolToSmiles(_tools().uncharger.uncharge(part), isomericSmiles=False) for part in organic]
    kept = [part for part, text in zip(organic, neutral, strict=True) if text not in _COUNTER_IONS]
    return mol if len(kept) in (0, len(organic)) else functools.reduce(chem.CombineMols, kept)


def _clean_up(mol: Mol) -> Mol:
    """Clean up as RDKit's FragmentParent behind Cleanup does: a second time if the first changed anything, since what
    that makes of a salt has to be mended."""
    found = _clean_up_once(mol)
    return found if found.ToBinary() == mol.ToBinary() else _clean_up_once(found)


def _clean_up_once(mol: Mol) -> Mol:
    """Do what ``rdMolStandardize.Cleanup`` does, which makes its tools anew for each molecule: a third of the time."""
    tools = _tools()
    found = _chem().RemoveHs(mol)
    tools.metals.DisconnectInPlace(found)
    tools.normaliser.normalizeInPlace(found)
    tools.acids.reionizeInPlace(found)
    _chem().AssignStereochemistry(found, cleanIt=True, force=True)
    return found


def smiles(mol: Mol) -> str:
    """Return the canonical SMILES of a molecule."""
    return str(_chem().MolToSmiles(mol))


def written(mol: Mol) -> tuple[str, list[int]]:
    """Return the canonical SMILES of a molecule, and which of the molecule's atoms each of the SMILES' is.

    >>> written(read_smiles("OCC", Standard()))
    ('CCO', [2, 1, 0])
    """
    text = smiles(mol)
    return text, list(mol.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"])


def scaffold(mol: Mol) -> str:
    """Return the SMILES of a molecule's Bemis-Murcko scaffold (doi:10.1021/jm9602928), or of itself without rings.

    Isotopes and mirror images have one scaffold.

    >>> scaffold(read_smiles("[2H]C([2H])O", Standard())), scaffold(read_smiles("CC1[13CH2]C1", Standard()))
    ('CO', 'C1CC1')
    """
    from rdkit.Chem.Scaffolds import MurckoScaffold

    if any(atom.GetIsotope() for atom in mol.GetAtoms()):
        mol = _without_isotopes(mol)
    ringed = mol.GetRingInfo().NumRings() > 0
    return str(_chem().MolToSmiles(MurckoScaffold.GetScaffoldForMol(mol) if ringed else mol, isomericSmiles=False))


def _without_isotopes(mol: Mol) -> Mol:
    """Return a copy of the common isotopes, in which deuterium is a hydrogen like others."""
    found = _chem().Mol(mol)
    for atom in found.GetAtoms():
        atom.SetIsotope(0)
    return _chem().RemoveHs(found)


def version() -> str:
    """Return RDKit's version, on which the standard form depends."""
    import rdkit

    return str(rdkit.__version__)


def _check_size(mol: Mol, standard: Standard) -> None:
    heavy = mol.GetNumHeavyAtoms()
    if heavy == 0:
        raise StructureError("the molecule has no heavy atom")
    if heavy > standard.max_atoms:
        raise StructureError(f"the molecule has {heavy} heavy atoms, more than {standard.max_atoms}")


def block_fault(block: str) -> StructureError:
    """Say why RDKit refused the molblock of an SD file: how it is written, or the chemistry."""
    mol = _chem().MolFromMolBlock(block, sanitize=False, removeHs=False)
    return StructureError("the record cannot be read" if mol is None else _problem(mol))


def _fault(text: str) -> str:
    """Say why RDKit refused a SMILES: its grammar, or the chemistry."""
    mol = _chem().MolFromSmiles(text, sanitize=False)
    return "the SMILES cannot be parsed" if mol is None else _problem(mol)


def _problem(mol: Mol) -> str:
    problems = _chem().DetectChemistryProblems(mol)
    kind = problems[0].GetType() if problems else ""
    return {
        "AtomValenceException": "an atom has an impossible valence",
        "KekulizeException": "an aromatic ring has no Kekulé structure",
        "AtomKekulizeException": "an aromatic atom stands outside of a ring",
    }.get(kind, "the molecule is chemically impossible")


def quiet() -> Any:
    """Return a context in which RDKit's remarks on single molecules are held back: each row carries its reason."""
    from rdkit import rdBase

    return rdBase.BlockLogs()


@functools.cache
def _chem() -> Any:
    from rdkit import Chem

    return Chem


@functools.cache
def _query(smarts: str) -> Any:
    return _chem().MolFromSmarts(smarts)


@functools.cache
def _tools() -> Any:
    from types import SimpleNamespace

    from rdkit.Chem.MolStandardize import rdMolStandardize

    return SimpleNamespace(
        module=rdMolStandardize,
        metals=rdMolStandardize.MetalDisconnector(),
        normaliser=rdMolStandardize.Normalizer(),
        acids=rdMolStandardize.Reionizer(),
        uncharger=rdMolStandardize.Uncharger(),
        tautomers=rdMolStandardize.TautomerEnumerator(),
    )
