"""Folds that keep scaffolds whole, and what members say together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from medtasks.cases import Molecules
from medtasks.cases.structures import scaffold
from medtasks.dataset import Dataset

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

SURE = 1e-3
"""Probabilities nearer to 0 or 1 count as this near: one member that is sure must not decide alone."""


def folds(data: Dataset, count: int, rng: np.random.Generator) -> list[Rows]:
    """Divide molecules into ``count`` parts of about equal size, groups (else scaffolds) whole.

    Groups larger than a part are dealt out by their molecules: otherwise a series on one scaffold would be learnt by
    one fold alone.
    """
    assert isinstance(data.cases, Molecules)
    groups = data.groups if data.groups is not None else [scaffold(mol) for mol in data.cases.mols()]
    _, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    most = max(1, len(data) // (2 * count))
    sizes = np.bincount(codes)
    part = np.zeros(len(data), dtype=np.int64)
    filled = np.zeros(count, dtype=np.int64)
    order = rng.permutation(len(sizes))
    for code in order[np.argsort(-sizes[order], kind="stable")]:
        rows = rng.permutation(np.flatnonzero(codes == code))
        for some in np.array_split(rows, -(-len(rows) // most)):
            to = int(filled.argmin())
            part[some] = to
            filled[to] += len(some)
    return [np.flatnonzero(part == i) for i in range(count)]


def pool(answers: Values, weights: Values, binary: npt.NDArray[np.bool_]) -> Values:
    """Return (n, targets) what the members say together.

    Numbers are averaged. Of probabilities the log-odds are (a logarithmic pool: Genest & Zidek 1986,
    doi:10.1214/ss/1177013825), in which a member that tells one in a thousand from one in a hundred is heard: on
    scaffold folds of ClinTox's training part, where one class is rare, this raised the AUROC from .690 to .703
    (FDA_APPROVED) and from .693 to .698 (CT_TOX), on those of BACE it changed nothing.

    Parameters
    ----------
    answers : (members, n, targets)
    weights : (targets, members), 1 together for each target
    binary : (targets,) whether a target is a class
    """
    said = np.where(binary, logit(np.clip(answers, SURE, 1 - SURE)), answers)
    together = np.einsum("mnt,tm->nt", said, weights)
    return np.asarray(np.where(binary, expit(together), together))
