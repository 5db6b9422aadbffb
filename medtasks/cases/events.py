"""Event tables of patients in hospital: MEDS, MIMIC, Synthea and OMOP, read into one form."""

from __future__ import annotations

from pathlib import Path

from medtasks.cases.event_folder import Folder
from medtasks.cases.event_formats import known_format, read_mimic, read_synthea
from medtasks.cases.event_standards import read_meds, read_omop
from medtasks.cases.event_tables import Events
from medtasks.errors import DataError

__all__ = ["Events", "is_event_folder", "read_events"]

JSON = (".json", ".ndjson")
DEEPEST = 2
"""Folders below one without event tables in which they are looked for."""
READERS = {
    "mimic": ("MIMIC", read_mimic),
    "synthea": ("Synthea", read_synthea),
    "omop": ("OMOP CDM", read_omop),
    "meds": ("MEDS", read_meds),
}


def read_events(path: str | Path) -> Events:
    """Read a folder of event tables, whose format is told by the tables in it.

    Rows that cannot be used are listed in `Events.invalid`.

    Raises
    ------
    DataError
        If there is no such folder, its format is not known, or a table or column that it needs is missing.
    """
    place = Path(path)
    if not place.is_dir():
        raise DataError(f"no folder {place}", hint="event tables are read from the folder that holds them")
    folder = Folder(place)
    name = known_format(folder)
    if name is None:
        raise unread(place)
    folder.title, read = READERS[name]
    return read(folder)


def is_event_folder(path: str | Path) -> bool:
    """Say whether a folder holds event tables of a known format."""
    try:
        return Path(path).is_dir() and known_format(Folder(Path(path))) is not None
    except DataError:
        return False


def unread(path: Path) -> DataError:
    """Return the error for what is neither a table nor a folder of known event tables, with what to name instead.

    Collections keep their event tables in a folder of their own (MIMIC-IV's ``hosp``, Synthea's ``csv``).
    """
    if not path.is_dir():
        json = path.suffix.lower() in JSON
        return DataError(
            f"{path} is no table" + (": JSON, such as a FHIR bundle, is not read" if json else ""),
            hint="give a CSV, TSV or Parquet file with a row per patient, or a folder of event tables "
            "(MEDS, MIMIC, Synthea, OMOP CDM)",
        )
    level = [path]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _folders(outer)]
        if found := [p for p in level if is_event_folder(p)]:
            names = ", ".join(f"{p.relative_to(path)}/" for p in found[:5])
            return DataError(
                f"{path} holds no event tables itself: they are in {names}", hint=f"name that folder: {found[0]}"
            )
    if any(p.suffix.lower() in JSON for p in path.iterdir()):
        return DataError(
            f"{path} holds JSON files, such as FHIR bundles, which are not read",
            hint="export event tables of MEDS, MIMIC, Synthea or OMOP CDM as CSV or Parquet; Synthea writes them with "
            "exporter.csv.export = true",
        )
    return DataError(
        f"{path} holds no event tables that are known here",
        hint="MIMIC needs ADMISSIONS and PATIENTS, Synthea patients and encounters, OMOP person and visit_occurrence, "
        "MEDS Parquet files with subject_id, time and code; else give a table with a row per patient",
    )


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(inner for inner in path.iterdir() if inner.is_dir() and not inner.name.startswith("."))
    except OSError:  # it may not be entered
        return []
