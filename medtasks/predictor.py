"""A fitted model with all that stands between it and a person: the thing one deploys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit

from medtasks.cases import Cases, Images, Molecules, Records, Schema
from medtasks.cases.base import Reading
from medtasks.cases.describing import Describer
from medtasks.cases.taking import Given, taken
from medtasks.errors import PluginError, UsageError, suggest
from medtasks.guarding import calling
from medtasks.model import Context, Model
from medtasks.occlusion import Score, occlude
from medtasks.shapes import check_explanations
from medtasks.task import Decision, Outputs, Task
from medtasks.tracing import defined
from medtasks.trust import Trust, advise, withhold
from medtasks.words import plural

SHOWN = 6
"""Classes or targets that a predictor's short form names."""


@dataclass(frozen=True)
class Explanation:
    """What in each case spoke for one class or target.

    ``values`` holds one array per case in input units: (height, width) for images, (fields,) for records,
    (atoms,) for molecules, named by ``parts`` where its entries have names. Positive speaks for ``target``.
    ``structures`` holds for each molecule the RDKit molecule whose atoms these are, in its standard form: without its
    salt, it has other atom numbers than what was given.
    """

    ids: tuple[str, ...]
    target: str
    values: tuple[npt.NDArray[Any], ...]
    parts: tuple[str, ...] = ()
    structures: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return f"<Explanation of {plural(len(self.ids), 'case')}: what speaks for {self.target}>"


@dataclass(frozen=True, repr=False)  # its arrays fill a screen, and its texts may name cases
class Predictor:
    """A fitted model with the meaning of its numbers, its decision rule and its provenance.

    Attributes
    ----------
    task, model : what was asked, and what answers
    model_id : the model's name in the registry
    outputs : the meaning of the model's columns
    schema : what an input must look like
    decision : what turns numbers into a decision
    facts : provenance, as plain JSON: versions, seed, device, data hash, measures
    trust : what was learnt about how far answers can be trusted, or None
    baseline : the baseline fitted on the same cases, for judging both on new ones, or None
    """

    task: Task
    model: Model
    model_id: str
    outputs: Outputs
    schema: Schema
    decision: Decision = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    trust: Trust | None = None
    baseline: Predictor | None = None

    def __repr__(self) -> str:
        names = self.outputs.classes or self.outputs.names
        what = (
            ", ".join(names)
            if len(names) <= SHOWN
            else f"{len(names)} {'classes' if self.outputs.classes else 'targets'}"
        )
        return f"<Predictor {self.model_id} ({self.task.name}): {what}>"

    def _calling(self) -> AbstractContextManager[None]:
        return calling(f"the model {self.model_id}", type(self.model))

    def scores(self, cases: Cases, *, context: Context | None = None) -> npt.NDArray[Any]:
        """Return the model's own numbers for valid cases, checked against the task's contract.

        Raises
        ------
        PluginError
            If the model breaks the contract.
        """
        with self._calling():
            raw = self.model.predict(cases, context=context or Context())
        return self.checked(raw, len(cases))

    def checked(self, raw: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
        """Return a model's own numbers for ``n`` cases if they keep the task's contract; see `scores`."""
        try:
            self.task.check(raw, self.outputs, n)
        except ValueError as error:
            raise self._broken(str(error)) from None
        return raw

    def answer(self, cases: Cases, *, context: Context | None = None) -> pd.DataFrame:
        """Answer valid cases: one row per case, in order, without ids."""
        return self.answered(self.scores(cases, context=context), cases, context=context)

    def answered(self, raw: npt.NDArray[Any], cases: Cases | None, *, context: Context | None = None) -> pd.DataFrame:
        """Turn the model's numbers for cases into answers, with sets, intervals and domain where these were learnt."""
        answers = self.task.answer(raw, self.outputs, self.decision, cases)
        if self.trust is None:
            return answers
        with self._calling():
            placed = self.trust.place(self.model, cases, context or Context())
        answers = pd.concat([answers, placed], axis=1)
        quantities = self.task.quantities(self.outputs)
        if quantities and self.trust.reaches:
            answers = pd.concat([answers, self.trust.bound(quantities, answers, cases)], axis=1)
        if "decision" in answers:
            answers = withhold(answers) if "domain" in answers else answers
        elif self.trust.reaches:
            answers = pd.concat([answers, advise(quantities, answers, self.trust.level)], axis=1)
        return answers

    def predict(self, source: Given, *, context: Context | None = None) -> pd.DataFrame:
        """Answer every row of an input.

        Parameters
        ----------
        source
            A path, a glob, a table (of pandas, polars or Arrow, or a list with a dictionary per row), or cases; of
            molecules also SMILES or RDKit molecules, as any sequence or iterator.

        Returns
        -------
        DataFrame
            Exactly the input's rows, in order: ``id``, ``status`` (``ok`` or ``invalid``), ``error``, then
            the answer, empty where the row is invalid.

        Raises
        ------
        DataError
            If the input as a whole cannot be read.
        """
        tables = list(self.iterate(source, context=context))
        if not tables:
            return self.table(Reading((), (), None), context=context or Context())
        return pd.concat(tables, ignore_index=True)

    def iterate(self, source: Given, *, context: Context | None = None) -> Iterator[pd.DataFrame]:
        """Answer an input a chunk at a time, in constant memory; see `predict`."""
        for reading in self._readings(source):
            yield self.table(reading, context=context or Context())

    def explain(
        self, source: Given, target: str | None = None, *, context: Context | None = None
    ) -> Iterator[Explanation]:
        """Say, a chunk at a time, what in each valid case speaks for a class or target.

        Parameters
        ----------
        target
            The class or target; each case's own decision where None (with classes), else the first.

        Raises
        ------
        UsageError
            If there is no such class or target.
        PluginError
            If neither the model nor the core can explain cases of this kind.
        """
        code = self.code_of(target)
        for reading in self._readings(source):
            if reading.cases is not None:
                yield from self._explain(reading.cases, code, context or Context())

    def code_of(self, target: str | None) -> int | None:
        """Return the number of a class or target that is to be explained; None where none is named.

        Raises
        ------
        UsageError
            If there is no such class or target.
        """
        names = self.outputs.classes or self.outputs.names
        if target is not None and target not in names:
            raise UsageError(f"no class or target is called {target!r}", hint=suggest(target, names))
        return None if target is None else names.index(target)

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of what explanations have a value for, where these have names: fields."""
        return tuple(item["name"] for item in self.schema.get("fields", ()))

    def explain_rows(
        self, cases: Cases, targets: npt.NDArray[np.int64], *, context: Context | None = None
    ) -> npt.NDArray[Any]:
        """Explain each case for a class or target of its own: n arrays in input units, one where all are alike."""
        found: list[Any] = [None] * len(cases)
        for target in np.unique(targets):
            rows = np.flatnonzero(targets == target)
            some, settled = cases.take(rows), context or Context()
            if self.model.explains():
                with self._calling():
                    values = self.model.explain(some, int(target), context=settled)
                self._check_explained(values, some)
            else:
                values = occlude(self.score_of(int(target), settled), some, self.describer)
            for row, value in zip(rows, values, strict=True):
                found[row] = value
        return stacked(found)

    def _check_explained(self, values: Any, cases: Cases) -> None:
        shapes: list[tuple[int | None, ...] | None] = [None] * len(cases)
        if isinstance(cases, Records):
            shapes = [(len(cases.fields),)] * len(cases)
        elif isinstance(cases, Molecules):
            shapes = [(mol.GetNumAtoms(),) for mol in cases.mols()]
        elif isinstance(cases, Images):
            shapes = [(None, None)] * len(cases)
        try:
            check_explanations(values, shapes)
        except ValueError as error:
            raise self._broken(f"{error}, in {defined(self.model.explain)}") from None

    def _broken(self, why: str) -> PluginError:
        return PluginError(
            f"the model {self.model_id} breaks its contract: {why}",
            hint="tell its author; `medtasks models` names its home page",
        )

    def score_of(self, target: int, context: Context) -> Score:
        """Return a function that gives (n,) what the model says for a class or target; see `medtasks.occlusion`.

        Probabilities are told as log-odds, so that what is nearly certain can still be lowered; of arms, the expected
        outcome less the mean of the others'.
        """

        def score(cases: Cases) -> npt.NDArray[np.float64]:
            raw = np.asarray(self.scores(cases, context=context), dtype=np.float64)
            raw = raw[..., 0] if raw.ndim == 3 else raw
            if self.task.contrasts(self.outputs):
                return np.asarray(raw[:, target] - np.delete(raw, target, axis=1).mean(axis=1))
            said = raw[:, target]
            return np.asarray(
                logit(np.clip(said, 1e-12, 1 - 1e-12)) if self.task.in_odds(self.outputs, target) else said
            )

        return score

    @property
    def describer(self) -> Describer | None:
        """What describes cases without the model, where it was learnt."""
        return None if self.trust is None else self.trust.describer

    def _explain(self, cases: Cases, code: int | None, context: Context) -> Iterator[Explanation]:
        names = self.outputs.classes or self.outputs.names
        if code is not None:
            targets = np.full(len(cases), code)
        else:
            targets = self.task.explained(self.answer(cases, context=context), self.outputs)
        values = self.explain_rows(cases, targets, context=context)
        for target in np.unique(targets):
            rows = np.flatnonzero(targets == target)
            mols = tuple(cases.mol(int(row)) for row in rows) if isinstance(cases, Molecules) else ()
            yield Explanation(tuple(cases.ids[rows]), names[target], tuple(values[rows]), self.parts, mols)

    def _readings(self, source: Given) -> Iterator[Reading[Any]]:
        if not isinstance(source, Cases):
            if isinstance(source, Sequence) and not isinstance(source, str) and not source:
                return  # no row in, no row out
            yield from self.task.read_cases(taken(source), self.schema)
            return
        if source.kind != self.schema["kind"]:
            raise UsageError(f"the model takes {self.schema['kind']}, not {source.kind}", hint="give cases of its kind")
        for part in source.chunks():
            yield Reading(tuple(part.ids), (None,) * len(part), part)

    def table(self, reading: Reading[Any], *, context: Context) -> pd.DataFrame:
        """Answer what was read: one row per row of the input; see `predict`."""
        if reading.cases is None:
            nothing = np.zeros((0, len(self.outputs.classes or self.outputs.names)))
            answers = self.answered(nothing, None)
        else:
            answers = self.answer(reading.cases, context=context)
        table = answers.set_index(reading.rows).reindex(range(len(reading.ids)))
        table.insert(0, "id", list(reading.ids))
        table.insert(1, "status", ["ok" if error is None else "invalid" for error in reading.errors])
        table.insert(2, "error", [error or "" for error in reading.errors])
        return table


def stacked(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Return arrays as one array, of objects where they differ in shape."""
    if len({np.shape(value) for value in values}) == 1:
        return np.stack(values)
    ragged = np.empty(len(values), dtype=object)  # molecules differ in their number of atoms
    for place, value in enumerate(values):
        ragged[place] = value
    return ragged
