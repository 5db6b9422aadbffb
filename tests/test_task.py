"""A task from a stranger's distribution is as good as one that came with medtasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtasks
from medtasks.cases import Records
from medtasks.dataset import Dataset
from medtasks.errors import DataError, PluginError, UsageError
from medtasks.preparing import choose_model
from medtasks.task import Outputs, load_task

Cli = Callable[..., Any]

STAY = """
import numpy as np
import pandas as pd
from pathlib import Path
from medtasks.cases import Records
from medtasks.cases.records import infer_fields, parse
from medtasks.cases.tables import read_table
from medtasks.dataset import Dataset, NamedDataset, Origin
from medtasks.evaluation.bootstrap import resample
from medtasks.evaluation.splits import holdout
from medtasks.model import Config, Model
from medtasks.report.blocks import Section, Text
from medtasks.task import Evaluation, Task

class Stay(Task):
    '''How many days a patient stays.'''
    name, title, summary, primary = "acme-stay", "Length of stay", "days in hospital", "mae"
    cases = (Records,)
    defaults = {"records": "acme-stay.mean"}
    baselines = {"records": "acme-stay.mean"}
    demo = "demo"
    not_for = ("Not for planning.",)

    class Options(Config):
        '''How the table is read.'''
        days_column: str = "days"
        '''The column with the days.'''

    def read(self, source, options, *, context, schema=None):
        table = source if isinstance(source, pd.DataFrame) else read_table(Path(source))
        return build(table, options.days_column, str(source))
    def strata(self, dataset):
        return np.zeros(len(dataset), dtype=np.int64)
    def split(self, dataset, plan, options, seed):
        return [holdout(self.strata(dataset), None, plan, seed)]
    def check(self, raw, outputs, n):
        if raw.shape != (n, 1):
            raise ValueError(f"days have the shape {raw.shape}")
    def decide(self, valid, raw, options, train):
        return {}
    def answer(self, raw, outputs, decision, cases=None):
        return pd.DataFrame({"days": raw[:, 0]})
    def evaluate(self, data, answers, seed):
        error = np.abs(data.targets[:, 0] - answers["days"].to_numpy())
        return Evaluation(len(data), resample(lambda w: {"mae": (w * error).sum(1) / w.sum(1)}, len(data), None, seed))
    def sections(self, judged):
        return [Section("Days", [Text(f"{judged.evaluation.metrics['mae']} days off.")])]

def build(table, column, source):
    fields, _ = infer_fields(table, (column,))
    frame, _ = parse(table, fields)
    ids = [str(i + 1) for i in range(len(table))]
    return Dataset(Records(ids, frame, fields), table[column].astype(float).to_numpy()[:, None], names=("days",),
                   origin=Origin(source, synthetic=source == "demo"))

class Mean(Model):
    '''The mean stay.'''
    task, accepts = "acme-stay", "records"
    def fit(self, train, valid, *, context):
        self.mean = train.targets.mean()
    def predict(self, cases, *, context):
        return np.full((len(cases), 1), self.mean)
    def save(self, folder):
        np.savez(folder / "mean.npz", mean=self.mean)
    @classmethod
    def load(cls, folder, *, context):
        model = cls(cls.Config())
        model.mean = float(np.load(folder / "mean.npz")["mean"])
        return model

class Demo(NamedDataset):
    title = "made up"
    def load(self, variant, *, cache, seed):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame({"age": rng.integers(20, 90, 60)})
        table["days"] = table["age"] / 10
        return build(table, "days", "demo")
"""


@pytest.fixture
def stay(plugins: Any) -> Any:
    """Install the task ``acme-stay`` with a model and a data set."""
    plugins.install(
        "acme-stay",
        {
            "medtasks.tasks": {"acme-stay": "acme_stay:Stay"},
            "medtasks.models": {"acme-stay.mean": "acme_stay:Mean"},
            "medtasks.datasets": {"acme-stay.demo": "acme_stay:Demo"},
        },
        STAY,
    )
    return plugins


def test_a_strangers_task_shows_up_with_its_options(stay: Any, cli: Cli) -> None:
    assert "acme-stay" in cli("tasks").out
    about = json.loads(cli("tasks", "acme-stay", "--json").out)
    assert about["options"] == [
        {"name": "days_column", "type": "str", "default": "days", "description": "The column with the days."}
    ]
    assert about["models"] == {"records": "acme-stay.mean"}


def test_a_strangers_task_runs_its_demo(stay: Any, cli: Cli, tmp_path: Path) -> None:
    done = cli("run", "acme-stay", "--out", tmp_path / "r")
    assert done.code == 0, done.err
    assert "mae" in done.out
    assert "synthetic" in done.err
    assert done.out.splitlines()[-1] == "next, with your own data: medtasks run acme-stay --data PATH"
    assert "days off" in (tmp_path / "r" / "report.html").read_text()


def test_a_strangers_task_takes_its_own_flags(stay: Any, cli: Cli, tmp_path: Path) -> None:
    pd.DataFrame({"age": range(40, 0, -1), "nights": range(40)}).to_csv(tmp_path / "t.csv", index=False)
    command = ("run", "acme-stay", "--data", tmp_path / "t.csv", "--out", tmp_path / "r", "--json")
    done = cli(*command, "--days-column", "nights")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["task"], found["model"], list(found["metrics"])) == ("acme-stay", "acme-stay.mean", ["mae"])
    wrong = cli(*command, "--days-colum", "nights")
    assert wrong.code == 2
    assert "--days-column" in wrong.hint
    (tmp_path / "new.csv").write_text("age\n50\n?\n")
    answers = cli("predict", tmp_path / "r", tmp_path / "new.csv", "--json")
    rows = [json.loads(line) for line in answers.out.splitlines()]
    assert [row["status"] for row in rows] == ["ok", "invalid"]
    assert rows[0]["days"] > 0
    assert rows[1]["days"] is None
    judged = cli("evaluate", tmp_path / "r", tmp_path / "t.csv", "--json")
    assert judged.code == 0, judged.err
    assert json.loads(judged.out)["n"] == 40


def test_a_strangers_task_works_from_python(stay: Any, tmp_path: Path) -> None:
    found = medtasks.run("acme-stay", out=tmp_path / "r", seed=2)
    assert found.evaluation.metrics["mae"].value > 0
    assert pd.read_csv(tmp_path / "r" / "predictions.csv").columns.tolist() == [
        *("id", "target_days", "days", "domain", "distance")
    ]


@pytest.mark.parametrize(
    "code",
    ["It = 3", "from medtasks.task import Task\nclass It(Task): pass", "raise RuntimeError('no licence')"],
    ids=["a number", "abstract", "broken"],
)
def test_what_is_no_task_harms_only_itself(plugins: Any, cli: Cli, code: str) -> None:
    plugins.install("acme-bad", {"medtasks.tasks": {"acme-bad": "acme_bad:It"}}, code)
    done = cli("run", "acme-bad")
    assert (done.code, done.out) == (3, "")
    assert "acme-bad 1.0" in done.error
    assert cli("tasks").code == 0
    assert cli("tasks", "diagnosis").code == 0


def test_what_is_no_data_set_is_refused(plugins: Any, cli: Cli) -> None:
    plugins.install("acme-data", {"medtasks.datasets": {"diagnosis.acme-data": "acme_data:It"}}, "It = 3")
    done = cli("run", "diagnosis", "--data", "acme-data")
    assert (done.code, done.out) == (3, "")
    assert "acme-data" in done.error


def test_a_default_model_that_is_not_installed_is_named_with_its_package(stay: Any) -> None:
    task = load_task("acme-stay")
    type(task).defaults = {"records": "acme-stay.graph"}
    with pytest.raises(PluginError) as caught:
        choose_model(task, "records", None)
    assert "pip install medtasks-graph" in str(caught.value.hint)
    with pytest.raises(UsageError):
        choose_model(task, "images", None)


@pytest.mark.parametrize(
    ("name", "full"),
    [("linear-record", "diagnosis.linear-record"), ("diagnosis.linear-record", "diagnosis.linear-record"),
     ("medtasks:linear-record", "medtasks:diagnosis.linear-record")],
)  # fmt: skip
def test_a_models_name_may_leave_out_the_task(name: str, full: str) -> None:
    assert choose_model(load_task("diagnosis"), "records", name) == full


def test_new_data_are_brought_to_the_models_classes() -> None:
    cases = Records.from_table(pd.DataFrame({"age": [1.0, 2.0, 3.0]}))
    data = Dataset(cases, np.array([0, 1, 0]), classes=("b", "c"))
    aligned = load_task("diagnosis").align(data, Outputs(("target",), ("a", "b", "c")))
    assert aligned.targets.tolist() == [1, 2, 1]
    with pytest.raises(DataError, match="no class 'c'") as caught:
        load_task("diagnosis").align(data, Outputs(("target",), ("a", "b")))
    assert caught.value.exit_code == 4
