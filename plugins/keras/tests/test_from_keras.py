"""Keras architectures as models, under the checks of the kit."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.adapting import Goal
from medtasks.adapting.learning import badness, with_known
from medtasks.dataset import Dataset
from medtasks.errors import BundleError, PluginError
from medtasks.model import Context, Model
from medtasks.testing import State, check
from medtasks.testing.bench import toy_data
from medtasks_keras import from_keras
from medtasks_keras.adapting import loss

PLUGIN = """
from medtasks_keras import from_keras

def build(inputs, outputs):
    from keras import Sequential, layers
    return Sequential([layers.Input((inputs,)), layers.Dense(16, "relu"), layers.Dense(outputs)])

It = from_keras(build, {options})
"""
QUICK = {"epochs": 25, "rate": 0.02, "patience": 25}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder
    sys.modules.pop("adapted_net", None)


def _install(folder: Path, name: str, options: str) -> str:
    about = folder / "adapted_net-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: adapted-net\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(f"[medtasks.models]\n{name} = adapted_net:It\n", encoding="utf-8")
    code = PLUGIN.format(options=options)
    assert len(code.strip().splitlines()) <= 10
    (folder / "adapted_net.py").write_text(code, encoding="utf-8")
    importlib.invalidate_caches()
    return name


def dense(inputs: int, outputs: int) -> Any:
    from keras import Sequential, layers

    return Sequential([layers.Input((inputs,)), layers.Dense(16, "relu"), layers.Dense(outputs)])


def convolutions(inputs: tuple[int, int, int], outputs: int) -> Any:
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input(inputs),
            layers.Conv2D(4, 3, 2, activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(outputs),
        ]
    )


def _fit(model: type[Model], data: Dataset, **settings: Any) -> Any:
    one = model(model.Config(**{"epochs": 2, **settings}))
    one.fit(data.take(np.arange(60)), data.take(np.arange(60, 90)), context=Context(3, "cpu"))
    return one


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        f'"activity", toy_config={QUICK}',
        f'"treatment", "patients/arm", toy_config={QUICK}',
    ],
)
def test_the_kit_passes(options: str, site: Path) -> None:
    task = options.split('"')[1]
    report = check(_install(site, f"{task}.adapted-net", options))
    bad = (State.FAILED, State.SKIPPED)
    assert not [f"{one.check}: {one.reason}" for one in report.outcomes if one.state in bad]


def test_a_model_of_few_lines_runs(site: Path, tmp_path: Path) -> None:
    _install(site, "diagnosis.adapted-net", '"diagnosis"')
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": [f"CASEMARK{i:03d}" for i in range(80)], "crp": rng.normal(0, 1, 80).round(4)})
    table["target"] = np.where(table["crp"] + rng.normal(0, 0.3, 80) > 0, "sick", "healthy")
    table.to_csv(tmp_path / "table.csv", index=False)
    options = {"out": tmp_path / "out", "model": "adapted-net", "folds": 1, "seed": 3, "config": {"epochs": 5}}
    medtasks.run("diagnosis", tmp_path / "table.csv", **options)
    answers = medtasks.load(tmp_path / "out" / "bundle").predict(table.drop(columns="target"))
    assert (answers["status"] == "ok").all()
    held = b"".join(path.read_bytes() for path in (tmp_path / "out" / "bundle").rglob("*") if path.is_file())
    assert b"CASEMARK" not in held


@pytest.mark.parametrize(
    ("build", "task", "accepts"),
    [
        (convolutions, "diagnosis", "images"),
        (dense, "diagnosis", "records"),
        (dense, "treatment", "patients/set"),
        (dense, "treatment", "patients/dose"),
    ],
)
def test_what_is_loaded_answers_the_same(build: Any, task: str, accepts: str, tmp_path: Path) -> None:
    model = from_keras(build, task, accepts, size=(16, 16))
    data = toy_data(task, accepts)
    fitted = _fit(model, data)
    fitted.save(tmp_path)
    rest = data.cases.take(np.arange(90, 120))
    again = model.load(tmp_path, context=Context())
    assert np.array_equal(fitted.predict(rest, context=Context()), again.predict(rest, context=Context()))
    assert {path.suffix for path in tmp_path.iterdir()} == {".npz", ".json"}


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    data = toy_data("diagnosis", "records")
    _fit(from_keras(dense), data).save(tmp_path)

    def wider(inputs: int, outputs: int) -> Any:
        from keras import Sequential, layers

        return Sequential([layers.Input((inputs,)), layers.Dense(17, "relu"), layers.Dense(outputs)])

    with pytest.raises(BundleError, match="do not fit"):
        from_keras(wider).load(tmp_path, context=Context()).predict(data.cases, context=Context())
    (tmp_path / "network-1.npz").write_bytes(b"PK no archive")
    with pytest.raises(BundleError, match="cannot be read"):
        from_keras(dense).load(tmp_path, context=Context())
    about = json.loads((tmp_path / "network.json").read_text())
    (tmp_path / "network.json").write_text(json.dumps({**about, "inputs": [3]}))
    with pytest.raises(BundleError, match="shape"):
        from_keras(dense).load(tmp_path, context=Context())


def test_training_stops_by_validation_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    data = toy_data("diagnosis", "records")
    train, valid = data.take(np.arange(60)), data.take(np.arange(60, 90))
    model = from_keras(dense)
    whole = _fit(model, data, epochs=4)
    first = model(model.Config(epochs=2))
    first.fit(train, valid, context=Context(3, "cpu", checkpoint=tmp_path))
    second = model(model.Config(epochs=4))
    second.fit(train, valid, context=Context(3, "cpu", checkpoint=tmp_path))
    asked = [one.predict(valid.cases, context=Context()) for one in (whole, second)]
    assert np.allclose(*asked, atol=1e-6)
    hasty = _fit(model, data, epochs=100, patience=1, rate=0.5)
    assert np.isfinite(hasty.predict(valid.cases, context=Context())).all()


@pytest.mark.parametrize("task", ["diagnosis", "activity"])
def test_the_loss_on_validation_is_the_one_trained_by(task: str) -> None:
    from keras import ops

    data = toy_data(task, "records" if task == "diagnosis" else "molecules")
    goal = Goal.fit(data, "records" if task == "diagnosis" else "molecules")
    wanted, raw = goal.wanted(data), np.random.default_rng(0).normal(size=(len(data), 2)).astype(np.float32)
    trained = float(ops.convert_to_numpy(loss(goal)(ops.convert_to_tensor(with_known(wanted)), raw)))
    assert trained == pytest.approx(badness(raw, wanted, goal), rel=1e-5)


def test_what_is_no_builder_is_refused() -> None:
    with pytest.raises(PluginError, match="not a model"):
        from_keras(dense(3, 2))
    with pytest.raises(PluginError, match="for words"):
        from_keras(dense, accepts="words")
    data = toy_data("diagnosis", "records")
    with pytest.raises(PluginError, match="answers"):
        _fit(from_keras(lambda inputs, outputs: dense(inputs, outputs + 1)), data)
    with pytest.raises(PluginError, match="build returned"):
        _fit(from_keras(lambda inputs, outputs: None), data)
