"""Hyper-parameters."""

from __future__ import annotations

from pydantic import Field

from medtasks.model import Config


class MedicationSetConfig(Config):
    """Hyper-parameters of `treatment.medication-set`."""

    structures: str | None = None
    """A CSV with the columns ``name`` and ``smiles``: medicines alike in structure share what is learnt of them."""
    hidden: int = Field(default=128, ge=2)
    """Width of the hidden layers that all medicines share."""
    layers: int = Field(default=1, ge=1, le=4)
    """Hidden layers."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Share of hidden units dropped in training."""
    epochs: int = Field(default=60, ge=1)
    """Passes over the training patients at most."""
    least_steps: int = Field(default=400, ge=0)
    """Small data get more epochs until training may have this many steps; 0 keeps to `epochs`."""
    most_steps: int = Field(default=2500, ge=1)
    """Large data get fewer epochs, so that training has about this many steps at most."""
    batch: int = Field(default=0, ge=0)
    """Patients per step; 0 takes a fiftieth of them, between 32 and 256."""
    rate: float = Field(default=2e-3, gt=0)
    """Peak learning rate of AdamW."""
    decay: float = Field(default=0.02, ge=0)
    """Weight decay of AdamW, on kernels alone."""
    patience: float = Field(default=0.2, gt=0, le=1)
    """Stop when the log-loss of the fold left out has not fallen for this share of the epochs."""
    folds: int = Field(default=5, ge=2, le=20)
    """Parts that are left out in turn; the networks of all folds answer together."""
    repeats: int = Field(default=0, ge=0, le=10)
    """How often the parts are drawn anew; 0: three times below 1,000 patients, else once."""
    penalties: tuple[float, ...] = Field(default=(1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0), min_length=1)
    """L2 penalties of the logistic regression, of which the best out of fold is taken."""
    choosing: int = Field(default=3000, ge=50)
    """Beyond so many patients the penalty is chosen on a random part of them."""
