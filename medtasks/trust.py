"""How far an answer can be trusted: intervals and sets that hold, and whether a case is like those trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Cases, Molecules, Records
from medtasks.cases.describing import Describer
from medtasks.cases.neighbours import Neighbours
from medtasks.dataset import Dataset
from medtasks.evaluation.conformal import class_limits, class_sets, difficulty, quantile
from medtasks.evaluation.domain import OUT, Domain, Scale, verdict
from medtasks.evaluation.probing import units
from medtasks.evaluation.shift import Validity, validity
from medtasks.model import Context, Model
from medtasks.task import Quantity
from medtasks.words import joined, parted

Values = npt.NDArray[np.float64]
LEVEL = 0.9
"""The share of new cases whose sets and intervals are to hold, where a task's options say nothing else."""
LOOKED_AT = 2000
"""Training cases that a domain is learnt from at most: more change it by nothing that one would notice."""
NAMED = 20_000
"""Training molecules that are kept to name the nearest at most, drawn by chance."""
SEPARATOR = " | "
"""What stands between classes in a cell of a table; see `medtasks.words.joined`."""
UNKNOWN = "not known"
"""The group of cases whose group is not known."""
POOLED = ""
"""Stands in `Trust.reaches` for all cases together, for those of groups too small to be calibrated, or never seen."""
GROUP, ALL_CASES = "group", "all cases"
ANSWER, ABSTAIN = "answer", "abstain"
COLUMNS = ("id", "fold", "status", "error", "domain", "distance", "similarity", "nearest", "decision", "reason")
"""What columns of answers are called that the core adds to the task's."""
UNLIKE = "unlike the cases that the model was trained on"
"""Why nothing is advised in a case out of the domain."""
MODEL, PLAIN = "model", "plain"


@dataclass(frozen=True)
class Trust:
    """What was learnt on validation cases about answers, kept with the model.

    Attributes
    ----------
    level : the share of new cases whose sets and intervals are to hold
    reaches : of each quantity and each group, how far: ``limits`` for classes, ``line`` and ``reach`` for numbers
    within : the field whose groups are calibrated each by itself, or None
    describer : describes cases without a model; None for molecules and kinds that it does not know
    domains : where training cases lie, by what the model makes of them and by plain numbers
    known : training molecules
    scale : scales how far a case is: in the domain where it is farthest, or how unlike it is to the nearest molecule
    named : whether the nearest training molecule is named
    """

    level: float = LEVEL
    reaches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    describer: Describer | None = None
    domains: Mapping[str, Domain] = field(default_factory=dict)
    known: Neighbours | None = None
    scale: Scale | None = None
    named: bool = True
    within: str | None = None

    @classmethod
    def fit(cls, model: Model, train: Dataset, valid: Dataset, options: Any, context: Context) -> Trust:
        """Learn the domain from training cases and from cases not trained on; `calibrate` adds the rest."""
        level, named = getattr(options, "level", LEVEL), getattr(options, "name_nearest", True)
        if isinstance(train.cases, Molecules):
            return cls._of_molecules(train.cases, valid, level, named, context)
        describer = Describer.fit(train.cases, train.groups)
        rows = context.rng.permutation(len(train))[:LOOKED_AT]
        some, blank = train.cases.take(np.sort(rows)), cls(level, describer=describer)
        new = blank.features(model, valid.cases, context)
        old = blank.features(model, some, context)
        domains = {name: Domain.fit(old[name], new[name], context.seed) for name in old}
        far = _largest(domains, new)
        scale = None if far is None else Scale.fit(far, units(len(far), valid.groups))
        return replace(blank, domains=domains, scale=scale)

    @classmethod
    def _of_molecules(cls, train: Molecules, valid: Dataset, level: float, named: bool, context: Context) -> Trust:
        rows = np.sort(context.rng.permutation(len(train))[:NAMED])
        some = train.take(rows)
        known = Neighbours.of(some, some.smiles() if named else ())
        assert isinstance(valid.cases, Molecules)
        scale = Scale.fit(1 - known.nearest(valid.cases)[0], units(len(valid), valid.groups))
        return cls(level, known=known, scale=scale, named=named)

    def features(self, model: Model, cases: Cases, context: Context) -> dict[str, Values]:
        """Return (n, d) numbers by their source: the model's embedding where it has one, and plain ones."""
        found = {}
        if not isinstance(cases, Molecules) and type(model).embed is not Model.embed:
            parts = [np.asarray(model.embed(part, context=context), dtype=np.float64) for part in cases.chunks()]
            found[MODEL] = np.concatenate(parts).reshape(len(cases), -1)
        if self.describer is not None:
            found[PLAIN] = self.describer(cases)
        return found

    def calibrate(self, quantities: Sequence[Quantity], data: Dataset, answers: pd.DataFrame, options: Any) -> Trust:
        """Learn how far sets and intervals must reach, from answers to cases not trained on, with their distance.

        Where the options name a field ``within``, each of its groups is calibrated by itself (Mondrian conformal
        prediction; Vovk, Gammerman & Shafer 2005, doi:10.1007/b106715, ch. 4), and all together for cases of groups
        that have too few to be, or that are met later, and for cases whose group is not known: these are of any group,
        and none by themselves. Of a group with too few not even the name is kept.
        """
        within = getattr(options, "within", None) if quantities else None
        groups, reaches = group_of(data.cases, within), {}
        for quantity in quantities:
            truth, known = quantity.truth(data)
            said = answers[list(quantity.columns)].to_numpy(dtype=np.float64)
            found = {
                name: self._reach(quantity, said[rows], truth[rows], _distance(answers)[rows], options)
                for name in sorted(set(groups.tolist()))
                if len(rows := np.flatnonzero(known & (groups == name)))
            }
            if within is not None and known.any():
                found = {name: one for name, one in found.items() if name != UNKNOWN and _enough(one)}
                found[POOLED] = self._reach(quantity, said[known], truth[known], _distance(answers)[known], options)
            reaches[quantity.name] = found
        return replace(self, reaches=reaches, within=within)

    def _reach(
        self, quantity: Quantity, said: Values, truth: npt.NDArray[Any], distance: Values, options: Any
    ) -> dict[str, Any]:
        """Return ``limits`` for classes, ``line`` and ``reach`` for numbers."""
        if quantity.labels:
            per_class = getattr(options, "per_class", False)
            each = quantity.both(said)
            return {"limits": class_limits(each, truth.astype(np.int64), self.level, per_class=per_class)}
        errors = np.abs(said[:, 0] - truth)
        a, b = difficulty(errors, distance)
        return {"line": [a, b], "reach": quantile(errors / (a + b * np.maximum(distance, 0.0)), self.level)}

    def place(self, model: Model, cases: Cases | None, context: Context) -> pd.DataFrame:
        """Return ``domain`` and ``distance`` (1: as far as the outer twentieth), of molecules also the nearest."""
        if self.known is not None and self.scale is not None:
            assert cases is None or isinstance(cases, Molecules)
            similarity, nearest = self.known.nearest(Molecules([], []) if cases is None else cases)
            scaled = self.scale(1 - similarity)
            table = {"domain": verdict(scaled), "distance": scaled, "similarity": similarity}
            if self.named:
                table["nearest"] = np.array(self.known.names, dtype=object)[nearest]
            return pd.DataFrame(table)
        if not self.domains:
            return pd.DataFrame(index=range(0 if cases is None else len(cases)))
        if cases is None:
            return pd.DataFrame({"domain": np.zeros(0, dtype=object), "distance": np.zeros(0)})
        far = _largest(self.domains, self.features(model, cases, context))
        assert far is not None
        assert self.scale is not None
        scaled = self.scale(far)
        return pd.DataFrame({"domain": verdict(scaled), "distance": scaled})

    def bound(self, quantities: Sequence[Quantity], answers: pd.DataFrame, cases: Cases | None) -> pd.DataFrame:
        """Return the sets and intervals of answers whose distance is known, and within groups also what they rest on.

        That is a column ``group`` and, for each quantity, ``calibrated_on``: the ``group``, or ``all cases`` where it
        had too few to be calibrated by itself, was never seen, or is not known.
        """
        groups = group_of(cases, self.within) if cases is not None else np.zeros(0, dtype=object)
        table: dict[str, Any] = {}
        for quantity in quantities:
            if quantity.name not in self.reaches:
                continue
            said = answers[list(quantity.columns)].to_numpy(dtype=np.float64)
            found = self.reaches[quantity.name]
            own = np.isin(groups, [*found])
            if self.within is not None:
                own &= groups != UNKNOWN  # which bundles of before calibrated as a group
                table["group"] = groups
                table[calibrated_column(quantity, quantities)] = np.where(own, GROUP, ALL_CASES).astype(object)
            keys = np.where(own, groups, POOLED)
            if quantity.labels:
                table[quantity.set_column] = _sets(quantity, quantity.both(said), keys, found)
                continue
            half = np.full(len(said), np.nan)
            for name, one in found.items():
                mine = keys == name
                if one["reach"] is not None:
                    a, b = one["line"]
                    half[mine] = one["reach"] * (a + b * np.maximum(_distance(answers)[mine], 0.0))
            table[quantity.low_column], table[quantity.high_column] = said[:, 0] - half, said[:, 0] + half
        return pd.DataFrame(table, index=range(len(answers)))

    def unlimited(self, quantities: Sequence[Quantity]) -> list[str]:
        """Return the classes that every set holds, as too few cases were calibrated on to say where they end."""
        found = []
        for quantity in quantities:
            for one in self.reaches.get(quantity.name, {}).values():
                found += [
                    label for label, end in zip(quantity.labels, one.get("limits", ()), strict=False) if end is None
                ]
        return list(dict.fromkeys(found))

    def alike(self, model: Model, old: Dataset, new: Dataset, context: Context) -> Validity:
        """Say whether cases calibrated on and new ones come from one source; see `medtasks.evaluation.shift`."""
        describer = self.describer or Describer.fit(old.cases)
        if describer is None:
            return validity(np.zeros((0, 1)), np.zeros((0, 1)))
        by = replace(self, describer=describer)
        pair = by.features(model, old.cases, context), by.features(model, new.cases, context)
        classes = (old.targets, new.targets) if old.classes else None
        groups = None if old.groups is None or new.groups is None else (old.groups, new.groups)
        found = [validity(pair[0][name], pair[1][name], classes, old.classes, context.seed, groups) for name in pair[0]]
        return max(found, key=lambda one: (one.status == "shifted", one.auroc or 0.0))

    @property
    def structures(self) -> int:
        """The number of training molecules whose structures are kept, to name the nearest."""
        return 0 if self.known is None else len(self.known.names)

    def as_json(self) -> dict[str, Any]:
        """Return what is no array; `read` takes both back."""
        scale = None if self.scale is None else [self.scale.middle, self.scale.upper, self.scale.count]
        return {
            "level": self.level,
            "reaches": dict(self.reaches),
            "scale": scale,
            "named": self.named,
            "within": self.within,
            "domains": list(self.domains),
            "described": self.describer is not None,
        }

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what is arrays, for an ``.npz`` file."""
        found: dict[str, npt.NDArray[Any]] = {}
        parts = {f"domain.{name}": domain.to_arrays() for name, domain in self.domains.items()}
        if self.describer is not None:
            parts["describer"] = self.describer.to_arrays()
        if self.known is not None:
            parts["known"] = self.known.to_arrays()
        for name, arrays in parts.items():
            found |= {f"{name}.{key}": values for key, values in arrays.items()}
        return found

    @classmethod
    def read(
        cls, stored: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], schema: Mapping[str, Any]
    ) -> Trust:
        """Rebuild it from `as_json`, `to_arrays` and the schema of the cases."""

        def part(name: str) -> dict[str, npt.NDArray[Any]]:
            return {key[len(name) + 1 :]: values for key, values in arrays.items() if key.startswith(f"{name}.")}

        return cls(
            stored["level"],
            stored["reaches"],
            Describer.from_arrays(part("describer"), schema) if stored["described"] else None,
            {name: Domain.from_arrays(part(f"domain.{name}")) for name in stored["domains"]},
            Neighbours.from_arrays(part("known")) if part("known") else None,
            None if stored["scale"] is None else Scale(*stored["scale"]),
            stored["named"],
            stored["within"],
        )


def advise(quantities: Sequence[Quantity], answers: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return ``decision`` (answer or abstain) and ``reason`` for answers with their domain and sets."""
    n = len(answers)
    out = (answers["domain"] == OUT).to_numpy() if "domain" in answers else np.zeros(n, dtype=bool)
    unsure, count = np.zeros(n, dtype=bool), np.ones(n, dtype=int)
    single = [quantity for quantity in quantities if quantity.labels] if len(quantities) == 1 else []
    for quantity in single:
        count = np.array([len(parted(text, SEPARATOR)) for text in answers[quantity.set_column]], dtype=int)
        unsure = count != 1
    reasons = np.where(
        out,
        UNLIKE,
        np.where(unsure, [_unsure(number, level) for number in count], ""),
    )
    return pd.DataFrame({"decision": np.where(out | unsure, ABSTAIN, ANSWER), "reason": reasons}, dtype=object)


def withhold(answers: pd.DataFrame) -> pd.DataFrame:
    """Turn a task's own advice for cases out of the domain, a treatment for one, into `ABSTAIN` with the reason."""
    out = (answers["domain"] == OUT).to_numpy() & (answers["decision"] != ABSTAIN).to_numpy()
    changed = {"decision": ABSTAIN, "reason": UNLIKE}
    if "best" in answers:  # of arms; a set is kept beside the advice not to follow it, since it is what is judged
        changed["recommended"] = ""
    return answers.assign(**{name: answers[name].mask(out, value) for name, value in changed.items()})


def _largest(domains: Mapping[str, Domain], features: Mapping[str, Values]) -> Values | None:
    found = [domain(features[name]) for name, domain in domains.items()]
    return np.asarray(np.max(found, axis=0)) if found else None


def group_of(cases: Cases, within: str | None) -> npt.NDArray[Any]:
    """Return (n,) the group of each case within which sets and intervals are calibrated: a field's, or its cohort."""
    values: Any = None
    if within is not None:
        values = cases.frame[within] if isinstance(cases, Records) else cases.cohorts
    if values is None:
        return np.full(len(cases), UNKNOWN, dtype=object)
    return np.array([UNKNOWN if pd.isna(value) else str(value) for value in values], dtype=object)


def _sets(quantity: Quantity, said: Values, groups: npt.NDArray[Any], found: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Return (n,) prediction sets; where nothing was calibrated every class is possible."""
    marked = np.ones(said.shape, dtype=bool)
    for name, one in found.items():
        mine = groups == name
        marked[mine] = class_sets(said[mine], list(one["limits"]))
    labels = np.array(quantity.labels, dtype=object)
    return np.array([joined(labels[row], SEPARATOR) for row in marked], dtype=object)


def calibrated_column(quantity: Quantity, quantities: Sequence[Quantity]) -> str:
    """Return the column of answers that says what the sets or intervals of one of several quantities rest on."""
    return f"calibrated_on_{quantity.name}" if len(quantities) > 1 else "calibrated_on"


def largest_first(groups: npt.NDArray[Any]) -> list[str]:
    """Return the names in (n,) groups, those of most cases first."""
    names, counts = np.unique(groups.astype(str), return_counts=True)
    found: list[str] = names[np.argsort(-counts, kind="stable")].tolist()
    return found


def _enough(reach: Mapping[str, Any]) -> bool:
    """Say whether a group had cases enough to say how far its sets or intervals must reach."""
    return None not in reach["limits"] if "limits" in reach else reach["reach"] is not None


def _unsure(number: int, level: float) -> str:
    if number == 0:
        return f"no class is as probable as the true ones of {level:.0%} of cases were"
    return f"{number} classes are possible at {level:.0%}"


def _distance(answers: pd.DataFrame) -> Values:
    return answers["distance"].to_numpy(dtype=np.float64) if "distance" in answers else np.zeros(len(answers))


Held = Mapping[str, tuple[Values, npt.NDArray[np.bool_]]]
"""Values of each measure row by row, and the rows that have one."""


def held(quantity: Quantity, data: Dataset, answers: pd.DataFrame) -> Held:
    """Return whether each set or interval holds the truth, and how large it is; nothing where answers have none.

    Returns
    -------
    dict
        ``coverage`` and ``set_size``, or ``coverage`` and ``interval_width``.
    """
    truth, known = quantity.truth(data)
    if quantity.labels:
        if quantity.set_column not in answers:
            return {}
        sets = [parted(text, SEPARATOR) for text in answers[quantity.set_column]]
        names = [quantity.labels[int(code)] if fine else None for code, fine in zip(truth, known, strict=True)]
        inside = np.array([name in one for name, one in zip(names, sets, strict=True)], dtype=np.float64)
        return {
            "coverage": (inside, known),
            "set_size": (np.array([len(one) for one in sets], dtype=np.float64), known),
        }
    if quantity.low_column not in answers:
        return {}
    low, high = (answers[name].to_numpy(dtype=np.float64) for name in (quantity.low_column, quantity.high_column))
    known = known & np.isfinite(high)
    inside = ((low <= truth) & (truth <= high)).astype(np.float64)
    return {"coverage": (inside, known), "interval_width": (np.where(known, high - low, 0.0), known)}


def means(found: Held, weights: Values) -> dict[str, Values]:
    """Return (b,) means of what `held` returned under (b, n) weights, NaN where no row has any."""
    table = {}
    for name, (values, known) in found.items():
        total = weights[:, known].sum(axis=1)
        blank = np.full(len(weights), np.nan)
        table[name] = np.divide(weights[:, known] @ values[known], total, out=blank, where=total > 0)
    return table
