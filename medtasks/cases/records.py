"""Cases that are records: symptoms, signs and laboratory values, one row per patient or visit."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.cases.amounts import (
    MOSTLY,
    POINTS,
    UNCLEAR,
    has_commas,
    has_flags,
    letters,
    may_be_litres,
    no_category,
    numbers_in,
    remarks,
    split_flags,
    unit_of,
    with_points,
)
from medtasks.cases.amounts import numbers as numbers
from medtasks.cases.base import CHUNK, Cases, Reading, Schema, Source
from medtasks.cases.headers import DATE
from medtasks.cases.identifiers import MAX_CATEGORIES, counts_rows, is_identifier
from medtasks.cases.naming import names_of
from medtasks.cases.tables import (
    NAMELESS,
    check_names,
    column_names,
    has_plus,
    is_missing,
    is_table,
    iterate_table,
    read_table,
    row_errors,
    suggest_column,
)
from medtasks.cases.taking import check_source
from medtasks.errors import BundleError, DataError

TRUE = ("true", "yes", "y", "t", "positive", "present")
FALSE = ("false", "no", "n", "f", "negative", "absent")
RARE = 2
"""Categories seen fewer times are pooled as "other": nothing can be learnt from one case."""


@dataclass(frozen=True)
class Field:
    """One column of a record.

    ``type`` is ``number``, ``boolean`` or ``category``; ``open`` says that rare categories were pooled,
    so that an unknown one counts as "other" instead of being an error; ``unit`` is what is written behind each
    number (``%``, ``kg``), which later values have to carry too; ``comma`` says that they have decimal commas, so that
    1,234 is below 2; ``flagged`` says that laboratories' flags may stand behind them (``101 H``), which are left out.
    """

    name: str
    type: str
    categories: tuple[str, ...] = ()
    open: bool = False
    unit: str = ""
    comma: bool = False
    flagged: bool = False


class Records(Cases):
    """Records with typed fields; "not asked" (missing) is never "absent".

    Attributes
    ----------
    frame : DataFrame, n rows
        One column per field: float64 for numbers, 0/1 as float64 for booleans (NaN where missing),
        text for categories (None where missing, ``other`` where rare).
    fields : tuple of Field

    Examples
    --------
    >>> table = pd.DataFrame({"age": ["61", "47"], "fever": ["yes", "?"]})
    >>> records = Records.from_table(table)
    >>> [field.type for field in records.fields]
    ['number', 'boolean']
    """

    kind: ClassVar[str] = "records"

    def __init__(self, ids: Sequence[str] | npt.NDArray[Any], frame: pd.DataFrame, fields: Sequence[Field]) -> None:
        super().__init__(ids)
        if len(ids) != len(frame) or list(frame.columns) != [field.name for field in fields]:
            raise ValueError("ids, frame and fields do not fit each other")
        self.frame = frame.reset_index(drop=True)
        self.fields = tuple(fields)

    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """Return the given rows, in the given order."""
        return self._with(self.ids[rows], self.frame.iloc[rows])

    def _with(self, ids: npt.NDArray[Any], frame: pd.DataFrame) -> Self:
        """Make records of this kind with other rows; a kind that carries more overrides this alone."""
        return type(self)(ids, frame, self.fields)

    def replaced(self, frame: pd.DataFrame) -> Self:
        """Return the same rows with other values in the same fields."""
        return self._with(self.ids, frame)

    def join(self, other: Self) -> Self:
        """Return these rows with those of ``other``, which have the same fields, behind them."""
        if other.fields != self.fields:
            raise TypeError("records with other fields cannot be joined")
        frame = pd.concat([self.frame, other.frame], ignore_index=True)
        return self._with(np.concatenate([self.ids, other.ids]), frame)

    def schema(self) -> Schema:
        """Describe the fields: their names, types and categories."""
        return {"kind": self.kind, "fields": [asdict(field) for field in self.fields]}

    def digests(self) -> list[str]:
        """Return the SHA-256 of each row's values."""
        rows = self.frame.itertuples(index=False, name=None)
        return [hashlib.sha256(repr([_plain(value) for value in row]).encode()).hexdigest() for row in rows]

    @classmethod
    def check_schema(cls, schema: Schema) -> None:
        """Refuse fields that cannot be read."""
        fields_of(schema)

    @classmethod
    def from_table(cls, table: pd.DataFrame, ids: Sequence[str] | None = None) -> Self:
        """Make records of a table whose rows are all valid, inferring the fields.

        Raises
        ------
        DataError
            If a row is not valid.
        """
        table = with_names(table, "the table")
        fields, _ = infer_fields(table)
        frame, errors = parse(table, fields)
        bad = next((i for i, error in enumerate(errors) if error), None)
        if bad is not None:
            raise DataError(f"row {bad + 1}: {errors[bad]}", hint="mend the row or leave it out")
        return cls(ids if ids is not None else [str(i + 1) for i in range(len(table))], frame, fields)

    @classmethod
    def read(cls, source: Source, schema: Schema, *, chunk: int = CHUNK) -> Iterator[Reading[Self]]:
        """Read a CSV, TSV or Parquet file, or a table in memory, that has the schema's fields."""
        check_source(source, f"{cls.kind} are given as a table, a path or cases")
        fields = fields_of(schema)
        where = "the table" if isinstance(source, pd.DataFrame) else str(source)
        parts: Iterable[pd.DataFrame]
        if isinstance(source, pd.DataFrame):
            table = with_names(source, where)
            parts = (table[start : start + chunk] for start in range(0, len(table), chunk))
        else:
            parts = iterate_table(Path(source).expanduser(), chunk)
        start = 0
        for part in parts:
            check_columns(part, fields, where)
            frame, errors = parse(part, fields)
            column = schema.get("id")
            ids = names_of(part, column if column in part.columns else None, start)
            valid = np.array([i for i, error in enumerate(errors) if error is None], dtype=np.int64)
            cases = cls([ids[i] for i in valid], frame.iloc[valid], fields) if len(valid) else None
            yield Reading(tuple(ids), tuple(errors), cases)
            start += len(part)


def infer_fields(table: pd.DataFrame, leave_out: Collection[str] = ()) -> tuple[list[Field], list[str]]:
    """Tell the type of each column from its values.

    Returns
    -------
    fields, notes
        The fields that a model can use, and a sentence for each column that was passed over, whose numbers carry signs
        or a unit, or that has one value throughout.
    """
    fields, notes = [], []
    for name in column_names(table):
        if name in leave_out:
            continue
        field = _infer(name, table[name])
        if isinstance(field, Field):
            fields.append(field)
            notes += _remarks(field, table[name])
        else:
            notes.append(f"column {name!r} is passed over: {field}")
    return fields, notes


def with_names(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return a table in memory with its columns' names as text, no two alike."""
    table = table.rename(columns=str)
    check_names(where, table)
    return table


def table_of(source: Source) -> pd.DataFrame | None:
    """Return the table that a source is, with text for names; None where it is none, such as a folder."""
    if isinstance(source, pd.DataFrame):
        return with_names(source, "the table").reset_index(drop=True)
    path = Path(source).expanduser()
    return read_table(path) if is_table(path) and path.is_file() else None


def parse(table: pd.DataFrame, fields: Sequence[Field]) -> tuple[pd.DataFrame, list[str | None]]:
    """Turn a table's columns into typed ones.

    Returns
    -------
    frame, errors
        The typed columns, and for each row None or what is wrong with it (never the value itself).
    """
    errors = row_errors(table)
    columns: dict[str, Any] = {}
    for field in fields:
        columns[field.name], wrong, told = _PARSERS[field.type](table[field.name], field)
        reason = np.broadcast_to(np.asarray(told, dtype=object), len(table))
        for row in np.flatnonzero(wrong):
            errors[row] = errors[row] or f"field {field.name!r} {reason[row]}"
    blank = np.ones(len(table), dtype=bool)
    for field in fields:
        blank &= pd.isna(pd.Series(columns[field.name])).to_numpy()
    for row in np.flatnonzero(blank):
        errors[row] = errors[row] or "every field is missing"
    return pd.DataFrame(columns, index=range(len(table))), errors


def truths(values: pd.Series) -> npt.NDArray[np.float64]:
    """Turn yes and no, true and false and the like into 1 and 0; what is neither becomes NaN."""
    text = values.astype("string").str.strip().str.lower()
    yes, no = text.isin([*TRUE, "1", "1.0"]).to_numpy(), text.isin([*FALSE, "0", "0.0"]).to_numpy()
    return np.where(yes, 1.0, np.where(no, 0.0, np.nan))


def _infer(name: str, values: pd.Series) -> Field | str:
    if name.startswith(NAMELESS):
        return "it has no name in the file and may be a row number"
    if is_identifier(name, values):
        return "by its name and values it numbers patients, visits or rows; rename it if it is a measurement"
    if counts_rows(values):
        return "its whole numbers count up by one from row to row, as the numbers of rows do"
    if _is_plain(values):
        return Field(name, "number")
    known = values[~is_missing(values, dash=False)]
    if known.empty:
        return "it holds no value"
    if pd.api.types.is_bool_dtype(known):
        return Field(name, "boolean")
    if pd.api.types.is_datetime64_any_dtype(known):
        return "dates are not read; give an age or a duration"
    found = _infer_number(name, known[~_is_none(known)])
    if found is not None:
        return found
    text = values[~is_missing(values)].astype("string").str.strip()  # where "-" can be an answer
    if set(text.str.lower().unique()) <= {*TRUE, *FALSE}:
        return Field(name, "boolean")
    if unit_of(text, True) is not None:
        return f"its numbers may be fractions or thousands, as 1,234 may; {POINTS}"
    if float(text.str.fullmatch(DATE).mean()) >= MOSTLY:
        return "dates are not read; give an age or a duration"
    counts = text.value_counts()
    common = tuple(sorted(str(value) for value in counts.index[counts >= RARE]))
    rare = bool((counts < RARE).any())
    if len(counts) > MAX_CATEGORIES or not common or (rare and letters(name, text)):
        return no_category(text, len(counts))
    return Field(name, "category", common, open=rare)


def _infer_number(name: str, known: pd.Series) -> Field | str | None:
    """Return the field where nearly all values are numbers, or why they cannot be read."""
    if pd.api.types.is_numeric_dtype(known) or not numbers(known).hasnans:
        return Field(name, "number") if unit_of(known, False) is not None else None
    flagged = has_flags(known)
    known = split_flags(known)[0] if flagged else known
    comma = has_commas(known)
    unit = unit_of(known, comma)
    if unit is None and may_be_litres(known):
        return "L behind some of its numbers may be litres and not low ones; write all in one unit"
    return None if unit is None else Field(name, "number", unit=unit, comma=comma, flagged=flagged)


def _is_plain(values: pd.Series) -> bool:
    """Say whether every value is a number alone, which is soon told: tables may have thousands of columns."""
    return len(values) > 0 and not pd.api.types.is_bool_dtype(values) and not numbers(values).hasnans


def _remarks(field: Field, values: pd.Series) -> list[str]:
    """Say what was read into the numbers of a field, and whether it tells cases apart at all."""
    if len(values) > 1 and (values == values.iloc[0]).all() and not is_missing(values[:1], dash=False).any():
        return [f"column {field.name!r} has one value in every row, from which nothing can be learnt"]
    if field.type == "category":
        return letters(field.name, values[~is_missing(values)])
    if field.type != "number" or pd.api.types.is_numeric_dtype(values):
        return []
    rest = values[numbers(values).isna()]  # plain numbers, nearly all there are, carry no sign
    return remarks(field.name, rest, field.unit, field.comma, field.flagged)


def _is_none(values: pd.Series) -> pd.Series:
    """Mark the text "none", which among numbers is what Python writes for a missing one."""
    return values.astype("string").str.strip().str.lower().eq("none").fillna(False).astype(bool)


def _parse_number(values: pd.Series, field: Field) -> tuple[Any, npt.NDArray[np.bool_], npt.NDArray[Any]]:
    bare = split_flags(values)[0] if field.flagged else values
    found = numbers_in(bare, field.unit, field.comma).to_numpy()
    if not np.isnan(found).any():
        return found, np.zeros(len(values), dtype=bool), np.full(len(values), None)
    missing = (is_missing(values, dash=False) | _is_none(values)).to_numpy()
    reason = f"is not a number in {field.unit!r}, as in training" if field.unit else "is not a number"
    wrong = np.isnan(found) & ~missing
    reasons = np.full(len(values), reason, dtype=object)
    if wrong.any():
        reasons[np.flatnonzero(wrong)[with_points(values[wrong], field.comma)[1].to_numpy()]] = UNCLEAR
    return found, wrong, reasons


def _parse_boolean(values: pd.Series, field: Field) -> tuple[Any, npt.NDArray[np.bool_], str]:
    found = truths(values)
    return found, np.isnan(found) & ~is_missing(values, dash=False).to_numpy(), "is neither yes nor no"


def _parse_category(values: pd.Series, field: Field) -> tuple[Any, npt.NDArray[np.bool_], str]:
    # what was learnt decides what "-" means, not what stands beside it in later rows
    missing = is_missing(values, dash="-" in field.categories or has_plus(field.categories)).to_numpy()
    text = values.astype("string").str.strip().astype(object).to_numpy()
    known = np.isin(text.astype(str), field.categories) & ~missing
    unknown = ~known & ~missing
    found = text.copy()
    found[~known] = None
    if field.open:
        found[unknown] = "other"
        return pd.Series(found, dtype=object), np.zeros(len(values), dtype=bool), ""
    return pd.Series(found, dtype=object), unknown, f"is none of its {len(field.categories)} known values"


_PARSERS = {"number": _parse_number, "boolean": _parse_boolean, "category": _parse_category}


def fields_of(schema: Schema) -> list[Field]:
    """Read the fields back from a schema.

    Raises
    ------
    BundleError
        If they are none, or of a type that this version does not know.
    """
    try:
        fields = [Field(**{**field, "categories": tuple(field["categories"])}) for field in schema["fields"]]
    except (KeyError, TypeError):
        raise BundleError("the fields that the model needs cannot be read", hint="train the model again") from None
    unknown = sorted({str(field.type) for field in fields if field.type not in _PARSERS})
    if unknown:
        raise BundleError(
            f"a field is of the type {unknown[0]!r}, which is not known here",
            hint=f"upgrade medtasks, or train again; the types are {', '.join(_PARSERS)}",
        )
    return fields


def check_columns(table: pd.DataFrame, fields: Sequence[Field], where: str) -> None:
    """Raise `DataError` if the table lacks a field's column."""
    names = column_names(table)
    lacking = [field.name for field in fields if field.name not in names]
    if lacking:
        shown = ", ".join(map(repr, lacking[:5])) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
        raise DataError(
            f"{where} lacks the column{'s' if len(lacking) > 1 else ''} {shown}",
            hint=f"the model was trained with it; {suggest_column(lacking[0], table)}",
        )


def _plain(value: Any) -> Any:
    return None if value is None or value != value else value if isinstance(value, str) else float(value)
