"""Reading molecules from files and from memory: every row keeps its place."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtasks.cases import Molecules
from medtasks.cases.molecules import parts_of
from medtasks.errors import DataError

SCHEMA = Molecules.from_smiles(["C"]).schema()
GOOD = ["CCO", "c1ccccc1", "CC(=O)O", "CCN"]
ROWS = ["CCO", "", "c1ccccc1", "CC OC", "C1CC", "CC(=O)O", "CCN"]
BAD = (1, 3, 4)


def readings(source: Any, chunk: int = 3, **options: Any) -> list[Any]:
    return list(Molecules.read(source, {**SCHEMA, **options}, chunk=chunk))


def check(found: list[Any], ids: list[str] | None = None) -> None:
    errors = [error for reading in found for error in reading.errors]
    assert [row for row, error in enumerate(errors) if error] == list(BAD)
    told = [text for reading in found if reading.cases is not None for text in reading.cases.smiles()]
    assert told == Molecules.from_smiles(GOOD).smiles()
    names = [name for reading in found for name in reading.ids]
    assert names == (ids or [str(i + 1) for i in range(len(ROWS))])


def test_a_list_and_a_table_keep_every_row() -> None:
    check(readings(ROWS))
    check(readings(pd.DataFrame({"SMILES": ROWS})))
    check(readings(pd.DataFrame({"x": ROWS}), smiles="x"))
    named = pd.DataFrame({"smiles": ROWS, "Name": [f"m{i}" for i in range(len(ROWS))]})
    check(readings(named), [f"m{i}" for i in range(len(ROWS))])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".parquet"])
def test_tables_keep_every_row(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    table = pd.DataFrame({"smiles": ROWS, "note": ["a,b"] * len(ROWS)})
    if suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, sep="\t" if suffix == ".tsv" else ",", index=False)
    check(readings(path))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_table_with_a_bom_and_any_line_ends(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(("\ufeff" + newline.join(["smiles", *(row or '""' for row in ROWS)])).encode())
    check(readings(path))


def test_smiles_files_have_names_behind_the_structure(tmp_path: Path) -> None:
    path = tmp_path / "m.smi.gz"
    with gzip.open(path, "wt") as file:
        file.write("smiles name\nCCO ethanol\n\nc1ccccc1\tbenzene ring\nC1CC\n")
    (first, second) = readings(path)
    assert first.ids == ("ethanol", "2", "benzene ring")
    assert first.errors == (None, "the row has no structure", None)
    assert second.errors == ("the SMILES cannot be parsed",)


def sd_file() -> str:
    """Return records that are right, of an impossible valence, of no known version, cut short, and right again."""
    from rdkit import Chem

    ethanol = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO")).partition("\n")[2]
    neopentane = Chem.MolToMolBlock(Chem.MolFromSmiles("CC(C)(C)(C)C", sanitize=False), kekulize=False)
    blocks = [
        ethanol,
        neopentane.partition("\n")[2],
        ethanol.replace("V2000", "VXXXX"),
        ethanol[: len(ethanol) // 2] + "\n",
        ethanol.replace(" O ", " Zz "),
        ethanol,
    ]
    rows = [f"CPD-{i}\n{block}> <pIC50> (7)\n6.{i}\n\n$$$$\n" for i, block in enumerate(blocks)]
    return "".join(rows)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["m.sdf", "m.sdf.gz"])
def test_sd_files_keep_damaged_records_and_properties(tmp_path: Path, name: str, newline: str) -> None:
    path = tmp_path / name
    data = sd_file().replace("\n", newline).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    found = readings(path)
    assert [one for reading in found for one in reading.ids] == [f"CPD-{i}" for i in range(6)]
    unread = "the record cannot be read"
    assert [error for reading in found for error in reading.errors] == [
        None, "an atom has an impossible valence", unread, unread, unread, None,
    ]  # fmt: skip
    (table,) = parts_of(path)
    assert table["pIC50"].tolist() == [f"6.{i}" for i in range(6)]


def test_the_last_record_of_an_sd_file_needs_no_end_and_blank_lines_are_none(tmp_path: Path) -> None:
    path = tmp_path / "m.sdf"
    for text in (sd_file().rstrip().removesuffix("$$$$"), sd_file() + "\n \n"):
        path.write_text(text)
        (table,) = parts_of(path)
        assert table["name"].tolist() == [f"CPD-{i}" for i in range(6)]


def test_a_cxsmiles_extension_is_no_name(tmp_path: Path) -> None:
    path = tmp_path / "m.smi"
    path.write_text("CCO |$;;_R1$| ethanol\nCCN\t|^1:0|\tamine x\nCCC |c:1|\nCCF |no extension\n")
    (table,) = parts_of(path)
    assert table["name"].tolist() == ["ethanol", "amine x", None, "|no extension"]


def test_of_fields_behind_tabs_the_first_is_the_name(tmp_path: Path) -> None:
    path = tmp_path / "library.cxsmiles"
    path.write_text("smiles\tid\tMW\nCC=CC |t:1|\tZ0 x\t56\nCCO\tZ1\t46\nCCN |&1:1|\t\t45\n\tZ3\t1\n")
    (found,) = readings(path, 9)
    assert found.ids == ("Z0 x", "Z1", "3", "Z3")
    assert found.errors == (None, None, None, "the row has no structure")
    assert found.cases is not None
    assert found.cases.smiles() == ["C/C=C/C", "CCO", "CCN"]


@pytest.mark.parametrize("header", ["", "CID\tSMILES\n"])
def test_names_before_the_smiles_are_told(tmp_path: Path, header: str) -> None:
    path = tmp_path / "CID.smi"
    path.write_text(f"{header}1\tCCO\n2\tc1ccccc1\nZINC3\tCCN\n")
    (found,) = readings(path)
    assert found.ids == ("1", "2", "ZINC3")
    assert found.cases is not None
    assert found.cases.smiles() == ["CCO", "c1ccccc1", "CCN"]


@pytest.mark.parametrize("lines", ["C1CC CO\n", "C1CC CO\nCCN CN\n", "C1CC ethanol\nc1cc ether\n", "CCO mol\n"])
def test_a_broken_smiles_is_no_name(tmp_path: Path, lines: str) -> None:
    path = tmp_path / "m.smi"
    path.write_text(lines)
    (found,) = readings(path)
    assert found.ids == tuple(line.split()[1] for line in lines.splitlines())


def test_what_stands_behind_a_smiles_changes_no_molecule_in_silence() -> None:
    """Cis and trans and radicals are read; coordinates, stereo groups and data are left out; the rest is refused."""
    told = {
        "CC=CC |c:1|": "C/C=C\\C",
        "CCO |^1:0|": "[CH2]CO",
        "CC[C@H](O)N |(1.5,0,;2,1,),&1:2,r,SgD:0,1:purity:9::::|": "CC[C@@H](N)O",
        "CC* |$;;_R1$|": "leaves the molecule open",
        "C*C |$;_AP1;$|": "leaves the molecule open",
        "CCO |Sg:n:0,1:n:ht|": "leaves the molecule open",
        "CO.C1=CC=CC=C1* |m:1:2.3|": "leaves the molecule open",
        "CN |C:0.0|": "bonds of other kinds",
        "CC=CC |c:x|": "bonds of other kinds",
        "CC=CC |c:9|": "does not fit",
        "CCO |^1:3|": "does not fit",
        "CC |": "white space",
    }
    (found,) = readings(list(told), 99)
    assert found.cases is not None
    assert found.cases.smiles() == [wanted for wanted in told.values() if " " not in wanted]
    for error, wanted in zip(found.errors, told.values(), strict=True):
        assert (error is None) == (" " not in wanted)
        assert error is None or wanted in error


def test_rdkit_molecules_are_taken_as_they_are() -> None:
    from rdkit import Chem

    found = readings([Chem.MolFromSmiles("CCO"), None, 3.5])
    assert found[0].errors == (
        None,
        "the row has no structure",
        "the structure is a float, neither SMILES nor a molecule",
    )


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("no.csv", None, "no file"),
        ("empty.smi", "", "is empty"),
        ("m.png", "x", "none of the formats"),
        ("m.csv", "a,b\n1,2\n", "no column 'smiles'"),
        ("m.smi.gz", "not gzip", "cannot be read"),
        ("m.smi", "smiles name\n", "holds no molecule"),
    ],
)
def test_sources_that_cannot_be_read(tmp_path: Path, name: str, content: str | None, error: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=error) as told:
        readings(tmp_path / name)
    assert told.value.hint


def test_rows_can_be_taken_and_have_a_digest_of_their_own() -> None:
    molecules = Molecules.from_smiles(["CCO", "OCC", "CCN"], ids=["a", "b", "c"])
    part = molecules.take(np.array([2, 0]))
    assert part.ids.tolist() == ["c", "a"]
    assert part.smiles() == ["CCN", "CCO"]
    first, second, third = molecules.digests()
    assert first == second != third


def test_a_bad_row_is_named() -> None:
    with pytest.raises(DataError, match="row 2: the SMILES cannot be parsed"):
        Molecules.from_smiles(["CCO", "C1CC"])


def test_a_row_cut_short_is_invalid_though_it_has_a_structure(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("smiles,id,site\nCCO,a,x\nCCN,b\nCCC,c,\n")
    (reading,) = Molecules.read(path, SCHEMA)
    assert reading.ids == ("a", "b", "c")
    assert reading.errors[0] is reading.errors[2] is None
    assert "2 of 3 fields" in str(reading.errors[1])
