"""What the test asked: how new its molecules are to the model, and how the errors grow with that."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medtasks import outcome
from medtasks.activity import judging
from medtasks.activity.similarity import Nearest, nearest
from medtasks.cases import Molecules
from medtasks.cases.structures import scaffold
from medtasks.dataset import Dataset
from medtasks.report.blocks import Block, Table, Text
from medtasks.task import Judged

EDGES = (0.3, 0.5, 0.7)
"""Bounds of the classes of similarity."""
SHOWN = 6
"""Targets whose errors are told by similarity."""


def find(judged: Judged) -> tuple[Nearest, Dataset] | None:
    """Return for each judged molecule the nearest that its model was made from, and these, or None where unknown."""
    if not judged.learnt:
        return None
    similarity, place = np.zeros(len(judged.data)), np.zeros(len(judged.data), dtype=np.int64)
    whole: Dataset | None = None
    for rows, learnt in judged.learnt:
        some = judged.data.cases.take(rows)
        assert isinstance(some, Molecules)
        assert isinstance(learnt.cases, Molecules)
        found = nearest(some, learnt.cases)
        similarity[rows], place[rows] = found.similarity, found.place + (len(whole) if whole else 0)
        whole = learnt if whole is None else whole.join(learnt)
    assert whole is not None
    return Nearest(similarity, place), whole


def blocks(judged: Judged, found: Nearest) -> list[Block]:
    """Write how similar test and training are, what both share, and the errors by similarity."""
    same, cores = _shared(judged)
    n = len(judged.data)
    quarter, middle, upper = np.quantile(found.similarity, [0.25, 0.5, 0.75])
    told = f"{middle:.2f} ({quarter:.2f} to {upper:.2f})"
    rows = [
        ["Similarity to the nearest training molecule, median (middle half)", told],
        ["Test molecules that stand in the training part too", _share(same, n)],
        ["Test molecules whose scaffold stands in the training part", _share(cores, n)],
    ]
    return [
        Table(
            ["Leakage", ""],
            rows,
            "Tanimoto similarity by ECFP4; scaffolds are Bemis and Murcko's. The more alike the parts, the more a test "
            "asks for memory; a chemist's next molecules are usually newer than those of a random split.",
        ),
        _by_similarity(judged, found),
        Text("Expect of new molecules what the table says for their similarity, not the overall number."),
    ]


def _shared(judged: Judged) -> tuple[int, int]:
    """Count judged molecules, and molecules whose scaffolds, stand among those their model was made from."""
    same = cores = 0
    for rows, learnt in judged.learnt:
        some = judged.data.cases.take(rows)
        assert isinstance(some, Molecules)
        assert isinstance(learnt.cases, Molecules)
        known, kept = set(learnt.cases.smiles()), {scaffold(mol) for mol in learnt.cases.mols()}
        same += sum(text in known for text in some.smiles())
        cores += sum(scaffold(mol) in kept for mol in some.mols())
    return same, cores


def _share(count: int, n: int) -> str:
    return f"{count} of {n} ({count / n:.0%})"


def _by_similarity(judged: Judged, found: Nearest) -> Table:
    data = judged.data
    cell = np.searchsorted(EDGES, found.similarity, side="right")
    bounds = ("0", *(f"{edge:g}" for edge in EDGES), "1")
    targets = list(zip(data.names, data.kinds, strict=True))[:SHOWN]
    rows = []
    for i in range(len(EDGES) + 1):
        inside = cell == i
        told = [_error(judged, t, inside) for t in range(len(targets))]
        rows.append([f"{bounds[i]} to {bounds[i + 1]}", str(int(inside.sum())), *told])
    header = [f"{name}: {outcome.label('brier' if kind == 'binary' else 'rmse')}" for name, kind in targets]
    return Table(["Similarity", "n", *header], rows, "Errors by similarity to the nearest training molecule.")


def _error(judged: Judged, t: int, inside: npt.NDArray[np.bool_]) -> str:
    if judged.data.kinds[t] == "binary":
        stated = judged.answers[f"p_{judged.data.names[t]}"].to_numpy(dtype=np.float64)
        errors = stated - judged.data.targets[:, t]
        errors = errors**2
    else:
        errors = judging.errors(judged.data, t, judged.answers) ** 2
    known = errors[inside & np.isfinite(errors)]
    if not len(known):
        return "-"
    mean = float(known.mean())
    return f"{mean if judged.data.kinds[t] == 'binary' else np.sqrt(mean):.3f}"
