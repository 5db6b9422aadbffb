"""Records as standardised columns, and what a field is set to when it is taken away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases.encoding import RecordEncoder
from medtasks.cases.records import Records
from medtasks.errors import BundleError
from medtasks.stored import Arrays, Codes, Values, refuse, require, take

RAREST = 0.1
"""Columns of smaller standard deviation (a level that 1 % have) are scaled as if they had this one: one patient with a
rare code is otherwise as far from all others as if from another world."""
FAR = 10.0
"""Standardised values are cut off here: beyond it nothing was seen, and a linear part would extrapolate without end."""


@dataclass(frozen=True)
class Standardised:
    """Records as columns of mean 0 and standard deviation 1, the outermost cut off: as linear models take them.

    Attributes
    ----------
    encoder : RecordEncoder
    mean, scale : (columns,) of the encoded training patients
    usual : (columns,) encoded and scaled: each field at its training median, or its commonest category
    """

    encoder: RecordEncoder
    mean: Values
    scale: Values
    usual: Values

    @classmethod
    def fit(cls, records: Records) -> Self:
        """Learn from training patients."""
        encoder = RecordEncoder.fit(records)
        raw = encoder.transform(records)
        mean = raw.mean(axis=0)
        scale = np.maximum(raw.std(axis=0), RAREST)
        common = np.zeros(raw.shape[1])  # the encoder sets a missing number to the median, which it moves to 0
        owners = encoder.owners
        for i, field in enumerate(encoder.fields):
            mine = np.flatnonzero(owners == i)
            levels = mine[:-1] if encoder.flagged[i] else mine
            if field.type == "category" and len(levels):
                common[levels[np.argmax(mean[levels])]] = 1.0
        return cls(encoder, mean, scale, np.clip((common - mean) / scale, -FAR, FAR))

    @property
    def owners(self) -> Codes:
        """The field, by position, of each column."""
        return self.encoder.owners

    def transform(self, records: Records) -> Values:
        """Return (n, columns) standardised values.

        Raises
        ------
        ValueError
            If the records do not have the fields of the training patients.
        """
        if [field.name for field in records.fields] != [field.name for field in self.encoder.fields]:
            raise ValueError("the patients do not have the fields that the model was trained with")
        return np.clip((self.encoder.transform(records) - self.mean) / self.scale, -FAR, FAR)

    def save(self, folder: Path) -> dict[str, npt.NDArray[Any]]:
        """Write the fields to ``fields.json`` and return the arrays to store beside them."""
        self.encoder.save_fields(folder / "fields.json")
        own = {"columns_mean": self.mean, "columns_scale": self.scale, "columns_usual": self.usual}
        return {**{f"encoder_{name}": values for name, values in self.encoder.to_arrays().items()}, **own}

    @classmethod
    def load(cls, folder: Path, arrays: Arrays) -> Self:
        """Rebuild from what `save` wrote and returned; raises `BundleError` if it does not fit."""
        learnt = {
            "median": take(arrays, "encoder_median", (None,)),
            "scale": take(arrays, "encoder_scale", (None,)),
            "flagged": take(arrays, "encoder_flagged", (None,), "b"),
        }
        try:
            encoder = RecordEncoder.load(folder / "fields.json", learnt)
        except BundleError:
            raise
        except (OSError, ValueError, TypeError, KeyError) as error:
            refuse(f"fields.json cannot be read ({type(error).__name__})")
        require(all(len(one) == len(encoder.fields) for one in learnt.values()), "its fields do not fit")
        wide = (len(encoder.owners),)
        mean, scale, usual = (take(arrays, f"columns_{name}", wide) for name in ("mean", "scale", "usual"))
        require((scale > 0).all() and (learnt["scale"] > 0).all(), "a scale is not positive")
        return cls(encoder, mean, scale, usual)
