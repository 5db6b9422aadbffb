"""Each check is failed by a model with exactly that fault, and by no other."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from medtasks.testing import CHECKS, State, check

_spec = importlib.util.spec_from_file_location("saboteurs", Path(__file__).with_name("saboteurs.py"))
assert _spec is not None
assert _spec.loader is not None
saboteurs = importlib.util.module_from_spec(_spec)
sys.modules["saboteurs"] = saboteurs  # a dataclass looks its module up
_spec.loader.exec_module(saboteurs)


def install(plugins: Any, name: str, which: str | None) -> str:
    plugins.model(name, saboteurs.code(which))
    return f"diagnosis.{name}"


def failed(report: Any) -> set[str]:
    return {outcome.check for outcome in report.of(State.FAILED)}


def test_every_check_has_a_saboteur() -> None:
    assert set(saboteurs.SABOTEURS) | {"listing"} == set(CHECKS)


def test_an_honest_model_passes_in_fresh_processes_too(plugins: Any) -> None:
    report = check(install(plugins, "acme-honest", None))
    assert report.ok, str(report)
    assert report.counts == {
        "defined": len(CHECKS),
        "ran": len(CHECKS) - 1,
        "passed": len(CHECKS) - 1,
        "failed": 0,
        "expected": 0,
        "skipped": 0,
        "absent": 1,
    }
    assert [outcome.check for outcome in report.of(State.ABSENT)] == ["left-out"]


@pytest.mark.usefixtures("without_processes")
@pytest.mark.parametrize("which", saboteurs.SABOTEURS)
def test_a_saboteur_fails_its_check_and_no_other(plugins: Any, which: str) -> None:
    report = check(install(plugins, f"acme-{which}", which))
    assert failed(report) == {which} | saboteurs.SABOTEURS[which].also, str(report)
    (outcome,) = (outcome for outcome in report.outcomes if outcome.check == which)
    assert outcome.reason
    assert outcome.mend.startswith("To mend: ")
    assert not report.ok


def test_what_load_forgets_is_seen_in_a_fresh_process(plugins: Any) -> None:
    name = install(plugins, "acme-forgets", None)
    place = plugins.folder / "acme_forgets.py"
    place.write_text(
        place.read_text()
        .replace('model.coef = arrays.pop("coef")', "model.coef = cls.kept")
        .replace(
            "        self.coef = self.solve(x, y)\n",
            "        self.coef = self.solve(x, y)\n        type(self).kept = self.coef\n",
        )
    )
    report = check(name)
    assert failed(report) == {"fresh-process"}, str(report)
    assert "kept" in report.of(State.FAILED)[0].reason


def test_a_model_that_is_imported_when_models_are_listed_is_told(plugins: Any) -> None:
    name = install(plugins, "acme-eager", None)
    (plugins.folder / "sitecustomize.py").write_text("import acme_eager\n")
    assert failed(check(name)) == {"listing"}
