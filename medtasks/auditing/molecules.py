"""What an audit asks of molecules: one structure with several answers, near twins across the split, cliffs, leaks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from medtasks.activity.companions import told_types
from medtasks.activity.measurements import merge
from medtasks.activity.similarity import nearest
from medtasks.auditing.findings import Amount, Finding, Subject
from medtasks.auditing.leaks import from_field
from medtasks.auditing.repeats import Sets
from medtasks.auditing.values import REPEATED, answers
from medtasks.cases import Molecules
from medtasks.cases.fingerprints import count_substructures
from medtasks.cases.properties import BULK, bulk_properties
from medtasks.cases.structures import quiet
from medtasks.words import plural

Values = npt.NDArray[np.float64]

TWINS = 0.95
"""Tanimoto similarity (ECFP4) above which a test molecule asks nothing new: a stereoisomer, a chain longer by one."""
MOST_COMPARED = 20_000_000
"""Pairs of training and test molecules that are compared: a second each five million; of more, some are drawn."""
COLUMNS = 256
"""Columns that substructures are folded to: to tell two parts apart few are enough, and a fit stays quick."""
MANY_AT_ONE = 0.3
"""Share of exact numbers that are one and the same, from which they look like bounds written without their sign."""
WRITTEN = 0.65
"""AUROC from which the writing of structures is told of, as the gaps of a table are: it should tell nothing."""
PROPERTIES = ("molecular weight", "heavy atoms", "rings", "hydrogen-bond donors", "hydrogen-bond acceptors",
              "rotatable bonds", "polar surface", "carbons without double bonds", "charge")  # fmt: skip
"""What is told of a molecule beside its substructures; see `properties`."""
SHARED = [BULK.index(name) for name in ("HeavyAtoms", "Rings", "HBD", "LipinskiHBA", "RotatableBonds", "TPSA",
                                        "FractionCSP3", "FormalCharge")]  # fmt: skip
"""Where among the bulk properties that models share they stand, all but the weight."""


def properties(molecules: Molecules) -> Values:
    """Return (n, 9): the `PROPERTIES` of each molecule, by RDKit (g/mol, counts, square Å, share, charge)."""
    from rdkit.Chem import rdMolDescriptors

    with quiet():
        weights = [rdMolDescriptors._CalcMolWt(mol) for mol in molecules.mols()]
        return np.column_stack([np.array(weights, dtype=np.float64), bulk_properties(molecules)[:, SHARED]])


def shift_columns(molecules: Molecules, told: Values) -> Values:
    """Return (n, d): the logarithm of how often each substructure occurs, and the ``told`` properties."""
    return np.column_stack([np.log1p(count_substructures(molecules, COLUMNS).astype(np.float64)), told])


def by_property(subject: Subject, told: Values) -> list[Finding]:
    """Ask whether one simple property tells the label, as it does where decoys were chosen badly."""
    found = []
    for name, values in zip(PROPERTIES, told.T, strict=True):
        advice = (
            "a model needs no chemistry to tell them apart: choose inactive molecules that are like the active ones"
        )
        found += from_field(subject, values, f"the {name} alone tells", advice, strong=0.9)
    return [Finding("warning", one.check, one.title, one.advice) for one in found]


def by_writing(subject: Subject) -> list[Finding]:
    """Ask whether the charges and salts that standardising took away tell the label.

    As in ClinTox, where two of three harmless compounds are written with charges, and hardly a toxic one: models that
    see the structures as written look much better there than they are.
    """
    written = subject.dataset.extra.get("written")
    if written is None:
        return []
    advice = (
        "the classes come from sources that draw differently: models here see the standard form alone, but those of "
        "others, and published results on these data, may rest on it"
    )
    what = "how structures are written (charges and salts that their standard form does not have) tells"
    found = from_field(subject, (written > 0).astype(np.float64), what, advice, strong=WRITTEN)
    return [Finding("warning", one.check, one.title, one.advice) for one in found]


def conflicts(subject: Subject, sets: Sets) -> list[Finding]:
    """Tell of structures whose measurements contradict each other: joined when read, or standing side by side."""
    data = subject.dataset
    disputed = [name for name, remark in data.origin.remarks if "contradict" in remark]
    for rows in sets:
        for t, kind in enumerate(data.kinds):
            known = rows[np.isfinite(data.targets[rows, t])]
            if kind in ("number", "binary") and len(known) > 1:
                _, _, broken = merge(data.targets[known, t], data.bounds[known, t], kind == "binary")
                if broken:
                    disputed += subject.ids(known)
                    break
    if not disputed:
        return []
    names = tuple(dict.fromkeys(disputed))
    return [
        Finding(
            "warning",
            "contradictions",
            f"{plural(len(names), 'molecule')} with measurements that contradict each other (classes that differ, "
            "bounds that exclude each other, or numbers more than ten-fold apart)",
            "look at the assays: leave out the measurements that do not belong together, or mend their units",
            len(names),
            names,
        )
    ]


def types(subject: Subject) -> list[Finding]:
    """Tell of measurements of several types (IC50, inhibition) that are learnt as if they were one."""
    named = subject.dataset.extra.get("type")
    counts = Counter(str(text) for text in named if text) if named is not None else Counter[str]()
    if len(counts) < 2:
        return []
    title = f"The measurements are of several types: {told_types(counts)}"
    advice = (
        "keep the rows of one in the table if they do not mean the same, or calibrate within each: --within with the "
        "column of types"
    )
    return [Finding("warning", "values", title, advice)]


def twins(subject: Subject, molecules: Molecules) -> list[Finding]:
    """Tell of test molecules that are nearly one of training."""
    if subject.parts is None or "test" not in subject.parts:
        return []
    train, test = np.flatnonzero(subject.parts == "train"), np.flatnonzero(subject.parts == "test")
    if not len(train) or not len(test):
        return []
    rng = np.random.default_rng(subject.seed)
    whole = len(test)
    if len(train) * len(test) > MOST_COMPARED:
        test = np.sort(rng.permutation(test)[: max(1, MOST_COMPARED // len(train))])
    found = nearest(molecules.take(test), molecules.take(train))
    near = found.similarity >= TWINS
    # Equal structures are told of as copies.
    texts = molecules.take(test[near]).smiles(), molecules.take(train[found.place[near]]).smiles()
    rows = test[near][[mine != theirs for mine, theirs in zip(*texts, strict=True)]] if near.any() else test[near]
    if not len(rows):
        return []
    seen = "" if whole == len(test) else f" of {len(test)} looked at"
    title = (
        f"{plural(len(rows), 'test molecule')}{seen} {'is' if len(rows) == 1 else 'are'} nearly a training molecule "
        f"(Tanimoto {TWINS} or more)"
    )
    advice = "the test asks less than it seems to: split by scaffold or by cluster (--split-by)"
    return [Finding("warning", "near-duplicates", title, advice, len(rows), subject.ids(rows), parts=("train", "test"))]


def cliffs(subject: Subject) -> list[Finding]:
    """Tell of activity cliffs; see `medtasks.activity.similarity.with_cliffs`."""
    marked = subject.dataset.extra.get("cliff")
    rows = np.flatnonzero(marked.any(axis=1)) if marked is not None else np.empty(0, dtype=np.int64)
    if not len(rows):
        return []
    title = f"{plural(len(rows), 'molecule')} ({len(rows) / len(subject):.0%}) on an activity cliff: nearly the same"
    return [Finding("note", "cliffs", f"{title} as another one, and measured quite differently",
                    "expect the largest errors there (rmse_cliff); check the steepest for typing errors", len(rows),
                    subject.ids(rows))]  # fmt: skip


def measurements(subject: Subject) -> list[Finding]:
    """Tell of placeholders, other units and numbers far outside, and of one number that stands too often."""
    found = answers(subject)
    exact = (subject.dataset.bounds == 0).all()
    for amount in subject.amounts() if exact else ():
        found += _amount(subject, amount)
    return found


def _amount(subject: Subject, amount: Amount) -> list[Finding]:
    levels, counts = np.unique(amount.values, return_counts=True)
    most = int(counts.argmax()) if len(counts) else 0
    if len(levels) > REPEATED and counts[most] > MANY_AT_ONE * len(amount.values) and most in (0, len(levels) - 1):
        rows = amount.rows[amount.values == levels[most]]
        where = "lowest" if most == 0 else "highest"
        return [Finding("warning", "values", f"{len(rows) / len(amount.values):.0%} of {amount.what} are its {where} "
                        "value: bounds written without their sign?", "write bounds as bounds (>10000), or predict "
                        "classes", len(rows), subject.ids(rows))]  # fmt: skip
    return []
