"""Event tables of patients in hospital: MEDS, MIMIC, Synthea and OMOP, read into one form."""

from __future__ import annotations

from pathlib import Path

from medtasks.cases.event_folder import Folder
from medtasks.cases.event_formats import known_format, read_mimic, read_synthea
from medtasks.cases.event_standards import read_meds, read_omop
from medtasks.cases.event_tables import Events
from medtasks.errors import DataError

__all__ = ["Events", "is_event_folder", "read_events"]

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
    folder.title, read = READERS[known_format(folder)]
    return read(folder)


def is_event_folder(path: str | Path) -> bool:
    """Say whether a folder holds event tables of a known format."""
    try:
        return Path(path).is_dir() and bool(known_format(Folder(Path(path))))
    except DataError:
        return False
