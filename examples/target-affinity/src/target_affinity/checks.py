"""What the conformance kit is to check of this task's models beside what holds for all models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from target_affinity.pairs import Pairs


def uses_both(bench: Any) -> None:
    """Answers change with the molecule and with the protein.

    Benchmarks of affinities reward models that look at one of the two only (Chen et al. 2019,
    doi:10.1371/journal.pone.0220113).
    """
    cases: Pairs = bench.test.cases
    order = np.roll(np.arange(len(cases)), 1)
    other_proteins = Pairs(cases.ids, cases.molecules, [cases.sequences[i] for i in order])
    other_molecules = Pairs(cases.ids, cases.molecules.take(order), cases.sequences)
    for what, changed in (("protein", other_proteins), ("molecule", other_molecules)):
        if np.allclose(bench.raw, bench.predict(changed)):
            raise ValueError(f"the answers do not depend on the {what}")


def stores_no_pair(bench: Any) -> None:
    """`save` writes no molecule and no sequence: both may be somebody's secret."""
    whole = b"\n".join(path.read_bytes() for path in bench.saved.rglob("*") if path.is_file())
    cases: Pairs = bench.train.cases
    for text in {*cases.sequences, *cases.molecules.smiles()}:
        if any(text.encode(code) in whole for code in ("utf-8", "utf-32-le")):
            raise ValueError("a molecule or a sequence of a training pair is stored")


def bad_rows(bench: Any) -> None:
    """Rows that cannot be read are told, and harm no other."""
    cases: Pairs = bench.test.cases
    smiles, sequences = cases.molecules.take(np.arange(2)).smiles(), list(cases.sequences[:2])
    rows = [(smiles[0], sequences[0]), ("no molecule", sequences[0]), (smiles[1], "123"), (smiles[1], sequences[1])]
    table = pd.DataFrame(rows, columns=["smiles", "sequence"], dtype=object)
    mixed = bench.predictor.predict(table, context=bench.context)
    if mixed["status"].tolist() != ["ok", "invalid", "invalid", "ok"]:
        raise ValueError(f"the rows are {', '.join(mixed['status'])}, not ok, invalid, invalid, ok")
    if not np.allclose(mixed["pKd"].to_numpy(dtype=np.float64)[[0, 3]], bench.raw[:2, 0], rtol=1e-4):
        raise ValueError("answers to rows that can be read change when others cannot")


CHECKS: Mapping[str, Callable[[Any], None]] = {
    "uses-both": uses_both,
    "stores-no-pair": stores_no_pair,
    "bad-rows": bad_rows,
}
