"""Which atoms and directed bonds of a batch a network cannot tell apart: what it says of them is computed once.

After t steps of message passing a directed bond knows the bonds within t of it and nothing else, so that bonds with
like surroundings have equal states: colour refinement (Weisfeiler & Leman 1968; Morris et al. 2019,
doi:10.1609/aaai.v33i01.33014602). Of the 111,000 directed bonds of 2,048 molecules of MoleculeNet's HIV, 190
differ at first, 3,800 after one step and 20,000 after two; of their 51,000 atoms 27,000 do after three. The numbers
stay as they are, but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Whole = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Step:
    """The different states of one step, each computed at one place where it occurs.

    Attributes
    ----------
    rows : (states,) what each starts from: a row of the first step's states or, of atoms, of the table of atoms
    heard : (links,) states of the step before
    by : (links,) the state that each is summed into
    """

    rows: Whole
    heard: Whole
    by: Whole


def refine(atoms: Whole, bonds: Whole, ends: Whole, depth: int) -> tuple[Whole, list[Step], Whole]:
    """Find the different states of every step.

    Parameters
    ----------
    atoms, bonds : (n,) and (m,) kinds of atoms and bonds
    ends : (m, 2) the atoms of each bond
    depth : how often bonds have a state

    Returns
    -------
    firsts : (states, 2) kinds of the first atom and of the bond of each different directed bond
    steps : the ``depth`` - 1 further steps of the bonds, then the atoms
    states : (n,) each atom's own among the last step's
    """
    source, target = ends.ravel(), ends[:, ::-1].ravel()  # edge 2k + 1 is the reverse of 2k
    kind = np.column_stack([atoms[source], np.repeat(bonds, 2)])
    first = colour = _mixed((kind[:, 0] << 32 | kind[:, 1]).astype(np.uint64))
    code, places = _different(first)
    firsts, rows = kind[places], code
    own = _mixed(first)  # mixed once more, so that it counts for something else than what it hears
    reach = np.argsort(target, kind="stable")  # the edges into each atom, one atom behind the other
    start = np.concatenate([[0], np.cumsum(np.bincount(target, minlength=len(atoms)))])
    steps = []
    for _ in range(depth - 1):
        colour = _mixed(own + _sums(colour, target, len(atoms))[source] - _reversed(colour))
        before, (code, places) = code, _different(colour)
        within, by = ranges(start, source[places])
        onward = reach[within] != places[by] ^ 1  # what came along an edge does not go back
        steps.append(Step(rows[places], before[reach[within][onward]], by[onward]))
    states, places = _different(_mixed(_mixed(atoms.astype(np.uint64))) + _sums(colour, target, len(atoms)))
    within, by = ranges(start, places)
    return firsts, [*steps, Step(atoms[places], code[reach[within]], by)], states


def ranges(start: npt.NDArray[np.integer], rows: Whole) -> tuple[Whole, Whole]:
    """Return the places of what belongs to some rows, and of each the number of its row among them.

    >>> places, owner = ranges(np.array([0, 2, 5]), np.array([1, 0]))
    >>> places.tolist(), owner.tolist()
    ([2, 3, 4, 0, 1], [0, 0, 0, 1, 1])
    """
    sizes = (start[1:] - start[:-1])[rows].astype(np.int64)
    owner = np.repeat(np.arange(len(rows)), sizes)
    first = np.cumsum(sizes) - sizes
    return np.arange(sizes.sum()) + (start[rows] - first)[owner], owner


def _different(colours: Keys) -> tuple[Whole, Whole]:
    """Return the number of each colour, and a place where each occurs."""
    code, found = pd.factorize(colours)
    places = np.zeros(len(found), dtype=np.int64)
    places[code] = np.arange(len(code))
    return code, places


def _sums(colours: Keys, target: Whole, n: int) -> Keys:
    sums = np.zeros(n, dtype=np.uint64)
    np.add.at(sums, target, colours)
    return sums


def _reversed(colours: Keys) -> Keys:
    return colours.reshape(-1, 2)[:, ::-1].ravel()


def _mixed(keys: Keys) -> Keys:
    """Return keys that look drawn by chance: SplitMix64 (Steele et al. 2014, doi:10.1145/2660193.2660195).

    Sums of them tell apart what was summed, whatever the order: of 100,000 two agree by accident once in 10^9 batches.
    """
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ keys >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ keys >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return keys ^ keys >> np.uint64(31)
