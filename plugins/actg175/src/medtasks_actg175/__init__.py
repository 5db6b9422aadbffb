"""The trial ACTG 175 as a data set of the task treatment."""

from medtasks_actg175.trial import ACTG175

__all__ = ["ACTG175"]
