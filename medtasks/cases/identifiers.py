"""Columns that number patients, visits, samples or rows: told by how they are called, and by what they hold."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases.amounts import MOSTLY, numbers
from medtasks.cases.tables import is_missing

MAX_CATEGORIES = 50
"""A text column with more kinds of value is an identifier or free text, which no model here reads."""
LEAST_PATIENTS = 3
"""Different values below which a column names no patients."""
LIKELY_PATIENTS = 7
"""As above, where its name alone does not say so: the roles of participants and the sizes of households are fewer."""
FEW_ROWS = 10
"""Rows of one patient or sample above which "number" means a count and not a name."""
LEAST_ROWS = 20
"""Rows that count up by one no measurement does by chance."""
DENSE = 1.25
"""Range of row numbers, per row, where a part of the rows was taken out, as one in five is for a test."""
_ID = r"(ids?|ident|identifier|uid|uuid|guid)"
_NO = r"(no|nr|nbr|num|number|nummer|numero)"
_NUMBER = rf"((code|file|chart|card) ?)?({_ID}|{_NO})( ?({_NO}|code|hash|\d+))?"
_OF = r"((study|trial|hospital|unique) )?"
_PATIENT = r"(u?subj|subject|patient(en)?|participant|proband(en)?|pat|paciente|paziente)"
_PERSON = r"(person|pt|client|record|(medical|health) record|respondent|donor|animal|mouse|dossier)"
_NAMED = r"(sur|last |family |full |patient |person |nach|familien)name"
_CERTAIN = (
    rf"mrn( ?hash)?|mrn ?{_NUMBER}|pseudonym|{_NAMED}|{_OF}{_PATIENT} ?{_NUMBER}|{_OF}{_PERSON} ?{_ID}|"
    rf"(id|identifier) ?{_PATIENT}|(id|identifier) {_PERSON}"
)
_BARE = r"subject|patient|participant|proband"
_PEOPLE = rf"pid|ipp|nhc|cpr|{_OF}{_PERSON} ?{_NUMBER}|{_NO} (de |du |del )?({_PATIENT}|{_PERSON})"
_OTHER = (
    r"(case|fall|study|studien|trial|screening|enrol?ment|randomi[sz]ation|hospital|nhs|national|insurance|"
    r"versicherten|sample|proben?|specimen|aliquot|accession|bar|lab|labor|lab ?event|order|auftrags|visit|"
    r"(pat )?enc( csn)?|csn|encounter|admission|aufnahme|hadm|icu ?stay|(patient ?)?unit ?stay|stay|episode|event|"
    r"report|exam|examination|image|scan|slide|series|document|journal|survey|response|row|line|zeilen?|entry|"
    r"observation|obs|item|sequence|seq|serial|running|laufende|lauf|lfd|unique|anon|pseudo|hash(ed)?|original)"
)
PATIENT = re.compile(rf"{_CERTAIN}|{_BARE}|{_PEOPLE}|name|(case|fall) ?{_NUMBER}|(case|fall|{_PATIENT}) ?(code|key)")
"""How columns that name patients are called (lower case, words with blanks between)."""
_IDENTIFIER = re.compile(_CERTAIN)
"""Names of columns that are identifiers even where few values recur in many rows."""
_LIKELY = re.compile(
    rf"{_BARE}|{_PEOPLE}|{_OTHER} ?({_NUMBER}|code|key)|(id|identifier) {_OTHER}|({_PATIENT}|record) ?(code|key)|"
    rf"{_ID}( ?({_NO}|code|\d+))?|(s|sl|sr) ?{_NO}|csn|seqn?|rid|eid|ssn|kvnr"
)
"""Names of columns that are identifiers where each value is rare; else they may be a sequence of visits or a kind."""
_ROW = re.compile(r"code|key|case|record|sample|row|row ?names?|line|visit|study")
"""Names that measurements have too: identifiers only if no two rows have one value."""
_COUNT = re.compile(rf"{_NO}|(({_OTHER}|{_PATIENT}|record) ?)?index|observation|obs")
"""Names that counts and scores have too: identifiers only if the values look like those of rows."""
_NAME = re.compile(rf"(?<!^p){_ID}$|^{_PATIENT} ?(code|key)$")
"""What ends names of columns that are never counts."""
_MARKS = re.compile(r"#|№|\b[Nn][°º]")
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_INNER = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")


def words_of(name: str) -> str:
    """Return a column's name in lower case, its words with blanks between, without accents and what is in brackets.

    >>> words_of("SubjectID"), words_of("IDPatient"), words_of("Patienten-Nr."), words_of("case # (new)")
    ('subject id', 'id patient', 'patienten nr', 'case no')
    """
    text = unicodedata.normalize("NFKD", _BRACKETS.sub(" ", _MARKS.sub(" no ", name)))
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", " ", _INNER.sub(" ", text)).strip().lower()


def names_patients(name: str) -> bool:
    """Say whether a column is called as one that names patients.

    >>> names_patients("SubjectID"), names_patients("pat_id"), names_patients("age")
    (True, True, False)
    """
    return PATIENT.fullmatch(words_of(name)) is not None


def least_patients(name: str, text: pd.Series) -> int:
    """Return how many different values a column needs to name patients: few do where name or values leave no doubt.

    >>> least_patients("patient_id", pd.Series(["1"])), least_patients("participant", pd.Series(["1"]))
    (3, 7)
    """
    words = words_of(name)
    sure = _IDENTIFIER.fullmatch(words) or (re.fullmatch(_BARE, words) and _are_codes(text))
    return LEAST_PATIENTS if sure else LIKELY_PATIENTS


def counts_rows(values: pd.Series) -> bool:
    """Say whether each value is the one before and one more, all down a table: such are the numbers of its rows.

    >>> counts_rows(pd.Series(range(20))), counts_rows(pd.Series([1, 2, 3])), counts_rows(pd.Series([1, 2] * 10))
    (True, False, False)
    """
    if len(values) < LEAST_ROWS or pd.api.types.is_bool_dtype(values):
        return False
    if not (np.diff(numbers(values.iloc[:LEAST_ROWS]).to_numpy()) == 1).all():
        return False  # soon told, as tables may have thousands of columns
    found = numbers(values).to_numpy()
    return bool(found[0] == np.round(found[0]) and (np.diff(found) == 1).all())


def is_identifier(name: str, values: pd.Series) -> bool:
    """Say whether a column numbers patients, visits, samples or rows: it is called so, and its values are such.

    These are whole numbers, or words with a digit in each, and nearly all differ. Numbers of patients may recur, as
    those of patients with several rows do, but few recur in many rows only where the name leaves no doubt; those of
    visits and samples if there are many, each about as frequent as the others: else they may count the visits of one
    patient. So no quantity is lost that merely counts something.

    >>> is_identifier("patient_no", pd.Series([70001, 70002, 70003]))
    True
    >>> is_identifier("number of pregnancies", pd.Series([0, 2, 1])), is_identifier("visit_no", pd.Series([1, 2, 1, 2]))
    (False, False)
    """
    words = words_of(name)
    sure, likely, row, count = (bool(own.fullmatch(words)) for own in (_IDENTIFIER, _LIKELY, _ROW, _COUNT))
    if not (sure or likely or row or count):
        return False
    known = values[~is_missing(values).to_numpy()]
    text = known.astype("string").str.strip()
    counts: npt.NDArray[Any] = text.value_counts().to_numpy(dtype=np.float64)
    if len(counts) < LEAST_PATIENTS or not _are_names(known, text, named=re.fullmatch(_NAMED, words) is not None):
        return False
    if sure or len(counts) == len(text):
        return not count or _number_rows(known, text)
    if row or count:
        return False
    if re.fullmatch(_BARE, words):
        return len(counts) >= least_patients(name, text)
    return len(counts) >= MOSTLY * len(text) or _recur_evenly(words, counts)


def _recur_evenly(words: str, counts: npt.NDArray[Any]) -> bool:
    """Say whether there are many values, each about as frequent as the others and, where these may be counts, rare."""
    return evenly_many(counts) and (counts.mean() <= FEW_ROWS or _NAME.search(words) is not None)


def evenly_many(counts: npt.NDArray[Any]) -> bool:
    """Say whether there are more values than a category has, each about as frequent as the others."""
    return bool(len(counts) > MAX_CATEGORIES and counts.std() <= counts.mean())


def _number_rows(known: pd.Series, text: pd.Series) -> bool:
    """Say whether values that all differ are those of rows: words, or numbers in a row, in any order or with gaps."""
    found = numbers(known).to_numpy()
    if np.isnan(found).any():
        return _are_codes(text)
    rising = len(found) >= LEAST_ROWS and (np.diff(found) > 0).all()
    return bool(rising or np.ptp(found) < DENSE * len(found))


def _are_codes(text: pd.Series) -> bool:
    """Say whether texts are words with a digit (P01), and no numbers."""
    code = text.str.fullmatch(r"\S*\d\S*").fillna(False).to_numpy(bool) & numbers(text).isna().to_numpy()
    return bool(code.mean() >= MOSTLY) if len(code) else False


def _are_names(known: pd.Series, text: pd.Series, *, named: bool) -> bool:
    """Say whether values are whole numbers or words with a digit or, if they are ``named``, any texts."""
    if pd.api.types.is_bool_dtype(known):
        return False
    as_numbers = numbers(known).to_numpy()
    word = named | text.str.fullmatch(r"\S*\d\S*").fillna(False).to_numpy(bool)
    return bool(np.where(np.isnan(as_numbers), word, as_numbers == np.round(as_numbers)).mean() >= MOSTLY)
