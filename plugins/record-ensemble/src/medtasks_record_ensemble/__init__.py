"""Diagnosis from records: logistic regression, extra trees and gradient boosting, blended out of fold."""

from medtasks_record_ensemble.model import RecordEnsemble

__all__ = ["RecordEnsemble"]
