"""How much of a medicine a patient needs: gradient boosting and ridge regression on the square root of the dose."""

from medtasks_treatment_dose.model import Dose

__all__ = ["Dose"]
