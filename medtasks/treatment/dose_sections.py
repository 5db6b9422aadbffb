"""The dose part of a report: errors, doses by stratum, and whether the intervals hold in every group."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medtasks import outcome
from medtasks.evaluation.calibration import wilson
from medtasks.report import figures
from medtasks.report.blocks import Block, Figure, Row, Section, Table, Text
from medtasks.task import Judged
from medtasks.treatment.doses import NEAR

SHOWN = 12
Values = npt.NDArray[np.float64]


def write(judged: Judged) -> list[Section]:
    """Write every section on the result."""
    unit = "groups" if judged.data.groups is not None else "patients"
    return [
        Section("Result", outcome.blocks(judged, "mae", unit)),
        Section("By dose and group", _strata(judged)),
        Section("Predicted and right dose", _agreement(judged)),
        Section("Largest errors", _errors(judged), personal=True),
    ]


def _parts(judged: Judged) -> tuple[Values, Values, Values, Values]:
    table = judged.answers
    said, low, high = (table[name].to_numpy(dtype=np.float64) for name in (judged.data.names[0], "low", "high"))
    return judged.data.targets[:, 0], said, low, high


def _strata(judged: Judged) -> list[Block]:
    true, said, low, high = _parts(judged)
    first, last = np.quantile(true, [1 / 3, 2 / 3])
    parts = {
        f"low (at most {first:.4g})": true <= first,
        f"middle (to {last:.4g})": (true > first) & (true <= last),
        "high (above)": true > last,
    }
    header = ["Patients with", "Patients", "MAE", "Mean of predicted less right", "Within 20 %", "Coverage (95 %)"]
    rows = [_row(name, mask, true, said, low, high) for name, mask in parts.items() if mask.any()]
    blocks: list[Block] = [
        Table(header, rows, "By the dose that proved right: who is given too much or too little, and by how much.")
    ]
    within = judged.decision["within"]
    groups = judged.answers["group"].to_numpy()
    if within:
        rows = [_row(name, groups == name, true, said, low, high) for name in sorted(set(groups.tolist()))]
        level = f"{judged.decision['level']:.0%}"
        blocks.append(
            Table([f"{within}", *header[1:]], rows, f"By group; intervals are calibrated within each to hold {level}.")
        )
    else:
        blocks.append(
            Text(
                "The intervals hold over all patients together; in a group of few they may hold less often. "
                "--within COLUMN calibrates them in each group."
            )
        )
    return blocks


def _row(name: str, mask: npt.NDArray[np.bool_], true: Values, said: Values, low: Values, high: Values) -> list[str]:
    error = (said - true)[mask]
    bounded = mask & np.isfinite(high)
    held = int(((low <= true) & (true <= high))[bounded].sum())
    coverage = "none made"
    if bounded.any():
        share, count = np.array([held / bounded.sum()]), np.array([bounded.sum()])
        below, above = wilson(share, count)
        coverage = f"{share[0]:.1%} ({below[0]:.1%} to {above[0]:.1%})"
    near = np.abs(error) <= NEAR * true[mask]
    return [
        name,
        str(int(mask.sum())),
        f"{np.abs(error).mean():.4g}",
        f"{error.mean():+.3g}",
        f"{near.mean():.1%}",
        coverage,
    ]


def _agreement(judged: Judged) -> list[Block]:
    true, said, _, _ = _parts(judged)
    name = judged.data.names[0]
    return [
        Row(
            [
                Figure(
                    figures.scatter(said, true, f"predicted {name}", f"right {name}"),
                    "On the dotted line both agree.",
                )
            ]
        )
    ]


def _errors(judged: Judged) -> list[Block]:
    true, said, low, high = _parts(judged)
    order = np.argsort(-np.abs(said - true), kind="stable")[:SHOWN]
    rows = [
        [str(judged.data.cases.ids[i]), f"{true[i]:.4g}", f"{said[i]:.4g}", f"{low[i]:.4g} to {high[i]:.4g}"]
        for i in order
    ]
    header = ["Patient", "Right dose", "Predicted", "Interval"]
    return [Table(header, rows, "Look here first for wrong doses, units, and what no field tells.", numeric=False)]
