"""Reading molecules with their measurements."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.activity.companions import read_relation, read_types, read_units
from medtasks.activity.measurements import (
    CONTRADICTION,
    LOGARITHMS,
    WEIGHTS,
    Measured,
    is_binary,
    is_logarithm,
    looks_logarithmic,
    merge,
    read_column,
    to_p,
)
from medtasks.activity.options import ActivityOptions
from medtasks.activity.splitting import read_times
from medtasks.cases import Molecules, Source
from medtasks.cases.columns import cohorts_in
from medtasks.cases.cxsmiles import split_extension
from medtasks.cases.molecule_files import name_column, structure_column
from medtasks.cases.molecules import parts_of, read_structures
from medtasks.cases.naming import names_of
from medtasks.cases.tables import column_names, row_errors, spare_cut, suggest_column
from medtasks.dataset import Dataset, Origin
from medtasks.errors import DataError, UsageError
from medtasks.evaluation.splits import read_split
from medtasks.model import Context
from medtasks.words import plural

TARGETS = ("target", "activity", "label", "y")
"""Names (lower case) by which a column of measurements is known."""


@dataclass(frozen=True)
class _Columns:
    smiles: str
    targets: tuple[str, ...]
    id: str | None
    group: str | None
    split: str | None
    time: str | None


_CHARGED = re.compile(r"\[[^\[\]]*[+-][^\[\]]*\]")
"""Atoms of a SMILES that are written with a charge."""


def read(
    source: Source,
    options: ActivityOptions,
    context: Context,
    kinds: Sequence[str] = (),
    with_units: bool = False,
) -> Dataset:
    """Read molecules and their measurements from a file or a table.

    Parameters
    ----------
    kinds
        What the targets are, where a fitted model says so.
    with_units
        Whether those that a fitted model was trained on had a column of units.

    Raises
    ------
    UsageError, DataError
        If a column is lacking, no row can be used, or the measurements do not fit the options.
    """
    where = "the table" if not isinstance(source, (str, Path)) else str(source)
    table = pd.concat(list(parts_of(source)), ignore_index=True).rename(columns=str)
    columns = _columns(table, options, where)
    if options.within:
        cohorts_in(table.head(0), options.within, where)  # told before structures are read, which takes long
    structures = _read_structures(table[columns.smiles], options, context)
    found = [cut or structure for cut, structure in zip(row_errors(table), structures, strict=True)]
    read_here = _measure(table, columns, options, found, where)
    measured, notes = read_here.targets, read_here.notes
    if with_units and not read_here.with_units and options.unit is not None:
        notes.append(
            f"Training read units from a column; here none is read: all values are taken for {options.unit} (--unit)."
        )
    values = np.column_stack([one.values for one in measured.values()])
    reasons, remarks = _faults(found, columns.targets, measured.values(), np.asarray(np.isfinite(values).any(axis=1)))
    if remarks:
        notes.append(
            f"{plural(len(remarks), 'measurement')} cannot be read: missing, while their rows' other targets stay."
        )
    rows = np.array([i for i, reason in enumerate(reasons) if reason is None], dtype=np.int64)
    invalid = tuple((f"row {i + 1}", reason) for i, reason in enumerate(reasons) if reason)
    if not len(rows):
        raise DataError(f"{where} has no usable row (the first: {invalid[0][1]})", hint="mend the table")
    kinds = _kinds(measured, options, where, kinds)
    censoring = np.column_stack([one.censoring for one in measured.values()])
    ids = names_of(table, columns.id)
    cohorts = cohorts_in(table, options.within, where)[rows] if options.within else None
    extra: dict[str, npt.NDArray[Any]] = {"censoring": censoring[rows]} if censoring.any() else {}
    if columns.time:
        extra["time"] = read_times(table[columns.time].iloc[rows], where)
    if read_here.types is not None:
        extra["type"] = read_here.types[rows]
    if read_here.with_units:
        extra["with_unit"] = np.ones(len(rows), dtype=bool)
    whole = spare_cut(table, {columns.split: "train"})
    cases = Molecules([ids[i] for i in rows], [found[i] for i in rows], options.standard, cohorts)
    extra["written"] = _written(table[columns.smiles].iloc[rows], cases)
    dataset = Dataset(
        cases,
        values[rows],
        names=tuple(measured),
        kinds=kinds,
        groups=_groups(table, columns.group, where, rows),
        split=read_split(whole[columns.split], where)[rows] if columns.split else None,
        extra=extra,
        origin=Origin(where, invalid=invalid, remarks=tuple(remarks), notes=tuple(notes)),
    )
    return join_replicates(dataset)


def join_replicates(dataset: Dataset) -> Dataset:
    """Make one row of each molecule that stands in several, contradictions noted; a given split's test stays as it is.

    Molecules are the same when their standard forms have one canonical SMILES; those of other cohorts stay apart. The
    joined row has the last of the times, since its value was not known before, and of the groups the first by name.
    """
    assert isinstance(dataset.cases, Molecules)
    parts = np.full(len(dataset), "") if dataset.split is None else dataset.split
    cohorts = np.full(len(dataset), "") if dataset.cases.cohorts is None else dataset.cases.cohorts
    first: dict[tuple[str, str, str], list[int]] = {}
    for row, (text, part, cohort) in enumerate(zip(dataset.cases.smiles(), parts, cohorts, strict=True)):
        key = (text, str(part), str(cohort)) if part != "test" else (str(row), "test", "")
        first.setdefault(key, []).append(row)
    if len(first) == len(dataset):
        return dataset
    groups = list(first.values())
    censoring = dataset.bounds
    targets, bounds, disputed = _join(dataset, censoring, groups)
    joined = dataset.take(np.array([rows[0] for rows in groups], dtype=np.int64))
    known = np.flatnonzero(~np.isnan(targets).all(axis=1))
    notes = [
        f"{len(dataset) - len(groups)} rows repeat a molecule and were joined with it (the median of its values; of "
        "bounds alone the tightest)."
    ]
    if disputed:
        gone = f", {len(joined) - len(known)} of them with nothing else measured" if len(known) < len(joined) else ""
        notes.append(
            f"{len(disputed)} molecules have measurements that contradict each other: classes that differ or bounds "
            f"that exclude each other, which are left out{gone}, or numbers more than {CONTRADICTION:g} apart or "
            "beyond a bound, of which the median is taken."
        )
    extra, named = {**joined.extra, "censoring": bounds}, dataset.groups
    if "time" in extra:
        extra["time"] = np.array([dataset.extra["time"][rows].max() for rows in groups])
    if "type" in extra:
        each = [sorted(set(dataset.extra["type"][rows])) for rows in groups]
        extra["type"] = np.array([" and ".join(filter(None, names)) for names in each], dtype=object)
    joined = replace(
        joined,
        targets=targets,
        groups=None if named is None else np.array([min(named[rows]) for rows in groups], dtype=object),
        extra=extra,
        origin=replace(
            joined.origin,
            notes=(*joined.origin.notes, *notes),
            remarks=(
                *joined.origin.remarks,
                *((name, "its measurements contradict each other") for name in disputed),
            ),
        ),
    )
    return joined.take(known) if len(known) < len(joined) else joined


def _join(
    dataset: Dataset, censoring: npt.NDArray[np.int8], groups: list[list[int]]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int8], list[str]]:
    targets = dataset.targets[[rows[0] for rows in groups]].copy()
    bounds = censoring[[rows[0] for rows in groups]].copy()
    disputed = []
    for i, rows in enumerate(groups):
        if len(rows) == 1:
            continue
        broken = False
        for t, kind in enumerate(dataset.kinds):
            known = [row for row in rows if np.isfinite(dataset.targets[row, t])]
            if not known:
                continue
            targets[i, t], bounds[i, t], differ = merge(
                dataset.targets[known, t], censoring[known, t], kind == "binary"
            )
            broken |= differ
        if broken:
            disputed.append(str(dataset.cases.ids[rows[0]]))
    return targets, bounds, disputed


def _columns(table: pd.DataFrame, options: ActivityOptions, where: str) -> _Columns:
    names = column_names(table)
    if options.split_by == "time" and options.time is None:
        raise UsageError("no column of times is named", hint="name it with --time, or choose another --split-by")
    if options.split_by != "time" and options.time is not None:
        raise UsageError(
            f"--time {options.time} orders molecules only to split by time, and --split-by is {options.split_by}",
            hint="add --split-by time, or leave out --time",
        )
    asked = (options.smiles, *options.target, options.id, options.group, options.split, options.time)
    for named in filter(None, asked):
        if named not in names:
            raise UsageError(f"{where} has no column {named!r}", hint=suggest_column(named, table))
    column = structure_column(table, options.smiles)
    if column is None:
        raise UsageError(
            f"{where} has no column of structures", hint="name it with --smiles; " + suggest_column("smiles", table)
        )
    targets = options.target or tuple(name for usual in TARGETS for name in names if name.lower() == usual)[:1]
    if not targets:
        raise UsageError(
            f"{where} has no column 'target', 'activity', 'label' or 'y'",
            hint="name what is to be predicted with --target; " + suggest_column("target", table),
        )
    if column in targets:
        raise UsageError(f"the column {column!r} holds the structures", hint="name another with --target")
    return _Columns(
        column,
        tuple(dict.fromkeys(targets)),
        name_column(table, options.id, targets),
        options.group,
        options.split or ("split" if "split" in names else None),
        options.time,
    )


def _read_structures(values: pd.Series, options: ActivityOptions, context: Context) -> list[bytes | str]:
    step = 500
    parts = [values.iloc[start : start + step] for start in range(0, len(values), step)]
    found: list[bytes | str] = []
    for part in context.progress.track(parts, "reading molecules", len(parts)):
        found += read_structures(part, options.standard)
    return found


def _written(structures: pd.Series, cases: Molecules) -> npt.NDArray[np.float64]:
    """Return (n,) how many charges and further fragments were written that the standard form does not have.

    Which is how it was drawn and not what it is: a source that draws salts and another that does not can be told by it.
    """
    found = []
    for row, value in enumerate(structures):
        text = split_extension(value)[0] if isinstance(value, str) else ""
        charges = len(_CHARGED.findall(text))
        if charges:  # only then is the molecule looked at, which takes longer than its text
            charges -= sum(atom.GetFormalCharge() != 0 for atom in cases.mol(row).GetAtoms())
        found.append(max(0, charges) + text.count("."))
    return np.array(found, dtype=np.float64)


@dataclass(frozen=True)
class _Measurements:
    """The measurements of each target by its name, what a reader should know, (n,) what each row's are, and whether a
    column said their units."""

    targets: dict[str, Measured]
    notes: list[str]
    types: npt.NDArray[Any] | None
    with_units: bool


def _measure(
    table: pd.DataFrame, columns: _Columns, options: ActivityOptions, found: Sequence[bytes | str], where: str
) -> _Measurements:
    usable = np.array([isinstance(item, bytes) for item in found], dtype=bool)
    measured: dict[str, Measured] = {}
    notes: list[str] = []
    types, with_units, weight = None, False, functools.cache(_weight)
    for name in columns.targets:
        if options.unit is not None and is_logarithm(name):
            raise UsageError(
                f"--unit {options.unit}: the column {name!r} is named as logarithms, not as concentrations",
                hint="leave out --unit to predict it as it is, or name a column of concentrations with --target",
            )
        one = read_column(table[name])
        if not np.isfinite(one.values).any():
            why = next((f" (the first that is not empty {error})" for error in one.errors if error), "")
            raise DataError(
                f"the column {name!r} of {where} holds no measurement{why}",
                hint="numbers are expected, also as >10 or <5, or words such as active and inactive",
            )
        one, of_relation = read_relation(table, name, one, options, usable, where)
        one, found_units, of_units = read_units(table, name, one, options, usable, where)
        units, with_units = found_units or [options.unit or ""] * len(table), with_units or found_units is not None
        kinds, of_types = read_types(table, name, np.isfinite(one.values) & usable)
        notes += [*of_relation, *of_units, *of_types]
        types = kinds if types is None else types
        if options.unit is not None:
            if set(units) == {"nM"} and looks_logarithmic(one):
                notes.append(
                    f"All values of {name} lie between {LOGARITHMS[0]:g} and {LOGARITHMS[1]:g}, as negative logarithms "
                    "do: make sure that they are nM."
                )
            weighed = zip(found, units, strict=True)
            weights = [weight(item) if unit in WEIGHTS and isinstance(item, bytes) else 1.0 for item, unit in weighed]
            measured[f"p{name}"] = to_p(one, units, np.array(weights))
        else:
            measured[name] = one
    return _Measurements(measured, notes, types, with_units)


def _weight(molecule: bytes) -> float:
    """Return a molecular weight in g/mol."""
    from rdkit import Chem
    from rdkit.Chem.Descriptors import MolWt

    return float(MolWt(Chem.Mol(molecule)))


def _faults(
    found: Sequence[bytes | str], names: Sequence[str], measured: Iterable[Measured], known: npt.NDArray[np.bool_]
) -> tuple[list[str | None], list[tuple[str, str]]]:
    """Return why each row cannot be used, or None, and remarks on rows of which some targets cannot be read.

    Parameters
    ----------
    names : of the columns that were measured
    known : (n,) whether a row has any measurement
    """
    reasons: list[str | None] = []
    remarks, read = [], list(zip(names, measured, strict=True))
    for row, structure in enumerate(found):
        told = [f"column {name!r} {one.errors[row]}" for name, one in read if one.errors[row]]
        if isinstance(structure, str):
            reasons.append(structure)
        elif not known[row]:
            reasons.append(told[0] if told else "the row has no measurement")
        else:
            reasons.append(None)
            remarks += [(f"row {row + 1}", f"{text}, and counts as missing") for text in told]
    return reasons, remarks


def _kinds(
    measured: dict[str, Measured], options: ActivityOptions, where: str, known: Sequence[str]
) -> tuple[str, ...]:
    """Tell classes from numbers, where no fitted model says which is ``known``."""
    kinds = []
    for i, (name, one) in enumerate(measured.items()):
        wanted = known[i] if i < len(known) else None
        binary = wanted == "binary" if wanted else is_binary(one)
        if (options.kind == "classification" or wanted == "binary") and not is_binary(one):
            raise DataError(
                f"the column {name!r} of {where} holds other values than two classes",
                hint="write 1 and 0, active and inactive, or yes and no; or predict the numbers",
            )
        kinds.append("binary" if binary and options.kind != "regression" else "number")
    return tuple(kinds)


def _groups(table: pd.DataFrame, name: str | None, where: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any] | None:
    if name is None:
        return None
    values = table[name].astype("string").str.strip().fillna("").to_numpy(dtype=object)[rows]
    if (values == "").any():
        lacking = int(rows[np.flatnonzero(values == "")[0]]) + 1
        raise DataError(f"{where}, row {lacking}: the column {name!r} is empty", hint="name the group in every row")
    return values
