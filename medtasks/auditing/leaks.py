"""Leaks: what tells the label though it should not be able to."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import numpy.typing as npt

from medtasks.auditing.findings import Amount, Finding, Label, Subject
from medtasks.cases import Records
from medtasks.evaluation.probing import LEAST, Told, codes_tell, column_tells, separable
from medtasks.words import plural

Values = npt.NDArray[np.float64]

SURE = 0.98
"""AUROC of one field alone that no honest measurement reaches often: the best of breast-cancer's 30 has .976."""
SURELY = 0.95
"""What the AUROC less two standard errors must exceed for it to be believed."""
STRONG = 0.9
"""AUROC from which what should tell nothing (a corner, a name) is told of."""
WORDS = 50
"""Most words of file names that are looked at."""
RARE = 0.02
"""Share of the names below which a word is passed over: it is a name of its own."""
NUMBERED = re.compile(r"(?:(?:train|val|test|all)-)?\d+")
"""Ids that the readers of medtasks made: they say where a row stood in its file."""


def from_field(
    subject: Subject, values: Values, what: str, advice: str, *, strong: float = SURE, coded: bool = False
) -> list[Finding]:
    """Ask whether one column (NaN where missing) tells a label.

    Parameters
    ----------
    what : how the title begins, as in "field 'x' alone tells"
    strong : the AUROC from which it is told of; from `SURE` on it is severe
    coded : whether the values are codes without an order
    """
    for label in subject.labels():
        mine, probe = values[label.rows], codes_tell if coded else column_tells
        asked = {name: probe(mine, truth, subject.seed) for name, truth in label.against_rest(LEAST)}
        clear = {name: told for name, told in asked.items() if _is_clear(told, strong)}
        if clear:
            # What marks one of several diseases is a finding; what tells them all apart is the answer.
            every = len(clear) == len(asked)
            name = (
                min(clear, key=lambda name: clear[name].auroc)
                if every
                else max(clear, key=lambda name: clear[name].auroc)
            )
            return [_leak(what, label, "" if every else name, clear[name], advice)]
    return []


def _is_clear(told: Told, strong: float) -> bool:
    return told.auroc >= strong and told.surely(strong - (SURE - SURELY))


def from_columns(subject: Subject, columns: Values, what: str, advice: str, *, check: str = "leaks") -> list[Finding]:
    """Ask whether columns together tell a label, or one of several classes."""
    groups = subject.dataset.groups
    for label in subject.labels():
        own = None if groups is None else groups[label.rows]
        asked = {
            name: separable(columns[label.rows], truth, own, subject.seed) for name, truth in label.against_rest(LEAST)
        }
        clear = {name: told for name, told in asked.items() if told.surely(STRONG)}
        if clear:
            name = max(clear, key=lambda name: clear[name].auroc)
            return [_leak(what, label, name if len(label.classes) > 2 else "", clear[name], advice, check)]
    return []


def _leak(what: str, label: Label, name: str, told: Told, advice: str, check: str = "leaks") -> Finding:
    """Write a leak; ``name`` is the one class that is told, where not all are."""
    severe = check == "leaks" and told.auroc >= SURE and told.surely(SURELY)
    title = f"{what} {label.what}{f' {name!r}' if name else ''} ({told})"
    return Finding("severe" if severe else "warning", check, title[0].upper() + title[1:], advice)


def from_records(subject: Subject, records: Records) -> list[Finding]:
    """Ask of each field whether it tells the label, the treatment or the outcome by itself."""
    found, marks = [], []
    advice = (
        "leave the column out (--ignore) unless it is known before the decision and was not made from the answer: "
        "a later result, a code or an id is no finding"
    )
    classes = {repr(name) for label in subject.labels() for name in label.classes if len(label.classes) > 2}
    for field in records.fields:
        column = records.frame[field.name]
        coded = field.type == "category"
        values = (
            column.astype("category").cat.codes.to_numpy().astype(np.float64)
            if coded
            else column.to_numpy(dtype=np.float64, na_value=np.nan)
        )
        mine = from_field(subject, values, f"field {field.name!r} alone tells", advice, coded=coded)
        if mine and subject.dataset.classes and any(f"the class {name} (" in mine[0].title for name in classes):
            marks.append(field.name)
        else:
            found += mine or _equals(subject.amounts(), values, field.name, advice)
    if marks:
        shown = ", ".join(map(repr, marks[:5])) + (f" and {len(marks) - 5} more" if len(marks) > 5 else "")
        title = f"{plural(len(marks), 'field')} that each {'tells' if len(marks) == 1 else 'tell'} one of the classes"
        found.append(Finding("note", "leaks", f"{title} alone: {shown}",
                             "fine if it is a finding of that disease; else leave it out (--ignore)"))  # fmt: skip
    return found


def _equals(amounts: list[Amount], values: Values, name: str, advice: str) -> list[Finding]:
    """Ask whether a column of numbers is the answer itself, in whatever unit."""
    from scipy.stats import spearmanr

    for amount in amounts:
        mine = values[amount.rows]
        known = np.isfinite(mine)
        if known.sum() < LEAST or np.ptp(mine[known]) == 0 or np.ptp(amount.values[known]) == 0:
            continue
        found = abs(float(spearmanr(mine[known], amount.values[known]).statistic))
        if found >= SURE:
            title = f"Field {name!r} alone tells {amount.what} (rank correlation {found:.2f})"
            return [Finding("severe", "leaks", title, advice)]
    return []


def from_names(subject: Subject) -> list[Finding]:
    """Ask whether the names of rows or files tell the label; models never see them, people do.

    Folders called as a class are left out: from them the labels were read.
    """
    ids = [str(name) for name in subject.dataset.cases.ids]
    if all(NUMBERED.fullmatch(name) for name in ids):
        return []
    classes = {name.lower() for label in subject.labels() for name in label.classes}
    stems = ["/".join(part for part in name.split("/") if part.lower() not in classes) for name in ids]
    advice = (
        "models here never see names; but the classes seem to come from different sources: make sure that nothing "
        "else tells them apart, and name the files alike"
    )
    columns = _words(stems)
    if columns.shape[1]:
        found = from_columns(subject, columns, "the words in the rows' names tell", advice, check="names")
        if found:
            return found
    numbers = [re.findall(r"\d+", stem) for stem in stems]
    # 15 digits: as many as a float holds exactly
    last = np.array([float(found[-1][-15:]) if found else np.nan for found in numbers])
    told = from_field(subject, last, "the number in the rows' names tells", advice, strong=STRONG)
    return [Finding("note", "names", found.title, found.advice) for found in told]


def _words(stems: list[str]) -> Values:
    """Return (n, words): which of the common words each name holds, and how long it is."""
    words = [set(re.findall(r"[a-z]+", stem.lower())) for stem in stems]
    counts = Counter(word for own in words for word in own)
    common = [word for word, count in counts.most_common(WORDS) if RARE * len(stems) <= count < len(stems)]
    if not common:
        return np.empty((len(stems), 0))
    return np.column_stack(
        [[float(word in own) for own in words] for word in common] + [[float(len(stem)) for stem in stems]]
    )
