"""Events of patients in one common form, gathered from whatever tables they stood in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases.tables import is_missing
from medtasks.errors import DataError

KINDS = ("diagnosis", "procedure", "laboratory", "medicine", "allergy")
UNNAMED = "it names no patient, or has fewer fields than the header"
DAY = np.timedelta64(86_400, "s")
LAST_SECOND = DAY - np.timedelta64(1, "s")
FAR = np.timedelta64(366, "D").astype("timedelta64[s]")
"""An event that names a visit and lies further away from it was dated wrongly: no order runs ahead by a year."""
OLDEST = 150.0
"""Years that nobody has lived: a greater age, or one below 0, is a birth or a visit dated wrongly."""

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Events:
    """What happened to patients, and when each thing became known.

    Attributes
    ----------
    table : DataFrame, one row per event
        ``subject`` (category: whose), ``visit`` (int: row of `visits` that it belongs to, -1 none), ``time`` and
        ``known`` (datetime64[s]: when it happened, and from when on it is known), ``kind`` (category: one of `KINDS`),
        ``code`` (category, with its code system before the slash: ``ICD9CM/4019``, ``LOINC/2345-7``), ``name``
        (category: for readers, NaN where the source has none; of medicines in lower case), ``value`` (float64, NaN
        where none), ``unit`` (category), ``source`` and ``row`` (the table and the row in it, from 1).
    visits : DataFrame, one row per visit, by subject and start
        ``subject``, ``visit`` (its id, text), ``start``, ``end`` (datetime64[s]; NaT while it goes on), ``age`` (years
        at start), ``sex``, ``type`` (how admitted, or the class of the encounter), ``place`` (where from), ``reason``
        (why, as written at admission).
    invalid : (row, reason) of everything that could not be used; names table and row, never a patient's value
    notes : sentences about the whole that a reader of a report should see
    title : the format, for people
    """

    table: pd.DataFrame
    visits: pd.DataFrame
    invalid: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    title: str = ""


def read_times(values: Any) -> tuple[Times, Flags, Flags]:
    """Read times (ISO 8601; a time zone is brought to UTC).

    Returns
    -------
    times, missing, wrong
        datetime64[s] with NaT where there is none; which were empty; which were there and could not be read.
    """
    series = pd.Series(values).reset_index(drop=True)
    missing = is_missing(series).to_numpy()
    text = series if pd.api.types.is_datetime64_any_dtype(series) else series.astype("string").str.strip()
    found = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
    times = found.to_numpy().astype("datetime64[s]")
    return times, missing, np.isnat(times) & ~missing


def last_moment(times: Times) -> Times:
    """Return the last second that a time may mean: midnight sharp is a date without time of day, as sources write it.

    >>> last_moment(np.array(["2020-01-01T00:00:00", "2020-01-01T09:30:00"], dtype="datetime64[s]")).tolist()[0].hour
    23
    """
    dated = times == times.astype("datetime64[D]").astype("datetime64[s]")
    return np.where(dated, times + LAST_SECOND, times)


def years(start: Times, birth: Times) -> npt.NDArray[np.float64]:
    """Return the age at ``start`` in years, NaN where one of the times is missing."""
    days = (start.astype("datetime64[D]") - birth.astype("datetime64[D]")).astype(np.float64)
    return np.where(np.isnat(start) | np.isnat(birth), np.nan, days / 365.25)


@dataclass
class Names:
    """Texts as numbers, the same over all parts of all tables."""

    numbers: dict[str, int] = field(default_factory=dict)

    def codes(self, values: pd.Series) -> npt.NDArray[np.int32]:
        """Return the number of each text, -1 where it is missing."""
        codes, uniques = pd.factorize(values.astype("string").str.strip(), use_na_sentinel=True)
        texts = pd.Series(uniques, dtype="string")
        known = ~is_missing(texts).to_numpy()
        table = [
            self.numbers.setdefault(str(t), len(self.numbers)) if k else -1 for t, k in zip(texts, known, strict=True)
        ]
        return np.array([*table, -1], dtype=np.int32)[codes]

    def column(self, codes: npt.NDArray[np.int32]) -> pd.Categorical:
        """Return the texts of numbers, as categories."""
        return pd.Categorical.from_codes(codes, categories=pd.Index(list(self.numbers), dtype=object))


class Collector:
    """Takes in parts of tables, sets aside rows that cannot be used with the reason, and makes `Events` of the rest.

    Parameters
    ----------
    title
        The format, for people.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.notes: list[str] = []
        self._invalid: list[tuple[str, str]] = []
        self._parts: list[pd.DataFrame] = []
        self._visits: list[pd.DataFrame] = []
        self._names = {name: Names() for name in ("subject", "visit", "code", "name", "unit", "source")}
        self._names["kind"] = Names({kind: i for i, kind in enumerate(KINDS)})

    def add_events(
        self, source: str, part: pd.DataFrame, first: int, *, kind: str | None = None, keep: Flags | None = None
    ) -> None:
        """Take in a part of a table, whose first row is number ``first``.

        Parameters
        ----------
        part
            Has the columns subject, time, code and may have known, visit, name, value, unit (text, or as `Events` has
            them), and kind unless it is given for all.
        keep
            Which rows are events; the others are no fault and not told, if they name a patient. By default all.
        """
        part = (part if kind is None else part.assign(kind=kind)).reset_index(drop=True)
        rows = np.arange(first, first + len(part), dtype=np.int64)
        if keep is not None:
            keep = keep | is_missing(part["subject"]).to_numpy()
            part, rows = part[keep].reset_index(drop=True), rows[keep]
        time, untimed, unread = read_times(part["time"])
        known = last_moment(time if "known" not in part else read_times(part["known"])[0])
        columns = {name: self._codes(name, part) for name in ("subject", "kind", "code", "visit", "name", "unit")}
        reasons = {
            UNNAMED: columns["subject"] < 0,
            "it has no time": untimed,
            "its time cannot be read": unread,
            "it has no code": columns["code"] < 0,
            "when it became known cannot be told": np.isnat(known),
        }
        good = self.refuse(source, rows, reasons)
        value = pd.to_numeric(part["value"], errors="coerce") if "value" in part else pd.Series(np.nan, part.index)
        where = self._names["source"].codes(pd.Series([source]))[0]
        whole = {**columns, "time": time, "known": known, "value": value.to_numpy(np.float64, na_value=np.nan)}
        frame = pd.DataFrame({**whole, "source": where, "row": rows})
        self._parts.append(frame[good])

    def add_visits(self, source: str, part: pd.DataFrame, first: int | Ints) -> None:
        """Take in visits: the columns subject, visit, start, end, and age, sex, type, place, reason where known.

        ``first`` is the number of the first row, or the numbers of all.
        """
        rows = np.arange(first, first + len(part)) if isinstance(first, int) else first
        part = part.reset_index(drop=True)
        start, without, unread = read_times(part["start"])
        end, _, wrong = read_times(part["end"])
        end = last_moment(end)
        subject, visit = self._codes("subject", part), self._codes("visit", part)
        earlier = np.concatenate([f["visit"].to_numpy() for f in self._visits] or [np.zeros(0, np.int32)])
        reasons = {
            UNNAMED: subject < 0,
            "it has no visit id": visit < 0,
            "it has no start": without,
            "its start cannot be read": unread,
            "its end cannot be read": wrong,
            "it ends before it starts": end < start,
        }
        fine = ~np.logical_or.reduce(list(reasons.values()))
        seen = pd.Series(np.where(fine, visit, -1 - np.arange(len(part))))
        reasons["its visit id stands in a row before"] = (seen.duplicated() | np.isin(seen, earlier)).to_numpy() & fine
        good = self.refuse(source, rows, reasons)
        where = self._names["source"].codes(pd.Series([source]))[0]
        whole = {"subject": subject, "visit": visit, "start": start, "end": end, "source": where, "row": rows}
        frame = pd.DataFrame(whole)
        frame["age"] = pd.to_numeric(part["age"], errors="coerce").astype("float64") if "age" in part else np.nan
        for name in ("sex", "type", "place", "reason"):
            text = part[name].astype("string").str.strip() if name in part else pd.Series(pd.NA, part.index, "string")
            frame[name] = text.where(~is_missing(text)).astype(object)
        self._visits.append(frame[good])

    def refuse(self, source: str, rows: Ints, reasons: dict[str, Flags]) -> Flags:
        """Set aside the rows of a table that a reason holds for, each with the first one; return which are good."""
        left = np.ones(len(rows), dtype=bool)
        for reason, holds in reasons.items():
            self._invalid += [(f"{source} row {row}", reason) for row in rows[holds & left]]
            left &= ~holds
        return left

    def finish(self) -> Events:
        """Put the parts together.

        Raises
        ------
        DataError
            If there is no visit.
        """
        visits = pd.concat(self._visits, ignore_index=True) if self._visits else pd.DataFrame()
        if visits.empty:
            raise DataError(
                f"the event tables ({self.title}) hold no visit that can be used" + self._first_reason(),
                hint="a decision belongs to an admission or encounter with a patient, an id and a start",
            )
        visits = visits.sort_values(["subject", "start"], kind="stable", ignore_index=True)
        goes_on = visits["end"].isna() & visits["subject"].duplicated(keep="last")
        visits = visits[self._refuse_late(visits, {"it has no end though the patient came again": goes_on.to_numpy()})]
        visits = visits.drop(columns=["source", "row"]).reset_index(drop=True)
        table = self._linked(visits)
        for name in ("subject", "kind", "code", "name", "unit", "source"):
            table[name] = self._names[name].column(table[name].to_numpy(np.int32))
        ids = np.array(list(self._names["visit"].numbers), dtype=object)
        visits = visits.assign(
            visit=ids[visits["visit"].to_numpy()],
            subject=self._names["subject"].column(visits["subject"].to_numpy(np.int32)),
        )
        if count := int((wrong := ~visits["age"].between(0, OLDEST) & visits["age"].notna()).sum()):
            visits["age"] = visits["age"].mask(wrong)
            self.notes.append(f"{count} visits have an age below 0 or above {OLDEST:g} years, which counts as missing")
        if still := int(visits["end"].isna().sum()):
            self.notes.append(f"{still} visits have no end and are taken as still going on")
        return Events(table, visits, tuple(self._invalid), tuple(self.notes), self.title)

    def _linked(self, visits: pd.DataFrame) -> pd.DataFrame:
        """Join the parts and give each event the row of its visit: by the id it names, else by its time."""
        columns = ["subject", "kind", "code", "visit", "name", "unit", "time", "known", "value", "source", "row"]
        table = pd.concat(self._parts, ignore_index=True) if self._parts else pd.DataFrame(columns=columns)
        if table.empty:
            table = table.astype(dict.fromkeys(("subject", "kind", "code", "visit", "name", "unit", "source"), "int64"))
            table = table.astype({"row": "int64", "value": "float64"})
            table = table.astype({"time": "datetime64[s]", "known": "datetime64[s]"})
        row_of = np.full(len(self._names["visit"].numbers) + 1, -1, dtype=np.int64)
        row_of[visits["visit"].to_numpy()] = np.arange(len(visits))
        row = row_of[table["visit"].to_numpy(np.int64)]  # -1, an event without visit id, finds the last: -1
        named = row >= 0
        start, end = (visits[name].to_numpy("datetime64[s]") for name in ("start", "end"))
        time, subject = table["time"].to_numpy("datetime64[s]"), table["subject"].to_numpy()
        other = named & (visits["subject"].to_numpy()[row] != subject)
        distant = named & ((time < start[row] - FAR) | (time > end[row] + FAR))
        fine = self._refuse_late(table, {
            "its visit is another patient's": other,
            "its time lies more than a year outside its visit": distant & ~other,
        })  # fmt: skip
        by_time = np.flatnonzero(~named)
        found = Timeline(visits["subject"].to_numpy(), start).last(subject[by_time], last_moment(time[by_time]), True)
        outside = (found < 0) | (time[by_time] > end[found])
        row[by_time] = np.where(outside, -1, found)
        table["visit"] = row
        return table[fine].reset_index(drop=True)

    def _refuse_late(self, table: pd.DataFrame, reasons: dict[str, Flags]) -> Flags:
        fine = np.ones(len(table), dtype=bool)
        sources = np.array(list(self._names["source"].numbers) or [""], dtype=object)
        for reason, holds in reasons.items():
            rows = np.flatnonzero(holds)
            where, number = sources[table["source"].to_numpy(np.int64)[rows]], table["row"].to_numpy()[rows]
            self._invalid += [(f"{s} row {n}", reason) for s, n in zip(where, number, strict=True)]
            fine &= ~holds
        return fine

    def _codes(self, name: str, part: pd.DataFrame) -> npt.NDArray[np.int32]:
        if name not in part:
            return np.full(len(part), -1, dtype=np.int32)
        return self._names[name].codes(part[name])

    def _first_reason(self) -> str:
        return f" ({self._invalid[0][0]}: {self._invalid[0][1]})" if self._invalid else ""


class Timeline:
    """Finds the last of somebody's entries before a time, without a loop over rows.

    Parameters
    ----------
    subject : (n,) int, sorted
    time : (n,) datetime64[s], sorted within each subject
    """

    def __init__(self, subject: npt.NDArray[Any], time: Times) -> None:
        self.subject = subject.astype(np.int64)
        seconds = time.astype(np.int64)
        self.floor = int(seconds.min()) if len(seconds) else 0
        self.span = (int(seconds.max()) - self.floor if len(seconds) else 0) + 3
        self.keys = self.subject * self.span + (seconds - self.floor + 1)

    def last(self, subject: npt.NDArray[Any], time: Times, at_once: bool) -> Ints:
        """Return (m,) the last entry of each subject before ``time`` (or at it, with ``at_once``); -1 where none."""
        seconds = np.clip(time.astype(np.int64) - self.floor + 1, 0, self.span - 1)
        keys = subject.astype(np.int64) * self.span + seconds
        found = np.searchsorted(self.keys, keys, side="right" if at_once else "left") - 1
        mine = (found >= 0) & (self.subject[np.maximum(found, 0)] == subject) if len(self.keys) else np.zeros(0, bool)
        return np.where(mine, found, -1) if len(self.keys) else np.full(len(subject), -1, dtype=np.int64)


def numbered(parts: Iterable[pd.DataFrame]) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the parts of a table, each with the number of its first row, from 1."""
    first = 1
    for part in parts:
        yield first, part
        first += len(part)
