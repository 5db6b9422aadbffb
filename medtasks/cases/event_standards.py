"""Event tables in the forms that standards prescribe: OMOP CDM and MEDS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtasks.cases.event_folder import ROWS, Folder, chosen
from medtasks.cases.event_formats import joined, plain_name
from medtasks.cases.event_tables import Collector, Events, Times, numbered, read_times, years
from medtasks.cases.tables import is_missing, iterate_table, read_table

OMOP_TABLES = (
    ("condition_occurrence", "diagnosis", "condition_concept_id", "condition_start"),
    ("procedure_occurrence", "procedure", "procedure_concept_id", "procedure"),
    ("drug_exposure", "medicine", "drug_concept_id", "drug_exposure_start"),
    ("measurement", "laboratory", "measurement_concept_id", "measurement"),
)
OMOP_WORDS = {
    "8507": "male",
    "8532": "female",
    "9201": "inpatient",
    "9202": "outpatient",
    "9203": "emergency",
    "262": "emergency and inpatient",
}
"""Standard concepts of sex and visit (https://athena.ohdsi.org), for readers where there is no table ``concept``."""

MEDS_KINDS = {
    "diagnosis": ("diagnosis", "condition", "icd9cm", "icd10cm", "icd10", "icd9", "snomed"),
    "procedure": ("procedure", "icd9proc", "icd10pcs", "cpt4", "hcpcs"),
    "laboratory": ("lab", "laboratory", "loinc", "measurement"),
    "medicine": ("medication", "drug", "prescription", "rxnorm", "rxnorm extension", "ndc", "atc"),
    "allergy": ("allergy", "allergies"),
    "admission": ("hospital_admission", "admission", "encounter", "visit"),
    "discharge": ("hospital_discharge", "discharge"),
    "birth": ("meds_birth", "birth"),
    "sex": ("gender", "sex"),
}
MEDS_ICD = {
    ("diagnosis", "9"): "ICD9CM",
    ("diagnosis", "10"): "ICD10CM",
    ("procedure", "9"): "ICD9Proc",
    ("procedure", "10"): "ICD10PCS",
}
ENDING = ("stop", "stopped", "not given", "hold", "held", "discontinued", "refused")
"""Last or first word of a medicine's code that says that it was not given, or no longer."""

MIDDLE = 0.51
"""Years by which a birth lies off the middle of its year at most: so far below 0 is the age of a newborn."""

FIRST_YEAR = 1700


def read_omop(folder: Folder) -> Events:
    """Read tables of the OMOP Common Data Model 5 (https://ohdsi.github.io/CommonDataModel), in CSV or Parquet.

    Needs person and visit_occurrence; takes condition_occurrence, procedure_occurrence, drug_exposure and measurement.
    Codes are concept ids (``OMOP/201826``); their names come from ``concept`` where it is.
    """
    found = Collector("OMOP CDM")
    names = _concepts(folder)
    person = folder.whole(
        "person",
        ["person_id", "gender_concept_id"],
        ["birth_datetime", "year_of_birth", "month_of_birth", "day_of_birth"],
        required=True,
    )
    person = person.assign(person_id=_whole(person["person_id"])).drop_duplicates("person_id").set_index("person_id")
    wanted = ["visit_start_datetime", "visit_end_datetime", "visit_concept_id"]
    needed = ["visit_occurrence_id", "person_id", "visit_start_date", "visit_end_date"]
    for first, part in folder.parts("visit_occurrence", needed, wanted, required=True):
        who = person.reindex(_whole(part["person_id"]))
        start = _moment(part, "visit_start")
        age = years(read_times(start)[0], read_times(_birth(who))[0])
        visits: dict[str, Any] = {
            "subject": _whole(part["person_id"]),
            "visit": _whole(part["visit_occurrence_id"]),
            "start": start,
            "end": _moment(part, "visit_end"),
            "age": np.where((age < 0) & (age > -MIDDLE), 0.0, age),
            "sex": _named(who["gender_concept_id"], names).to_numpy(),
        }
        if "visit_concept_id" in part:
            visits["type"] = _named(part["visit_concept_id"], names)
        found.add_visits("visit_occurrence", pd.DataFrame(visits), first)
    for table, kind, concept, when in OMOP_TABLES:
        wanted = [f"{when}_datetime", "visit_occurrence_id", "value_as_number", "unit_source_value", "unit_concept_id"]
        for first, part in folder.parts(table, ["person_id", concept, f"{when}_date"], wanted):
            _omop_part(found, table, kind, part, first, names, (concept, when))
    found.notes.append("OMOP does not tell when a condition was coded: conditions count as known from their start")
    return found.finish()


def _omop_part(
    found: Collector, table: str, kind: str, part: pd.DataFrame, first: int, names: pd.Series, columns: tuple[str, str]
) -> None:
    concept, when = columns
    number = _whole(part[concept])
    number = number.where(number != "0")  # OMOP's way to say that a code was not mapped
    name = number.map(names)
    frame = pd.DataFrame(
        {
            "subject": _whole(part["person_id"]),
            "time": _moment(part, when),
            "code": joined("OMOP/", number),
            "name": plain_name(name) if kind == "medicine" else name,
        }
    )
    if "visit_occurrence_id" in part:
        frame["visit"] = _whole(part["visit_occurrence_id"])
    if kind == "laboratory":
        frame["value"] = part.get("value_as_number")
        unit = part["unit_source_value"].astype("string") if "unit_source_value" in part else None
        if "unit_concept_id" in part:
            told = _whole(part["unit_concept_id"])
            told = told.map(names).fillna(told.where(told != "0"))
            unit = told if unit is None else unit.where(~is_missing(unit), told)
        frame["unit"] = unit
    found.add_events(table, frame, first, kind=kind)


def _concepts(folder: Folder) -> pd.Series:
    """Return the name of each concept that the tables may speak of."""
    parts = [pd.Series(OMOP_WORDS, dtype="string")]
    for _, part in folder.parts("concept", ["concept_id", "concept_name"]):
        parts.append(pd.Series(part["concept_name"].astype("string").to_numpy(), index=_whole(part["concept_id"])))
    names = pd.concat(parts)
    return names[~names.index.duplicated(keep="last")]


def _named(concepts: pd.Series, names: pd.Series) -> pd.Series:
    number = _whole(concepts)
    return number.map(names).fillna(joined("OMOP ", number.where(number != "0")))


def _whole(values: pd.Series) -> pd.Series:
    """Return ids as text; those that stand among gaps in Parquet come as 12.0."""
    if pd.api.types.is_float_dtype(values):
        values = values.astype("Int64")
    return values.astype("string").str.strip()


def _moment(part: pd.DataFrame, name: str) -> pd.Series:
    """Return the time of day where the table tells it, else the date."""
    date = part[f"{name}_date"].astype("string")
    if f"{name}_datetime" not in part:
        return date
    exact = part[f"{name}_datetime"].astype("string")
    return exact.where(~is_missing(exact), date)


def _birth(who: pd.DataFrame) -> Any:
    if "birth_datetime" in who and not is_missing(who["birth_datetime"]).all():
        return who["birth_datetime"].astype("string")
    parts = [
        pd.to_numeric(who[name], errors="coerce") if name in who else pd.Series(np.nan, who.index)
        for name in ("year_of_birth", "month_of_birth", "day_of_birth")
    ]
    # Where only the year is known, its middle is less than six months off. Those too early for pandas' clock are wrong
    # anyway; brought to one that it has, they make an age that is told of.
    middle = [parts[0].clip(lower=FIRST_YEAR), parts[1].fillna(7), parts[2].fillna(1)]
    text = [part.astype("Int64").astype("string").str.zfill(2) for part in middle]
    return text[0] + "-" + text[1] + "-" + text[2]


def read_meds(folder: Folder) -> Events:
    """Read the Medical Event Data Standard (Arnrich et al. 2024): Parquet files, also in ``data/`` in shards.

    Visits run from a code like ``HOSPITAL_ADMISSION//...`` to the discharge with the same ``hadm_id``, or the
    patient's next one. What a code is, is told by its first word: its vocabulary, or a word such as ``DIAGNOSIS``.
    """
    found = Collector("MEDS")
    described = _descriptions(folder.path)
    marks: dict[str, list[pd.DataFrame]] = {name: [] for name in ("admission", "discharge", "birth", "sex")}
    unused = 0
    for file in [f for name, files in folder.files.items() if name not in ("metadata", "codes") for f in files]:
        where = str(file.relative_to(folder.path))
        for first, raw in numbered(iterate_table(file, ROWS, bare=True)):
            needed = ["subject_id|patient_id", "time|timestamp", "code"]
            part = chosen(raw, file, needed, ["numeric_value|value", "hadm_id|visit_id|encounter_id", "end", "unit"])
            part = part.rename(columns={"subject_id": "subject", "numeric_value": "value", "hadm_id": "visit"})
            part = part.assign(source=where, row=np.arange(first, first + len(part)))
            kinds = _meds_codes(part, described)
            for name, parts in marks.items():
                parts.append(part[kinds == name])
            events = kinds.isin(("diagnosis", "procedure", "laboratory", "medicine", "allergy"))
            unused += int(kinds.eq("").sum())
            found.add_events(where, part.assign(kind=kinds), first, keep=events.to_numpy(bool))
    if unused:
        found.notes.append(f"{unused} events with codes of other kinds are not used")
    whole = {name: pd.concat(parts, ignore_index=True) for name, parts in marks.items() if parts}
    if whole:
        _meds_visits(found, whole)
    return found.finish()


def _meds_codes(part: pd.DataFrame, described: pd.Series) -> pd.Series:
    """Return the kind of each row ("" for others); bring codes, names and units in ``part`` to the common form."""
    codes, uniques = pd.factorize(part["code"].astype("string"))
    told = [_meds_code(str(code)) for code in uniques]
    kinds = pd.Series([kind for kind, _, _, _ in told] + [""], dtype=object)
    name = pd.Series([name for *_, name, _ in told] + [None], dtype="string")
    described = pd.Series(pd.Index(uniques).map(described).astype("string"), dtype="string") if len(uniques) else name
    name = described.reindex(range(len(told) + 1)).fillna(name)
    medicine = (kinds == "medicine").to_numpy()
    name = name.where(~medicine, plain_name(name))
    part["name"] = name.to_numpy()[codes]
    part["code"] = np.array([code for _, code, _, _ in told] + [None], dtype=object)[codes]
    unit = np.array([unit for *_, unit in told] + [None], dtype=object)[codes]
    part["unit"] = unit if "unit" not in part else part["unit"].astype(object).where(part["unit"].notna(), unit)
    found = pd.Series(kinds.to_numpy()[codes], index=part.index)
    if "value" in part:  # a number under a code of no known kind was measured
        found = found.where(~(found.eq("") & part["value"].notna()), "laboratory")
    return found


def _meds_code(code: str) -> tuple[str, str, str | None, str | None]:
    """Return the kind, the code in the common form, the name and the unit that a MEDS code tells.

    >>> _meds_code("DIAGNOSIS//ICD//9//4019")
    ('diagnosis', 'ICD9CM/4019', None, None)
    >>> _meds_code("LAB//50912//mg/dL")
    ('laboratory', 'LAB/50912', None, 'mg/dL')
    """
    words = [word.strip() for word in (code.split("//") if "//" in code else code.split("/", 1))]
    kind = next((kind for kind, heads in MEDS_KINDS.items() if words[0].lower() in heads), "")
    rest = words[1:]
    if kind in ("diagnosis", "procedure") and len(rest) > 2 and rest[0].upper() == "ICD":
        return kind, f"{MEDS_ICD.get((kind, rest[1]), 'ICD' + rest[1])}/{rest[2]}", None, None
    if kind == "laboratory" and "//" in code:
        unit = rest[1] if len(rest) > 1 and rest[1].lower() not in ("", "unk") else None
        return kind, f"{words[0]}/{rest[0] if rest else ''}", None, unit
    if kind == "medicine" and "//" in code:
        if any(word.lower().startswith(ENDING) for word in (rest[0], rest[-1]) if rest):
            return "", code, None, None
        rest = rest[1:] if rest and rest[0].lower() == "start" else rest
        return kind, f"{words[0]}/{rest[0] if rest else ''}", rest[0] if rest else None, None
    if kind in ("admission", "sex"):
        return kind, code, "//".join(rest), None
    return kind, code, None, None


def _meds_visits(found: Collector, marks: dict[str, pd.DataFrame]) -> None:
    """Make visits of admissions and discharges."""
    came, left, born, sex = (marks[name] for name in ("admission", "discharge", "birth", "sex"))
    start, person = read_times(came["time"])[0], came["subject"]
    end = pd.Series(_next_discharge(came, left))
    visit = person.astype("string") + " " + pd.Series(start).dt.strftime("%Y-%m-%d %H:%M").astype("string")
    if "visit" in came and came["visit"].notna().any():
        visit = _whole(came["visit"])
        leaving = left.assign(visit=_whole(left["visit"])).drop_duplicates("visit").set_index("visit")["time"]
        end = pd.Series(read_times(visit.map(leaving))[0])
    if "end" in came:
        told = pd.Series(read_times(came["end"])[0])
        end = told.where(told.notna(), end)
    birth = born.drop_duplicates("subject").set_index("subject")["time"]
    gender = sex.drop_duplicates("subject").set_index("subject")["name"]
    words = came["name"].astype("string").str.split("//", n=1, expand=True).reindex(columns=[0, 1])
    frame = pd.DataFrame({"subject": person, "visit": visit, "start": start, "end": end})
    frame["age"] = years(start, read_times(person.map(birth))[0])
    frame = frame.assign(sex=person.map(gender), type=words[0], place=words[1])
    for source, rows in came.groupby("source", sort=False):
        found.add_visits(str(source), frame.loc[rows.index], rows["row"].to_numpy())


def _next_discharge(came: pd.DataFrame, left: pd.DataFrame) -> Times:
    """Return the patient's first discharge after each admission, NaT where another admission stands between."""
    whole = pd.concat([came.assign(leaves=False), left.assign(leaves=True)], ignore_index=True)[
        ["subject", "leaves", "time"]
    ]
    whole["time"] = read_times(whole["time"])[0]
    # At one time, who leaves left before coming again.
    order = whole.assign(first=~whole["leaves"]).sort_values(["subject", "time", "first"], kind="stable")
    following = order.groupby("subject")[["leaves", "time"]].shift(-1)
    end = following["time"].where(following["leaves"].eq(True))
    return np.asarray(end.sort_index().iloc[: len(came)].to_numpy("datetime64[s]"))


def _descriptions(path: Path) -> pd.Series:
    """Return what ``metadata/codes.parquet`` says of each code."""
    for file in (path / "metadata" / "codes.parquet", path / "codes.parquet"):
        if file.is_file():
            table = read_table(file)
            if {"code", "description"} <= set(table.columns):
                table = table.dropna(subset=["description"]).drop_duplicates("code")
                return pd.Series(table["description"].astype("string").to_numpy(), index=table["code"].astype(str))
    return pd.Series(dtype="string")
