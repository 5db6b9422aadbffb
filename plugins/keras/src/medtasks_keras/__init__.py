"""What models made with Keras share: a quiet start, the choice of the device, checkpoints, weights as arrays, and
`from_keras`, which makes a model of an architecture."""

from medtasks_keras.adapting import KerasConfig, KerasModel, from_keras
from medtasks_keras.backend import Device, choose, list_gpus, load_keras
from medtasks_keras.checkpoint import TrainingState
from medtasks_keras.reuse import learner, renew
from medtasks_keras.weights import read_weights, write_weights

__all__ = [
    "Device",
    "KerasConfig",
    "KerasModel",
    "TrainingState",
    "choose",
    "from_keras",
    "learner",
    "list_gpus",
    "load_keras",
    "read_weights",
    "renew",
    "write_weights",
]
