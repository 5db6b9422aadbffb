"""The report's section on how far answers can be trusted: coverage, shift, domain, and what abstaining buys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.evaluation.domain import BORDERLINE, IN, OUT
from medtasks.evaluation.shift import EXCHANGEABLE, SHIFTED, UNTESTED, Validity
from medtasks.report import figures
from medtasks.report.blocks import Block, Figure, Row, Section, Table, Text
from medtasks.task import Judged, Quantity
from medtasks.trust import ABSTAIN, calibrated_column, held, largest_first
from medtasks.words import plural

Values = npt.NDArray[np.float64]
SHOWN = 6
"""Targets of which curves are drawn."""
GROUPS = 20
"""Groups calibrated within that are told of, the largest first."""
METHODS = {
    "none": "none",
    "temperature": "temperature scaling",
    "platt": "Platt scaling",
    "isotonic": "isotonic regression",
}
MEANINGS = {
    IN: "as near to the training cases as 95 in 100 new ones were",
    BORDERLINE: "further than that",
    OUT: "as far beyond the outer twentieth as that is from the middle, or further",
}


def section(judged: Judged, quantities: Sequence[Quantity], level: float) -> list[Section]:
    """Write the section; none where answers carry neither domain nor sets."""
    blocks: list[Block] = _calibration(judged)
    if quantities and _measured(judged, quantities[0]):
        blocks += _promises(judged, quantities, level)
    if judged.validity is not None:
        blocks.append(Text(told(judged.validity)))
    if "domain" in judged.answers:
        blocks.append(_domain(judged, quantities))
    if quantities and "decision" in judged.answers:
        blocks += _abstaining(judged, quantities)
    return [Section("How far to trust it", blocks)] if blocks else []


def _calibration(judged: Judged) -> list[Block]:
    found = judged.decision.get("calibration")
    if not found:
        return []
    each = {"": found} if "method" in found else found
    told = {name: one["method"] for name, one in each.items()}
    if set(told.values()) == {"none"}:
        return [Text("Probabilities are the model's own: no calibration was shown to make them truer on validation.")]
    parts = [f"{name}: {METHODS[method]}" if name else METHODS[method] for name, method in told.items()]
    return [Text(f"Probabilities were calibrated on validation ({', '.join(parts[:SHOWN])}).")]


def told(validity: Validity) -> str:
    """Say in a sentence or two whether a promise made on validation cases holds on those judged."""
    where = f" of the class {validity.where}" if validity.where else ""
    if validity.status == UNTESTED:
        return (
            "Whether the cases judged are like those calibrated on was not tested: there are too few of one of them, "
            "or of their patients."
        )
    if validity.auroc is None:
        share = "far more" if validity.status == SHIFTED else "no more"
        return (
            f"Validity: {validity.status}. Of the cases judged {share} lie far from the training cases than of those "
            "that sets, intervals and thresholds were calibrated on"
            + (": what was promised need not hold here." if validity.status == SHIFTED else ".")
        )
    area = f"(AUROC {validity.auroc:.2f}; 0.50 is guessing)"
    if validity.status == SHIFTED:
        return (
            f"Validity: shifted. A classifier tells the cases judged{where} from those that sets, intervals and "
            f"thresholds were calibrated on {area}. What was promised on the latter need not hold on the former, nor "
            "on cases from elsewhere: calibrate on cases of the place where the model is to be used."
        )
    assert validity.status == EXCHANGEABLE
    return (
        f"Validity: exchangeable. No classifier that was tried tells the cases judged from those calibrated on {area}. "
        "For cases from elsewhere nothing is promised."
    )


def kept_structures(count: int) -> str:
    """Say that a bundle holds structures, and how it would not."""
    return f"SMILES of {plural(count, 'training molecule')}, to name the nearest (--name-nearest no leaves them out)"


def _measured(judged: Judged, quantity: Quantity) -> bool:
    return bool(held(quantity, judged.data, judged.answers))


def _promises(judged: Judged, quantities: Sequence[Quantity], level: float) -> list[Block]:
    several = len(quantities) > 1
    parts = judged.evaluation.targets if several else {}
    rows = []
    for quantity in quantities:
        metrics = parts[quantity.name].measures() if quantity.name in parts else judged.evaluation.metrics
        size = metrics.get("set_size") or metrics.get("interval_width")
        rows.append([quantity.name or "the class", str(metrics["coverage"]), str(size)])
    kind = "prediction sets" if quantities[0].labels else "intervals"
    header = ["", "Hold the truth", "Classes in a set" if quantities[0].labels else "Width"]
    text = (
        f"The {kind} were made to hold the truth for {level:.0%} of new cases like those calibrated on (split "
        "conformal prediction). So often they did for the cases judged:"
    )
    return [Text(text), Table(header, rows), *_by_group(judged, quantities)]


def _by_group(judged: Judged, quantities: Sequence[Quantity]) -> list[Block]:
    """Say which groups were calibrated by themselves, how sets or intervals hold there, and what abstaining buys."""
    if "group" not in judged.answers:
        return []
    groups = judged.answers["group"].to_numpy()
    names = largest_first(groups)
    kept = (judged.answers["decision"] != ABSTAIN).to_numpy()
    rows = []
    for quantity in quantities[:SHOWN]:
        inside, known = held(quantity, judged.data, judged.answers)["coverage"]
        column = calibrated_column(quantity, quantities)
        for name in names[:GROUPS]:
            mine = groups == name
            measured = inside[mine & known]
            rows.append(
                [
                    f"{quantity.name}: {name}" if len(quantities) > 1 else name,
                    str(int(mine.sum())),
                    str(judged.answers[column].to_numpy()[mine][0]),
                    f"{measured.mean():.3f}" if len(measured) else "-",
                    f"{kept[mine].mean():.0%}",
                    _error(judged, quantity, mine & kept),
                ]
            )
    right = "Decided rightly" if quantities[0].labels else "Mean absolute error"
    header = ["Group", "Cases", "Calibrated on", "Hold the truth", "Answered", f"{right}, of those answered"]
    note = (
        "Groups calibrated each by itself (--within). Where that says all cases, the group had too few for that, or "
        "none: it shares what was calibrated on all, which need not hold in it."
    )
    more = f" The {GROUPS} largest of {len(names)}." if len(names) > GROUPS else ""
    return [Table(header, rows, note + more)]


def _domain(judged: Judged, quantities: Sequence[Quantity]) -> Table:
    domain = judged.answers["domain"].to_numpy()
    quantity = quantities[0] if len(quantities) == 1 else None
    rows = []
    for name, meaning in MEANINGS.items():
        mask = domain == name
        row = [name, str(int(mask.sum())), f"{mask.mean():.0%}"]
        if quantity is not None:
            row.append(_error(judged, quantity, mask))
        rows.append([*row, meaning])
    error = [] if quantity is None else ["Decided rightly" if quantity.labels else "Mean absolute error"]
    caption = "The applicability domain: where the cases judged lie among those trained on."
    return Table(["Domain", "Cases", "Share", *error, "Means"], rows, caption, remarks=True)


def _error(judged: Judged, quantity: Quantity, mask: npt.NDArray[np.bool_]) -> str:
    lost, known = _lost(judged, quantity)
    mine = lost[mask & known]
    if not len(mine):
        return "-"
    return f"{1 - mine.mean():.1%}" if quantity.labels else f"{mine.mean():.3g}"


def _lost(judged: Judged, quantity: Quantity) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Return (n,) errors, 0 or 1 for classes, and which are known."""
    truth, known = quantity.truth(judged.data)
    answers = judged.answers
    if not quantity.labels:
        return np.abs(answers[quantity.columns[0]].to_numpy(dtype=np.float64) - np.where(known, truth, 0.0)), known
    decided = answers["prediction" if quantity.target is None else quantity.name].to_numpy()
    labels = np.array(quantity.labels, dtype=object)
    names: Any = labels[np.where(known, truth, 0).astype(np.int64)]
    return np.asarray(decided != names, dtype=np.float64), known


def _abstaining(judged: Judged, quantities: Sequence[Quantity]) -> list[Block]:
    answers, n = judged.answers, len(judged.answers)
    away = (answers["decision"] == ABSTAIN).to_numpy()
    lines: list[Block] = [
        Text(
            f"For {int(away.sum())} of {n} cases ({away.mean():.0%}) the advice is to abstain (column decision, with "
            "the reason beside it): they lie out of the domain, or the prediction set does not name one class."
        )
    ]
    if len(quantities) == 1:
        kept, gone = (_error(judged, quantities[0], mask) for mask in (~away, away))
        what = "decided rightly" if quantities[0].labels else "the mean absolute error"
        lines.append(Text(f"Of those answered {what}: {kept}; of those abstained from: {gone}."))
    drawn = [figure for quantity in quantities[:SHOWN] if (figure := _curve(judged, quantity)) is not None]
    return [*lines, Row(drawn)] if drawn else lines


def _curve(judged: Judged, quantity: Quantity) -> Figure | None:
    lost, known = _lost(judged, quantity)
    sure = _confidence(judged.answers, quantity)
    if sure is None or known.sum() < 2:
        return None
    order = np.argsort(-sure[known], kind="stable")
    mean = np.cumsum(lost[known][order]) / np.arange(1, known.sum() + 1)
    share = np.arange(1, known.sum() + 1) / known.sum()
    label = "share decided wrongly" if quantity.labels else "mean absolute error"
    caption = (
        f"{quantity.name or 'The class'}: the error among the cases answered when only the surest share is. "
        "A curve that rises says that the model knows where it is unsure."
    )
    start = max(1, len(mean) // 50)  # the first few cases are a coin's throw
    return Figure(figures.curve(share[start:], mean[start:], "share of the cases answered", label), caption)


def _confidence(answers: pd.DataFrame, quantity: Quantity) -> Values | None:
    if quantity.labels:
        said = quantity.both(answers[list(quantity.columns)].to_numpy(dtype=np.float64))
        return np.asarray(said.max(axis=1))
    if quantity.high_column not in answers:
        return None
    high, low = (answers[name].to_numpy(dtype=np.float64) for name in (quantity.high_column, quantity.low_column))
    return None if not np.isfinite(high).all() or np.ptp(high - low) == 0 else low - high
