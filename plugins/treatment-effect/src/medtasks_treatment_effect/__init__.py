"""Which of several treatments helps whom: Gaussian processes with a doubly robust correction."""

from medtasks_treatment_effect.model import DoublyRobust

__all__ = ["DoublyRobust"]
