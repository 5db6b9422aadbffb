"""Proteins as numbers, and which of them are alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from target_affinity.pairs import RESIDUES

Values = npt.NDArray[np.float64]
GROUPS = ("AGV", "ILFP", "YMTS", "HNQW", "RK", "DE", "C")
"""Amino acids by the dipoles and volumes of their side chains (Shen et al. 2007, doi:10.1073/pnas.0607879104)."""
WORD = 3
"""Residues of the words by which sequences are compared."""
_PLACE = {letter: i for i, letter in enumerate(RESIDUES)}
_GROUP = np.array([next(g for g, members in enumerate(GROUPS) if letter in members) for letter in RESIDUES])
WIDTH = len(RESIDUES) + len(GROUPS) ** 2
_BLOCK = 2000  # sequences compared at a time


def compositions(sequences: Sequence[str]) -> Values:
    """Return (n, 69): the share of each amino acid, and of each pair of neighbours by `GROUPS`.

    Rare and ambiguous residues are left out.
    """
    found = np.zeros((len(sequences), WIDTH))
    for row, sequence in enumerate(sequences):
        codes = np.array([_PLACE[letter] for letter in sequence if letter in _PLACE], dtype=np.int64)
        if len(codes) < 2:
            continue
        found[row, : len(RESIDUES)] = np.bincount(codes, minlength=len(RESIDUES)) / len(codes)
        groups = _GROUP[codes]
        pairs = np.bincount(groups[:-1] * len(GROUPS) + groups[1:], minlength=len(GROUPS) ** 2)
        found[row, len(RESIDUES) :] = pairs / pairs.sum()
    return found


def similarity(sequences: Sequence[str], others: Sequence[str]) -> Any:
    """Return a sparse (n, m) matrix: the share of words of three residues that two sequences have in common (Jaccard).

    Of two proteins of which a share p of the residues is the same, about p^3 of the words are: 70 % of identical
    residues give 0.2, chance about 0.02. Nothing is aligned.
    """
    from scipy.sparse import csr_matrix, vstack

    if not len(sequences) or not len(others):
        return csr_matrix((len(sequences), len(others)))
    words: dict[str, int] = {}
    one, other = (_words(some, words) for some in (sequences, others))
    for matrix in (one, other):
        matrix.resize(matrix.shape[0], len(words))
    sizes, parts = np.asarray(other.sum(axis=1)).ravel(), []
    for start in range(0, one.shape[0], _BLOCK):
        block = one[start : start + _BLOCK]
        shared = (block @ other.T).tocoo()
        own = np.asarray(block.sum(axis=1)).ravel()
        joint = own[shared.row] + sizes[shared.col] - shared.data
        parts.append(csr_matrix((shared.data / joint, (shared.row, shared.col)), shape=shared.shape))
    return vstack(parts, format="csr")


def families(sequences: Sequence[str], alike: float) -> npt.NDArray[np.int64]:
    """Return (n,) families: proteins that a chain of neighbours joins, each as similar as ``alike`` to the next."""
    from scipy.sparse import identity
    from scipy.sparse.csgraph import connected_components

    near = similarity(sequences, sequences)
    found = connected_components((near >= alike) + identity(len(sequences), format="csr"), directed=False)[1]
    return np.asarray(found, dtype=np.int64)


def _words(sequences: Sequence[str], words: dict[str, int]) -> Any:
    from scipy.sparse import csr_matrix

    starts, places = [0], []
    for sequence in sequences:
        mine = {sequence[i : i + WORD] for i in range(len(sequence) - WORD + 1)}
        places += [words.setdefault(word, len(words)) for word in sorted(mine)]
        starts.append(len(places))
    return csr_matrix((np.ones(len(places)), places, starts), shape=(len(sequences), max(1, len(words))))
