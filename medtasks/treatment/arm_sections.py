"""The arm part of a report: whether individualising helps, what each arm is worth, what patients are told."""

from __future__ import annotations

import numpy as np

from medtasks import causal, outcome
from medtasks.evaluation.bootstrap import Measure, written
from medtasks.report import figures
from medtasks.report.blocks import Block, Figure, Row, Section, Table, Text
from medtasks.task import Judged
from medtasks.treatment import policies
from medtasks.treatment.effects import ABSTAIN, INSUFFICIENT, RECOMMEND, TIED, Z, errors_of_differences
from medtasks.treatment.questions import Asked, pair_column

SHOWN = 12
MEANS = {
    RECOMMEND: "one treatment is better than each other comparable one, at 95 % over all of them together",
    TIED: "some treatments cannot be told apart, and the rest are worse",
    ABSTAIN: "no treatment can be told from another for this patient",
    INSUFFICIENT: "patients like this one received at most one of the treatments",
}


def write(judged: Judged) -> list[Section]:
    """Write every section on the result."""
    assert isinstance(judged.evaluation, policies.Worth)
    scores = judged.evaluation.scores
    return [
        Section("Does choosing for each patient help?", _result(judged, scores)),
        Section("The treatments, for everybody", _arms(judged, scores)),
        Section("What patients are told", _told(judged)),
        Section("Overlap", _overlap(judged, scores)),
        Section("Largest expected benefits", _largest(judged), personal=True),
    ]


def _unit(judged: Judged) -> str:
    return "groups" if judged.data.groups is not None else "patients"


def _result(judged: Judged, scores: causal.Scores) -> list[Block]:
    share, gain, error = policies.uplift(judged.data, judged.answers, scores.values)
    blocks: list[Block] = [Text(policies.verdict(judged.evaluation.metrics["gain_over_best_arm"], judged))]
    blocks += outcome.blocks(
        judged,
        "gain_over_best_arm",
        _unit(judged),
        "The baseline gives the best treatment of the training patients to everybody.",
    )
    blocks.append(
        Figure(
            figures.band(share, gain, error, "share of patients treated by choice", "gain in the outcome"),
            "Uplift: what is gained when the patients with the largest expected benefit follow the model's choice and "
            "the rest receive the best treatment for everybody; shaded 95 %. On the dotted line the order does not "
            "matter. The curve lies at 0 where the choice is that treatment.",
        )
    )
    return blocks


def _arms(judged: Judged, scores: causal.Scores) -> list[Block]:
    data, treatment = judged.data, causal.received(judged.data)[0]
    means, covariance = scores.values.mean(axis=0), causal.mean_covariance(scores.values, data.groups)
    alone, apart = Z * np.sqrt(np.diagonal(covariance)), Z * errors_of_differences(covariance)
    rows, bars = [], {}
    for arm, name in enumerate(data.names):
        mean, error = float(means[arm]), float(alone[arm])
        seen = data.targets[treatment == arm, arm]
        bars[name] = (mean, mean - error, mean + error)
        rows.append([name, str(len(seen)), written(float(seen.mean())) if len(seen) else "", _interval(mean, error)])
    pairs = []
    for a in range(len(data.names)):
        for b in range(a + 1, len(data.names)):
            pairs.append([pair_column(data.names, a, b), _interval(float(means[a] - means[b]), float(apart[a, b]))])
    better = "less" if Asked.of(data.kinds).minimise else "more"
    return [
        Table(
            ["Treatment", "Patients", "Mean outcome observed", "Mean outcome had all received it (95 %)"],
            rows,
            f"The last column compares like with like (doubly robust); {better} is better.",
        ),
        Figure(figures.intervals(bars, "mean outcome had all received it"), "The last column of the table."),
        Table(
            ["Average effect", "Difference (95 %)"],
            pairs,
            "The first less the second, for every pair; each interval by itself.",
        ),
    ]


def _told(judged: Judged) -> list[Block]:
    answers, n = judged.answers, len(judged.answers)
    counts = answers["decision"].value_counts()
    rows = [
        [name, str(int(counts.get(name, 0))), f"{counts.get(name, 0) / n:.1%}", text] for name, text in MEANS.items()
    ]
    best = answers.loc[answers["decision"] == RECOMMEND, "best"].value_counts()
    blocks: list[Block] = [
        Table(["Answer", "Patients", "Share", "Means"], rows, "What the patients judged are told.", remarks=True)
    ]
    if len(best):
        blocks.append(
            Table(["Treatment", "Clearly recommended to"], [[str(name), str(count)] for name, count in best.items()])
        )
    bars = {}
    for a in range(len(judged.data.names)):
        for b in range(a + 1, len(judged.data.names)):
            name = pair_column(judged.data.names, a, b)
            low, high = answers[f"{name}_low"], answers[f"{name}_high"]
            bars[name] = [len(low.dropna()), int((low > 0).sum()), int((high < 0).sum())]
    blocks.append(
        Table(
            ["Pair", "Patients compared", "First clearly higher", "Second clearly higher"],
            [[name, *map(str, found)] for name, found in bars.items()],
            "Of each pair, the patients whose own 95 % interval of the difference leaves out 0. Of patients without "
            "any true difference 5 in 100 would be among them.",
        )
    )
    return blocks


def _overlap(judged: Judged, scores: causal.Scores) -> list[Block]:
    data = judged.data
    treatment = causal.received(data)[0]
    if "propensity" in data.extra:
        chance = scores.propensity[np.arange(len(data)), treatment]
        return [
            Text(
                "How likely each treatment was is known by design, so that those who received different ones compare. "
                f"The treatment received had a probability of {chance.min():.2f} to {chance.max():.2f}."
            )
        ]
    text = (
        "How likely a treatment was, by what is known of the patients. Where the curves of those who received it and "
        "of the others do not overlap, there is nobody to compare with."
    )
    drawn = []
    for arm, name in enumerate(data.names[: len(figures.COLOURS)]):
        groups = {
            "received it": scores.propensity[treatment == arm, arm],
            "others": scores.propensity[treatment != arm, arm],
        }
        drawn.append(Figure(figures.histograms(groups, f"probability of {name}"), name))
    return [Text(text), Row(drawn)]


def _largest(judged: Judged) -> list[Block]:
    answers = judged.answers
    order = np.argsort(-answers["benefit"].fillna(-np.inf).to_numpy(), kind="stable")[:SHOWN]
    rows = [
        [
            str(judged.data.cases.ids[row]),
            str(answers["decision"].iloc[row]),
            str(answers["best"].iloc[row]),
            f"{answers['benefit'].iloc[row]:.3g} ({answers['benefit_low'].iloc[row]:.3g} to "
            f"{answers['benefit_high'].iloc[row]:.3g}) against {answers['against'].iloc[row]}",
            f"{answers['similar'].iloc[row]:.0f}",
        ]
        for row in order
        if np.isfinite(answers["benefit"].iloc[row])
    ]
    if not rows:
        return [Text("For no patient can treatments be compared.")]
    header = ["Patient", "Answer", "Ranked first", "Expected benefit (95 %)", "Similar patients"]
    return [Table(header, rows, "Look here first for fields that came after the treatment.", numeric=False)]


def _interval(value: float, reach: float) -> str:
    known = np.isfinite(reach)  # one group alone tells nothing of the error
    return str(Measure(value, value - reach if known else None, value + reach if known else None))
