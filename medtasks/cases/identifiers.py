"""Columns that number patients, visits, samples or rows: told by how they are called, and by what they hold."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from medtasks.cases.amounts import MOSTLY, numbers
from medtasks.cases.tables import is_missing

MAX_CATEGORIES = 50
"""A text column with more kinds of value is an identifier or free text, which no model here reads."""
LEAST_PATIENTS = 3
"""Different values below which a column names no patients."""
_NUMBER = r"(ids?|ident|identifier|uid|uuid|guid|no|nr|nbr|num|number|nummer)"
_CODE = r"(code|key|index)"
_PERSON = (
    r"((study|trial|hospital|unique) )?(u?subj|subject|patient(en)?|participant|proband(en)?|person|pat|pt|client|"
    r"record|(medical|health) record|mrn|paciente|paziente)"
)
_NAMED = r"(sur|last |family |full |patient |person |nach|familien)name"
_SURE = (
    rf"subject|patient|participant|proband|mrn|pid|pseudonym|{_NAMED}|{_PERSON} ?{_NUMBER}|(id|identifier) {_PERSON}"
)
_OTHER = (
    r"(case|fall|study|trial|screening|enrol?ment|randomi[sz]ation|hospital|nhs|national|insurance|versicherten|"
    r"sample|proben?|specimen|aliquot|accession|bar|lab|lab ?event|order|auftrags|visit|encounter|admission|aufnahme|"
    r"hadm|icu ?stay|stay|episode|event|report|exam|examination|image|scan|slide|series|document|row|line|zeilen?|"
    r"entry|observation|obs|item|sequence|seq|serial|running|laufende|lfd|unique)"
)
PATIENT = re.compile(rf"{_SURE}|name|(case|fall|{_PERSON}) ?({_NUMBER}|code|key)")
"""How columns that name patients are called (lower case, words with blanks between)."""
_IDENTIFIER = re.compile(_SURE)
"""Names of columns that are identifiers even where few values recur in many rows."""
_LIKELY = re.compile(
    rf"{_OTHER} ?({_NUMBER}|{_CODE})|(id|identifier) {_OTHER}|(subject|patient|participant|record) ?{_CODE}|"
    r"ids?|ident|identifier|uid|uuid|guid|seqn?|rid|eid|ssn|kvnr"
)
"""Names of columns that are identifiers where each value is rare; else they may be a sequence of visits or a kind."""
_ROW = re.compile(rf"no|nr|num|number|nummer|{_CODE}|case|record|sample|row|line|observation|obs|visit|study")
"""Names that measurements have too: identifiers only if no two rows have one value."""


def words_of(name: str) -> str:
    """Return a column's name in lower case, its words with blanks between.

    >>> words_of("SubjectID"), words_of("Patienten-Nr."), words_of("case_no")
    ('subject id', 'patienten nr', 'case no')
    """
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).strip().lower()


def names_patients(name: str) -> bool:
    """Say whether a column is called as one that names patients.

    >>> names_patients("SubjectID"), names_patients("pat_id"), names_patients("age")
    (True, True, False)
    """
    return PATIENT.fullmatch(words_of(name)) is not None


def is_identifier(name: str, values: pd.Series) -> bool:
    """Say whether a column numbers patients, visits, samples or rows: it is called so, and its values are such.

    These are whole numbers, or words with a digit in each, and nearly all differ. Numbers of patients may recur, as
    those of patients with several rows do; those of visits and samples if there are many, each about as frequent as the
    others: else they may count the visits of one patient. So no quantity is lost that merely counts something.

    >>> is_identifier("patient_no", pd.Series([70001, 70002, 70003]))
    True
    >>> is_identifier("number of pregnancies", pd.Series([0, 2, 1])), is_identifier("visit_no", pd.Series([1, 2, 1, 2]))
    (False, False)
    """
    words = words_of(name)
    sure = _IDENTIFIER.fullmatch(words) is not None
    row = _ROW.fullmatch(words) is not None
    if not (sure or row or _LIKELY.fullmatch(words)):
        return False
    known = values[~is_missing(values).to_numpy()]
    text = known.astype("string").str.strip()
    counts = text.value_counts().to_numpy(dtype=np.float64)
    if len(counts) < LEAST_PATIENTS or not _are_names(known, text, named=re.fullmatch(_NAMED, words) is not None):
        return False
    if row:
        return len(counts) == len(text)
    evenly = len(counts) > MAX_CATEGORIES and counts.std() <= counts.mean()
    return sure or len(counts) >= MOSTLY * len(text) or bool(evenly)


def _are_names(known: pd.Series, text: pd.Series, *, named: bool) -> bool:
    """Say whether values are whole numbers or words with a digit or, if they are ``named``, any texts."""
    if pd.api.types.is_bool_dtype(known):
        return False
    as_numbers = numbers(known).to_numpy()
    word = named | text.str.fullmatch(r"\S*\d\S*").fillna(False).to_numpy(bool)
    return bool(np.where(np.isnan(as_numbers), word, as_numbers == np.round(as_numbers)).mean() >= MOSTLY)
