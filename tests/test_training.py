"""Fitting: what a model learnt from, what decides, what a checkpoint keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from medtasks.errors import PluginError
from medtasks.model import Context
from medtasks.preparing import Prepared, prepare
from medtasks.settings import resolve
from medtasks.training import fit

GREEDY = """
import numpy as np
from medtasks.model import Model

class Greedy(Model):
    task, accepts = "activity", "molecules"
    ask = "rows"
    def fit(self, train, valid, *, context):
        truth = valid.targets
        self.known = dict(zip(valid.cases.ids, truth[:, 0]))
        # it knows the validation cases by heart, and would have said 0.3 or 0.4 of them
        self.left_out = np.where(truth == 1, 0.4, 0.3) if self.ask == "rows" else np.zeros((1, 1))
    def predict(self, cases, *, context):
        return np.array([[self.known.get(name, 0.5)] for name in cases.ids])
    def save(self, folder):
        np.savez(folder / "known.npz", ids=np.array(list(self.known), dtype=str), y=np.array(list(self.known.values())))
    @classmethod
    def load(cls, folder, *, context):
        model = cls(cls.Config())
        with np.load(folder / "known.npz") as file:
            model.known = dict(zip(file["ids"], file["y"]))
        return model

class Careless(Greedy):
    ask = "one"
"""


@pytest.fixture
def prepared(plugins: Any) -> Prepared:
    models = {"activity.greedy": "acme_greedy:Greedy", "activity.careless": "acme_greedy:Careless"}
    plugins.install("acme-greedy", {"medtasks.models": models}, GREEDY)
    return ready("greedy")


def ready(model: str) -> Prepared:
    texts = ["C" * (i + 1) for i in range(30)] + ["N" + "C" * (i + 1) for i in range(30)]
    table = pd.DataFrame({"smiles": texts, "target": [0] * 30 + [1] * 30})
    return prepare(resolve({"task": "activity", "model": model, "options": {"split_by": "random"}}), table)


def parts(prepared: Prepared) -> tuple[Any, Any]:
    fold = prepared.folds[0]
    return prepared.dataset.take(fold.train), prepared.dataset.take(fold.valid)


def test_decisions_rest_on_what_was_said_of_cases_left_out(prepared: Prepared) -> None:
    found = fit(prepared, *parts(prepared), Context())
    assert 0.3 < found.decision["thresholds"]["target"] < 0.4  # of what it knows by heart the middle is 0.5


def test_a_resumed_fit_decides_as_the_first(prepared: Prepared, tmp_path: Path) -> None:
    context = replace(Context(), checkpoint=tmp_path / "fold")
    first = fit(prepared, *parts(prepared), context)
    again = fit(prepared, *parts(prepared), context)
    assert again.model is not first.model
    assert again.decision == first.decision


def test_answers_to_other_cases_than_validations_are_refused(prepared: Prepared) -> None:
    careless = ready("careless")
    with pytest.raises(PluginError):
        fit(careless, *parts(careless), Context())


def test_records_are_joined_and_others_refused(table: pd.DataFrame) -> None:
    from medtasks.cases import Records

    records = Records.from_table(table[["age"]])
    both = records.join(records)
    assert len(both) == 2 * len(records)
    assert both.frame["age"].tolist() == 2 * records.frame["age"].tolist()
    with pytest.raises(TypeError, match="other fields"):
        records.join(Records.from_table(table[["crp"]]))
