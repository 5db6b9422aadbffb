"""Auditing a data set before anything is learnt from it: what would make a result too good, or wrong."""

from medtasks.auditing.arms import lost
from medtasks.auditing.findings import CHECKS, SEVERITIES, Finding
from medtasks.auditing.overview import audit, ordered
from medtasks.auditing.repeats import ungrouped
from medtasks.auditing.reporting import counted, page, section, summed

__all__ = [
    "CHECKS",
    "SEVERITIES",
    "Finding",
    "audit",
    "counted",
    "lost",
    "ordered",
    "page",
    "section",
    "summed",
    "ungrouped",
]
