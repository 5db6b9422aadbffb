"""The model card: what a reader must know before using a model, from facts alone; what nobody told stays visible.

After Mitchell et al. 2019 (doi:10.1145/3287560.3287596), with the items of TRIPOD+AI (Collins et al. 2024,
doi:10.1136/bmj-2023-078378) and CLAIM (Tejani et al. 2024, doi:10.1148/ryai.240300) for patients, and of the OECD's
principles for QSAR models (2014, doi:10.1787/9789264085442-en) for molecules, that a program can fill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medtasks.dataset import Dataset
from medtasks.evaluation.shift import UNTESTED
from medtasks.predictor import Predictor
from medtasks.subgroups import Subgroup
from medtasks.task import Judged
from medtasks.trusting import kept_structures

NOT_REPORTED = "not reported"


def render(predictor: Predictor, data: Dataset, judged: Judged, parts: Mapping[str, Any], folds: int) -> str:
    """Return the card as Markdown; it names no case."""
    facts, task = predictor.facts, predictor.task
    kind = predictor.schema["kind"]
    lines = [
        f"# {predictor.model_id}: {', '.join(data.classes or data.names)}",
        "",
        f"Made by medtasks {facts['versions']['medtasks']} on {facts['created']}; task {task.name}, cases {kind}.",
        "",
        "## Data",
        "",
        *_items(_data(facts, data)),
        f"- Split: {_split(parts, folds)}",
        "",
        "## Measures",
        "",
        *_measures(judged),
        "",
        *_subgroups(judged.subgroups),
        "## How far to trust it",
        "",
        *_items(_trust(predictor, judged)),
        "",
        "## Use",
        "",
        f"- Intended: {NOT_REPORTED} (say here for whom, where and what for)",
        *(f"- Not intended: {sentence}" for sentence in task.not_for),
        "",
        "## Checklist",
        "",
        *_items(_checklist(predictor, data, judged, kind)),
        "",
        "## Versions",
        "",
        *_items([(name, version) for name, version in facts["versions"].items()]),
        "",
    ]
    return "\n".join(lines)


def _items(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return [f"- {name}: {value or NOT_REPORTED}" for name, value in pairs]


def _data(facts: Mapping[str, Any], data: Dataset) -> list[tuple[str, str]]:
    about = facts["data"]
    return [
        ("Source", about["title"] or Path(about["source"]).name),
        ("Citation", about["citation"]),
        ("Licence", about["licence"]),
        ("Synthetic", "yes" if about["synthetic"] else "no"),
        ("Cases", f"{about['cases']} ({about['invalid']} further rows could not be used)"),
        ("Patients or groups", "" if data.groups is None else str(len(set(data.groups.tolist())))),
        ("SHA-256", about["sha256"]),
    ]


def _split(parts: Mapping[str, Any], folds: int) -> str:
    if folds > 1:
        return f"{folds}-fold cross-validation; the model was then fitted on all cases"
    return ", ".join(f"{name} {next(iter(counts.values()))}" for name, counts in parts.items())


def _measures(judged: Judged) -> list[str]:
    base = judged.baseline.metrics if judged.baseline else {}
    rows = [f"| {name} | {found} | {base.get(name, '')} |" for name, found in judged.evaluation.metrics.items()]
    return [
        f"On {judged.evaluation.n} cases, with 95 % intervals.",
        "",
        "| measure | model | baseline |",
        "|---|---|---|",
        *rows,
    ]


def _subgroups(found: Sequence[Subgroup]) -> list[str]:
    if not found:
        return [f"Subgroups: {NOT_REPORTED} (ask for them with --subgroups).", ""]
    rows = [
        f"| {one.field}: {one.name} | {one.cases} | "
        + (", ".join(f"{name} {one.measures[name]}" for name in _shown(one)) or "too few")
        + " |"
        for one in found
    ]
    return ["| subgroup | cases | measures |", "|---|---|---|", *rows, ""]


def _shown(group: Subgroup) -> list[str]:
    return [name for i, name in enumerate(group.measures) if i < 2 or name == "coverage"]


def _trust(predictor: Predictor, judged: Judged) -> list[tuple[str, str]]:
    decision, validity = judged.decision, judged.validity
    calibration = decision.get("calibration") or {}
    each = {"": calibration} if "method" in calibration else calibration
    cut = f"{decision['threshold']:.3f} by {decision['rule']}" if "threshold" in decision else ""
    shares: Any = judged.answers["domain"].value_counts(normalize=True) if "domain" in judged.answers else {}
    coverage, trust = judged.evaluation.metrics.get("coverage"), predictor.trust
    return [
        ("Calibration", ", ".join(f"{name} {one['method']}".strip() for name, one in each.items())),
        *([("Positive class", decision["positive"])] if "positive" in decision else []),
        ("Threshold", cut),
        ("Sets and intervals", f"made to hold {trust.level:.0%}, hold {coverage}" if coverage and trust else ""),
        ("Validity", UNTESTED if validity is None else validity.status),
        ("Applicability domain", ", ".join(f"{name} {share:.0%}" for name, share in shares.items())),
        *([("Structures in the bundle", kept_structures(trust.structures))] if trust and trust.structures else []),
    ]


def _checklist(predictor: Predictor, data: Dataset, judged: Judged, kind: str) -> list[tuple[str, str]]:
    target = ", ".join(data.classes or data.names)
    baseline = "medtasks' baseline of the task" if judged.baseline else ""
    explained = "by the model itself" if predictor.model.explains() else "by hiding parts of a case"
    if kind == "molecules":
        return [
            ("OECD 1, a defined endpoint", target),
            ("OECD 1, experimental protocol", ""),
            ("OECD 2, an unambiguous algorithm", f"{predictor.model_id}, seed {predictor.facts['seed']}"),
            (
                "OECD 3, a defined domain of applicability",
                "similarity to the nearest training molecule (ECFP4)",
            ),
            ("OECD 4, goodness of fit, robustness, predictivity", "see Measures: on molecules not trained on"),
            ("OECD 5, a mechanistic interpretation", f"atoms coloured {explained}; mechanism {NOT_REPORTED}"),
        ]
    return [
        ("Outcome", target),
        ("Setting, dates and eligibility of the patients", ""),
        ("How and by whom the outcome was found", ""),
        ("Sample size and its reason", f"{len(data)}; reason {NOT_REPORTED}"),
        ("Missing data", "imputed inside the model, told apart from known values" if kind != "images" else "none"),
        ("Comparison", baseline),
        ("Explanations", explained),
        ("Independent validation elsewhere", ""),
        ("Ethics approval and consent", ""),
        ("Funding and interests", ""),
    ]
