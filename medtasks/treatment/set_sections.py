"""The set part of a report: agreement with clinicians beside plain ways of choosing, and interactions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medtasks import outcome
from medtasks.report.blocks import Block, Section, Table, Text
from medtasks.task import Judged
from medtasks.treatment import selection
from medtasks.treatment.safety import SEPARATOR, Knowledge
from medtasks.treatment.sets import given_sets
from medtasks.words import parted

SHOWN, LISTED = 12, 40
Mask = npt.NDArray[np.bool_]


def write(judged: Judged) -> list[Section]:
    """Write every section on the result."""
    unit = "patients" if judged.data.groups is not None else "visits"
    return [
        Section("Result", outcome.blocks(judged, "jaccard", unit)),
        Section("Beside plain ways of choosing", _ways(judged)),
        Section("Interactions", _interactions(judged)),
        Section("By medicine", _medicines(judged)),
        Section("What the rules held back", _blocked(judged), personal=True),
    ]


def _ways(judged: Judged) -> list[Block]:
    data, answers = judged.data, judged.answers
    conflicts = Knowledge.of_json(judged.decision["knowledge"]).matrix(len(data.names))
    true = data.targets > 0
    ways: dict[str, Mask] = {
        "the model, within the rules": given_sets(answers["recommended"], data.names),
        "the model, without the rules": given_sets(answers["unrestricted"], data.names),
        "the most common medicines, for everybody": _popular(judged),
    }
    before = data.extra["previous"] > 0 if "previous" in data.extra else None
    if before is not None:
        ways["what the patient received at the last visit"] = before
    rows = []
    for name, sets in ways.items():
        jaccard, f1 = selection.overlap(sets, true)
        rows.append([name, f"{jaccard.mean():.3f}", f"{f1.mean():.3f}", *_sizes(sets, conflicts)])
    rows.append(["the clinicians themselves", "1.000", "1.000", *_sizes(true, conflicts)])
    blocks: list[Block] = [
        Table(
            ["Way of choosing", "Jaccard", "F1", "Medicines", "Interacting pairs", "by patient"],
            rows,
            f"On the same {len(data)} visits. A model that does not beat what was given before, or to everybody, has "
            "learnt nothing of use. The linear model stands in the table above.",
        )
    ]
    if before is not None and (repeats := data.extra["returning"]).any() and not repeats.all():
        there = selection.overlap(before[repeats], true[repeats])[0].mean()
        ours = selection.overlap(ways["the model, within the rules"][repeats], true[repeats])[0].mean()
        blocks.append(
            Text(
                f"For the {int(repeats.sum())} visits of patients who were seen before, repeating what they received "
                f"then reaches a Jaccard of {there:.3f}, the model {ours:.3f}."
            )
        )
    return blocks


def _popular(judged: Judged) -> Mask:
    """Give the medicines that most training patients received, as many as clinicians give on average."""
    found = np.zeros(judged.data.targets.shape, dtype=bool)
    parts = judged.learnt or ((np.arange(len(judged.data)), judged.data),)
    for rows, train in parts:
        share = (train.targets > 0).mean(axis=0)
        count = max(1, round(float(share.sum())))
        found[np.ix_(rows, np.argsort(-share, kind="stable")[:count])] = True
    return found


def _sizes(sets: Mask, conflicts: Mask) -> list[str]:
    sizes = sets.sum(axis=1)
    pairs = sizes * (sizes - 1) / 2
    rate = np.divide(selection.pair_counts(sets, conflicts), pairs, out=np.zeros(len(pairs)), where=pairs > 0)
    if not conflicts.any():
        return [f"{sizes.mean():.1f}", "not known", "not known"]
    return [f"{sizes.mean():.1f}", f"{selection.pooled_rate(sets, conflicts):.2%}", f"{rate.mean():.2%}"]


def _interactions(judged: Judged) -> list[Block]:
    decision = judged.decision
    origin = decision["knowledge"]["origin"]
    if not origin:
        return [
            Text(
                "No table of interactions was given, so nothing was checked. Give one with --interactions FILE: a CSV "
                "with the columns a, b, severity, source, in the names of the medicines used here."
            )
        ]
    rows = [
        ["File", str(origin["file"])],
        ["SHA-256", str(origin["sha256"])],
        ["Rows", str(origin["rows"])],
        ["Medicines of the data that it names", f"{origin['known']} of {len(judged.data.names)}"],
        ["Interacting pairs among them", str(origin["pairs"])],
        ["Budget (share of pairs that may interact)", f"{decision['budget']:.2%}"],
        ["Clinicians' own share", f"{decision['clinicians']:.2%}"],
        ["A medicine is given from the probability", f"{decision['cutoff']:.3f}"],
        ["Further probability asked for each interaction", f"{decision['penalty']:.2f}"],
    ]
    return [
        Table(["", ""], rows, "Cut-off and penalty were chosen on validation visits.", numeric=False),
        Text("A pair that the table does not name counts as safe, which it need not be."),
    ]


def _medicines(judged: Judged) -> list[Block]:
    data, answers = judged.data, judged.answers
    true, said = data.targets > 0, given_sets(answers["recommended"], data.names)
    order = np.argsort(-true.sum(axis=0), kind="stable")[:LISTED]
    rows = [
        [
            data.names[i],
            f"{true[:, i].mean():.0%}",
            f"{said[:, i].mean():.0%}",
            _share(int((true & said)[:, i].sum()), int(true[:, i].sum())),
            _share(int((true & said)[:, i].sum()), int(said[:, i].sum())),
        ]
        for i in order
    ]
    header = ["Medicine", "Given to", "Recommended to", "Of those given, recommended", "Of those recommended, given"]
    left = len(data.names) - len(rows)
    return [Table(header, rows, f"The {len(rows)} given most" + (f"; {left} more are not listed." if left else "."))]


def _blocked(judged: Judged) -> list[Block]:
    found = [(i, text) for i, text in enumerate(judged.answers["blocked"]) if text]
    if not found:
        return [Text("Nothing was held back.")]
    rows = [[str(judged.data.cases.ids[i]), "\n".join(parted(text, SEPARATOR))] for i, text in found[:SHOWN]]
    caption = f"Of {len(judged.data)} visits, {len(found)} had a medicine held back; the first {len(rows)}."
    return [Table(["Visit", "Held back"], rows, caption, numeric=False)]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "none"
