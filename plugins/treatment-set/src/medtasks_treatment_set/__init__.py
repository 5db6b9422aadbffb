"""Which medicines clinicians give together: a multi-label network beside logistic regression."""

from medtasks_treatment_set.model import MedicationSet

__all__ = ["MedicationSet"]
