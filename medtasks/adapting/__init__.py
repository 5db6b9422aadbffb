"""Models from what an author already has; see `from_sklearn`, and `medtasks_keras.from_keras` for networks."""

from medtasks.adapting.estimators import SUPPORTED
from medtasks.adapting.features import Features
from medtasks.adapting.goal import Goal
from medtasks.adapting.sklearn_model import SklearnModel, from_sklearn

__all__ = ["SUPPORTED", "Features", "Goal", "SklearnModel", "from_sklearn"]
