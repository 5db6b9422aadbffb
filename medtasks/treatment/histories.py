"""Reading event tables as visits whose medicines are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Patients, Schema
from medtasks.cases.events import is_event_folder, read_events
from medtasks.cases.medicines import label_medicines, read_mapping
from medtasks.cases.records import fields_of, infer_fields, parse
from medtasks.cases.visits import Visits, visits_table
from medtasks.dataset import Dataset, Origin
from medtasks.errors import DataError
from medtasks.treatment.options import TreatmentOptions
from medtasks.treatment.questions import SET, Asked
from medtasks.treatment.safety import allergy_notes

ID = "visit"
"""The column that names a visit."""
SUBSTANCE, GROUP = 5, 5
"""ATC's level of single substances, and the characters by which two of them are of one group (its level 4)."""


def is_history(source: Any) -> bool:
    """Say whether a source is a folder of event tables."""
    return isinstance(source, (str, Path)) and is_event_folder(Path(source).expanduser())


def read_history(path: Path, options: TreatmentOptions, schema: Schema | None = None) -> Dataset:
    """Read visits with the medicines given in each, as a fitted model knows them where its ``schema`` is given.

    Raises
    ------
    DataError
        If the tables cannot be read, or no medicine was given often enough.
    """
    mapping = [read_mapping(Path(name).expanduser()) for name in options.medicines]
    events = read_events(path)
    if schema is None:
        visits = visits_table(
            events,
            at=options.at,
            level=options.called,
            mapping=mapping,
            atc_level=options.atc_level,
            least_given=options.least,
            keep_empty=False,
        )
        fields, notes = infer_fields(visits.table)
        known = _known(events, options, mapping) if mapping else {}
    else:
        visits = _visits(events, schema, keep_empty=False)
        fields, notes, known = fields_of(schema), [], schema["events"]["mapping"]
    frame, errors = parse(visits.table, fields)
    if any(errors):  # fields made here are valid
        raise DataError(f"visit rows of {path} cannot be used: {next(filter(None, errors))}", hint="report it")
    extra: dict[str, Any] = {"previous": visits.previous, "returning": visits.returning}
    classes = [name[:GROUP] for name in visits.medicines] if options.atc_level == SUBSTANCE else []
    if classes:
        extra["classes"] = np.tile(np.array(classes, dtype=object), (len(visits), 1))
    notes += allergy_notes(fields, visits.medicines, classes)
    sentences = [f"{note[0].upper()}{note[1:].rstrip('.')}." for note in (*visits.notes, *notes)]
    return Dataset(
        History(visits.ids, frame, fields, {"at": options.at, "called": options.called, "mapping": known,
                                            "atc_level": options.atc_level, "medicines": list(visits.medicines)}),
        visits.given.astype(np.float64),
        names=visits.medicines,
        kinds=Asked(SET).kinds(len(visits.medicines)),
        groups=visits.subjects,
        extra=extra,
        origin=Origin(str(path), invalid=visits.invalid, notes=tuple(sentences)),
    )  # fmt: skip


class History(Patients):
    """Patients by what event tables tell of them up to the prediction time; ``how`` says how they were read."""

    def __init__(self, ids: Any, frame: pd.DataFrame, fields: Sequence[Any], how: dict[str, Any]) -> None:
        super().__init__(ids, frame, fields)
        self.how = how

    def _with(self, ids: npt.NDArray[Any], frame: pd.DataFrame) -> Self:
        return type(self)(ids, frame, self.fields, self.how)

    def schema(self) -> Schema:
        """Describe the fields and how event tables were read."""
        return {**super().schema(), "events": self.how}


def visits_of(path: Path, schema: Schema) -> pd.DataFrame:
    """Return every visit of event tables as a table with a fitted model's fields, the visit's id in the column `ID`."""
    visits = _visits(read_events(path), schema, keep_empty=True)
    table = visits.table
    table.insert(0, ID, visits.ids)
    return table


def _visits(events: Any, schema: Schema, *, keep_empty: bool) -> Visits:
    how = schema["events"]
    known = how["mapping"]
    mapping = [pd.DataFrame({"code": list(known), "name": list(known.values())})] if known else []
    return visits_table(
        events,
        at=how["at"],
        fields=[item.name for item in fields_of(schema)],
        medicines=how["medicines"],
        level=how["called"],
        mapping=mapping,
        keep_empty=keep_empty,
    )


def _known(events: Any, options: TreatmentOptions, mapping: Sequence[pd.DataFrame]) -> dict[str, str]:
    """Return what the user's tables say of the codes seen, so that a bundle needs the tables no more."""
    rows = events.table[events.table["kind"] == "medicine"]
    labels = label_medicines(rows, options.called, mapping, options.atc_level)[0]
    both = pd.DataFrame({"code": rows["code"].astype(object), "label": labels}).dropna().drop_duplicates("code")
    return {str(code): str(label) for code, label in zip(both["code"], both["label"], strict=True)}
