"""Visits as cases: one row for each decision, with what was known then and the medicines that followed."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases.event_tables import Events, Flags, Ints, Times, last_moment
from medtasks.cases.medicines import label_medicines
from medtasks.cases.visit_fields import History, choose_fields, fill_fields
from medtasks.errors import DataError, UsageError


@dataclass(frozen=True)
class Visits:
    """Decisions, one per visit, ordered by patient and start.

    Attributes
    ----------
    table : DataFrame, n rows
        One column per field: numbers as float64, yes or no as bool, categories as text.
    ids : (n,) the visits' ids
    subjects : (n,) whose visit it is: a patient must not stand on two sides of a split
    when : (n,) datetime64[s] the prediction time
    medicines : D names
    given : (n, D) uint8, 1 where the medicine was started after the prediction time and before the visit's end
    previous : (n, D) uint8, the same of the patient's visit before; all 0 where there is none
    returning : (n,) bool, whether there is a visit before
    notes : sentences for a report
    invalid : (row, reason) of the rows that could not be used (`Events.invalid`)
    """

    table: pd.DataFrame
    ids: npt.NDArray[Any]
    subjects: npt.NDArray[Any]
    when: Times
    medicines: tuple[str, ...]
    given: npt.NDArray[np.uint8]
    previous: npt.NDArray[np.uint8]
    returning: Flags
    notes: tuple[str, ...] = ()
    invalid: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: npt.NDArray[Any]) -> Visits:
        """Return the given visits, in the given order."""
        names = ("ids", "subjects", "when", "given", "previous", "returning")
        return replace(
            self, table=self.table.iloc[rows].reset_index(drop=True), **{n: getattr(self, n)[rows] for n in names}
        )


def visits_table(
    events: Events,
    *,
    at: str | float = "admission",
    fields: Sequence[str] | None = None,
    medicines: Sequence[str] | None = None,
    level: str = "name",
    mapping: Sequence[pd.DataFrame] = (),
    atc_level: int | None = None,
    least_patients: int = 5,
    least_share: float = 0.01,
    least_given: int = 10,
    most_columns: int = 1000,
    subjects: Collection[str] | None = None,
    keep_empty: bool = True,
) -> Visits:
    """Make one row per visit of events, in which nothing shows that became known at or after the prediction time.

    Parameters
    ----------
    at
        The prediction time: ``admission``, a time after it in hours (``24h``; visits that ended by then are left out),
        or ``discharge``: then what was coded and measured in the stay shows as well, and all medicines of the stay are
        asked for.
    fields, medicines
        The columns and names to build exactly (those a model was trained with); codes that they do not name are
        ignored. By default those seen often enough.
    level, mapping, atc_level
        What a medicine is called: see `medtasks.cases.medicines.label_medicines`.
    least_patients, least_share
        A code becomes a field if it shows for so many patients, and for this share of them.
    least_given
        A medicine is asked for if so many patients were given it after a prediction time.
    most_columns
        Fields of codes at most; the most frequent stay.
    subjects
        The patients whose visits decide which fields and medicines there are; by default all. `medtasks.run` reads
        before it splits and gives none, so that patients judged have their say too (docs/limits.md); benchmarks give
        those of training.
    keep_empty
        Whether visits stay in after whose prediction time no medicine was started.

    Raises
    ------
    UsageError
        If ``at`` is no such time.
    DataError
        If no visit is left, or nobody was given a medicine often enough.
    """
    retrospective, lag = _prediction_time(at)
    start, end = (events.visits[name].to_numpy("datetime64[s]") for name in ("start", "end"))
    when: Times = np.asarray(np.where(np.isnat(end), start, end) if retrospective else start + lag)
    # Of medicines nothing shows that was started in the stay whose medicines are asked for.
    asked = start if retrospective else when
    drugs = events.table[events.table["kind"] == "medicine"]
    labels, notes = label_medicines(drugs, level, mapping, atc_level)
    drugs = drugs.assign(label=labels)[labels.notna().to_numpy()]
    history = History.of(events, drugs, when, asked, retrospective)
    rows: Ints = np.flatnonzero(retrospective | np.isnat(end) | (when < end) | (lag == np.timedelta64(0, "s")))
    orders = _orders(drugs[np.isin(drugs["visit"], rows)], asked, end)
    names, said = (list(medicines), []) if medicines is not None else _often(events, orders, subjects, least_given)
    column = pd.Index(names, dtype=object).get_indexer(pd.Index(orders["label"]))
    given = np.zeros((len(start), len(names)), dtype=np.uint8)
    given[orders["visit"].to_numpy()[column >= 0], column[column >= 0]] = 1
    if not keep_empty:
        rows = rows[given[rows].any(axis=1)]
    notes += [*_remarks(events, at, rows, given, keep_empty, drugs), *said]
    if not len(rows):
        raise DataError(f"no visit is left at the prediction time {at}", hint="choose an earlier one")
    if fields is None:
        counted = rows if subjects is None else rows[events.visits["subject"].isin(list(subjects)).to_numpy()[rows]]
        fields, more = choose_fields(history, counted, least_patients, least_share, most_columns)
        notes += more
    own = events.visits["subject"].cat.codes.to_numpy()
    returning = np.concatenate([[False], own[1:] == own[:-1]])
    previous = np.zeros_like(given)
    previous[1:] = given[:-1] * returning[1:, None]
    return Visits(
        table=fill_fields(history, rows, fields),
        ids=events.visits["visit"].to_numpy(object)[rows],
        subjects=events.visits["subject"].astype(object).to_numpy()[rows],
        when=when[rows],
        medicines=tuple(names),
        given=given[rows],
        previous=previous[rows],
        returning=returning[rows],
        notes=(*events.notes, *notes),
        invalid=events.invalid,
    )


def _prediction_time(at: str | float) -> tuple[bool, np.timedelta64]:
    """Return whether it is the discharge, and how long after admission it is."""
    text = str(at).strip().lower()
    if text in ("admission", "discharge"):
        return text == "discharge", np.timedelta64(0, "s")
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?h?", text)
    if match is None:
        raise UsageError(
            f"{at!r} is no prediction time", hint="give admission, discharge, or hours after admission such as 24h"
        )
    return False, np.timedelta64(round(float(match[1]) * 3600), "s")


def _orders(drugs: pd.DataFrame, asked: Times, end: Times) -> pd.DataFrame:
    """Return ``visit`` and ``label`` of the medicines that were started after the prediction time of their visit."""
    visit = drugs["visit"].to_numpy()
    time, known = (drugs[name].to_numpy("datetime64[s]") for name in ("time", "known"))
    after = (known >= asked[visit]) & ~(time > end[visit])
    return pd.DataFrame({"visit": visit[after], "label": drugs["label"].to_numpy(object)[after]})


def _often(
    events: Events, orders: pd.DataFrame, subjects: Collection[str] | None, least: int
) -> tuple[list[str], list[str]]:
    """Return the medicines that enough patients were given, and what was left out."""
    pairs = orders.drop_duplicates()
    whose = events.visits["subject"].iloc[pairs["visit"].to_numpy()].astype(object).to_numpy()
    pairs = pairs.assign(subject=whose).drop_duplicates(["subject", "label"])
    if subjects is not None:
        pairs = pairs[pairs["subject"].isin(list(subjects))]
    counts = pairs["label"].value_counts()
    names = sorted(map(str, counts.index[counts >= least]))
    if not names:
        raise DataError(
            f"no medicine was started after the prediction time for {least} patients or more",
            hint="read more patients, or lower the number of patients that a medicine needs",
        )
    rare, lost = int((counts < least).sum()), int((~orders["label"].isin(names)).sum())
    share = f"({lost} of {len(orders)} orders, {lost / len(orders):.0%})"
    return names, [f"{rare} medicines given to fewer than {least} patients are left out {share}"] if rare else []


def _remarks(
    events: Events, at: str | float, rows: Ints, given: npt.NDArray[np.uint8], keep_empty: bool, drugs: pd.DataFrame
) -> list[str]:
    notes = []
    if str(at) == "discharge":
        notes.append(
            "what was coded in a stay is known only after it: "
            "answers from codes at discharge cannot be used at the bedside"
        )
    lost = len(events.visits) - len(rows)
    if lost:
        why = "had ended by the prediction time" if keep_empty else "ended before, or no medicine was started after it"
        notes.append(f"{lost} of {len(events.visits)} visits are left out: they {why}")
    empty = int((~given[rows].any(axis=1)).sum())
    if empty:
        notes.append(
            f"after the prediction time of {empty} of {len(rows)} visits no medicine that is asked for was started"
        )
    time = drugs["time"].to_numpy("datetime64[s]")
    if dated := int((last_moment(time) != time).sum()):
        notes.append(
            f"{dated} of {len(drugs)} orders carry a date without time of day: one dated on the day of the decision "
            "counts as started after it"
        )
    return notes
