"""Simulated patients whose true outcomes are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from medtasks.cases import Patients
from medtasks.dataset import Dataset

Effect = Callable[[pd.DataFrame], npt.NDArray[np.float64]]


def simulate(
    n: int = 1000,
    seed: int = 0,
    *,
    arms: int = 2,
    effect: Effect | None = None,
    by_choice: bool = False,
    hole: bool = False,
    noise: float = 2.0,
) -> Dataset:
    """Draw a trial: arm k adds ``k * effect``; ``by_choice`` the field ``a`` drives who receives what, with a ``hole``
    nobody over 70 receives the second arm."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(n, 5)).round(3), columns=list("abcde"))
    table["age"] = rng.integers(20, 90, n)
    chance = np.full((n, arms), 1 / arms)
    if by_choice:
        second = 1 / (1 + np.exp(-1.5 * table["a"].to_numpy()))
        chance = np.column_stack([1 - second, second])
    treatment = np.array([rng.choice(arms, p=row) for row in chance])
    if hole:
        treatment[table["age"] > 70] = 0
    gain = np.zeros(n) if effect is None else effect(table)
    truth = np.stack([table["a"].to_numpy() + k * gain for k in range(arms)], axis=1)
    outcome = truth[np.arange(n), treatment] + noise * rng.normal(size=n)
    targets = np.full((n, arms), np.nan)
    targets[np.arange(n), treatment] = outcome
    extra: dict[str, Any] = {"truth": truth}
    if not by_choice and not hole:
        extra["propensity"] = chance
    names = tuple("ABCD"[:arms])
    return Dataset(Patients.from_table(table), targets, names=names, kinds=("arm",) * arms, extra=extra)


def as_table(data: Dataset) -> pd.DataFrame:
    """Write a simulated trial as a user has it."""
    assert isinstance(data.cases, Patients)
    code = np.isfinite(data.targets).argmax(axis=1)
    table = data.cases.frame.copy()
    table.insert(0, "id", [f"PATIENTMARK{i:04d}" for i in range(len(data))])
    table["treatment"] = np.array(data.names, dtype=object)[code]
    table["outcome"] = data.targets[np.arange(len(data)), code]
    return table


def draw_hospital(folder: Path, patients: int = 60) -> Path:
    """Write tables as MIMIC-III has them: the hypertensive get metoprolol, others amoxicillin, all heparin."""
    rng = np.random.default_rng(0)
    stays, codes, drugs, people = [], [], [], []
    for i in range(patients):
        ill = i % 2 == 0
        people.append((f"SUBJECTMARK{i:03d}", "F" if rng.random() < 0.5 else "M", "2050-01-01 00:00:00"))
        for visit in range(2):
            stay = f"STAYMARK{i:03d}{visit}"
            start, end = f"21{10 + visit}-01-01 10:00:00", f"21{10 + visit}-01-05 12:00:00"
            stays.append((people[-1][0], stay, start, end, "EMERGENCY", "HOME"))
            codes.append((people[-1][0], stay, 1, "4019" if ill else "4860"))
            day = f"21{10 + visit}-01-02 00:00:00"
            given = ["Heparin", "Metoprolol" if ill else "Amoxicillin", *(["Aspirin"] if rng.random() < 0.5 else [])]
            for drug in given:
                drugs.append((people[-1][0], stay, day, day, "MAIN", drug, drug, "0"))
    tables = {
        "ADMISSIONS": (stays, "subject_id,hadm_id,admittime,dischtime,admission_type,admission_location"),
        "PATIENTS": (people, "subject_id,gender,dob"),
        "DIAGNOSES_ICD": (codes, "subject_id,hadm_id,seq_num,icd9_code"),
        "PRESCRIPTIONS": (drugs, "subject_id,hadm_id,startdate,enddate,drug_type,drug,drug_name_generic,ndc"),
    }
    return _write(folder, tables)


def _write(folder: Path, tables: dict[str, tuple[list[Any], str]]) -> Path:
    folder.mkdir(parents=True)
    for name, (rows, header) in tables.items():
        pd.DataFrame(rows, columns=header.split(",")).to_csv(folder / f"{name}.csv", index=False)
    return folder


def draw_synthea(folder: Path, patients: int = 60) -> Path:
    """Write tables as Synthea has them: all get penicillin V and an antihypertensive, every third is allergic to it,
    every fourth to peanuts, and three to the antihypertensive."""
    people, stays, drugs, allergies = [], [], [], []
    for i in range(patients):
        who, stay = f"p{i:02d}", f"e{i:02d}"
        people.append((who, "1960-01-01", "FM"[i % 2]))
        stays.append((stay, "2011-01-01T10:00:00Z", "2011-01-02T10:00:00Z", who, "inpatient"))
        for code, name in ((7984, "Penicillin V"), (316049, "Hydrochlorothiazide 25 MG")):
            drugs.append(("2011-01-01T12:00:00Z", "", who, stay, code, name))
        for often, code, name in ((3, 7984, "Penicillin V"), (4, 256349002, "Peanut (substance)"), (25, 5487, "HCTZ")):
            if i % often == 0:
                system = "RxNorm" if often != 4 else "SNOMED-CT"
                allergies.append(("2009-02-01", "", who, "", code, system, name))
    tables = {
        "patients": (people, "Id,BIRTHDATE,GENDER"),
        "encounters": (stays, "Id,START,STOP,PATIENT,ENCOUNTERCLASS"),
        "medications": (drugs, "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION"),
        "allergies": (allergies, "START,STOP,PATIENT,ENCOUNTER,CODE,SYSTEM,DESCRIPTION"),
    }
    return _write(folder, tables)


@pytest.fixture(scope="session")
def synthea(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of event tables with allergies."""
    return draw_synthea(tmp_path_factory.mktemp("synthea") / "tables")


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of event tables."""
    return draw_hospital(tmp_path_factory.mktemp("hospital") / "tables")


@pytest.fixture(scope="session")
def simulated() -> Any:
    """Return `simulate`."""
    return simulate


@pytest.fixture(scope="session")
def as_a_table() -> Any:
    """Return `as_table`."""
    return as_table


@pytest.fixture(scope="session")
def trial() -> Dataset:
    """Return a trial in which the second arm helps those with a positive field ``b``."""
    return simulate(effect=lambda table: 3 * table["b"].to_numpy())
