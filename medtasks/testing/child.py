"""What a fresh process does for the kit: answer with a loaded model, or make all checks where a crash does no harm."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from medtasks import registry
from medtasks.errors import MedtasksError
from medtasks.guarding import aside, results_on_stdout
from medtasks.model import Context, configure, model_class
from medtasks.saving import read_model
from medtasks.testing.bench import SEED, TRAIN, VALID, Bench, part, toy_data
from medtasks.testing.checks import checks_of, make
from medtasks.testing.report import known


def answer(order: str) -> None:
    """Load the model that the JSON file ``order`` tells of, or fit it, and write its answers to the toy test cases."""
    content = json.loads(Path(order).read_text(encoding="utf-8"))
    name, place, context = content["model"], Path(content["folder"]), Context(SEED, content["device"])
    kind = model_class(name)
    config, toy = configure(kind, content["config"], name), toy_data(registry.find("model", name).task, kind.accepts)
    with results_on_stdout(), aside():
        if content["fit"]:
            model = kind(config)
            model.fit(part(toy, 0, TRAIN), part(toy, TRAIN, TRAIN + VALID), context=context)
            place.mkdir()
            model.save(place)
        else:
            model = read_model(kind, name, place, config, context)
        # What it told of `fit` must not be what it tells of `predict`.
        asked = Context(SEED, content["device"]) if content["fit"] else context
        raw = model.predict(part(toy, TRAIN + VALID, len(toy)).cases, context=asked)
        np.save(content["out"], raw, allow_pickle=False)
    Path(content["out"]).with_suffix(".json").write_text(json.dumps(context.used, default=str), encoding="utf-8")


def stream(order: str) -> None:
    """Make the checks that the JSON file ``order`` tells of, writing a line of JSON before and after each."""
    content = json.loads(Path(order).read_text(encoding="utf-8"))
    with Path(content["out"]).open("a", encoding="utf-8") as file:

        def tell(**line: object) -> None:
            file.write(json.dumps(line) + "\n")
            file.flush()

        try:
            checks = checks_of(content["profile"])
            expected = known(content["expected"], checks)
            bench = Bench(content["model"], content["config"])
        except MedtasksError as error:
            tell(error=error.message, hint=error.hint, code=error.exit_code)
            return
        for name in checks:
            tell(start=name)
            tell(done=make(bench, name, expected).as_json())
