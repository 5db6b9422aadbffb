"""The task ``diagnosis``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Cases, Images, Records, Schema, Source
from medtasks.cases.columns import COHORT
from medtasks.dataset import Dataset
from medtasks.diagnosis import labels, sources
from medtasks.diagnosis.options import DiagnosisOptions
from medtasks.evaluation import calibrators, metrics
from medtasks.evaluation.bootstrap import Resampled, Weights, resample
from medtasks.evaluation.calibration import threshold
from medtasks.evaluation.calibrators import Calibrator
from medtasks.evaluation.splits import Fold, Plan, check_groups, holdout, kfold, official
from medtasks.model import Context
from medtasks.report.blocks import Section
from medtasks.shapes import check_numbers
from medtasks.task import Decision, Evaluation, Judged, Outputs, Quantity, Task
from medtasks.trust import held, means

SMALL = 1000
"""Tables with fewer rows are judged by 5-fold cross-validation: a fifth of them is too few to judge by."""


class Diagnosis(Task):
    """Which of several classes a case belongs to, from images or from records.

    A model returns class probabilities (n, classes), rows summing to one. With two classes the second is
    the positive one (the disease) and a threshold chosen on validation decides; with more, the most
    probable class.
    """

    name: ClassVar[str] = "diagnosis"
    title: ClassVar[str] = "Diagnosis"
    summary: ClassVar[str] = "a class (healthy, ill with what) from images, or from symptoms, signs and lab values"
    primary: ClassVar[str] = "auroc"
    cases: ClassVar[tuple[type[Cases], ...]] = (Images, Records)
    defaults: ClassVar[Mapping[str, str]] = {
        "images": "diagnosis.image-cnn",
        "records": "diagnosis.record-ensemble",
    }
    baselines: ClassVar[Mapping[str, str]] = {
        "images": "diagnosis.linear-image",
        "records": "diagnosis.linear-record",
    }
    demo: ClassVar[str] = "phantom"
    demo_config: ClassVar[Mapping[str, Any]] = {"members": 1, "epochs": 16, "batch": 16, "least_steps": 0}
    settled: ClassVar[frozenset[str]] = frozenset(
        {"threshold", "calibration", "positive", "pixel_range", "level", "within", "per_class"}
    )
    not_for: ClassVar[tuple[str, ...]] = (
        "It is no medical device. It supports a physician's judgement in research and never replaces it.",
        "What was measured holds for cases like those judged; other hospitals, scanners, age groups or disease "
        "frequencies need a test of their own before any use.",
        "A probability is a statement about cases like these, not a certainty about one person.",
        "Heat maps and contributions show what the model used, which need not be what causes the disease.",
    )

    class Options(DiagnosisOptions):
        """How data for a diagnosis are read."""

    def read(self, source: Source, options: Any, *, context: Context, schema: Schema | None = None) -> Dataset:
        """Read images or records with their classes; see `medtasks.diagnosis.sources`."""
        return sources.read(source, options, context, schema)

    def adapt(self, dataset: Dataset, options: Any) -> Dataset:
        """Rename or join classes as the options say, and group images by the patients of DICOM headers."""
        return labels.with_notes(labels.with_patients(labels.relabel(dataset, options), options))

    def align(self, dataset: Dataset, outputs: Outputs) -> Dataset:
        """Order the classes as the model's; those that it does not know are refused."""
        labels.check_known(dataset.classes, outputs.classes)
        return super().align(dataset, outputs)

    def check_options(self, options: Any, source: Source | Dataset, dataset: Dataset) -> None:
        """Refuse columns where there is no table, patterns where there are no paths, thresholds for many classes."""
        labels.check_options(options, source, dataset)

    def check_trainable(self, dataset: Dataset) -> None:
        """Refuse one class only, and classes with fewer than 3 cases or patients."""
        labels.check_classes(dataset)

    def strata(self, dataset: Dataset) -> npt.NDArray[np.int64]:
        """Return the class codes."""
        return dataset.targets

    def split(self, dataset: Dataset, plan: Plan, options: Any, seed: int) -> list[Fold]:
        """Follow the data's own split; else 5 folds for small tables, one stratified hold-out for the rest."""
        small = isinstance(dataset.cases, Records) and len(dataset) < SMALL
        plan = replace(plan, even=True)
        folds = plan.folds or (1 if dataset.split is not None or not small else 5)
        if folds > 1:
            found = kfold(dataset.targets, dataset.groups, replace(plan, folds=folds), seed)
        elif dataset.split is not None:
            found = [official(dataset, dataset.targets, plan, seed)]
        else:
            found = [holdout(dataset.targets, dataset.groups, plan, seed)]
        for fold in found:
            check_groups(fold, dataset.groups)
        return found

    def check(self, raw: npt.NDArray[Any], outputs: Outputs, n: int) -> None:
        """Check that probabilities are (n, classes), finite, within [0, 1] and sum to one."""
        check_numbers(raw, [(n, len(outputs.classes))], "probabilities of (cases, classes)")
        # 1e-3 leaves room for half precision on a GPU
        if n and (raw.min() < -1e-3 or np.abs(raw.sum(axis=1) - 1).max() > 1e-3):
            raise ValueError("predict returned rows that are no probabilities: they must sum to 1")

    def decide(self, valid: Dataset, raw: npt.NDArray[Any], options: Any, train: Dataset) -> Decision:
        """Calibrate on validation cases, and choose there the threshold of two classes."""
        said = np.asarray(raw, dtype=np.float64)
        calibrator = calibrators.fit(said, valid.targets, options.calibration)
        if len(valid.classes) != 2:
            return {"rule": "most probable", "calibration": calibrator.as_json()}
        cut = threshold(valid.targets == 1, calibrator(said)[:, 1], options.threshold)
        return {
            "calibration": calibrator.as_json(),
            "rule": options.threshold,
            "threshold": cut,
            "positive": valid.classes[1],
            "cases": len(valid),
        }

    def answer(
        self, raw: npt.NDArray[Any], outputs: Outputs, decision: Decision, cases: Cases | None = None
    ) -> pd.DataFrame:
        """Return ``prediction``, ``probability`` (of it) and ``p_CLASS`` for every class."""
        raw = Calibrator(**decision.get("calibration", {}))(np.asarray(raw, dtype=np.float64))
        decided = (raw[:, 1] >= decision["threshold"]).astype(int) if "threshold" in decision else raw.argmax(axis=1)
        table = pd.DataFrame(
            {
                "prediction": np.array(outputs.classes, dtype=object)[decided],
                "probability": raw[np.arange(len(raw)), decided].astype(np.float64),
            }
        )
        for i, name in enumerate(outputs.classes):
            table[f"p_{name}"] = raw[:, i].astype(np.float64)
        return table

    def quantities(self, outputs: Outputs) -> tuple[Quantity, ...]:
        """Return the class."""
        return (Quantity("", tuple(f"p_{name}" for name in outputs.classes), outputs.classes),)

    def evaluate(self, data: Dataset, answers: pd.DataFrame, seed: int) -> Evaluation:
        """Measure discrimination, decisions and calibration, with intervals over patients."""
        probabilities = answers[[f"p_{name}" for name in data.classes]].to_numpy(dtype=np.float64)
        decided = answers["prediction"].map({name: i for i, name in enumerate(data.classes)}).to_numpy(dtype=np.int64)

        sets = held(self.quantities(Outputs.of(data))[0], data, answers)

        def overall(weights: Weights) -> dict[str, npt.NDArray[np.float64]]:
            found = metrics.classification(data.targets, probabilities, decided, weights)
            return {**found, **means(sets, weights)}

        def one_class(code: int) -> Resampled:
            pair = np.column_stack([1 - probabilities[:, code], probabilities[:, code]])
            return resample(
                lambda weights: metrics.classification(
                    (data.targets == code).astype(np.int64), pair, (decided == code).astype(np.int64), weights
                ),
                len(data),
                data.groups,
                seed,
            )

        several = range(len(data.classes)) if len(data.classes) > 2 else ()
        return Evaluation(
            len(data),
            resample(overall, len(data), data.groups, seed),
            {data.classes[code]: one_class(code) for code in several},
        )

    def lead(self, judged: Judged) -> str:
        """Say which of two classes is the positive one."""
        if len(judged.data.classes) != 2:
            return ""
        negative, positive = judged.data.classes
        return f"The positive class is {positive}, the negative one {negative}."

    def sections(self, judged: Judged) -> list[Section]:
        """Write the result, the curves, the confusion matrix and the most confident mistakes."""
        from medtasks.diagnosis import sections

        return sections.write(judged)

    def counts(self, dataset: Dataset) -> dict[str, int]:
        """Count cases, patients and the cases of each class."""
        per_class = {name: int((dataset.targets == code).sum()) for code, name in enumerate(dataset.classes)}
        return {**super().counts(dataset), **per_class}

    def schema(self, dataset: Dataset, options: Any) -> Schema:
        """Describe the input, with the columns that name a case and, in a manifest, its file."""
        schema = dataset.cases.schema()
        if isinstance(dataset.cases, Records):
            schema["id"] = options.id or "id"
        else:
            named = {"path": options.path, "id": options.id}
            schema |= {key: name for key, name in named.items() if name not in (None, key)}
            schema[COHORT] = options.within
        return schema

    def toy(self, accepts: str, n: int, seed: int) -> Dataset | None:
        """Draw toy cases; see `medtasks.diagnosis.toy`."""
        from medtasks.diagnosis import toy

        return toy.draw(accepts, n, seed)
