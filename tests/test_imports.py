"""Listing is quick because it imports nothing: no library for numbers, and no plugin."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

HEAVY = (
    "numpy",
    "pandas",
    "sklearn",
    "scipy",
    "matplotlib",
    "tensorflow",
    "keras",
    "torch",
    "jax",
    "deepchem",
    "pyarrow",
    "pydicom",
    "jinja2",
    "PIL",
    "medtasks_deepchem",
    "medtasks_image_cnn",
    "medtasks_record_ensemble",
    "acme_spy",
)
SCRIPT = """
import json, sys
from medtasks.cli import execute
code = execute(sys.argv[1:])
print(json.dumps({"code": code, "modules": sorted({name.partition('.')[0] for name in sys.modules})}), file=sys.stderr)
"""


def loaded(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=environment,
    )
    assert done.stdout
    found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["models"],
        ["tasks"],
        ["datasets"],
        ["models", "--json"],
        ["run", "--help"],
        ["plugins", "list"],
    ],
    ids=" ".join,
)
def test_it_imports_nothing_heavy(plugins: Any, environment: dict[str, str], arguments: list[str]) -> None:
    plugins.model("acme-spy", "It = 3")
    found = loaded(environment, *arguments)
    assert found["code"] == 0
    assert not set(HEAVY) & set(found["modules"])


def test_completion_of_names_imports_nothing_heavy(plugins: Any, environment: dict[str, str]) -> None:
    plugins.model("acme-spy", "It = 3")
    script = (
        "import sys; from medtasks.cli import complete\n"
        "assert 'diagnosis.acme-spy' in complete.models('diagnosis.ac')\n"
        "assert 'diagnosis' in complete.tasks('dia')\n"
        "assert 'phantom' in complete.data('ph')\n"
        f"assert not set({HEAVY!r}) & {{name.partition('.')[0] for name in sys.modules}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


def test_importing_medtasks_imports_nothing_heavy(environment: dict[str, str]) -> None:
    script = f"import sys, medtasks; assert not set({HEAVY!r}) & set(sys.modules); assert 'run' in dir(medtasks)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
