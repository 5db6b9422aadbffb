"""Cases that are patients about to be treated: what is known of each when the treatment is chosen."""

from __future__ import annotations

from typing import ClassVar

from medtasks.cases.records import Records


class Patients(Records):
    """Patients by the fields known at the time of the decision: condition, history, laboratory values.

    A field says what was known then, and nothing later; see `Records` for the types and for missing values. Event
    tables become such fields when they are read (``medtasks.cases.events``).
    """

    kind: ClassVar[str] = "patients"
