"""What models made with Keras share: a quiet start, the choice of the device, checkpoints."""

from medtasks_keras.backend import Device, choose, list_gpus, load_keras
from medtasks_keras.checkpoint import TrainingState

__all__ = ["Device", "TrainingState", "choose", "list_gpus", "load_keras"]
