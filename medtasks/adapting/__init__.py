"""Models from what an author already has; see `from_sklearn`, `medtasks_keras.from_keras`, `medtasks_torch.from_torch`.

`NetworkModel` and `Network` are what an adapter to another framework derives from.
"""

from medtasks.adapting.estimators import SUPPORTED
from medtasks.adapting.features import Features
from medtasks.adapting.goal import Goal
from medtasks.adapting.learning import Network, Trained, TrainingState
from medtasks.adapting.network import NetworkConfig, NetworkModel, blank, fitting
from medtasks.adapting.sklearn_model import SklearnModel, from_sklearn

__all__ = [
    "SUPPORTED",
    "Features",
    "Goal",
    "Network",
    "NetworkConfig",
    "NetworkModel",
    "SklearnModel",
    "Trained",
    "TrainingState",
    "blank",
    "fitting",
    "from_sklearn",
]
