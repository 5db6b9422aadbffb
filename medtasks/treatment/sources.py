"""Reading tables of patients with the treatment or dose that each received."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases import Patients, Schema, Source
from medtasks.cases.columns import alike_notes, apart_notes, clean, column, names_in, natural, patient_notes
from medtasks.cases.events import unread
from medtasks.cases.naming import names_of
from medtasks.cases.records import (
    FALSE,
    TRUE,
    check_columns,
    fields_of,
    infer_fields,
    numbers,
    parse,
    table_of,
    truths,
    with_names,
)
from medtasks.cases.tables import (
    is_missing,
    is_table,
    read_table,
    row_errors,
    spare_cut,
    suggest_column,
    why_missing,
)
from medtasks.dataset import Dataset, Origin
from medtasks.errors import DataError, UsageError
from medtasks.evaluation.splits import read_split
from medtasks.treatment.options import TreatmentOptions
from medtasks.treatment.questions import ARM, DOSE, Asked
from medtasks.treatment.safety import allergy_notes
from medtasks.words import plural

TREATMENTS, OUTCOMES = ("treatment", "arm"), ("outcome",)
MOST_ARMS = 20
"""More different treatments than this are doses or free text."""
FEW = 0.1
"""Share of outcomes up to which a third value beside 0 and 1 is asked about."""
ROUNDING = 1e-3
"""How far known probabilities of a patient may sum beside 1: they were written with some digits."""


@dataclass(frozen=True)
class Columns:
    """The columns that are not about the patient at the time of the decision."""

    treatment: str | None
    outcome: str | None
    dose: str | None
    group: str | None
    split: str | None
    id: str | None
    propensity: tuple[str, ...]
    truth: tuple[str, ...]

    def special(self) -> set[str]:
        """Return the names of all."""
        named = (self.treatment, self.outcome, self.dose, self.group, self.split, self.id)
        return {*filter(None, named), *self.propensity, *self.truth}


def read(source: Source, options: TreatmentOptions, schema: Schema | None = None) -> Dataset:
    """Read patients and what they received from a table, with a fitted model's fields if given.

    Raises
    ------
    UsageError, DataError
        If a column is lacking or the data cannot carry the question.
    """
    if isinstance(source, pd.DataFrame):
        return read_patients(source, options, "the table", schema)
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(f"no file or folder {str(path)!r}", hint="check the path")
    if not is_table(path):
        raise unread(path)
    return read_patients(read_table(path), options, str(path), schema)


def lost_outcomes(
    source: Source, options: TreatmentOptions
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.bool_], list[str]] | None:
    """Return of every row of a table its arm (None where missing), whether its outcome is missing, and its id.

    None where the source is no table with arms: `read` leaves the rows out that this is about.
    """
    table = table_of(source)
    if table is None:
        return None
    columns = _columns(table, options, "the table")
    if columns.treatment is None or columns.outcome is None:
        return None
    ids = names_of(table, columns.id)
    return clean(table[columns.treatment]), is_missing(table[columns.outcome]).to_numpy(), ids


def read_patients(table: pd.DataFrame, options: TreatmentOptions, where: str, schema: Schema | None = None) -> Dataset:
    """Make a data set of a table with a row per patient."""
    table = with_names(table, where).reset_index(drop=True)
    if table.empty:
        raise DataError(f"{where} has no rows", hint="give a table with a row per patient")
    columns = _columns(table, options, where)
    fields, notes = (
        (fields_of(schema), [])
        if schema is not None
        else infer_fields(table, {*columns.special(), *options.ignore, *filter(None, [options.within])})
    )
    if schema is None and options.within:  # a group within which intervals hold is asked of every patient
        fields = [*fields, *infer_fields(table[[options.within]])[0]]
    check_columns(table, fields, where)
    if not fields:
        raise DataError(
            f"{where} has no column that a model can use beside treatment and outcome",
            hint="; ".join(notes[:3]) or "give what was known of each patient when the treatment was chosen",
        )
    frame, errors = parse(table, fields)
    ids = names_of(table, columns.id)
    told = _doses(table, columns) if columns.dose else _arms(table, columns, options)
    reasons = [cut or mine or error for cut, mine, error in zip(row_errors(table), told.reasons, errors, strict=True)]
    rows = np.array([i for i, reason in enumerate(reasons) if reason is None], dtype=np.int64)
    invalid = tuple((f"row {i + 1}", reason) for i, reason in enumerate(reasons) if reason)
    answer = columns.dose or columns.outcome
    apart = apart_notes(frame, ~is_missing(table[answer]).to_numpy(), "a dose" if columns.dose else "an outcome")
    if not len(rows):
        hint = apart[0] if apart else "mend the table"
        raise DataError(f"{where} has no usable row (the first: {invalid[0][1]})", hint=hint)
    notes = [*notes, *apart]
    _check_ids([ids[i] for i in rows], columns, where)
    if told.asked.question == ARM:
        notes = [*notes, *allergy_notes(fields, told.names)]
    whole = spare_cut(table, {columns.group: "cut", columns.split: "train"})
    groups = names_in(whole, columns.group, where)
    if groups is None:
        notes = [*notes, *patient_notes(table, {*columns.special() - {columns.id}, *options.ignore})]
    splits = read_split(whole[columns.split], where) if columns.split else None
    return Dataset(
        Patients([ids[i] for i in rows], frame.iloc[rows], fields),
        told.targets[rows],
        names=told.names,
        kinds=told.asked.kinds(len(told.names)),
        groups=None if groups is None else groups[rows],
        split=None if splits is None else splits[rows],
        extra={name: values[rows] for name, values in told.extra.items()},
        origin=Origin(where, invalid=invalid, notes=(*(f"{note}." for note in notes), *told.notes)),
    )


@dataclass(frozen=True)
class _Told:
    """What the rows say of treatment and outcome; ``reasons`` say why a row cannot be used."""

    asked: Asked
    names: tuple[str, ...]
    targets: npt.NDArray[np.float64]
    reasons: list[str | None]
    extra: dict[str, npt.NDArray[Any]]
    notes: tuple[str, ...] = ()


def _columns(table: pd.DataFrame, options: TreatmentOptions, where: str) -> Columns:
    for name in (*options.ignore, *options.propensity, *options.truth, *filter(None, [options.within])):
        column(table, name, (), where)
    dose = column(table, options.dose, (), where)
    treatment = None if dose else column(table, options.treatment, TREATMENTS, where)
    outcome = None if dose else column(table, options.outcome, OUTCOMES, where)
    if not dose:
        for found, flag in ((treatment, "treatment"), (outcome, "outcome")):
            if found is None:
                raise UsageError(
                    f"{where} has no column {flag!r}",
                    hint=f"name the {flag}'s column with --{flag}, or a dose with --dose; "
                    + suggest_column(flag, table),
                )
        if treatment == outcome:
            raise UsageError("treatment and outcome are one column", hint="name two with --treatment and --outcome")
    return Columns(
        treatment,
        outcome,
        dose,
        column(table, options.group, ("patient_id",), where),
        column(table, options.split, ("split",), where),
        column(table, options.id, ("id",), where),
        options.propensity,
        options.truth,
    )


def _arms(table: pd.DataFrame, columns: Columns, options: TreatmentOptions) -> _Told:
    assert columns.treatment is not None
    assert columns.outcome is not None
    labels = clean(table[columns.treatment])
    known = sorted({str(label) for label in labels if label is not None}, key=natural)
    if len(known) > MOST_ARMS:
        raise DataError(
            f"the column {columns.treatment!r} has {len(known)} different treatments",
            hint="join treatments before, or name an amount with --dose",
        )
    names = _renamed(known, options.arms)
    codes = np.array([-1 if label is None else known.index(str(label)) for label in labels], dtype=np.int64)
    outcome, words = _outcome(table[columns.outcome])
    blank = is_missing(table[columns.outcome]).to_numpy()
    if blank.all():
        raise DataError(
            f"the column {columns.outcome!r} is empty throughout", hint="name the outcome's column with --outcome"
        )
    reasons: list[str | None] = [
        untreated or unknown or ("the outcome is no number (decimals take a point)" if np.isnan(value) else None)
        for untreated, unknown, value in zip(
            why_missing(table[columns.treatment], "treatment"),
            why_missing(table[columns.outcome], "outcome"),
            outcome,
            strict=True,
        )
    ]
    targets = np.full((len(table), len(names)), np.nan)
    rows = np.flatnonzero(codes >= 0)
    targets[rows, codes[rows]] = outcome[rows]
    values = outcome[np.isfinite(outcome)]
    asked = Asked(ARM, binary=set(np.unique(values)) == {0.0, 1.0}, minimise=options.minimise)
    propensity, unknown, notes = _propensity(table, codes, len(names), options)
    if further := int(beside_binary(values).sum()):
        notes += (
            f"The outcome is 0 or 1 but for {plural(further, 'row')} with one further value, and is judged as a "
            "number: if that value means that nothing is known, leave the cell empty.",
        )
    notes += tuple(f"{note}." for note in (*words, *alike_notes(known, "treatments")))
    reasons = [reason or ("the row's probabilities of the treatments are none" if bad else None)
               for reason, bad in zip(reasons, unknown, strict=True)]  # fmt: skip
    extra = {} if propensity is None else {"propensity": propensity}
    if options.truth:
        extra["truth"] = _truth(table, len(names), options.truth)
    return _Told(asked, names, targets, reasons, extra, notes)


def _outcome(values: pd.Series) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Read numbers, or yes and no as 1 and 0, which a note then says."""
    found = numbers(values).to_numpy()
    known = values[~is_missing(values)].astype("string").str.strip().str.lower()
    if not np.isnan(found).all() or known.empty or known.str.match(r"[-+]?\d").any():
        return found, ()
    if set(known.unique()) <= {*TRUE, *FALSE}:
        return truths(values), (f"the outcome {values.name!r} is read as 1 for yes and 0 for no",)
    raise DataError(
        f"the column {values.name!r} holds words, and an outcome is a number",
        hint="write 1 for what is hoped for and 0 for the other (or turn it round with --minimise yes), or yes and no",
    )


def beside_binary(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return (n,) which of finite values are the one rare value beside 0 and 1; none where there is no such value."""
    further = ~np.isin(values, (0.0, 1.0))
    rare = 0 < further.mean() <= FEW if len(values) else False
    fits = rare and len(np.unique(values[further])) == 1 and set(values[~further]) == {0.0, 1.0}
    return further if fits else np.zeros(len(values), dtype=bool)


def _propensity(
    table: pd.DataFrame, codes: npt.NDArray[np.int64], arms: int, options: TreatmentOptions
) -> tuple[npt.NDArray[np.float64] | None, npt.NDArray[np.bool_], tuple[str, ...]]:
    """Return (n, arms) probabilities known by design, which rows have none, and what the report must say."""
    fine = np.zeros(len(table), dtype=bool)
    if options.randomised and options.propensity:
        raise UsageError("--randomised and --propensity both say how likely a treatment was", hint="give one of them")
    if options.randomised:
        share = np.bincount(codes[codes >= 0], minlength=arms) / max(1, (codes >= 0).sum())
        return np.tile(share, (len(table), 1)), fine, ("The treatments were drawn by lot (as the user says).",)
    if not options.propensity:
        return (
            None,
            fine,
            (
                "Who received what was not drawn by lot, as far as the data say: effects are right only if the fields "
                "hold everything that drove both the choice and the outcome, which no data can show.",
            ),
        )
    found = np.column_stack([numbers(table[name]).to_numpy() for name in options.propensity])
    if arms == 2 and found.shape[1] == 1:
        found = np.column_stack([1 - found[:, 0], found[:, 0]])
    if found.shape[1] != arms:
        raise UsageError(f"--propensity names {found.shape[1]} columns for {arms} treatments", hint="name one for each")
    bad = ~np.isfinite(found).all(axis=1) | (found < 0).any(axis=1) | (np.abs(found.sum(axis=1) - 1) > ROUNDING)
    rows = np.flatnonzero((codes >= 0) & ~bad)
    bad[rows[found[rows, codes[rows]] <= 0]] = True  # what was impossible was received
    return found, bad, ("The probabilities of the treatments are known (as the user says).",)


def _truth(table: pd.DataFrame, arms: int, columns: tuple[str, ...]) -> npt.NDArray[np.float64]:
    if len(columns) != arms:
        raise UsageError(f"--truth names {len(columns)} columns for {arms} treatments", hint="name one for each")
    found = np.column_stack([numbers(table[name]).to_numpy() for name in columns])
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise DataError(
            f"row {row + 1}: the true outcome is no number", hint="fill the columns of --truth in every row"
        )
    return found


def _doses(table: pd.DataFrame, columns: Columns) -> _Told:
    assert columns.dose is not None
    values = numbers(table[columns.dose]).to_numpy()
    blank = is_missing(table[columns.dose]).to_numpy()
    if blank.all():
        raise DataError(f"the column {columns.dose!r} is empty throughout", hint="name the dose's column with --dose")
    reasons: list[str | None] = [
        "the row has no dose"
        if empty
        else "the dose is no number (decimals take a point)"
        if np.isnan(value)
        else "the dose is not above 0"
        if value <= 0
        else None
        for empty, value in zip(blank, values, strict=True)
    ]
    return _Told(Asked(DOSE), (columns.dose,), values[:, None], reasons, {})


def _renamed(known: list[str], names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        return tuple(known)
    if len(names) != len(known):
        raise UsageError(
            f"{len(names)} names are given for {len(known)} treatments",
            hint=f"the treatments are {', '.join(known)}, in this order",
        )
    if len(set(names)) < len(names):
        raise UsageError("two treatments are given one name", hint="name each differently")
    return names


def _check_ids(ids: list[str], columns: Columns, where: str) -> None:
    """Refuse two rows of one id unless a column says that patients have several rows."""
    if columns.id is not None and columns.group is None and len(set(ids)) < len(ids):
        raise DataError(
            f"{len(ids) - len(set(ids))} rows of {where} have the id of another row",
            hint="give each patient one row, or name the patients' column with --group",
        )
