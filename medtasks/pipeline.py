"""The one way through the house: prepare, fit, judge, report, save."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks import bundle, record, registry, subgroups
from medtasks.dataset import Dataset
from medtasks.evaluation.shift import Validity
from medtasks.guarding import calling
from medtasks.model import Context, Progress, model_class
from medtasks.predictor import Predictor
from medtasks.preparing import Prepared
from medtasks.repeated import Repeated, summarise
from medtasks.task import Evaluation, Judged, Outputs
from medtasks.training import Answered, cross_fit, deploy, fitted, repeat
from medtasks.workspace import checkpoint_of, kept, workspace


@dataclass(frozen=True)
class Run:
    """What a run leaves.

    ``folder`` holds ``bundle/``, ``report.html``, ``metrics.json``, ``predictions.csv``, ``config.toml`` and
    ``run.json``. ``summary`` is the object that ``--json`` prints.
    """

    folder: Path
    predictor: Predictor
    evaluation: Evaluation
    baseline: Evaluation
    summary: dict[str, Any]

    def __repr__(self) -> str:
        return f"<Run {self.predictor.model_id} in {self.folder}: {self.evaluation!r}>"

    @property
    def report(self) -> Path:
        """The report for a reader."""
        return self.folder / "report.html"

    @property
    def bundle(self) -> Path:
        """The folder to deploy."""
        return self.folder / "bundle"


def run(prepared: Prepared, *, out: Path | None = None, resume: bool = False, progress: Progress | None = None) -> Run:
    """Train, judge beside the baseline, report and save.

    Parameters
    ----------
    out
        The folder of the result; an earlier result there is replaced when the new one is whole.
    resume
        Go on with an interrupted run that had the same settings, data and ``out``.

    Raises
    ------
    MedtasksError
        If anything expected goes wrong; ``out`` is then as it was.
    """
    start, settings = time.time(), prepared.settings
    folder = out or prepared.folder
    bundle.check_target(folder, record.FILES)
    key = {
        "settings": settings.model_dump(mode="json", exclude={"out"}),
        "data": prepared.dataset.digest(),
        "versions": record.versions(prepared.model_id),
    }
    with workspace(folder, key, resume) as (scratch, checkpoint):
        context = Context(
            settings.seed,
            settings.device,
            progress or Progress(),
            scratch,
            checkpoint,
            start + 60 * settings.minutes if settings.minutes else None,
        )
        context.progress.note(f"fitting the baseline and {prepared.model_id}")
        floor, quiet = _baseline(prepared), Context(settings.seed, "cpu")
        base = cross_fit(floor, quiet, trust=False)
        answered = cross_fit(prepared, context)
        predictor = replace(deploy(prepared, answered, context), baseline=deploy(floor, base, quiet, trust=False))
        again = _repeated(prepared, (floor, base, quiet), (prepared, answered, context))
        context.progress.note("judging and writing the report")
        task = prepared.task
        evaluation = task.evaluate(answered.data, answered.answers, settings.seed)
        baseline = task.evaluate(base.data, base.answers, settings.seed)
        validity = _validity(prepared, predictor, context)
        seconds = time.time() - start
        predictor = replace(predictor, facts=record.facts(prepared, context, seconds, evaluation, baseline, validity))
        judged = Judged(
            answered.data,
            answered.answers,
            evaluation,
            predictor.decision,
            baseline,
            _explainer(prepared, answered, context),
            _learnt(prepared, answered),
            validity,
            tuple(subgroups.measure(task, answered.data, answered.answers, prepared.options, settings.seed)),
            again,
            task.lower_is_better,
        )
        summary = record.summary(prepared, folder, judged, predictor.facts, seconds)
        if notes := _unlimited(prepared, answered):
            summary["notes"] = notes
        record.write(folder, prepared, predictor, answered, judged, summary, context)
    return Run(folder, predictor, evaluation, baseline, summary)


def _unlimited(prepared: Prepared, answered: Answered) -> list[str]:
    """Say which classes stand in every set, and why: the sets themselves do not tell."""
    quantities = prepared.task.quantities(Outputs.of(prepared.dataset))
    trusts = [predictor.trust for predictor in answered.predictors if predictor.trust is not None]
    each = [trust.unlimited(quantities) for trust in trusts]
    found = []
    for name in dict.fromkeys(name for names in each for name in names):
        level, count = trusts[0].level, sum(name in names for names in each)
        found.append(
            f"the prediction sets of {count} of {len(each)} fits hold {name!r} always: to leave it out takes at least "
            f"{int(np.ceil(level / (1 - level) - 1e-9))} cases to calibrate on (of the class itself with --per-class)"
        )
    return found


def _repeated(
    prepared: Prepared, baseline: tuple[Prepared, Answered, Context], model: tuple[Prepared, Answered, Context]
) -> tuple[Repeated, ...]:
    """Deal and fit again where the settings say so; nothing where they do not."""
    if prepared.settings.repeats == 1:
        return ()
    floor, ours = repeat(*baseline, trust=False), repeat(*model)
    ratio = float(np.mean([len(fold.test) / (len(fold.train) + len(fold.valid)) for fold in prepared.folds]))
    return summarise(ours, floor, ratio)


def check_out(prepared: Prepared) -> None:
    """Refuse, before anything is trained, a folder that could not be replaced; see `bundle.check_target`."""
    bundle.check_target(prepared.folder, record.FILES)


def going_on(prepared: Prepared) -> str:
    """Say what a resumed run finds of the interrupted one; nothing where there was none."""
    checkpoint = checkpoint_of(prepared.folder)
    if not checkpoint.is_dir():
        return ""
    whole = len(prepared.folds) + (len(prepared.folds) > 1)  # after cross-validation one more, fitted on all cases
    if done := fitted(checkpoint):
        return f"{done} of {whole} fits were finished and are not repeated."
    if kept(checkpoint):
        return "no fit was finished; the model goes on from what it kept of the first."
    return f"no fit was finished, and {prepared.model_id} keeps nothing of a fit that was cut short: it starts anew."


def _baseline(prepared: Prepared) -> Prepared:
    name = registry.own_model(type(prepared.task), prepared.task.baselines[prepared.task.accepts(prepared.dataset)])
    model = model_class(name)
    return replace(prepared, model=model, model_id=name, config=model.Config())


def _explainer(prepared: Prepared, answered: Answered, context: Context) -> Any:
    """Explain judged cases, where the model brings an explanation."""
    return functools.partial(answered.explain, context=context) if prepared.model.explains() else None


def _validity(prepared: Prepared, predictor: Predictor, context: Context) -> Validity | None:
    """Say whether the test part is like the validation part; in cross-validation chance deals both alike."""
    if predictor.trust is None or len(prepared.folds) > 1:
        return None
    valid, test = (prepared.dataset.take(rows) for rows in (prepared.folds[0].valid, prepared.folds[0].test))
    with calling(f"the model {predictor.model_id}", type(predictor.model)):
        return predictor.trust.alike(predictor.model, valid, test, context)


def _learnt(prepared: Prepared, answered: Answered) -> tuple[tuple[npt.NDArray[np.int64], Dataset], ...]:
    """Say what each fold's model was made from, and which rows it answered."""
    return tuple(
        (np.flatnonzero(answered.fold_of == i), prepared.dataset.take(np.concatenate([fold.train, fold.valid])))
        for i, fold in enumerate(prepared.folds)
    )
