"""PyTorch modules as models, under the checks of the kit."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.adapting import Goal
from medtasks.adapting.learning import badness, with_known
from medtasks.dataset import Dataset
from medtasks.errors import BundleError, PluginError, UsageError
from medtasks.model import Context, Model, Progress
from medtasks.testing import State, check
from medtasks.testing.bench import toy_data
from medtasks_torch import from_torch

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn = torch.nn

PLUGIN = """
from medtasks_torch import from_torch
from torch import nn

def build(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, outputs))

def convolutions(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs[0], 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        nn.Linear(8, outputs),
    )

It = from_torch({options})
"""
QUICK = {"epochs": 25, "rate": 0.02, "patience": 25}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder
    sys.modules.pop("adapted_module", None)


def _install(folder: Path, name: str, options: str) -> str:
    about = folder / "adapted_module-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: adapted-module\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(f"[medtasks.models]\n{name} = adapted_module:It\n", encoding="utf-8")
    (folder / "adapted_module.py").write_text(PLUGIN.format(options=options), encoding="utf-8")
    importlib.invalidate_caches()
    return name


def dense(inputs: int, outputs: int) -> Any:
    return nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, outputs))


def convolutions(inputs: tuple[int, int, int], outputs: int) -> Any:
    return nn.Sequential(
        nn.Conv2d(inputs[0], 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        nn.Linear(4, outputs),
    )  # fmt: skip


def _fit(model: type[Model], data: Dataset, **settings: Any) -> Any:
    one = model(model.Config(**{"epochs": 2, **settings}))
    one.fit(data.take(np.arange(60)), data.take(np.arange(60, 90)), context=Context(3, "cpu"))
    return one


@pytest.mark.parametrize(
    "options",
    [
        f'build, "diagnosis", toy_config={QUICK}',
        pytest.param(f'convolutions, "diagnosis", "images", size=(16, 16), toy_config={QUICK}', marks=pytest.mark.slow),
        pytest.param(f'build, "activity", toy_config={QUICK}', marks=pytest.mark.slow),
        pytest.param(f'build, "treatment", "patients/arm", toy_config={QUICK}', marks=pytest.mark.slow),
        pytest.param(f'build, "treatment", "patients/set", toy_config={QUICK}', marks=pytest.mark.slow),
        pytest.param(f'build, "treatment", "patients/dose", toy_config={QUICK}', marks=pytest.mark.slow),
    ],
)
def test_the_kit_passes(options: str, site: Path) -> None:
    task = options.split('"')[1]
    report = check(_install(site, f"{task}.adapted-module", options))
    bad = (State.FAILED, State.SKIPPED)
    assert not [f"{one.check}: {one.reason}" for one in report.outcomes if one.state in bad]


def test_a_model_of_few_lines_runs_and_is_explained(site: Path, tmp_path: Path) -> None:
    _install(site, "diagnosis.adapted-module", 'build, "diagnosis"')
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": [f"CASEMARK{i:03d}" for i in range(80)], "crp": rng.normal(0, 1, 80).round(4)})
    table["target"] = np.where(table["crp"] + rng.normal(0, 0.3, 80) > 0, "sick", "healthy")
    table.to_csv(tmp_path / "table.csv", index=False)
    options = {"out": tmp_path / "out", "model": "adapted-module", "folds": 1, "seed": 3, "config": {"epochs": 5}}
    medtasks.run("diagnosis", tmp_path / "table.csv", **options)
    predictor = medtasks.load(tmp_path / "out" / "bundle")
    answers = predictor.predict(table.drop(columns="target"))
    assert (answers["status"] == "ok").all()
    (explained,) = medtasks.explain(predictor, table.drop(columns="target").head(3))
    assert explained.parts == ("crp",)
    assert np.isfinite(np.ravel(explained.values)).sum() == 3
    held = b"".join(path.read_bytes() for path in (tmp_path / "out" / "bundle").rglob("*") if path.is_file())
    assert b"CASEMARK" not in held


@pytest.mark.parametrize(
    ("build", "task", "accepts"),
    [
        (convolutions, "diagnosis", "images"),
        (dense, "diagnosis", "records"),
        (dense, "activity", "molecules"),
        (dense, "treatment", "patients/set"),
        (dense, "treatment", "patients/dose"),
    ],
)
def test_what_is_loaded_answers_the_same(build: Any, task: str, accepts: str, tmp_path: Path) -> None:
    model = from_torch(build, task, accepts, size=(16, 16))
    data = toy_data(task, accepts)
    fitted = _fit(model, data)
    fitted.save(tmp_path)
    rest = data.cases.take(np.arange(90, 120))
    again = model.load(tmp_path, context=Context())
    assert np.array_equal(fitted.predict(rest, context=Context()), again.predict(rest, context=Context()))
    assert {path.suffix for path in tmp_path.iterdir()} == {".npz", ".json"}


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    data = toy_data("diagnosis", "records")
    _fit(from_torch(dense), data).save(tmp_path)

    def wider(inputs: int, outputs: int) -> Any:
        return nn.Sequential(nn.Linear(inputs, 17), nn.ReLU(), nn.Linear(17, outputs))

    with pytest.raises(BundleError, match="do not fit"):
        from_torch(wider).load(tmp_path, context=Context()).predict(data.cases, context=Context())
    (tmp_path / "network-1.npz").write_bytes(b"PK no archive")
    with pytest.raises(BundleError, match="cannot be read"):
        from_torch(dense).load(tmp_path, context=Context())
    about = json.loads((tmp_path / "network.json").read_text())
    (tmp_path / "network.json").write_text(json.dumps({**about, "inputs": [3]}))
    with pytest.raises(BundleError, match="shape"):
        from_torch(dense).load(tmp_path, context=Context())


def _with_dropout(inputs: int, outputs: int) -> Any:
    return nn.Sequential(nn.Linear(inputs, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, outputs))


def test_a_training_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    data = toy_data("diagnosis", "records")
    train, valid = data.take(np.arange(60)), data.take(np.arange(60, 90))
    model = from_torch(_with_dropout)
    whole = _fit(model, data, epochs=4)
    parts = [model(model.Config(epochs=epochs)) for epochs in (2, 4)]
    for one in parts:
        one.fit(train, valid, context=Context(3, "cpu", checkpoint=tmp_path))
    assert all(np.array_equal(whole.weights[name], parts[1].weights[name]) for name in whole.weights)
    assert not np.array_equal(whole.weights["module.0.weight"], parts[0].weights["module.0.weight"])
    other = from_torch(dense)
    with pytest.raises(PluginError, match="of another network"):
        other(other.Config()).fit(train, valid, context=Context(3, "cpu", checkpoint=tmp_path))


class Counted(Progress):
    """Counts the epochs that were begun."""

    def __init__(self) -> None:
        self.epochs = 0

    def track(self, items: Any, label: str, total: int | None = None) -> Iterator[Any]:
        for item in items:
            self.epochs += label == "epochs"
            yield item


def test_training_stops_by_validation_and_keeps_the_best_epoch() -> None:
    data = toy_data("diagnosis", "records")
    train, valid = data.take(np.arange(60)), data.take(np.arange(60, 90))
    goal, model, told = Goal.fit(train, "records"), from_torch(dense), []
    for epochs, patience in ((1, 100), (2, 100), (4, 100), (16, 100), (1000, 3)):
        one, progress = model(model.Config(epochs=epochs, patience=patience, rate=0.1)), Counted()
        one.fit(train, valid, context=Context(3, "cpu", progress=progress))
        raw = np.log(one.predict(valid.cases, context=Context()).clip(1e-30))
        told.append(badness(raw, goal.wanted(valid), goal))
        assert progress.epochs == epochs or (patience == 3 and progress.epochs < 100)
    assert told[:4] == sorted(told[:4], reverse=True)  # of more epochs the best is never worse


def test_the_same_seed_gives_the_same_and_leaves_the_callers_generator_alone() -> None:
    data, model = toy_data("diagnosis", "records"), from_torch(_with_dropout)
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    first, second = _fit(model, data), _fit(model, data)
    assert torch.equal(torch.rand(3), wanted)
    assert all(np.array_equal(first.weights[name], second.weights[name]) for name in first.weights)


@pytest.mark.parametrize(("task", "accepts"), [("diagnosis", "records"), ("activity", "molecules")])
def test_the_loss_on_validation_is_the_one_trained_by(task: str, accepts: str) -> None:
    from medtasks_torch.module import loss

    data = toy_data(task, accepts)
    goal = Goal.fit(data, accepts)
    wanted, raw = goal.wanted(data), np.random.default_rng(0).normal(size=(len(data), goal.outputs))
    if not goal.exclusive:
        wanted[::3, 0] = np.nan  # a gap weighs nothing
    trained = loss(goal, "cpu")(torch.tensor(with_known(wanted)), torch.tensor(raw, dtype=torch.float32))
    assert float(trained) == pytest.approx(badness(raw, wanted, goal), rel=1e-5)


def test_several_targets_with_gaps_are_learnt_each_where_it_is_known() -> None:
    data = toy_data("activity", "molecules")
    first = np.where(np.isnan(data.targets[:, 0]), np.nanmean(data.targets[:, 0]), data.targets[:, 0])
    targets = np.column_stack([first, -first])
    targets[:90:2, 1] = np.nan
    both = replace(data, targets=targets, names=("up", "down"), kinds=("number", "number"))
    model = _fit(from_torch(dense, "activity"), both, epochs=25, rate=0.02)
    said = model.predict(both.cases.take(np.arange(90, 180)), context=Context())
    assert all(np.corrcoef(said[:, t], targets[90:180, t])[0, 1] > 0.5 for t in range(2))


def test_lazy_layers_and_those_that_work_in_place_learn() -> None:
    def lazy(inputs: int, outputs: int) -> Any:
        return nn.Sequential(nn.ReLU(inplace=True), nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(outputs))

    data = toy_data("diagnosis", "records")
    model = from_torch(lazy)
    few, many = (_fit(model, data, epochs=epochs).weights["module.1.weight"] for epochs in (1, 5))
    assert few.shape == many.shape
    assert not np.array_equal(few, many)


class Bag(nn.Module):
    """A module whose state is no tensor."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.last = nn.Linear(inputs, outputs)

    def forward(self, x: Any) -> Any:
        return self.last(x)

    def get_extra_state(self) -> object:
        return {"seen": 3}

    def set_extra_state(self, state: object) -> None: ...


class Pair(nn.Linear):
    """A module that answers twice."""

    def forward(self, x: Any) -> Any:
        return super().forward(x), x


def _frozen(inputs: int, outputs: int) -> Any:
    return nn.Linear(inputs, outputs).requires_grad_(False)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda inputs, outputs: dense(inputs, outputs + 1), "answers"),
        (lambda inputs, outputs: None, "build returned"),
        (Pair, "returned a tuple"),
        (Bag, "holds a dict"),
        (_frozen, "nothing to learn"),
    ],
)
def test_a_module_that_does_not_fit_is_refused(build: Any, told: str) -> None:
    with pytest.raises(PluginError, match=told):
        _fit(from_torch(build), toy_data("diagnosis", "records"))


def test_what_is_no_builder_is_refused() -> None:
    with pytest.raises(PluginError, match="not a module"):
        from_torch(dense(3, 2))
    with pytest.raises(PluginError, match="for words"):
        from_torch(dense, accepts="words")


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    data, model = toy_data("diagnosis", "records"), from_torch(dense)
    with pytest.raises(UsageError, match="no GPU"):
        model(model.Config()).fit(data, data, context=Context(3, "gpu"))
    context = Context(3, "auto")
    model(model.Config(epochs=1)).fit(data, data, context=context)
    assert context.used == {"device": "cpu", "backend": "pytorch", "precision": "float32"}
