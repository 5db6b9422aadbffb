"""Atoms and bonds read from RDKit's binary form (``Mol.ToBinary``), several times faster than by its functions.

The format is RDKit's private one, so nothing is taken on trust: the version bytes are checked, every section must open
where the one before it ends, and what is unusual (query atoms, atom maps, more than 255 atoms, rings that were never
found) goes the slow way. At its first use in a process the reader is held against RDKit's functions on a dozen
molecules; if it differs anywhere, it is not used at all.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from medtasks_mol_graph.codes import BOND_RING, DEGREE, RING, Read, atom_code, bond_code, by_getters

MAGIC = bytes.fromhex("efbeadde00000000") + (16).to_bytes(4, "little")
"""What a molecule starts with: RDKit's sign, little-endian numbers, version 16 of the format (RDKit 2023.09 on)."""
COUNTS, FLAGS = 20, 28
"""Where the numbers of atoms and bonds stand, and the flags with the tag that opens the atoms behind them."""
OPENING = b"\x80\x01"
BONDS, RINGS = 0x0B, 0x42
"""The tags that open the bonds and the rings."""
PROBES = (
    "CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)O", "F/C=C/F", "F/C=C\\F", "C[N+](C)(C)CC(=O)[O-]", "[13CH4]", "C[CH2]",
    "O=S(=O)(O)c1ccc2ccccc2c1", "c1ccc2[nH]ccc2c1", "C1CC2CCC1C2", "FS(F)(F)(F)(F)F", "[Na+].[Cl-]", "N#CC1=CC=CN=C1Br",
    "OB(O)c1ccsc1", "C", "C[S@](=O)CC", "N->[Pt]", "O=[N+]([O-])c1ccc(C#C[Si](C)(C)C)cc1",
)  # fmt: skip
"""Molecules with every kind of atom and bond that the reader takes."""


class Unusual(Exception):
    """The bytes are not of the common form; RDKit's own functions must read them."""


def read(binaries: Iterable[bytes]) -> Iterable[Read]:
    """Yield atoms, ends and bonds of molecules in RDKit's binary form; see `by_getters`."""
    from rdkit import Chem

    fast = trusted()
    for data in binaries:
        try:
            yield by_bytes(data) if fast else by_getters(Chem.Mol(data))
        except (Unusual, IndexError):
            yield by_getters(Chem.Mol(data))


@functools.cache
def trusted() -> bool:
    """Say whether `by_bytes` agrees with RDKit's functions on `PROBES`, in the RDKit that is installed."""
    from rdkit import Chem

    for text in PROBES:
        mol = Chem.MolFromSmiles(text)
        try:
            if by_bytes(mol.ToBinary()) != by_getters(mol):
                return False
        except (Unusual, IndexError):
            return False
    return True


def by_bytes(data: bytes) -> Read:
    """Read one molecule from its binary form; see `by_getters`, whose answer it gives.

    Raises
    ------
    Unusual
        If the form is not the common one.
    """
    n = int.from_bytes(data[COUNTS : COUNTS + 4], "little")
    m = int.from_bytes(data[COUNTS + 4 : COUNTS + 8], "little")
    if data[: len(MAGIC)] != MAGIC or data[FLAGS : FLAGS + 2] != OPENING or not 0 < n < 256:
        raise Unusual
    place = FLAGS + 2
    atoms: list[int] = []
    for _ in range(n):
        end = place + 6 + _ONES[data[place + 2]] + 4 * data[place + 3]  # one byte a property, four for an isotope
        atoms.append(_ATOMS[data[place:end]])
        place = end
    if data[place] != BONDS:
        raise Unusual
    place += 1
    ends = bytearray()
    bonds: list[int] = []
    for _ in range(m):
        ends += data[place : place + 2]
        flags = data[place + 2]
        end = place + 3 + _ONES[flags & 0x0E]
        if flags & 0x02:  # a stereo bond names the atoms that it is told by
            end += 1 + data[end]
        bonds.append(_BONDS[data[place + 2 : end]])
        place = end
    if data[place] != RINGS:
        raise Unusual
    _mark_rings(data, place + 1, atoms, ends, bonds)
    for atom in ends:
        atoms[atom] += DEGREE
    return atoms, list(ends), bonds


def _mark_rings(data: bytes, place: int, atoms: list[int], ends: bytearray, bonds: list[int]) -> None:
    rings = int.from_bytes(data[place : place + 4], "little")
    if not rings:
        return
    place += 4
    inside: set[int] = set()
    pairs: set[int] = set()
    for _ in range(rings):
        ring = data[place + 1 : place + 1 + data[place]]
        place += 1 + len(ring)
        inside.update(ring)
        last = ring[-1]
        for atom in ring:
            pairs.add(last << 8 | atom)
            pairs.add(atom << 8 | last)
            last = atom
    for atom in inside:
        atoms[atom] += RING
    for i, (first, second) in enumerate(zip(ends[::2], ends[1::2], strict=True)):
        if first << 8 | second in pairs:
            bonds[i] += BOND_RING


_ONES = tuple(bin(i).count("1") for i in range(256))


class _Atoms(dict[bytes, int]):
    """The code of each atom record met so far: there are a few dozen different ones."""

    def __missing__(self, record: bytes) -> int:
        number, flags, properties = record[0], record[1], int.from_bytes(record[2:6], "little")
        size = 6 + _ONES[properties & 0xFF] + 4 * (properties >> 8 & 1)
        # of the flags only aromatic and "no implicit hydrogens" are common
        if flags & ~0x60 or properties & ~0x1FE or len(record) != size:
            raise Unusual
        values = iter(record[6:])
        found = {bit: next(values) for bit in range(1, 8) if properties >> bit & 1}
        charge = found.get(1, 0)
        self[record] = code = atom_code(
            number=number,
            charge=charge - 256 if charge > 127 else charge,
            hydrogens=found.get(4, 0) + found.get(6, 0),
            hybridisation=found.get(3, 4),  # sp3 is left out
            aromatic=bool(flags & 0x40),
            centre=found.get(2, 0) != 0,
            radical=found.get(7, 0) > 0,
        )
        return code


class _Bonds(dict[bytes, int]):
    """The code of each bond record, from its flags on."""

    def __missing__(self, record: bytes) -> int:
        flags, values = record[0], iter(record[1:])
        if flags & ~0x6E or len(record) < 1 + _ONES[flags & 0x0E]:
            raise Unusual
        order = next(values) if flags & 0x08 else 1
        if flags & 0x04:
            next(values)  # the direction in the drawing
        stereo = next(values) if flags & 0x02 else 0
        self[record] = code = bond_code(order=order, conjugated=bool(flags & 0x20), stereo=stereo)
        return code


_ATOMS, _BONDS = _Atoms(), _Bonds()
