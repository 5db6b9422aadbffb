"""The fields of a visit: what was known of a patient at the prediction time, under readable names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases.event_tables import Events, Ints, Timeline, Times

AGE, SEX, TYPE, PLACE = "age", "sex", "admission type", "admitted from"
REASON = "admitted for"
EARLIER, SINCE = "earlier visits", "days since the last visit"
CATEGORIES = {SEX: "sex", TYPE: "type", PLACE: "place"}
DIAGNOSIS, PROCEDURE = "diagnosis before", "procedure before"
MEDICINE, MEDICINE_LAST = "medicine before", "medicine at last visit"
LAST_VALUE, VALUE_AGE = "last value", "days since value"
HERE = "this visit"
"""What is known from the very visit: only when the prediction time is later than its start."""
PREFIXES = (
    REASON,
    DIAGNOSIS,
    f"diagnosis {HERE}",
    PROCEDURE,
    f"procedure {HERE}",
    MEDICINE,
    f"medicine {HERE}",
    MEDICINE_LAST,
    "allergy",
)
DAY_SECONDS = 86_400.0
ICD_LENGTH = 3
"""Characters that ICD codes are cut to: those of a category, of which patients enough have one."""


@dataclass(frozen=True)
class History:
    """What shows of codes at each visit's prediction time.

    Attributes
    ----------
    visits : DataFrame, as `Events.visits`
    when : (v,) datetime64[s] the prediction time of each visit
    keys : for each prefix, the label of each code
    pairs : for each prefix, (m, 2) visit and code, of those that show
    values : DataFrame of laboratory values: subject, known, key, value; ordered by key, subject, known
    value_keys : the label of each key
    at_once : whether what became known in the very moment shows (at discharge only)
    """

    visits: pd.DataFrame
    when: Times
    keys: dict[str, list[str]]
    pairs: dict[str, Ints]
    values: pd.DataFrame
    value_keys: list[str]
    at_once: bool

    @classmethod
    def of(cls, events: Events, drugs: pd.DataFrame, when: Times, asked: Times, retrospective: bool) -> History:
        """Find what shows.

        Parameters
        ----------
        drugs
            The events of medicines, with their ``label``.
        when, asked
            The time before which things must have been known to show: of all, and of medicines.
        retrospective
            Whether all that was coded and measured in the visit shows.
        """
        keys: dict[str, list[str]] = {}
        pairs: dict[str, Ints] = {}
        table, visits = events.table, events.visits
        for kind, before in (("diagnosis", DIAGNOSIS), ("procedure", PROCEDURE), ("allergy", "allergy")):
            rows = table[table["kind"] == kind]
            key, labels = code_labels(rows)
            seen = _Seen(rows, key, visits)
            here = f"{kind} {HERE}"
            keys[before], pairs[before] = labels, seen.before(when)
            keys[here], pairs[here] = labels, seen.within(when, everything=retrospective)
        pairs["allergy"] = np.unique(np.vstack([pairs["allergy"], pairs.pop(f"allergy {HERE}")]), axis=0)
        keys[REASON], pairs[REASON] = reasons(visits["reason"])
        key, uniques = pd.factorize(drugs["label"].astype(object))
        seen, labels = _Seen(drugs, key, visits), [str(label) for label in uniques]
        for prefix, found in (
            (MEDICINE, seen.before(asked)),
            (f"medicine {HERE}", seen.within(asked, everything=False)),
            (MEDICINE_LAST, seen.at_last_visit(asked)),
        ):
            keys[prefix], pairs[prefix] = labels, found
        rows = table[(table["kind"] == "laboratory") & table["value"].notna()]
        key, labels = code_labels(rows, with_unit=True)
        values = pd.DataFrame({"key": key, "subject": rows["subject"].cat.codes.to_numpy()})
        values = values.assign(known=rows["known"].to_numpy(), value=rows["value"].to_numpy())
        values = values.sort_values(["key", "subject", "known"], kind="stable", ignore_index=True)
        return cls(visits, when, keys, pairs, values, labels, retrospective)

    def last_values(self, key: int, rows: Ints) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the last value of one kind before each visit's prediction time, and its age in days (NaN: none)."""
        first, end = np.searchsorted(self.values["key"].to_numpy(), [key, key + 1])
        mine = self.values.iloc[first:end]
        known = mine["known"].to_numpy("datetime64[s]")
        line = Timeline(mine["subject"].to_numpy(), known)
        when = self.when[rows]
        found = line.last(self.visits["subject"].cat.codes.to_numpy()[rows], when, self.at_once)
        there, value, age = found >= 0, np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        value[there] = mine["value"].to_numpy()[found[there]]
        age[there] = (when[there] - known[found[there]]).astype(np.float64) / DAY_SECONDS
        return value, age


class _Seen:
    """Pairs of visit and code, of events of one kind."""

    def __init__(self, rows: pd.DataFrame, key: npt.NDArray[Any], visits: pd.DataFrame) -> None:
        self.events = pd.DataFrame(
            {
                "subject": rows["subject"].cat.codes.to_numpy(),
                "key": key,
                "visit": rows["visit"].to_numpy(),
                "known": rows["known"].to_numpy("datetime64[s]"),
            }
        ).sort_values("known", kind="stable", ignore_index=True)
        self.subject = visits["subject"].cat.codes.to_numpy()

    def before(self, when: Times) -> Ints:
        """Codes known before the prediction time, the first time not in the very visit."""
        first = self.events.drop_duplicates(["subject", "key"])
        at = pd.DataFrame({"subject": self.subject, "at": when, "row": np.arange(len(when))})
        both = at.merge(first, on="subject")
        both = both[(both["known"] < both["at"]) & (both["visit"] != both["row"])]
        return both[["row", "key"]].to_numpy(np.int64)

    def within(self, when: Times, *, everything: bool) -> Ints:
        """Codes of the very visit: those known before the prediction time, or all."""
        mine = self.events[self.events["visit"] >= 0].drop_duplicates(["visit", "key"])
        if not everything:
            mine = mine[mine["known"].to_numpy("datetime64[s]") < when[mine["visit"].to_numpy()]]
        return mine[["visit", "key"]].to_numpy(np.int64)

    def at_last_visit(self, when: Times) -> Ints:
        """Codes of the patient's visit before, known before the prediction time."""
        mine = self.events[(self.events["visit"] >= 0) & (self.events["visit"] < len(when) - 1)]
        mine = mine.drop_duplicates(["visit", "key"]).assign(visit=lambda frame: frame["visit"] + 1)
        row = mine["visit"].to_numpy()
        fits = (self.subject[row] == mine["subject"].to_numpy()) & (mine["known"].to_numpy("datetime64[s]") < when[row])
        found: Ints = mine.loc[fits, ["visit", "key"]].to_numpy(np.int64)
        return found


def reasons(texts: pd.Series) -> tuple[list[str], Ints]:
    """Cut the reasons of visits into phrases.

    Returns
    -------
    labels, pairs
        The phrases, and (m, 2) visit and phrase.

    >>> reasons(pd.Series(["SEPSIS;PNEUMONIA", None, "Pneumonia"]))[0]
    ['sepsis', 'pneumonia']
    """
    phrases = texts.dropna().astype("string").str.lower().str.split(r"[;,/\\\\]+", regex=True).explode().str.strip()
    phrases = phrases[phrases.fillna("") != ""]
    key, uniques = pd.factorize(phrases)
    found: Ints = np.column_stack([phrases.index.to_numpy(), key]).astype(np.int64)
    return [str(text) for text in uniques], found


def code_labels(rows: pd.DataFrame, *, with_unit: bool = False) -> tuple[npt.NDArray[Any], list[str]]:
    """Tell the code of each row, ICD cut to `ICD_LENGTH`, and the label of each code.

    Returns
    -------
    key, labels
        (n,) which label each row has. A label is ``401 (ICD9CM)``, or ``Glucose (LOINC 2345-7, mg/dL)`` where the
        source names its codes.
    """
    code = rows["code"].cat
    split = pd.Series(code.categories, dtype="string").str.partition("/").reindex(columns=[0, 2]).astype("string")
    system, text = split[0].str.replace(" ", "-"), split[2]
    cut = system.str.startswith("ICD").fillna(False).to_numpy(bool)
    identity = system + " " + text.where(~cut, text.str[:ICD_LENGTH])
    texts = identity.to_numpy(object)[code.codes.to_numpy()] if len(rows) else np.zeros(0, object)
    each = pd.Series(texts, index=rows.index, dtype="string")
    if with_unit:
        each += (", " + rows["unit"].astype("string")).fillna("")
    key, uniques = pd.factorize(each)
    said = pd.DataFrame({"key": key, "name": rows["name"].to_numpy(object), "cut": cut[code.codes.to_numpy()]})
    named = said[said["name"].notna() & ~said["cut"]].drop_duplicates("key").set_index("key")["name"]
    labels = []
    for i, one in enumerate(uniques):
        where, _, what = str(one).partition(" ")
        labels.append(f"{named[i]} ({where} {what})" if i in named.index else f"{what} ({where})")
    return key, labels


def identity_of(prefix: str, label: str) -> str:
    """Return what a label means, however the source names the code: a medicine's name, or code system and code.

    >>> identity_of("diagnosis before", "Hypertension (disorder) (SNOMED 38341003)")
    'SNOMED 38341003'
    >>> identity_of("diagnosis before", "401 (ICD9CM)")
    'ICD9CM 401'
    """
    match = None if prefix.startswith(("medicine", REASON)) else re.fullmatch(r"(.*) \((\S+)(?: (.+?))?\)", label)
    return label if match is None else f"{match[2]} {match[3] or match[1]}"


def choose_fields(history: History, rows: Ints, least: int, share: float, most: int) -> tuple[list[str], list[str]]:
    """Choose fields by how many patients they show for.

    Returns
    -------
    fields, notes
        Names, and what was left out.
    """
    subject = history.visits["subject"].cat.codes.to_numpy()
    people = len(np.unique(subject[rows]))
    enough = max(least, int(np.ceil(share * people)))
    inside = np.zeros(len(subject), dtype=bool)
    inside[rows] = True
    counted: list[tuple[int, tuple[str, ...]]] = []
    for prefix in PREFIXES:
        pairs = history.pairs[prefix]
        pairs = pairs[inside[pairs[:, 0]]]
        whose = np.unique(np.column_stack([subject[pairs[:, 0]], pairs[:, 1]]), axis=0)
        for key, count in enumerate(np.bincount(whose[:, 1], minlength=len(history.keys[prefix]))):
            counted.append((int(count), (f"{prefix}: {history.keys[prefix][key]}",)))
    for key, label in enumerate(history.value_keys):
        there = np.isfinite(history.last_values(key, rows)[0])
        counted.append((len(np.unique(subject[rows[there]])), (f"{LAST_VALUE}: {label}", f"{VALUE_AGE}: {label}")))
    frequent = [item for item in counted if item[0] >= enough]
    frequent.sort(key=lambda item: -item[0])  # stable: of equals the first prefix stays
    chosen: list[str] = []
    for _, names in frequent:
        if len(chosen) + len(names) <= most:
            chosen += names
    order = {name: i for i, name in enumerate(name for _, names in counted for name in names)}
    first = [AGE, *CATEGORIES, EARLIER, SINCE]
    rare = [names[0] for count, names in counted if 0 < count < enough]
    notes = [f"{len(rare)} codes that show for fewer than {enough} of {people} patients are no fields"] if rare else []
    if allergies := sum(name.startswith("allergy: ") for name in rare):  # no rule can know of these
        notes[0] += f", {allergies} of them allergies, for which nothing can be held back"
    over = sum(len(names) for _, names in frequent) - len(chosen)
    notes += [f"{over} fields beyond the {most} most frequent are left out"] if over else []
    return first + sorted(dict.fromkeys(chosen), key=order.__getitem__), notes


def fill_fields(history: History, rows: Ints, fields: Sequence[str]) -> pd.DataFrame:
    """Return exactly the given columns for the visits ``rows``; a code that the data do not hold shows for nobody."""
    place = np.full(len(history.visits), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    columns: dict[str, Any] = dict(_plain_fields(history, rows))
    wanted: dict[str, dict[str, str]] = {}
    for name in fields:
        prefix, colon, label = name.partition(": ")
        if colon:
            wanted.setdefault(prefix, {})[identity_of(prefix, label)] = name
    for prefix in PREFIXES:
        names = wanted.get(prefix, {})
        block = np.zeros((len(rows), len(names)), dtype=bool)
        at = {identity: i for i, identity in enumerate(names)}
        column = np.array([at.get(identity_of(prefix, label), -1) for label in history.keys[prefix]], dtype=np.int64)
        pairs = history.pairs[prefix]
        row, col = place[pairs[:, 0]], column[pairs[:, 1]] if len(column) else pairs[:, 1]
        fits = (row >= 0) & (col >= 0)
        block[row[fits], col[fits]] = True
        columns.update({name: block[:, i] for i, name in enumerate(names.values())})
    for part, prefix in enumerate((LAST_VALUE, VALUE_AGE)):
        keys = {identity_of(prefix, label): key for key, label in enumerate(history.value_keys)}
        for identity, name in wanted.get(prefix, {}).items():
            key = keys.get(identity)
            columns[name] = np.full(len(rows), np.nan) if key is None else history.last_values(key, rows)[part]
    lacking = {name: np.full(len(rows), np.nan) for name in fields if name not in columns}
    return pd.DataFrame({name: columns[name] if name in columns else lacking[name] for name in fields})


def _plain_fields(history: History, rows: Ints) -> Iterator[tuple[str, Any]]:
    visits = history.visits
    subject = visits["subject"].cat.codes.to_numpy()
    yield AGE, visits["age"].to_numpy()[rows]
    for name, column in CATEGORIES.items():
        yield name, visits[column].to_numpy(object)[rows]
    starts = np.concatenate([[True], subject[1:] != subject[:-1]])
    number = np.arange(len(subject)) - np.maximum.accumulate(np.where(starts, np.arange(len(subject)), 0))
    yield EARLIER, number[rows].astype(np.float64)
    start, end = (visits[name].to_numpy("datetime64[s]") for name in ("start", "end"))
    gap = np.full(len(subject), np.nan)
    gap[1:] = np.maximum((start[1:] - end[:-1]).astype(np.float64) / DAY_SECONDS, 0)
    gap[1:][np.isnat(end[:-1])] = np.nan
    yield SINCE, np.where(starts, np.nan, gap)[rows]
