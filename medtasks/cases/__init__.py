"""Cases: the rows a model sees, of one kind each, always valid and aligned to their ids."""

from medtasks.cases.base import CHUNK, Cases, Reading, Schema, Source
from medtasks.cases.encoding import RecordEncoder
from medtasks.cases.images import Images
from medtasks.cases.molecules import Molecules
from medtasks.cases.patients import Patients
from medtasks.cases.records import Field, Records

__all__ = [
    "CHUNK",
    "Cases",
    "Field",
    "Images",
    "Molecules",
    "Patients",
    "Reading",
    "RecordEncoder",
    "Records",
    "Schema",
    "Source",
]
