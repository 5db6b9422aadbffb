"""Event tables as MIMIC-III and Synthea publish them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from medtasks.cases.event_folder import Folder
from medtasks.cases.event_tables import Collector, Events, read_times, years
from medtasks.cases.tables import is_missing

SYNTHEA_SYSTEMS = {"snomed-ct": "SNOMED", "http://snomed.info/sct": "SNOMED", "rxnorm": "RxNorm", "loinc": "LOINC"}
NO_NDC = ("0", "00000000000")
"""What MIMIC writes where a drug has no National Drug Code."""

SHIFTED, OLD = 150.0, 91.4
"""MIMIC moves the birth of patients older than 89 to 300 years before; their median age is 91.4
(https://mimic.mit.edu/docs/iii/tables/patients)."""


def plain_name(values: pd.Series) -> pd.Series:
    """Return medicines' names in lower case with single blanks, so that one medicine has one name.

    >>> plain_name(pd.Series(["  Furosemide ", "Calcium  Gluconate"])).tolist()
    ['furosemide', 'calcium gluconate']
    """
    text = values.astype("string").str.lower().str.strip().str.replace(r"\s+", " ", regex=True)
    return text.where(~is_missing(text))


def read_mimic(folder: Folder) -> Events:
    """Read MIMIC-III's tables (Johnson et al. 2016, doi:10.1038/sdata.2016.35), or those of MIMIC-IV's ``hosp``.

    Needs ADMISSIONS and PATIENTS; takes DIAGNOSES_ICD, PROCEDURES_ICD, PRESCRIPTIONS, LABEVENTS and D_LABITEMS where
    they are. Diagnoses and procedures are coded for billing and known from the discharge on. Of the prescriptions those
    of the type MAIN count, the others being what they are dissolved in.
    """
    found = Collector("MIMIC")
    admissions = folder.whole(
        "admissions",
        ["subject_id", "hadm_id", "admittime", "dischtime"],
        ["admission_type", "admission_location", "diagnosis"],
        required=True,
    )
    people = folder.whole("patients", ["subject_id", "gender"], ["dob", "anchor_age", "anchor_year"], required=True)
    if "dob" not in people and not {"anchor_age", "anchor_year"} <= set(people.columns):
        found.notes.append("PATIENTS has neither dob nor anchor_age with anchor_year, so that ages are not known")
    visits = _mimic_visits(admissions, people)
    if count := int((old := visits["age"].to_numpy(np.float64) > SHIFTED).sum()):
        visits["age"] = visits["age"].mask(old, OLD)
        found.notes.append(
            f"the ages of {count} visits stand for all over 89 and are taken for {OLD} years, their median"
        )
    found.add_visits("ADMISSIONS", visits, 1)
    ends = admissions.drop_duplicates("hadm_id").set_index("hadm_id")["dischtime"]
    for table, kind, systems in (
        ("diagnoses_icd", "diagnosis", {"9": "ICD9CM", "10": "ICD10CM"}),
        ("procedures_icd", "procedure", {"9": "ICD9Proc", "10": "ICD10PCS"}),
    ):
        for first, part in folder.parts(table, ["subject_id", "hadm_id", "icd9_code|icd_code"], ["icd_version"]):
            names: str | pd.Series = f"{systems['9']}/"
            if "icd_version" in part:
                names = part["icd_version"].astype("string").str.strip().map(systems) + "/"
            when = part["hadm_id"].map(ends)
            frame = pd.DataFrame({"subject": part["subject_id"], "visit": part["hadm_id"], "time": when, "known": when})
            found.add_events(table.upper(), frame.assign(code=joined(names, part["icd9_code"])), first, kind=kind)
    _mimic_prescriptions(folder, found)
    _mimic_laboratory(folder, found)
    return found.finish()


def _mimic_visits(admissions: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    person = people.drop_duplicates("subject_id").set_index("subject_id").reindex(admissions["subject_id"])
    start = read_times(admissions["admittime"])[0]
    age = np.full(len(admissions), np.nan)
    if "dob" in person:
        age = years(start, read_times(person["dob"])[0])
    elif {"anchor_age", "anchor_year"} <= set(person.columns):
        then, at = (pd.to_numeric(person[name], errors="coerce").to_numpy() for name in ("anchor_age", "anchor_year"))
        age = then + pd.Series(start).dt.year.to_numpy() - at
    return pd.DataFrame(
        {
            "subject": admissions["subject_id"],
            "visit": admissions["hadm_id"],
            "start": admissions["admittime"],
            "end": admissions["dischtime"],
            "age": age,
            "sex": person["gender"].to_numpy(),
            "type": admissions.get("admission_type"),
            "place": admissions.get("admission_location"),
            "reason": admissions.get("diagnosis"),  # written at admission, unlike the codes
        }
    )


def _mimic_prescriptions(folder: Folder, found: Collector) -> None:
    needed = ["subject_id", "hadm_id", "startdate|starttime", "drug"]
    others = 0
    for first, part in folder.parts("prescriptions", needed, ["drug_type", "drug_name_generic", "ndc"]):
        name = plain_name(part["drug"])
        if "drug_name_generic" in part:
            name = plain_name(part["drug_name_generic"]).fillna(name)
        code = joined("NAME/", name)
        if "ndc" in part:
            ndc = part["ndc"].astype("string").str.strip()
            code = joined("NDC/", ndc.where(~ndc.isin(NO_NDC))).fillna(code)
        frame = pd.DataFrame(
            {
                "subject": part["subject_id"],
                "visit": part["hadm_id"],
                "time": part["startdate"],
                "code": code,
                "name": name,
            }
        )
        main = part["drug_type"].astype("string").str.strip().str.upper().eq("MAIN").fillna(True) if (
            "drug_type" in part
        ) else pd.Series(True, index=part.index)  # fmt: skip
        others += int((~main).sum())
        found.add_events("PRESCRIPTIONS", frame, first, kind="medicine", keep=main.to_numpy(bool))
    if others:
        found.notes.append(f"{others} prescriptions of bases and additives are left out: what medicines are given in")


def _mimic_laboratory(folder: Folder, found: Collector) -> None:
    items = folder.whole("d_labitems", ["itemid", "label"], ["fluid"]).drop_duplicates("itemid").set_index("itemid")
    label = items["label"].astype("string") + (", " + items["fluid"].astype("string") if "fluid" in items else "")
    needed = ["subject_id", "itemid", "charttime", "valuenum"]
    for first, part in folder.parts("labevents", needed, ["hadm_id", "valueuom"]):
        frame = pd.DataFrame(
            {
                "subject": part["subject_id"],
                "time": part["charttime"],
                "code": joined("MIMIC/", part["itemid"]),
                "name": part["itemid"].map(label),
                "value": part["valuenum"],
            }
        )
        for mine, theirs in (("visit", "hadm_id"), ("unit", "valueuom")):
            if theirs in part:
                frame[mine] = part[theirs]
        found.add_events("LABEVENTS", frame, first, kind="laboratory")


def read_synthea(folder: Folder) -> Events:
    """Read Synthea's CSV export (Walonoski et al. 2018, doi:10.1093/jamia/ocx079).

    Needs patients and encounters; takes conditions, procedures, medications, observations (numbers only) and allergies.
    """
    found = Collector("Synthea")
    people = folder.whole("patients", ["id", "birthdate", "gender"], required=True)
    visits = folder.whole("encounters", ["id", "start", "stop", "patient"], ["encounterclass"], required=True)
    person = people.drop_duplicates("id").set_index("id").reindex(visits["patient"])
    age = years(read_times(visits["start"])[0], read_times(person["birthdate"])[0])
    frame = visits.rename(columns={"patient": "subject", "id": "visit", "stop": "end", "encounterclass": "type"})
    found.add_visits("encounters", frame.assign(age=age, sex=person["gender"].to_numpy()), 1)
    for table, kind, system in (
        ("conditions", "diagnosis", "SNOMED"),
        ("procedures", "procedure", "SNOMED"),
        ("medications", "medicine", "RxNorm"),
        ("observations", "laboratory", "LOINC"),
        ("allergies", "allergy", "SNOMED"),
    ):
        optional = ["encounter", "description", "system", *(("value", "units", "type") if kind == "laboratory" else ())]
        for first, part in folder.parts(table, ["start|date", "patient", "code"], optional):
            _synthea_part(found, table, kind, system, part, first)
    found.notes.append("Synthea's patients are simulated: what is learnt from them says nothing about real ones")
    return found.finish()


def _synthea_part(found: Collector, table: str, kind: str, system: str, part: pd.DataFrame, first: int) -> None:
    systems = pd.Series(system, index=part.index, dtype="string")
    if "system" in part:
        told = part["system"].astype("string").str.strip()
        systems = told.str.lower().map(SYNTHEA_SYSTEMS).fillna(told.where(~is_missing(told))).fillna(systems)
    frame = pd.DataFrame(
        {"subject": part["patient"], "time": part["start"], "code": joined(systems + "/", part["code"])}
    )
    keep = pd.Series(True, index=part.index)
    if "description" in part:
        frame["name"] = plain_name(part["description"]) if kind == "medicine" else part["description"]
    if "encounter" in part:
        frame["visit"] = part["encounter"]
    if "units" in part:
        frame["unit"] = part["units"]
    if kind == "laboratory":
        frame["value"] = pd.to_numeric(part["value"], errors="coerce") if "value" in part else float("nan")
        if "type" in part:  # texts and codes are answers to questionnaires
            keep = part["type"].astype("string").str.strip().str.lower().eq("numeric").fillna(False)
    found.add_events(table, frame, first, kind=kind, keep=keep.to_numpy(bool))


def joined(system: str | pd.Series, code: pd.Series) -> pd.Series:
    """Put the code system before each code; a missing code stays missing."""
    text = code.astype("string").str.strip()
    return (system + text).where(~is_missing(text))


def known_format(folder: Folder) -> str | None:
    """Tell the format of a folder's tables by their names: ``mimic``, ``synthea``, ``omop``, ``meds``, None if none."""
    names = set(folder.files)
    signs = {
        "mimic": {"admissions"},
        "synthea": {"encounters"},
        "omop": {"person", "visit_occurrence"},
    }
    for name, sign in signs.items():
        if sign & names:
            return name
    if any(path.suffix == ".parquet" for files in folder.files.values() for path in files):
        return "meds"
    return None
