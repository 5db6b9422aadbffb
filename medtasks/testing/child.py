"""What a fresh process does for the kit: answer with a loaded model, or make all checks where a crash does no harm."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from medtasks import registry
from medtasks.errors import MedtasksError
from medtasks.guarding import aside
from medtasks.model import Context, configure, model_class
from medtasks.testing.bench import SEED, Bench, test_cases
from medtasks.testing.checks import CHECKS, make
from medtasks.testing.report import known


def answer(order: str) -> None:
    """Load the model that the JSON file ``order`` tells of, and write its answers to the toy test cases."""
    content = json.loads(Path(order).read_text(encoding="utf-8"))
    name, context = content["model"], Context(SEED, "cpu")
    kind = model_class(name)
    cases = test_cases(registry.find("model", name).task, kind.accepts)
    with aside():
        model = kind.load(Path(content["folder"]), context=context)
        model.config = configure(kind, content["config"], name)
        np.save(content["out"], model.predict(cases, context=context), allow_pickle=False)


def stream(order: str) -> None:
    """Make the checks that the JSON file ``order`` tells of, writing a line of JSON before and after each."""
    content = json.loads(Path(order).read_text(encoding="utf-8"))
    with Path(content["out"]).open("a", encoding="utf-8") as file:

        def tell(**line: object) -> None:
            file.write(json.dumps(line) + "\n")
            file.flush()

        try:
            expected = known(content["expected"], CHECKS)
            bench = Bench(content["model"], content["config"])
        except MedtasksError as error:
            tell(error=error.message, hint=error.hint, code=error.exit_code)
            return
        for name in CHECKS:
            tell(start=name)
            tell(done=make(bench, name, expected).as_json())
