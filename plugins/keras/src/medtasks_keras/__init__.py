"""What models made with Keras share: a quiet start, the choice of the device, checkpoints, weights as arrays."""

from medtasks_keras.backend import Device, choose, list_gpus, load_keras
from medtasks_keras.checkpoint import TrainingState
from medtasks_keras.weights import read_weights, write_weights

__all__ = ["Device", "TrainingState", "choose", "list_gpus", "load_keras", "read_weights", "write_weights"]
