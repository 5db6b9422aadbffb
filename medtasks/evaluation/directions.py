"""Which way measures point: the names of those of which less is better."""

from __future__ import annotations

LOWER_IS_BETTER = frozenset(
    {
        "brier", "log_loss", "ece", "rmse", "mae", "rmse_cliff", "pehe", "interval_width", "set_size", "ddi_rate",
        "ddi_rate_per_patient",
        # not measured here: names that the field has for errors, for tasks of plugins
        "mse", "medae", "mape", "smape", "msle", "rmsle", "max_error", "crps", "nll", "hinge_loss", "hamming_loss",
        "eer",
    }
)  # fmt: skip
"""Errors and losses under their usual names; see `medtasks.task.Task.lower_is_better`."""
