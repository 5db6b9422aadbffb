"""The audit: every check that fits a data set, in the order of severity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from medtasks.auditing import arms, images, leaks, molecules, records, shift, values
from medtasks.auditing.findings import CHECKS, SEVERITIES, Finding, Subject
from medtasks.auditing.repeats import copies, equal, near, shared_groups
from medtasks.cases import Images, Molecules, Records
from medtasks.cases.columns import JOIN, alike
from medtasks.dataset import SPLITS, Dataset
from medtasks.evaluation.splits import Fold
from medtasks.words import plural

FEW = 10
"""Cases of a class below which it can neither be learnt nor judged: an interval of a sensitivity then spans half."""
RARE = 0.05
"""Share below which a class is rare: a model that never names it is right in 95 of 100."""
LOST = 0.05
"""Share of unusable rows from which they may be another kind of case than the rest."""


def audit(dataset: Dataset, folds: Sequence[Fold] = (), seed: int = 0) -> tuple[Finding, ...]:
    """Look for what would make a result on these data too good, or wrong.

    Parameters
    ----------
    dataset
        Cases of any kind; of a kind that medtasks does not know only what holds for all is looked at.
    folds
        How the data were split, where they have no split of their own.
    seed
        For the probes' folds and samples.

    Returns
    -------
    findings, the severe ones first; no title holds a value of a case

    Examples
    --------
    >>> import numpy as np
    >>> from medtasks.cases import Images
    >>> films = np.random.default_rng(0).integers(0, 255, (40, 16, 16), dtype=np.uint8)
    >>> films[1] = films[0]
    >>> data = Dataset(Images([f"film {i}" for i in range(40)], films), np.arange(40) % 2, classes=("well", "ill"))
    >>> found = audit(data)
    >>> found[0].severity, found[0].title
    ('severe', '2 images equal to another one have a different label')
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    subject = Subject.of(dataset, folds, seed)
    with threadpool_limits(1):  # the matrices are small: more threads wait for each other
        found = [*_for_all(subject), *_for_kind(subject)]
    return ordered(found)


def ordered(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Put findings in order: the severe ones first."""
    order = {name: i for i, name in enumerate(SEVERITIES)}
    checks = {name: i for i, name in enumerate(CHECKS)}
    return tuple(sorted(found, key=lambda one: (order[one.severity], checks[one.check])))


def _for_all(subject: Subject) -> Iterator[Finding]:
    yield from shared_groups(subject)
    yield from leaks.from_names(subject)
    yield from _classes(subject)
    yield from _unusable(subject)


def _for_kind(subject: Subject) -> Iterator[Finding]:
    cases = subject.dataset.cases
    if isinstance(cases, Images):
        yield from _images(subject, cases)
    elif isinstance(cases, Records):
        yield from _records(subject, cases)
    elif isinstance(cases, Molecules):
        yield from _molecules(subject, cases)
    else:
        yield from copies(subject, equal(cases.digests()), "row")


def _images(subject: Subject, cases: Images) -> Iterator[Finding]:
    same = equal(cases.digests())
    yield from copies(subject, same, "image")
    looks = images.look(cases)
    pairs = images.near_pairs(looks.small)
    digests = np.asarray(cases.digests())
    yield from near(subject, pairs[digests[pairs[:, 0]] != digests[pairs[:, 1]]], "image")
    yield from images.blank(subject, looks.small)
    yield from images.edges(subject, looks)
    yield from images.form(subject, cases)
    yield from shift.shifts(subject, images.shift_columns(looks.small))


def _records(subject: Subject, cases: Records) -> Iterator[Finding]:
    copied, chance = records.coincidences(cases, equal(cases.digests()))
    yield from copies(subject, copied, "row")
    yield from records.chance(subject, chance)
    yield from near(subject, records.near_pairs(cases), "row")
    told = leaks.from_records(subject, cases)
    yield from told
    telling = frozenset(field.name for field in cases.fields if any(repr(field.name) in one.title for one in told))
    yield from records.gaps(subject, cases, telling)
    yield from values.strange(subject, cases)
    yield from values.answers(subject)
    yield from arms.arms(subject, cases)
    yield from shift.shifts(subject, records.shift_columns(cases))


def _molecules(subject: Subject, cases: Molecules) -> Iterator[Finding]:
    same = equal(cases.digests())
    yield from copies(subject, same, "molecule")
    yield from molecules.conflicts(subject, same)
    yield from molecules.types(subject)
    yield from molecules.twins(subject, cases)
    yield from molecules.cliffs(subject)
    yield from molecules.measurements(subject)
    told = molecules.properties(cases)
    yield from molecules.by_property(subject, told)
    yield from molecules.by_writing(subject)
    if subject.own:
        for one in shift.shifts(subject, molecules.shift_columns(cases, told)):
            yield replace(one, severity="note", advice="as it should be where the parts hold different scaffolds: the "
                          "test then asks about new chemistry; else ask how the parts were chosen")  # fmt: skip


def _classes(subject: Subject) -> Iterator[Finding]:
    """Tell of classes (or arms) that are few, rare, or lacking in a part."""
    for label in subject.labels():
        counts = np.bincount(label.codes, minlength=len(label.classes))
        whole = max(1, int(counts.sum()))
        for names in alike(label.classes):
            shown = ", ".join(map(repr, names))
            yield Finding(
                "warning",
                "classes",
                f"{label.what[0].upper()}{label.what[1:]} has names that differ in case or space only: {shown}",
                "write them alike if they mean the same: now each is a class of its own",
            )
        own = label.classes != ("0", "1") or subject.dataset.classes == label.classes
        for code in np.flatnonzero(counts < max(FEW, RARE * whole)):
            name = f"{label.classes[code]!r}" if own else f"{label.what} = {label.classes[code]}"
            few = counts[code] < FEW
            yield Finding(
                "warning" if few else "note",
                "classes",
                f"{name} has {plural(int(counts[code]), 'case')} of {whole} ({counts[code] / whole:.1%})",
                "collect more, or join it with another class: so few can be neither learnt nor judged"
                if few
                else "look at AUPRC and sensitivity, not at accuracy",
                int(counts[code]),
            )
        if subject.own and subject.parts is not None:
            parts = subject.parts[label.rows]
            for part in SPLITS:
                held = np.bincount(label.codes[parts == part], minlength=len(label.classes))
                lacking = np.flatnonzero((held == 0) & (counts > 0))
                if held.sum() and len(lacking):
                    shown = ", ".join(repr(label.classes[code]) for code in lacking[:5])
                    title = f"The {part} part has no case of {shown} ({label.what})"
                    advice = "mend the split column, or leave it out and let medtasks split"
                    yield Finding("warning", "classes", title, advice, parts=(part,))


def _unusable(subject: Subject) -> Iterator[Finding]:
    for note in subject.dataset.origin.notes:
        if note.endswith(f"; {JOIN}."):
            yield Finding("warning", "missing", note.removesuffix(f"; {JOIN}."), JOIN)
    lost = subject.dataset.origin.invalid
    if not lost:
        return
    reason, times = Counter(reason for _, reason in lost).most_common(1)[0]
    share = len(lost) / (len(lost) + len(subject))
    often = "" if times == len(lost) else f", {times} of them"
    yield Finding(
        "warning" if share > LOST else "note",
        "unusable",
        f"{plural(len(lost), 'row')} ({share:.1%}) cannot be used{often}: {reason}",
        "mend them; if they are lost for a reason, results do not hold for cases like them",
        len(lost),
        tuple(name for name, _ in lost),
    )
