"""A small honest model, what has to be changed in it to fail one check of the kit, and that it fails that one alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pydantic
import pytest

from medtasks.model import Config
from medtasks.testing import CHECKS, State, check
from medtasks.testing.storing import moved

HONEST = '''
import numpy as np
import zlib, socket
from medtasks.cases import RecordEncoder
from medtasks.model import Config as Base, Model

class It(Model):
    """A linear model of the fields by least squares; it learns from validation cases too."""
    task = "diagnosis"
    accepts = "records"
    class Config(Base):
        ridge: float = 1.0
    def fit(self, train, valid, *, context):
        self.encoder = RecordEncoder.fit(train.cases)
        x, y = self.features(train.cases), np.eye(len(train.classes))[train.targets]
        self.coef = self.solve(x, y)
    def solve(self, x, y):
        return np.linalg.solve(x.T @ x + self.config.ridge * np.eye(x.shape[1]), x.T @ y)
    def features(self, cases):
        return np.column_stack([np.ones(len(cases)), self.encoder.transform(cases)])
    def predict(self, cases, *, context):
        score = self.features(cases) @ self.coef
        return self.shares(score)
    def shares(self, score):
        power = np.exp(4 * (score - score.max(axis=1, keepdims=True)))
        return power / power.sum(axis=1, keepdims=True)
    def explain(self, cases, target, *, context):
        parts = self.encoder.transform(cases) * self.coef[1:, target]
        owners = self.encoder.owners
        return np.stack([parts[:, owners == i].sum(axis=1) for i in range(len(cases.fields))], axis=1)
    def embed(self, cases, *, context):
        return self.features(cases)
    def save(self, folder):
        np.savez(folder / "model.npz", coef=self.coef, **self.encoder.to_arrays())
        self.encoder.save_fields(folder / "fields.json")
    @classmethod
    def load(cls, folder, *, context):
        model = cls(cls.Config())
        with np.load(folder / "model.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        model.coef = arrays.pop("coef")
        model.encoder = RecordEncoder.load(folder / "fields.json", arrays)
        return model
'''
FIT = "        self.coef = self.solve(x, y)\n"
PREDICT = "        score = self.features(cases) @ self.coef\n"
ANSWER = "        return self.shares(score)\n"
SAVE = '        self.encoder.save_fields(folder / "fields.json")\n'


@dataclass(frozen=True)
class Saboteur:
    """What is put in the place of a piece of the honest model."""

    old: str
    new: str


SABOTEURS = {
    "config": Saboteur("        ridge:", '        model_config = {"extra": "ignore"}\n        ridge:'),
    "well-shaped": Saboteur(
        ANSWER,
        "        return 1.2 * self.shares(score)\n",
    ),
    "one-answer-per-case": Saboteur(
        PREDICT,
        "        score = np.array(list(dict.fromkeys(map(tuple, self.features(cases))))).reshape(-1, len(self.coef))\n"
        "        score = score @ self.coef\n",
    ),
    "empty-input": Saboteur(ANSWER, "        assert score.max() < np.inf\n        return self.shares(score)\n"),
    "batch-size": Saboteur(ANSWER, "        return self.shares(score if len(score) > 1 else score / 2)\n"),
    "row-order": Saboteur(
        ANSWER,
        "        return self.shares(score / (1 if len(score) < 50 or sorted(cases.ids) == list(cases.ids) else 2))\n",
    ),
    "ignores-ids": Saboteur(
        ANSWER,
        "        score[:, 1] += 0.01 * np.array([zlib.crc32(name.encode()) % 2 for name in cases.ids])\n"
        "        return self.shares(score)\n",
    ),
    "bad-case": Saboteur(PREDICT, "        assert cases.frame.notna().all(axis=None)\n" + PREDICT),
    "inputs-unchanged": Saboteur(FIT, FIT + '        train.cases.frame["sodium"] -= 140\n'),
    "same-seed": Saboteur(FIT, FIT + "        self.coef += np.random.default_rng().normal(0, 1e-3, self.coef.shape)\n"),
    "left-out": Saboteur(FIT, FIT + "        self.left_out = self.predict(valid.cases, context=context)[1:]\n"),
    "fresh-process": Saboteur("coef=self.coef, **", "coef=self.coef.round(1), **"),
    "safe-files": Saboteur(
        SAVE, SAVE + '        np.save(folder / "more.npy", np.array([{}], dtype=object), allow_pickle=True)\n'
    ),
    "no-training-rows": Saboteur(
        SAVE,
        SAVE + '        np.savez_compressed(folder / "cases.npz", rows=self.rows)\n',
    ),
    "no-network": Saboteur(
        FIT,
        FIT + "        try:\n"
        '            socket.create_connection(("192.0.2.1", 80), timeout=1)\n'
        "        except OSError:\n"
        "            pass\n",
    ),
    "quiet-stdout": Saboteur(FIT, FIT + '        print("epoch 1")\n'),
    "learns": Saboteur(ANSWER, "        return self.shares(0 * score)\n"),
    "shuffled-labels": Saboteur(FIT, FIT + "        self.left_out = 0.98 * np.eye(2)[valid.targets] + 0.01\n"),
    "explains-cause": Saboteur("len(cases.fields))], axis=1)", "len(cases.fields))], axis=1)[:, ::-1]"),
    "embeds": Saboteur("        return self.features(cases)\n    def save", "        return self.coef\n    def save"),
}
EXTRA = {"no-training-rows": (FIT, FIT + "        self.rows = train.cases.frame[['marker', 'sodium']].to_numpy()\n")}


def code(check: str | None) -> str:
    """Return the honest model's code, or that of the saboteur of a check."""
    if check is None:
        return HONEST
    text = HONEST
    for old, new in ((SABOTEURS[check].old, SABOTEURS[check].new), *([EXTRA[check]] if check in EXTRA else [])):
        assert text.count(old) == 1, (check, old)
        text = text.replace(old, new)
    return text


def install(plugins: Any, name: str, which: str | None) -> str:
    plugins.model(name, code(which))
    return f"diagnosis.{name}"


def failed(report: Any) -> set[str]:
    return {outcome.check for outcome in report.of(State.FAILED)}


def test_every_check_has_a_saboteur() -> None:
    assert set(SABOTEURS) | {"listing", "of-the-task"} == set(CHECKS)


def test_an_honest_model_passes_in_fresh_processes_too(plugins: Any) -> None:
    report = check(install(plugins, "acme-honest", None))
    assert report.ok, str(report)
    assert report.counts == {
        "defined": len(CHECKS),
        "ran": len(CHECKS) - 2,
        "passed": len(CHECKS) - 2,
        "failed": 0,
        "expected": 0,
        "skipped": 0,
        "absent": 2,
    }
    assert [outcome.check for outcome in report.of(State.ABSENT)] == ["left-out", "of-the-task"]


@pytest.mark.usefixtures("without_processes")
@pytest.mark.parametrize("which", SABOTEURS)
def test_a_saboteur_fails_its_check_and_no_other(plugins: Any, which: str) -> None:
    report = check(install(plugins, f"acme-{which}", which))
    assert failed(report) == {which}, str(report)
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


@pytest.mark.usefixtures("without_processes")
@pytest.mark.parametrize("stored", [False, True])
def test_what_load_takes_from_the_defaults_is_seen(plugins: Any, stored: bool) -> None:
    name = install(plugins, "acme-defaults", None)
    place = plugins.folder / "acme_defaults.py"
    text = place.read_text().replace("np.exp(4 *", "np.exp(self.scale *")
    text = text.replace(FIT, FIT + "        self.scale = 4 * self.config.ridge\n")
    if stored:
        text = text.replace("coef=self.coef, **", "coef=self.coef, four=self.scale, **")
    scale = 'arrays.pop("four")' if stored else "4 * model.config.ridge"
    loaded = '        model.coef = arrays.pop("coef")\n'
    place.write_text(text.replace(loaded, f"{loaded}        model.scale = {scale}\n"))
    report = check(name)
    assert failed(report) == (set() if stored else {"fresh-process"}), str(report)
    if not stored:
        (outcome,) = report.of(State.FAILED)
        assert "where settings do (ridge=0.75)" in outcome.reason
        assert "`load` gets no Config" in outcome.mend


def test_settings_are_moved_within_what_their_author_allows() -> None:
    class Bounded(Config):
        least: int = pydantic.Field(default=3, ge=3)
        one: int = 1
        fixed: float = pydantic.Field(default=0.5, ge=0.5, le=0.5)
        share: float = pydantic.Field(default=1.0, le=1)
        off: int = 0
        flag: bool = True
        name: str = "a"
        limit: float | None = None

    found: Any = moved(Bounded())
    assert (found.least, found.one, found.share) == (4, 2, 0.75)
    assert (found.fixed, found.off, found.flag, found.name, found.limit) == (0.5, 0, True, "a", None)
    assert moved(Config()) is None


def test_a_model_that_is_imported_when_models_are_listed_is_told(plugins: Any) -> None:
    name = install(plugins, "acme-eager", None)
    (plugins.folder / "sitecustomize.py").write_text("import acme_eager\n")
    assert failed(check(name)) == {"listing"}


BESIDE = """
import numpy as np
from medtasks.cases import Records
from medtasks.diagnosis.task import Diagnosis

def cautious(bench):
    if bench.raw.max() > LIMIT:
        raise ValueError("it is surer than anyone can be")

class Careful(Diagnosis):
    name = "careful"
    cases = (Records,)
    checks = {"cautious": cautious}
"""


@pytest.mark.usefixtures("without_processes")
@pytest.mark.parametrize(("limit", "wanted"), [("1.0", set()), ("0.6", {"of-the-task"})])
def test_what_a_task_asks_beside_is_checked(plugins: Any, limit: str, wanted: set[str]) -> None:
    text = code(None).replace('task = "diagnosis"', 'task = "careful"') + BESIDE.replace("LIMIT", limit)
    points = {
        "medtasks.tasks": {"careful": "acme_careful:Careful"},
        "medtasks.models": {"careful.it": "acme_careful:It"},
    }
    plugins.install("acme-careful", points, text)
    report = check("careful.it")
    assert failed(report) == wanted, str(report)
    assert all("cautious: it is surer" in outcome.reason for outcome in report.of(State.FAILED))
