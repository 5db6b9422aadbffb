"""What a comparison of models leaves: its table, its verdict in words, its report and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from medtasks import bundle, outcome, record, registry
from medtasks.dataset import Origin
from medtasks.errors import MedtasksError
from medtasks.evaluation.bootstrap import Measure, decimals
from medtasks.evaluation.compare import Anova, Comparison, Pair
from medtasks.report import figures, html
from medtasks.report.blocks import Block, Bullets, Figure, Section, Table, Text
from medtasks.words import plural

RECORD = "compare.json"
FILES = (RECORD, "report.html", "scores.csv")
"""What stands in a comparison's folder; the first always does."""
LEAST_P = 0.001
"""Smaller p-values are only said to be: their tails rest on assumptions that no data can check."""
_METHOD = (
    "Every model was fitted on the same folds, with the same seed, and judged on the same cases. The folds of repeated "
    "cross-validation share most of their training cases, so that values on them are not independent: the variance of "
    "a mean over n of them is taken as 1/n + (test cases)/(training cases) of their variance, not as 1/n (Nadeau & "
    "Bengio 2003; Bouckaert & Frank 2004). With it come an analysis of variance for repeated measures (corrected for "
    "sphericity by Greenhouse and Geisser's epsilon) and, for every pair, Tukey's honestly significant difference with "
    "the standard error of the pair's own differences. With two models this is the corrected resampled t-test."
)
_LIMITS = (
    "Models that cannot be told apart need not be alike: more cases may tell them apart.",
    "What is compared is a way to make a model on data like these, with these settings; not one fitted model.",
    "Other data (another hospital, another assay) may put the models in another order.",
)


@dataclass(frozen=True)
class Failure:
    """A model that failed on a fold, counted from 1 as ``repeat`` and ``fold`` are; its later fits were left out."""

    model: str
    repeat: int
    fold: int
    reason: str
    hint: str
    code: int

    def error(self) -> MedtasksError:
        """Return it as the error that the command ends with."""
        found = MedtasksError(
            f"{self.model} failed in repeat {self.repeat}, fold {self.fold}: {self.reason}", hint=self.hint
        )
        found.exit_code = self.code
        return found

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"model": self.model, "repeat": self.repeat, "fold": self.fold, "reason": self.reason}


@dataclass(frozen=True)
class Compared:
    """Models compared on the same repeated folds.

    Attributes
    ----------
    comparison : by the task's headline measure, which alone decides
    further : the means of the other measures, by measure and model
    scores : one row for each model, repeat, fold and measure, with its ``value``; those of failed models too
    failures : models that failed, which the comparison leaves out
    facts : provenance, as plain JSON
    """

    measure: str
    comparison: Comparison
    further: Mapping[str, Mapping[str, Measure]]
    scores: pd.DataFrame = field(repr=False)
    failures: tuple[Failure, ...]
    facts: Mapping[str, Any]

    @property
    def summary(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        found = self.comparison
        models = {
            name: {**mean.as_json(), "differs_from_best": name not in found.leaders, **self._about(name)}
            for name, mean in found.means.items()
        }
        return {
            **{key: value for key, value in self.facts.items() if key != "fit_seconds"},  # stands with each model
            "measure": self.measure,
            "models": models,
            "best": list(found.leaders),
            "verdict": self.verdict,
            "anova": found.anova.as_json() if found.anova else None,
            "pairs": [pair.as_json() for pair in found.pairs],
            "failures": [failure.as_json() for failure in self.failures],
        }

    @property
    def verdict(self) -> str:
        """Say in a sentence or two which models lead, and whether one does."""
        leaders, shown = [self.short(name) for name in self.comparison.leaders], outcome.label(self.measure)
        if len(self.comparison.means) == 1:
            return f"{leaders[0]} has nothing to be compared with."
        if len(leaders) == 1:
            return f"{leaders[0]} is better than every other model: no interval of a difference in {shown} holds 0."
        if len(leaders) == len(self.comparison.means):
            opening = f"The best mean {shown} is that of {leaders[0]}, but no model can be told from it"
        else:
            opening = f"The best mean {shown} is that of {leaders[0]}, which cannot be told from {_listed(leaders[1:])}"
        return f"{opening}: the intervals of the differences hold 0. The simplest of these may serve as well."

    def standing(self, name: str) -> str:
        """Say in a few words how a model stands to the one with the best mean."""
        if len(self.comparison.means) == 1:
            return ""
        if name == self.comparison.best:
            return "best" if len(self.comparison.leaders) == 1 else "best mean"
        return "not distinguishable" if name in self.comparison.leaders else "worse"

    def short(self, name: str) -> str:
        """Return a model's name without the task's, marked if it is the baseline."""
        plain = name.rpartition(":")[2]
        rivals = [other for other in self.facts["settings"] if other.rpartition(":")[2] == plain]
        short = plain.partition(".")[2] if len(rivals) == 1 else name
        return f"{short} (baseline)" if name == self.facts["baseline"] else short

    def write(self, folder: Path, origin: Origin, not_for: tuple[str, ...]) -> None:
        """Write report, scores and record into a folder that takes the place of an earlier result."""
        with bundle.replacing(folder, FILES) as fresh:
            (fresh / "report.html").write_text(self.report(origin, not_for), encoding="utf-8")
            self.scores.to_csv(fresh / "scores.csv", index=False)
            versions = {name: record.versions(name) for name in self.facts["settings"]}
            bundle.write_json(fresh / RECORD, {**self.summary, "versions": versions})

    def report(self, origin: Origin, not_for: tuple[str, ...]) -> str:
        """Return the report as HTML."""
        facts, count = self.facts, len(self.comparison.means)
        lead = [
            self.verdict,
            f"{plural(count, 'model')} on {facts['n']} cases: {facts['repeats']} times "
            f"{facts['folds']}-fold cross-validation, judged by {outcome.label(self.measure)}"
            f"{' (lower is better)' if facts['lower_is_better'] else ''}.",
            *(f"{failure.error().message}. The comparison leaves it out." for failure in self.failures),
        ]
        name = origin.title or Path(origin.source).name or origin.source
        synthetic = "These data are synthetic: nothing here says anything about patients." if origin.synthetic else ""
        return html.render(
            f"Models for {facts['task']} compared ({name})",
            lead,
            [
                Section("Models", self._models()),
                *([Section("Every pair", self._pairs())] if self.comparison.pairs else []),
                Section("Further measures", [self._further()]),
                Section("How it was compared", self._made()),
                Section("What it is not for", [Bullets([*_LIMITS, *not_for])]),
            ],
            f"Made by medtasks {registry.version()}.",
            synthetic,
        )

    def _about(self, name: str) -> dict[str, Any]:
        measures = {measure: means[name].as_json() for measure, means in self.further.items() if name in means}
        return {"metrics": measures, "fit_seconds": self.facts["fit_seconds"][name]}

    def _models(self) -> list[Block]:
        shown, means = outcome.label(self.measure), self.comparison.means
        rows = [
            [self.short(name), str(mean), self.standing(name), f"{self.facts['fit_seconds'][name]:.1f} s"]
            for name, mean in means.items()
        ]
        caption = (
            f"Means over {self.comparison.folds} folds with their own 95 % intervals; these say how sure a mean is, "
            "the next section whether two differ. The time is that of one fit with its answers."
        )
        bars = {self.short(name): _bar(mean) for name, mean in means.items()}
        return [
            Table(["Model", shown, "Beside the best", "Time"], rows, caption),
            Figure(figures.intervals(bars, shown), f"Mean {shown} with 95 % intervals."),
        ]

    def _pairs(self) -> list[Block]:
        shown = outcome.label(self.measure)
        rows = [
            [
                f"{self.short(pair.first)} - {self.short(pair.second)}",
                _signed(pair.difference),
                "" if pair.effect is None else f"{pair.effect:+.2f}",
                probability(pair.p),
                "differ" if pair.differs else "not distinguishable",
            ]
            for pair in self.comparison.pairs
        ]
        caption = (
            f"Difference in {shown} with intervals that hold together at 95 %; d is the mean of the differences over "
            "their standard deviation, p is adjusted for the number of models."
        )
        bars = {_versus(self, pair): _bar(pair.difference) for pair in self.comparison.pairs}
        figure = Figure(
            figures.intervals(bars, f"difference in {shown}", line=0.0), "An interval that holds 0 tells nothing apart."
        )
        found: list[Block] = [Table(["Pair", "Difference", "d", "p", "Verdict"], rows, caption), figure]
        return [Text(self._overall(self.comparison.anova)), *found] if self.comparison.anova else found

    def _overall(self, anova: Anova) -> str:
        if anova.f is None:
            return "The models differ by the very same on every fold: nothing was left to chance."
        share = f", partial eta squared {anova.effect:.2f}" if anova.effect is not None else ""
        return (
            f"Whether any model differs: F({anova.between:.1f}, {anova.within:.1f}) = {anova.f:.2f}, "
            f"p {'= ' if anova.p >= LEAST_P else ''}{probability(anova.p)} (epsilon {anova.epsilon:.2f}){share}."
        )

    def _further(self) -> Table:
        names = list(self.comparison.means)
        rows = [
            [outcome.label(measure), *(str(means[name]) if name in means else "" for name in names)]
            for measure, means in self.further.items()
        ]
        caption = "Means with their own 95 % intervals. Nothing is decided by them: the more measures, the more chance."
        return Table(["Measure", *map(self.short, names)], rows, caption)

    def _made(self) -> list[Block]:
        facts = self.facts
        rows = [
            ["Data", Path(facts["data"]).name or facts["data"]],
            ["SHA-256 of the cases", facts["sha256"]],
            ["Cases", str(facts["n"])],
            [
                "Patients or groups, each whole in a fold",
                "not named" if facts["groups"] is None else str(facts["groups"]),
            ],
            ["Folds", f"{facts['repeats']} x {facts['folds']}, seeds from {facts['seed']}"],
            ["Test over training cases", f"{self.comparison.ratio:.3f}"],
            *[[f"Option {key}", str(value)] for key, value in facts["options"].items() if value not in ((), [])],
        ]
        settings = [
            [self.short(name), key, str(value)]
            for name, config in facts["settings"].items()
            for key, value in config.items()
        ]
        return [
            Text(_METHOD),
            Table(["", ""], rows, numeric=False),
            Table(["Model", "Setting", "Value"], settings, "The models' hyper-parameters.", numeric=False),
            *([Bullets(facts["notes"])] if facts["notes"] else []),
        ]


def probability(p: float) -> str:
    """Write a p-value: what lies below 0.001 is only said to.

    >>> probability(0.0312), probability(1e-9)
    ('0.031', '< 0.001')
    """
    return f"{p:.3f}" if p >= LEAST_P else f"< {LEAST_P}"


def _bar(found: Measure) -> tuple[float, float, float]:
    assert found.value is not None
    return (
        found.value,
        found.value if found.low is None else found.low,
        found.value if found.high is None else found.high,
    )


def _signed(found: Measure) -> str:
    value, low, high = _bar(found)
    places = decimals(value, low, high)
    return f"{value:+.{places}f} ({low:+.{places}f} to {high:+.{places}f})"


def _versus(compared: Compared, pair: Pair) -> str:
    one, other = (compared.short(name).removesuffix(" (baseline)") for name in (pair.first, pair.second))
    return f"{one} - {other}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
