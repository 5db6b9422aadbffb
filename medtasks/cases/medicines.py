"""What a medicine is called: as in the source, as its ingredient, or as a user's tables map it, e.g. to ATC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from medtasks.cases.tables import is_missing, read_table
from medtasks.errors import DataError

ATC_LENGTHS = {1: 1, 2: 3, 3: 4, 4: 5, 5: 7}
"""Characters of an ATC code at each level (https://atcddd.fhi.no/atc/structure_and_principles)."""
_SALTS = (
    "hydrochloride|hcl|sodium|potassium|calcium|sulfate|sulphate|phosphate|acetate|citrate|tartrate|bitartrate|maleate|"
    "fumarate|mesylate|besylate|succinate|gluconate|nitrate|bromide|chloride|lactate|pamoate|valerate|dipropionate|"
    "propionate|mofetil|xinafoate|hydrobromide|disodium|trisodium|monohydrate|hyclate|etexilate|axetil"
)
_FORMS = (
    "xl|xr|sr|er|cr|la|ec|odt|immediate release|extended-release|extended release|sustained release|enteric coated|"
    "delayed release|suspension|solution|soln|oral liquid|liquid|syrup|elixir|powder|neb|nebs|nebulizer|inhaler|hfa|"
    "mdi|diskus|ophthalmic|ophth|otic|nasal|spray|cream|ointment|oint|gel|patch|injection|inj|desensitization|drip|flush|"
    "infusion|vial|bag|syringe|rectal|iv|po|human|recombinant|preservative free|for inhalation"
)
_NOISE = re.compile(r"\([^)]*\)|\*[^*]*\*|\[[^\]]*\]|\d[\d.,/]*\s*(%|mcg|mg|ml|g|units?|unit)?(/\w+)?(?=\s|$)")
_MINERALS = re.compile(rf"^(sodium|potassium|calcium|magnesium|zinc|ferrous|lithium|silver|aluminum)\s+({_SALTS})\b")


def ingredient(name: str) -> str:
    """Return what a medicine's name says without strength, form and salt; the salts of minerals stay whole.

    A rule of thumb on American names, for data without codes of ingredients; a mapping by codes is better.

    >>> ingredient("metoprolol tartrate"), ingredient("bisacodyl (rectal)"), ingredient("potassium chloride (powder)")
    ('metoprolol', 'bisacodyl', 'potassium chloride')
    >>> ingredient("albuterol 0.083% neb soln")
    'albuterol'
    """
    text = _NOISE.sub(" ", name.lower())
    text = re.sub(rf"\b({_FORMS})\b\.?", " ", text)
    text = re.sub(r"\s+", " ", text).strip(" -.,/")
    if not _MINERALS.match(text):
        text = re.sub(rf"(?<=\w)\s+({_SALTS})\b", " ", text)
    text = re.sub(r"\s+", " ", text).strip(" -.,/")
    return text or name


def read_mapping(path: Path | str) -> pd.DataFrame:
    """Read a table of two columns, from what a medicine is called to what it shall be called.

    The first column is ``ndc``, ``code`` or ``name``, or the second column of a table before.

    Raises
    ------
    DataError
        If it has not two columns.
    """
    table = read_table(Path(path))
    if table.shape[1] < 2:
        raise DataError(
            f"{path} has one column", hint="a mapping has two: from (ndc, code or name) and to (name or atc)"
        )
    return table.iloc[:, :2].rename(columns=str.lower)


def label_medicines(
    rows: pd.DataFrame, level: str = "name", mapping: Sequence[pd.DataFrame] = (), atc_level: int | None = None
) -> tuple[pd.Series, list[str]]:
    """Tell for each row of `Events.table` with a medicine what it is called.

    Parameters
    ----------
    rows
        Rows of the kind ``medicine``.
    level
        ``name`` (as in the source) or ``ingredient``; the code where there is no name. Not used with a mapping.
    mapping
        Tables of two columns (`read_mapping`), each leading on from the one before: NDC to RxNorm, RxNorm to ATC.
    atc_level
        1 to 5: the mapping's answers are ATC codes to be cut to this level.

    Returns
    -------
    labels, notes
        Text (missing where the mapping knows none), and what was left out.
    """
    things = rows[["code", "name"]].astype(object).drop_duplicates().reset_index(drop=True)
    code = things["code"].astype("string")
    name = things["name"].astype("string").fillna(code.str.replace("/", " ", n=1))
    label = _mapped(code, name, mapping) if mapping else name
    if not mapping and level == "ingredient":  # a code has no salts and strengths to be left out
        label = name.map(ingredient).astype("string").where(things["name"].notna(), name)
    if atc_level is not None:
        label = label.str[: ATC_LENGTHS[atc_level]]
    labels = rows[["code", "name"]].astype(object).merge(things.assign(label=label.astype(object)), how="left")["label"]
    labels.index = rows.index
    notes = []
    if (lost := int(labels.isna().sum())) and len(rows):
        notes.append(f"{lost} of {len(rows)} orders ({lost / len(rows):.0%}) have a medicine that the mapping lacks")
    if not mapping and (nameless := int(rows["name"].isna().sum())):
        notes.append(
            f"{nameless} of {len(rows)} orders ({nameless / len(rows):.0%}) name no medicine: the code stands for it "
            "(a table of names may be missing)"
        )
    return labels, notes


def _mapped(code: pd.Series, name: pd.Series, mapping: Sequence[pd.DataFrame]) -> pd.Series:
    """Follow the tables; of several answers to one question the first counts."""
    kind = str(mapping[0].columns[0])
    if kind not in ("ndc", "code", "name"):
        raise DataError(f"a mapping of medicines begins with {kind!r}", hint="its first column is ndc, code or name")
    label = name if kind == "name" else code
    if kind == "ndc":
        label = _ndc(code.str.removeprefix("NDC/").where(code.str.startswith("NDC/")))
    for step, table in enumerate(mapping):
        table = table[~is_missing(table.iloc[:, 0]) & ~is_missing(table.iloc[:, 1])]
        start = table.iloc[:, 0].astype("string").str.strip()
        if step == 0 and kind == "ndc":
            start = _ndc(start)
        elif step == 0 and kind == "name":
            start = start.str.lower().str.replace("_", " ")
        elif step == 0 and not start.str.contains("/").any():
            label = code.str.split("/", n=1).str[1]
        ends = pd.Series(table.iloc[:, 1].astype("string").str.strip().to_numpy(), index=start)
        label = label.map(ends[~ends.index.duplicated()]).astype("string")
    return label


def _ndc(values: pd.Series) -> pd.Series:
    """Return National Drug Codes as eleven digits, without hyphens."""
    return values.astype("string").str.replace("-", "").str.zfill(11)
