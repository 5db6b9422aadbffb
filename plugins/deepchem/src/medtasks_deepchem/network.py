"""DeepChem's graph convolutions, trained and asked in the child process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Values = npt.NDArray[np.float64]

MOMENTUM = 0.9
"""Of the moving averages that prediction uses. Keras' 0.99 lags a hundred steps behind, which is all that a few hundred
molecules give in ten epochs: validation would choose by predictions of a network that is not there yet. On ESOL's
validation part the gain (RMSE 1.62 to 1.54, three seeds) was within the noise."""


@dataclass(frozen=True)
class Part:
    """Molecules to train on or to stop by.

    Attributes
    ----------
    graphs : (n,) of DeepChem's ``ConvMol``
    targets : (n, t), NaN where missing; numbers standardised, classes 0 and 1
    bounds : (n, t), -1 where the true value is at most the target, 1 where it is at least this, else 0
    """

    graphs: Array
    targets: Values
    bounds: npt.NDArray[np.int8]


def graphs(mols: Iterable[Any]) -> tuple[Array, npt.NDArray[np.int64]]:
    """Make DeepChem's graphs of molecules.

    DeepChem puts an empty array in the place of what it cannot take (an atom with more than ten neighbours); those are
    left out here, and the rows that were not are returned beside the (n,) graphs.
    """
    from deepchem.feat import ConvMolFeaturizer
    from deepchem.feat.mol_graphs import ConvMol

    featurizer = ConvMolFeaturizer()
    made = [next(iter(featurizer.featurize([mol]))) for mol in mols]
    rows = [row for row, one in enumerate(made) if isinstance(one, ConvMol)]
    found = np.empty(len(rows), dtype=object)
    for place, row in enumerate(rows):
        found[place] = made[row]
    return found, np.array(rows, dtype=np.int64)


class Network:
    """A `deepchem.models.GraphConvModel` (Duvenaud et al. 2015, arXiv:1509.09292; Altae-Tran et al. 2017).

    It is built for regression whatever the targets are, with a loss of our own: DeepChem's know neither missing values
    of one target among several, nor bounds, nor numbers and classes side by side.
    """

    def __init__(self, config: Mapping[str, Any], kinds: Sequence[str], seed: int, folder: Path) -> None:
        import deepchem
        import tensorflow as tf

        tf.keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()
        self.config = config
        self.binary = np.array([kind == "binary" for kind in kinds])
        self.model = deepchem.models.GraphConvModel(
            len(kinds),
            graph_conv_layers=list(config["layers"]),
            dense_layer_size=config["dense"],
            dropout=config["dropout"],
            mode="regression",
            batch_size=config["batch"],
            learning_rate=config["rate"],
            model_dir=str(folder),  # it would make one elsewhere, and leave it; nothing is written here either
        )
        for layer in self.model.model.batch_norms:
            layer.momentum = MOMENTUM

    @property
    def weights(self) -> list[Array]:
        """The weights of every layer, in Keras' order."""
        return [np.asarray(weight) for weight in self.model.model.get_weights()]

    def take(self, weights: list[Array]) -> None:
        """Replace the weights of every layer."""
        self.model.model.set_weights(weights)

    def build(self) -> None:
        """Create the weights, which Keras does when a network sees its first molecule."""
        from rdkit import Chem

        self.predict(graphs([Chem.MolFromSmiles("CC")])[0])

    def fit(self, train: Part, valid: Part, deadline: float | None, say: Callable[[Mapping[str, Any]], None]) -> int:
        """Train until the measure on ``valid`` no longer rises, take the best weights, and return the epochs done."""
        from deepchem.data import NumpyDataset

        known = np.isfinite(train.targets)
        labels = np.stack([np.where(known, train.targets, 0), train.bounds], axis=2)
        data = NumpyDataset(train.graphs, labels.astype(np.float32), known.astype(np.float32))
        loss = masked_loss(self.binary)
        best: tuple[float, int, list[Array] | None] = (-np.inf, 0, None)
        epoch = 0
        for epoch in range(1, self.config["epochs"] + 1):
            self.model.fit(data, nb_epoch=1, checkpoint_interval=0, loss=loss)
            say({"epoch": epoch})
            score = measure(self.predict(valid.graphs), valid, self.binary)
            if score is not None and score > best[0]:
                best = (score, epoch, self.weights)
            patient = best[2] is None or epoch - best[1] < self.config["patience"]
            if not patient or (deadline is not None and time.time() > deadline):
                break
        if best[2] is not None:
            self.take(best[2])
        return epoch

    def predict(self, found: Array) -> Values:
        """Return (n, t): standardised numbers, and probabilities of being active."""
        from deepchem.data import NumpyDataset
        from scipy.special import expit

        if not len(found):
            return np.zeros((0, len(self.binary)))
        raw = np.asarray(self.model.predict(NumpyDataset(found)), dtype=np.float64)
        return np.where(self.binary, expit(raw), raw)


def masked_loss(binary: npt.NDArray[np.bool_]) -> Callable[[Any, Any, Any], Any]:
    """Return the mean over measured values of the squared error (numbers) or the cross-entropy (classes).

    A prediction beyond a bound, on its side, is no error.
    """
    import tensorflow as tf

    def loss(outputs: Any, labels: Any, weights: Any) -> Any:
        found, truth, bound = outputs[0], labels[0][..., 0], labels[0][..., 1]
        gap = found - truth
        squared = tf.where(bound * gap > 0, 0.0, tf.square(gap))
        crossed = tf.nn.sigmoid_cross_entropy_with_logits(labels=truth, logits=found)
        each = tf.where(tf.constant(binary), crossed, squared) * weights[0]
        return tf.reduce_sum(each) / tf.maximum(tf.reduce_sum(weights[0]), 1.0)

    return loss


def measure(found: Values, part: Part, binary: npt.NDArray[np.bool_]) -> float | None:
    """Return the mean over targets of the AUROC (classes) or of minus the RMSE (numbers), None where none is defined.

    The measures by which the task sums a result up; RMSE is in standard deviations of each target, so that they add.
    """
    from sklearn.metrics import roc_auc_score

    scores = []
    for t, classes in enumerate(binary):
        known = np.isfinite(part.targets[:, t])
        truth, mine, bound = part.targets[known, t], found[known, t], part.bounds[known, t]
        if classes and 0 < truth.sum() < len(truth):
            scores.append(float(roc_auc_score(truth, mine)))
        elif not classes and len(truth):
            gap = mine - truth
            scores.append(-float(np.sqrt(np.mean(np.where(bound * gap > 0, 0, gap) ** 2))))
    return float(np.mean(scores)) if scores and np.isfinite(scores).all() else None
