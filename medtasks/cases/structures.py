"""One chemical structure: strict reading, limits, and bringing it to a standard form."""

from __future__ import annotations

import functools
import re
from dataclasses import asdict, dataclass
from typing import Any

Mol = Any
"""An RDKit molecule; RDKit has no complete types."""

_PLAIN = re.compile(r"(?:Br|Cl|[CNOSFIcnos]|\[nH\]|\[C@@?H?\]|[0-9%()=#\\/:-])+")
"""SMILES of neutral organic molecules in one piece, whose standard form is themselves."""
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
    """

    standardise: bool = True
    tautomers: bool = False
    max_length: int = 1000
    max_atoms: int = 200

    def as_json(self) -> dict[str, Any]:
        """Return the settings as plain JSON."""
        return asdict(self)


def read_smiles(text: str, standard: Standard) -> Mol:
    """Read one SMILES and bring it to its standard form.

    Raises
    ------
    StructureError
        If the text is no SMILES (RDKit alone would take ``""``, ``"CC OC"`` or ``"CC\\nOC"`` for a molecule), the
        molecule is impossible or empty, or a limit is exceeded.

    Examples
    --------
    >>> read_smiles("CC(=O)[O-].[Na+]", Standard()).GetNumAtoms()
    4
    >>> read_smiles("CC OC", Standard())
    Traceback (most recent call last):
    ...
    medtasks.cases.structures.StructureError: the SMILES holds white space
    """
    check_text(text, standard)
    chem = _chem()
    mol = chem.MolFromSmiles(text)
    if mol is None:
        raise StructureError(_fault(text))
    _check_size(mol, standard)
    if not standard.standardise or (not standard.tautomers and is_plain(text, mol)):
        return mol
    return standardise(mol, standard)


def read_mol(mol: Mol, standard: Standard) -> Mol:
    """Take a molecule that RDKit has read already; see `read_smiles`."""
    if mol is None:
        raise StructureError("the structure cannot be read")
    _check_size(mol, standard)
    return standardise(mol, standard) if standard.standardise else mol


def check_text(text: str, standard: Standard) -> None:
    """Refuse what is no SMILES before RDKit reads it; see `read_smiles`."""
    if not text:
        raise StructureError("the row has no structure")
    if len(text) > standard.max_length:
        raise StructureError(f"the SMILES has {len(text)} characters, more than {standard.max_length}")
    if any(character.isspace() for character in text):
        raise StructureError("the SMILES holds white space")
    if not text.isascii() or not text.isprintable():
        raise StructureError("the SMILES holds characters that are not printable ASCII")
    if len(text) > standard.max_atoms and len(_ATOM.findall(text)) > 4 * standard.max_atoms:
        raise StructureError(f"the molecule has more than {standard.max_atoms} heavy atoms")  # with salts, hydrogens


def is_plain(text: str, mol: Mol) -> bool:
    """Say whether a molecule is its own standard form, which four of five are: twenty times faster than to try.

    Held against `standardise` by tests: charges, salts, metals, isotopes and radicals need brackets or dots, and what
    else `rdMolStandardize` normalises is a sulfoxide.
    """
    return _PLAIN.fullmatch(text) is not None and not mol.HasSubstructMatch(_odd())


def standardise(mol: Mol, standard: Standard) -> Mol:
    """Clean up, keep the parent fragment, neutralise: the steps of the ChEMBL pipeline (Bento et al. 2020,
    doi:10.1186/s13321-020-00456-1), by RDKit's ``rdMolStandardize``.

    Raises
    ------
    StructureError
        If RDKit cannot do it, or nothing is left.
    """
    tools = _tools()
    try:
        found = tools.uncharger.uncharge(tools.module.FragmentParent(tools.module.Cleanup(mol)))
        if standard.tautomers:
            found = tools.tautomers.Canonicalize(found)
        _chem().SanitizeMol(found)  # finds the rings, which fingerprints need and the steps above forget
    except Exception as error:  # RDKit raises errors of many kinds on molecules that it cannot sanitise
        raise StructureError(f"the molecule cannot be standardised ({type(error).__name__})") from None
    _check_size(found, standard)
    return found


def smiles(mol: Mol) -> str:
    """Return the canonical SMILES of a molecule."""
    return str(_chem().MolToSmiles(mol))


def scaffold(mol: Mol) -> str:
    """Return the SMILES of a molecule's Bemis-Murcko scaffold (doi:10.1021/jm9602928), or of itself without rings."""
    from rdkit.Chem.Scaffolds import MurckoScaffold

    ringed = mol.GetRingInfo().NumRings() > 0
    # Without stereochemistry: enantiomers have one scaffold.
    return str(_chem().MolToSmiles(MurckoScaffold.GetScaffoldForMol(mol) if ringed else mol, isomericSmiles=False))


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


def _fault(text: str) -> str:
    """Say why RDKit refused a SMILES: its grammar, or the chemistry."""
    chem = _chem()
    mol = chem.MolFromSmiles(text, sanitize=False)
    if mol is None:
        return "the SMILES cannot be parsed"
    problems = chem.DetectChemistryProblems(mol)
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
def _odd() -> Any:
    """Charged atoms (a nitro group written as N(=O)=O gets some) and sulfoxides."""
    return _chem().MolFromSmarts("[!+0,#16v4]")


@functools.cache
def _tools() -> Any:
    from types import SimpleNamespace

    from rdkit.Chem.MolStandardize import rdMolStandardize

    return SimpleNamespace(
        module=rdMolStandardize, uncharger=rdMolStandardize.Uncharger(), tautomers=rdMolStandardize.TautomerEnumerator()
    )
