"""DeepChem's process, with something else in DeepChem's place, so that it starts at once and on any Python."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medtasks.cases import Molecules
from medtasks.errors import PluginError
from medtasks.model import Context
from medtasks_deepchem import GraphConv, child
from medtasks_deepchem.child import Child, require_deepchem, tail, write_molecules

SLOW = "import time; time.sleep(60)"
START = """
import sys
from pathlib import Path
from medtasks_deepchem import child
child.NEEDED = ()
one = child.Child()
print(one.pid, flush=True)
one.ask("predict", Path(sys.argv[1]))
"""
posix = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture
def deepchem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a module file that the child imports as DeepChem."""
    monkeypatch.setattr(child, "NEEDED", ())
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = tmp_path / "deepchem.py"
    path.write_text("print('DeepChem greets on stdout')", encoding="utf-8")
    return path


def gone(pid: int, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").is_file() and ") Z " in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8"):
            return True  # nobody here collects what an ended parent left
        time.sleep(0.05)
    return False


def test_a_failure_names_no_structure_and_ends_the_process(
    deepchem: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_molecules(tmp_path, Molecules.from_smiles(["FC(F)(F)Br"]))
    one = Child()
    with pytest.raises(PluginError, match=r"failed with \w+Error in \w+\.py:\d+") as caught:
        one.ask("predict", tmp_path)  # what stands in DeepChem's place has no featuriser
    assert "Br" not in str(caught.value)
    assert not one.alive
    assert "greets" not in capfd.readouterr().out


def test_an_import_that_fails_is_told_with_its_last_lines(deepchem: Path, tmp_path: Path) -> None:
    deepchem.write_text("raise ImportError('libcudart is amiss')", encoding="utf-8")
    with pytest.raises(PluginError, match="ended with exit code 1") as caught:
        Child().ask("predict", tmp_path)
    assert "libcudart is amiss" in str(caught.value)
    assert "import deepchem" in str(caught.value.hint)


@posix
def test_a_killed_process_is_told(deepchem: Path, tmp_path: Path) -> None:
    deepchem.write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", encoding="utf-8")
    with pytest.raises(PluginError, match="SIGKILL") as caught:
        Child().ask("predict", tmp_path)
    assert "memory" in str(caught.value.hint)


@posix
def test_it_ends_with_its_object(deepchem: Path) -> None:
    deepchem.write_text(SLOW, encoding="utf-8")
    one = Child()
    pid = one.pid
    del one
    assert gone(pid)


@posix
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_parent(deepchem: Path, tmp_path: Path, sent: signal.Signals) -> None:
    deepchem.write_text(SLOW, encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, "-c", START, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    with parent:
        pid = int(parent.stdout.readline())
        time.sleep(2)  # until it imports, where Ctrl-C is left to the parent
        parent.send_signal(sent)
        parent.wait(20)
        assert gone(pid)


def test_what_is_told_of_stderr_holds_no_data() -> None:
    said = (
        "Failed to featurize datapoint 3, OC(=O)c1ccccc1. Appending empty array\n"
        "Traceback (most recent call last):\n"
        '  File "/lib/feat.py", line 12, in _featurize\n'
        "    raise ValueError(smiles)\n"
        "ValueError: OC(=O)c1ccccc1\n"
    )
    assert tail(io.BytesIO(said.encode()), plain=False) == 'File "/lib/feat.py", line 12, in _featurize | ValueError'
    assert "datapoint 3" in tail(io.BytesIO(said.encode()), plain=True)


@pytest.mark.parametrize(("version", "told"), [((3, 12), "needs Python < 3.12; this is 3.12"), ((3, 11), "cannot be")])
def test_without_deepchem_it_is_said_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: tuple[int, int], told: str
) -> None:
    monkeypatch.setattr(child, "NEEDED", ("deepchem", "no_such_module"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(child, "VERSION", version)
    with pytest.raises(PluginError, match=told):
        require_deepchem()
    with pytest.raises(PluginError, match=told):
        GraphConv.load(tmp_path, context=Context())


def test_nobody_imports_deepchem_unasked(tmp_path: Path) -> None:
    rows = "\n".join(f"{'C' * (i % 9 + 1)}{'O' * (i // 9 % 2)}N{'F' * (i // 18)},{i}" for i in range(40))
    (tmp_path / "some.csv").write_text(f"smiles,target\n{rows}\n", encoding="utf-8")
    script = (
        "import sys, medtasks, medtasks_deepchem\n"
        "from medtasks.cli import execute\n"
        "run = ['run', 'activity', '--data', 'some.csv', '--model', 'linear-fingerprint', '--out', 'o']\n"
        "assert execute(run) == 0\n"
        "assert execute(['models', 'deepchem-graphconv']) == 0\n"
        "assert not {'deepchem', 'tensorflow', 'keras', 'tf_keras'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
