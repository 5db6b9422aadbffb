"""The task's part of the report."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medtasks import outcome
from medtasks.report import figures
from medtasks.report.blocks import Block, Figure, Section, Table, Text
from medtasks.task import Judged
from target_affinity.pairs import Pairs
from target_affinity.proteins import similarity

BANDS = ((0.0, 0.05), (0.05, 0.2), (0.2, 1.01))
"""Similarities of a protein to the nearest trained on: chance, a distant relative, a close one."""
MEANS = (
    "Concordance: of two pairs with different affinities, how often the stronger is ranked first (0.5 is guessing); "
    "within a protein: of two molecules measured on one protein, which is what choosing a molecule for it takes."
)


def write(judged: Judged) -> list[Section]:
    """Write every section on the result."""
    new = _new(judged)
    return [
        Section("Result", outcome.blocks(judged, "concordance", _unit(judged), MEANS)),
        *([Section("How new the proteins are", new)] if new else []),
        Section("Predicted and measured", [_agreement(judged)]),
    ]


def _unit(judged: Judged) -> str:
    return "pairs" if judged.data.groups is None else "the groups that the split keeps whole"


def _agreement(judged: Judged) -> Block:
    said = judged.answers["pKd"].to_numpy(dtype=np.float64)
    return Figure(
        figures.scatter(judged.data.targets[:, 0], said, "measured pKd", "predicted pKd"),
        "Each dot a pair that the model had not seen; on the dotted line both agree.",
    )


def _new(judged: Judged) -> list[Block]:
    near = _nearest(judged)
    if near is None:
        return []
    errors = judged.answers["pKd"].to_numpy(dtype=np.float64) - judged.data.targets[:, 0]
    rows = []
    for low, high in BANDS:
        mine = (near >= low) & (near < high)
        error = f"{np.sqrt((errors[mine] ** 2).mean()):.3f}" if mine.any() else ""
        rows.append([f"{low:g} to {min(high, 1):g}", str(int(mine.sum())), error])
    return [
        Table(
            ["Similarity to the nearest protein trained on", "Pairs", "RMSE"],
            rows,
            "The share of three-residue words that two sequences have in common: 0.02 is chance, 0.2 some 70 % of "
            "identical residues, 1 the same protein.",
        ),
        Text("Expect of a new protein what the table says for its similarity, not the overall number."),
    ]


def _nearest(judged: Judged) -> npt.NDArray[np.float64] | None:
    """Return (n,) the similarity of each pair's protein to the nearest that its model was made from."""
    if not judged.learnt:
        return None
    found = np.zeros(len(judged.data))
    for rows, learnt in judged.learnt:
        some = judged.data.cases.take(rows)
        assert isinstance(some, Pairs)
        assert isinstance(learnt.cases, Pairs)
        _, _, sequences, codes = some.distinct()
        table = similarity(sequences, learnt.cases.distinct()[2])
        found[rows] = np.asarray(table.max(axis=1).todense()).ravel()[codes]
    return found
