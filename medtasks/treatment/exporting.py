"""Answers in the forms that hospitals' software reads: HL7 FHIR R4 resources, and CDS Hooks cards.

References: FHIR R4 RequestGroup and DetectedIssue (https://hl7.org/fhir/R4/), codes of detected issues from HL7 v3
ActCode; CDS Hooks 2.0 (https://cds-hooks.hl7.org/2.0/).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from medtasks.evaluation.domain import BORDERLINE, OUT
from medtasks.task import Outputs
from medtasks.treatment.effects import RECOMMEND, TIED
from medtasks.treatment.questions import ARM, DOSE, Asked
from medtasks.treatment.safety import ALLERGIC, DUPLICATE, SEPARATOR
from medtasks.words import parted

FORMS = ("fhir", "cds-hooks")
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
INTERACTS = ("DRG", "Drug Interaction Alert")
TWICE = ("DUPTHPY", "Duplicate Therapy Alert")
ALLERGY = ("ALGY", "Allergy Alert")
"""How reasons for holding a medicine back are coded."""
GRAVE, MILD = ("major", "severe", "high", "contraindicated", "contraindication"), ("minor", "low", "mild")
"""Words of a severity, in a table of interactions, that FHIR calls high and low; the rest, and none, is moderate."""
UNSURE = (BORDERLINE, OUT)
"""Places in the applicability domain that a physician is told of."""
SUMMARY = 140
"""Characters that a CDS Hooks card's summary may have."""
LIMITS = "Decision support for research; it does not replace a physician's judgement."
ESTIMANDS = {
    "effect": "estimated from the outcomes of comparable patients",
    "imitation": "what clinicians gave to comparable patients; no benefit is estimated",
    "dose": "the dose that proved right for comparable patients",
}


def export(table: pd.DataFrame, form: str, outputs: Outputs) -> list[dict[str, Any]]:
    """Turn a table of predictions into one JSON object per row, in order.

    Parameters
    ----------
    table
        What `Predictor.predict` returned.
    form
        ``fhir``: a Bundle with a RequestGroup and a DetectedIssue for whatever was held back or warned of, or with an
        OperationOutcome for a row that could not be used. ``cds-hooks``: a response with one card.
    """
    make = {"fhir": _bundle, "cds-hooks": _response}[form]
    asked = Asked.of(outputs.kinds)
    return [make({str(key): value for key, value in row.items()}, asked, outputs) for row in table.to_dict("records")]


def _bundle(row: Mapping[str, Any], asked: Asked, outputs: Outputs) -> dict[str, Any]:
    if row["status"] != "ok":
        issue = {"severity": "error", "code": "invalid", "diagnostics": str(row["error"])}
        resources: list[dict[str, Any]] = [{"resourceType": "OperationOutcome", "issue": [issue]}]
    else:
        resources = [_group(row, asked, outputs), *_issues(row)]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "identifier": {"value": str(row["id"])},
        "entry": [{"resource": resource} for resource in resources],
    }


def _group(row: Mapping[str, Any], asked: Asked, outputs: Outputs) -> dict[str, Any]:
    action: dict[str, Any] = {
        "title": _summary(row, asked, outputs),
        "description": _detail(row, asked),
        "groupingBehavior": "logical-group",
        "selectionBehavior": "any" if asked.question != ARM else "at-most-one",
    }
    if items := _items(row, asked, outputs):
        action["action"] = [{"title": title, "description": text} for title, text in items]
    return {
        "resourceType": "RequestGroup",
        "status": "draft",
        "intent": "proposal",
        "identifier": [{"value": str(row["id"])}],  # of the row: a visit's or a number, and not always a patient's
        "action": [action],
        "note": [{"text": LIMITS}],
    }


def _issues(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for column in ("blocked", "warnings"):
        told, severities = _cell(row, column), _cell(row, f"{column}_severity")
        for place, text in enumerate(told):
            code, display = _code(text)
            found.append(
                {
                    "resourceType": "DetectedIssue",
                    "status": "preliminary",
                    "code": {"coding": [{"system": ACT_CODE, "code": code, "display": display}]},
                    "severity": "high" if code == ALLERGY[0] else _grade(severities[place] if severities else ""),
                    "identifier": [{"value": str(row["id"])}],
                    "detail": text,
                }
            )
    return found


def _code(text: str) -> tuple[str, str]:
    """Return the code of a reason; a medicine's own name stands before it and decides nothing."""
    if text.endswith(f": {ALLERGIC}"):
        return ALLERGY
    return TWICE if f": {DUPLICATE} " in text else INTERACTS


def _grade(severity: str) -> str:
    """Return FHIR's word for a severity."""
    words = set(re.findall(r"[a-z]+", severity.lower()))
    return "high" if words & {*GRAVE} else "low" if words & {*MILD} else "moderate"


def _response(row: Mapping[str, Any], asked: Asked, outputs: Outputs) -> dict[str, Any]:
    if row["status"] != "ok":
        summary, detail, indicator = "This patient's data cannot be used", str(row["error"]), "warning"
    else:
        summary, detail = _summary(row, asked, outputs), _detail(row, asked)
        listed = [f"- {title}: {text}" for title, text in _items(row, asked, outputs)]
        held = [f"- held back: {text}" for text in _cell(row, "blocked")]
        detail = "\n".join([detail, *listed, *held, "", LIMITS])
        indicator = "warning" if held or row.get("warnings") or row.get("domain") in UNSURE else "info"
    card = {
        "summary": summary if len(summary) <= SUMMARY else summary[: SUMMARY - 1] + "…",
        "detail": detail,
        "indicator": indicator,
        "source": {"label": "medtasks"},
    }
    return {"id": str(row["id"]), "cards": [card]}


def _summary(row: Mapping[str, Any], asked: Asked, outputs: Outputs) -> str:
    if row["decision"] == RECOMMEND and asked.question == DOSE:
        return f"Dose {row[outputs.names[0]]:.4g} ({outputs.names[0]})"
    if row["decision"] == RECOMMEND:
        return f"Recommended: {row['recommended']}"
    if row["decision"] == TIED:
        return f"Cannot be told apart: {row['recommended']}"
    return f"No recommendation ({row['decision']})"


def _detail(row: Mapping[str, Any], asked: Asked) -> str:
    parts = [f"{str(row['reason'])[0].upper()}{str(row['reason'])[1:]}.", f"Basis: {ESTIMANDS[row['estimand']]}."]
    if asked.question == ARM and row["benefit"] == row["benefit"]:
        parts.insert(
            1,
            f"Expected benefit of {row['best']} against {row['against']}: {row['benefit']:.3g} "
            f"({row['benefit_low']:.3g} to {row['benefit_high']:.3g}, 95 %).",
        )
    if asked.question == ARM:
        parts.append(f"Similar patients: {row['similar']:.0f}.")
    if row.get("domain") in UNSURE:
        parts.append(f"How far this patient is like those learnt from: {row['domain']} of the applicability domain.")
    return " ".join(parts)


def _items(row: Mapping[str, Any], asked: Asked, outputs: Outputs) -> list[tuple[str, str]]:
    """Return what is proposed, the first first, as (title, text)."""
    if asked.question == ARM:
        known = [name for name in outputs.names if row[f"expected_{name}"] == row[f"expected_{name}"]]
        known.sort(key=lambda name: -asked.sign * row[f"expected_{name}"])
        return [(name, f"expected outcome {row[f'expected_{name}']:.4g}") for name in known]
    if asked.question == DOSE:
        if row["decision"] != RECOMMEND:
            return []
        return [(f"{row[outputs.names[0]]:.4g}", f"interval {row['low']:.4g} to {row['high']:.4g}")]
    if row["decision"] != RECOMMEND:
        return []
    return [(name, f"given with the probability {row[f'p_{name}']:.2f}") for name in _cell(row, "recommended")]


def _cell(row: Mapping[str, Any], column: str) -> list[str]:
    """Return what a cell of a table lists."""
    return parted(str(row.get(column) or ""), SEPARATOR)
