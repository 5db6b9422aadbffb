"""What a run leaves in its folder, and how it is told."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks import bundle, card, document, registry, repeated
from medtasks.dataset import Dataset
from medtasks.evaluation.shift import Validity
from medtasks.model import Context
from medtasks.predictor import Predictor
from medtasks.preparing import Prepared
from medtasks.settings import Settings, write_settings
from medtasks.task import Evaluation, Judged
from medtasks.training import Answered

RECORD = "run.json"
FILES = (
    RECORD,
    "bundle",
    "report.html",
    "card.md",
    "metrics.json",
    "predictions.csv",
    "config.toml",
    "invalid.csv",
    "remarks.csv",
)
"""What may stand in a run's folder; the first always does."""


def write(
    folder: Path,
    prepared: Prepared,
    predictor: Predictor,
    answered: Answered,
    judged: Judged,
    told: dict[str, Any],
    context: Context,
) -> None:
    """Write everything into a fresh folder that takes the place of ``folder`` at the end."""
    data, folds = prepared.dataset, prepared.folds
    described = data.take(folds[0].train) if len(folds) == 1 else data
    page = document.Page(prepared.task, predictor, data, prepared.parts, len(folds), judged, described, folds)
    repeatable = _repeatable(prepared.settings)
    settings = repeatable.model_dump(mode="json", exclude_none=True)
    with bundle.replacing(folder, FILES) as fresh:
        (fresh / "report.html").write_text(document.render(page), encoding="utf-8")
        text = card.render(predictor, data, judged, prepared.parts, len(folds))
        (fresh / "card.md").write_text(text, encoding="utf-8")
        public = document.render(page, public=True)
        bundle.save(predictor, fresh / "bundle", report=public, card=text, cases=data.cases, context=context)
        metrics = {key: told[key] for key in ("n", "metrics", "targets", "baseline", "repeated") if key in told}
        bundle.write_json(fresh / "metrics.json", metrics)
        bundle.write_json(fresh / RECORD, {**told, "settings": settings, "facts": dict(predictor.facts)})
        write_settings(repeatable, fresh / "config.toml")
        _predictions(prepared, answered).to_csv(fresh / "predictions.csv", index=False)
        origin = prepared.dataset.origin
        for name, rows in (("invalid.csv", origin.invalid), ("remarks.csv", origin.remarks)):
            if rows:
                pd.DataFrame(rows, columns=["row", "reason"]).to_csv(fresh / name, index=False)


def facts(
    prepared: Prepared,
    context: Context,
    seconds: float,
    evaluation: Evaluation | None = None,
    baseline: Evaluation | None = None,
    validity: Validity | None = None,
) -> dict[str, Any]:
    """Return the provenance that goes into the bundle, as plain JSON; of a path only the last part."""
    judged = {**evaluation.as_json(), "baseline": baseline.as_json()["metrics"]} if evaluation and baseline else None
    origin = prepared.dataset.origin
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "source": Path(origin.source).name or origin.source,
            "title": origin.title,
            "licence": origin.licence,
            "citation": origin.citation,
            "synthetic": origin.synthetic,
            "cases": len(prepared.dataset),
            "invalid": len(origin.invalid),
            "sha256": prepared.dataset.digest(),
        },
        "split": {"folds": len(prepared.folds), "parts": prepared.parts},
        "options": prepared.options.model_dump(mode="json", exclude_none=True),
        "seed": prepared.settings.seed,
        "used": {"device": "cpu", **context.used},
        "seconds": round(seconds, 1),
        "plugin": registry.find("model", prepared.model_id).distribution,
        "versions": versions(prepared.model_id),
        "judged": judged,
        "validity": validity.as_json() if validity else None,
    }


def summary(
    prepared: Prepared,
    folder: Path,
    judged: Judged,
    facts: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """Return the object that ``--json`` prints."""
    assert judged.baseline is not None
    groups = [
        {
            "field": one.field,
            "value": one.name,
            "n": one.cases,
            "metrics": {name: found.as_json() for name, found in one.measures.items()},
        }
        for one in judged.subgroups
    ]
    return {
        "task": prepared.task.name,
        "model": prepared.model_id,
        "data": prepared.settings.data,
        **judged.evaluation.as_json(),
        **({"subgroups": groups} if groups else {}),
        "baseline": judged.baseline.as_json()["metrics"],
        **({"repeated": repeated.as_json(judged.repeated)} if judged.repeated else {}),
        "validity": facts["validity"],
        "bundle": str(folder / "bundle"),
        "report": str(folder / "report.html"),
        "device": facts["used"]["device"],
        "seconds": round(seconds, 1),
        "seed": prepared.settings.seed,
    }


def versions(model_id: str) -> dict[str, str]:
    """The versions of Python, medtasks, the plugin, and what both depend on."""
    from packaging.requirements import Requirement

    found = {"python": platform.python_version(), "platform": platform.platform()}
    names = ["medtasks", registry.find("model", model_id).distribution]
    for name in list(names):
        needs = (Requirement(line) for line in metadata.requires(name) or ())
        names += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    for name in dict.fromkeys(names):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def answers_table(data: Dataset, answers: pd.DataFrame) -> pd.DataFrame:
    """Return the answers with the id and the true target of each case beside them; of a bound, its sign too."""
    front: dict[str, npt.ArrayLike] = {"id": np.array(data.cases.ids, dtype=object)}
    if data.classes:
        front["target"] = np.array(data.classes, dtype=object)[data.targets]
    else:
        targets, bounds = (values.reshape(len(data), -1).T for values in (data.targets, data.bounds))
        for name, values, signs in zip(data.names, targets, bounds, strict=True):
            if signs.any():
                front[f"bound_{name}"] = np.array(["", ">", "<"], dtype=object)[signs]
            front[f"target_{name}"] = values
    return pd.concat([pd.DataFrame(front, index=answers.index), answers], axis=1)


def _repeatable(settings: Settings) -> Settings:
    """Return settings that repeat a run from any folder, and into a folder of its own."""
    data = settings.data
    if data is not None and Path(data).expanduser().exists():
        data = str(Path(data).expanduser().absolute())
    return settings.model_copy(update={"out": None, "data": data})


def _predictions(prepared: Prepared, answered: Answered) -> pd.DataFrame:
    table = answers_table(answered.data, answered.answers)
    if len(prepared.folds) > 1:
        table.insert(1, "fold", answered.fold_of)
    return table
