"""Telling what an audit found: a section of a report without any row, and a page of its own that names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from medtasks.auditing.findings import SEVERITIES, Finding
from medtasks.auditing.overview import audit
from medtasks.dataset import Dataset
from medtasks.evaluation.splits import Fold
from medtasks.report import html
from medtasks.report.blocks import Block, Bullets, Section, Table, Text

SHOWN = 50
"""Sets of rows listed for a finding; the JSON lists all."""
CLEAN = "Nothing was found that would make a result too good or wrong. An audit finds what it looks for, and no more."
LOOKED = (
    "Looked for: copies and near copies (across the split, with other labels), patients on two sides, labels that can "
    "be read off one column, a file name, the corners or the form of an image, parts of the split that differ, rare "
    "classes, missing and impossible values, arms that differ, activity cliffs and conflicting measurements."
)


def counted(findings: Sequence[Finding]) -> dict[str, int]:
    """Count findings by severity.

    >>> counted([])
    {'severe': 0, 'warning': 0, 'note': 0}
    """
    counts = Counter(one.severity for one in findings)
    return {name: counts[name] for name in SEVERITIES}


def summed(counts: Mapping[str, int]) -> str:
    """Say how many findings there are.

    >>> summed({"severe": 0, "warning": 2, "note": 1}), summed(counted([]))
    ('2 warning, 1 note', 'nothing found')
    """
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing found"


def section(dataset: Dataset, folds: Sequence[Fold] = (), seed: int = 0) -> Section:
    """Audit a data set for a report: titles and what to do, without naming any row."""
    try:
        blocks = told(audit(dataset, folds, seed))
    except Exception as error:  # a result that took hours must not be lost because a look at strange data failed
        blocks = [Text(f"The data could not be audited ({type(error).__name__}); `medtasks audit` says more.")]
    return Section("Audit of the data", blocks)


def told(findings: Sequence[Finding]) -> list[Block]:
    """Write findings as a table."""
    if not findings:
        return [Text(CLEAN), Text(LOOKED)]
    rows = [[one.severity, one.title + ".", _sentence(one.advice)] for one in findings]
    counts = ", ".join(f"{count} {name}" for name, count in counted(findings).items() if count)
    return [
        Text(f"{len(findings)} findings: {counts}."),
        Table(["Severity", "Finding", "What to do"], rows, numeric=False),
        Text(LOOKED),
    ]


def page(task: str, source: str, findings: Sequence[Finding], footer: str) -> str:
    """Return an audit as the text of one HTML file, with the ids of the rows (and no value of them)."""
    sections = [Section("Findings", told(findings))]
    for one in findings:
        if one.rows:
            sets = [" = ".join(ids) for ids in one.together] or list(one.rows)
            more = [f"and {len(sets) - SHOWN} more, which the JSON lists"] if len(sets) > SHOWN else []
            sections.append(Section(f"{one.title} (rows)", [Bullets([*sets[:SHOWN], *more])], personal=True))
    lead = [
        f"{len(findings)} findings." if findings else CLEAN,
        "Severe findings make a result worthless, warnings make it doubtful, notes are good to know.",
    ]
    return html.render(f"Audit of {source} for {task}", lead, sections, footer)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
