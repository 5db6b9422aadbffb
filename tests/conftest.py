"""What the tests share: small data, finished runs, throw-away plugins, and no network."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
import pandas as pd
import pytest
from PIL import Image

NO_NETWORK = """
import socket

def _refuse(*arguments, **options):
    raise RuntimeError("a test tried to use the network")

socket.socket.connect = socket.socket.connect_ex = _refuse
"""


def pytest_configure() -> None:
    """Hear Ctrl-C, and so do the programs that tests start: a shell's background job is born deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code and what it said."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The error line, without its label."""
        return self._line("error: ")

    @property
    def hint(self) -> str:
        """The hint line, without its label."""
        return self._line("hint: ")

    def _line(self, label: str) -> str:
        found = [line.removeprefix(label) for line in self.err.splitlines() if line.startswith(label)]
        assert len(found) == 1, f"expected one line {label!r} on stderr, got:\n{self.err}"
        return found[0]


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Let no test open a connection."""

    def refuse(*arguments: object, **options: object) -> NoReturn:
        raise RuntimeError("a test tried to use the network")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        yield


@pytest.fixture(scope="session")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that keeps child processes off the network when it is on their PYTHONPATH."""
    folder = tmp_path_factory.mktemp("guard")
    (folder / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
    return folder


def records(n: int = 90, seed: int = 0) -> pd.DataFrame:
    """Draw records of patients whose illness shows in CRP and fever, two visits each."""
    rng = np.random.default_rng(seed)
    sick = (np.arange(n) // 2) % 2 == 1
    return pd.DataFrame(
        {
            "id": [f"CASEMARK{i:04d}" for i in range(n)],
            "patient_id": [f"PATIENTMARK{i // 2:04d}" for i in range(n)],
            "age": rng.integers(20, 90, n),
            "crp": np.round(rng.normal(5 + 25 * sick, 12), 2),
            "fever": np.where(rng.random(n) < np.where(sick, 0.8, 0.2), "yes", "no"),
            "ward": rng.choice(["north", "south"], n),
            "letter": [f"TEXTMARK{i:04d} was seen today" for i in range(n)],
            "target": np.where(sick, "sick", "healthy"),
        }
    )


def draw_images(folder: Path, per_class: int = 14) -> Path:
    """Write small PNGs: noise, and noise with a bright spot."""
    rng = np.random.default_rng(0)
    for label in ("normal", "opacity"):
        (folder / label).mkdir(parents=True)
        for i in range(per_class):
            pixels = rng.normal(90, 25, (16, 16))
            if label == "opacity":
                pixels[4:10, 5:11] += 70
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / label / f"IMAGEMARK{i:03d}.png")
    return folder


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    """Return 90 records of 45 patients, ``healthy`` or ``sick``."""
    return records()


@pytest.fixture(scope="session")
def records_csv(tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame) -> Path:
    """Return a CSV of records with a target."""
    path = tmp_path_factory.mktemp("records") / "visits.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of PNGs, one sub-folder per class."""
    return draw_images(tmp_path_factory.mktemp("images") / "films")


@pytest.fixture(scope="session")
def record_run(tmp_path_factory: pytest.TempPathFactory, records_csv: Path) -> Path:
    """Return the folder of a finished run on records. Do not change it: copy it."""
    import medtasks

    out = tmp_path_factory.mktemp("runs") / "records"
    medtasks.run("diagnosis", records_csv, out=out, model="linear-record", folds=1, seed=3)
    return out


@pytest.fixture(scope="session")
def image_run(tmp_path_factory: pytest.TempPathFactory, image_folder: Path) -> Path:
    """Return the folder of a finished run on images. Do not change it: copy it."""
    import medtasks

    out = tmp_path_factory.mktemp("runs") / "images"
    medtasks.run("diagnosis", image_folder, out=out, model="linear-image", seed=3)
    return out


@pytest.fixture(scope="session")
def drugs() -> list[str]:
    """Return the SMILES of 1,017 real molecules that RDKit carries."""
    from rdkit import RDConfig

    path = Path(RDConfig.RDContribDir, "FreeWilson", "data", "CHEMBL2321810.smi")
    return [line.split()[0] for line in path.read_text().splitlines()]


@pytest.fixture(scope="session")
def molecules(drugs: list[str]) -> pd.DataFrame:
    """Return 300 molecules: pIC50 rises with fluorine atoms, active are those with a nitrile."""
    rng = np.random.default_rng(0)
    chosen = [drugs[i] for i in rng.choice(len(drugs), 300, replace=False)]
    fluorine = np.array([text.count("F") for text in chosen])
    return pd.DataFrame(
        {
            "name": [f"MOLMARK{i:04d}" for i in range(300)],
            "smiles": chosen,
            "pIC50": np.round(5 + 0.6 * fluorine + rng.normal(0, 0.15, 300), 2),
            "hit": np.where(["C#N" in text for text in chosen], "active", "inactive"),
        }
    )


@pytest.fixture
def bundle_copy(record_run: Path, tmp_path: Path) -> Path:
    """Return a copy of a bundle that a test may harm."""
    return shutil.copytree(record_run / "bundle", tmp_path / "copy")


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run a command in this process."""
    from medtasks.cli import execute

    def run(*arguments: object) -> Done:
        capfd.readouterr()
        code = execute([str(argument) for argument in arguments])
        sys.stdout.flush()
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    return run


@dataclass(frozen=True)
class Plugins:
    """Throw-away distributions: a ``dist-info`` folder and a module each, in a folder on the path."""

    folder: Path

    def install(
        self,
        name: str,
        entries: Mapping[str, Mapping[str, str]] | str,
        code: str = "",
        *,
        module: str | None = None,
        version: str = "1.0",
        requires: tuple[str, ...] = (),
        folder: Path | None = None,
    ) -> None:
        """Install a distribution; ``entries`` maps groups to entry points, or is the file's text."""
        place = folder or self.folder
        about = place / f"{name.replace('-', '_')}-{version}.dist-info"
        about.mkdir(parents=True)
        lines = [f"Requires-Dist: {line}" for line in requires]
        head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", "Summary: a throw-away", *lines]
        (about / "METADATA").write_text("\n".join(head) + "\n", encoding="utf-8")
        if not isinstance(entries, str):
            entries = "\n".join(
                f"[{group}]\n" + "\n".join(f"{key} = {value}" for key, value in items.items())
                for group, items in entries.items()
            )
        (about / "entry_points.txt").write_text(entries, encoding="utf-8")
        if code:
            file = place / f"{module or name.replace('-', '_')}.py"
            file.write_text(textwrap.dedent(code), encoding="utf-8")
        importlib.invalidate_caches()
        from medtasks import registry

        registry.forget()

    def model(self, name: str, code: str, *, task: str = "diagnosis", **options: Any) -> None:
        """Install a distribution whose class ``It`` is the model ``TASK.NAME``."""
        module = name.replace("-", "_")
        self.install(name, {"medtasks.models": {f"{task}.{name}": f"{module}:It"}}, code, **options)


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    """Give a place for throw-away distributions, gone with everything they imported after the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Plugins(folder)
    for name in set(sys.modules) - before:
        if str(folder) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


@pytest.fixture
def environment(guard: Path, tmp_path: Path) -> dict[str, str]:
    """Return the environment for a child process: throw-away plugins on the path, no network."""
    path = os.pathsep.join([str(tmp_path / "site"), str(guard)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "COLUMNS": "200"}


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path) -> Callable[..., Done]:
    """Run a command in a process of its own."""

    def run(*arguments: object, cwd: Path | None = None) -> Done:
        done = subprocess.run(
            [sys.executable, "-c", "from medtasks.cli import main; main()", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=cwd or tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def without_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the checks do in this process what they do in a fresh one; nothing is listed.

    A process costs a second: this is for tests that are about something else.
    """
    from medtasks.testing import behaving, child, fresh

    def answer(code: str, argument: str, *rest: Any) -> Any:
        try:
            child.answer(argument)
        except Exception as error:
            return subprocess.CompletedProcess(code, 1, "", repr(error))
        return subprocess.CompletedProcess(code, 0, "", "")

    def listed(code: str, *rest: Any) -> Any:
        return subprocess.CompletedProcess(code, 0, "", "")

    monkeypatch.setattr(fresh, "run_child", answer)
    monkeypatch.setattr(behaving, "run_child", listed)


@pytest.fixture
def constant() -> str:
    """Return the code of the smallest honest model: it knows how common each class is."""
    return CONSTANT


CONSTANT = """
import numpy as np
from medtasks.model import Model

class It(Model):
    '''How common each class is.'''
    task = "diagnosis"
    accepts = "records"
    def fit(self, train, valid, *, context):
        self.share = np.bincount(train.targets, minlength=len(train.classes)) / len(train)
    def predict(self, cases, *, context):
        return np.tile(self.share, (len(cases), 1))
    def save(self, folder):
        np.savez(folder / "model.npz", share=self.share)
    @classmethod
    def load(cls, folder, *, context):
        model = cls(cls.Config())
        with np.load(folder / "model.npz") as file:
            model.share = file["share"]
        return model
"""


class MakeDicom(Protocol):
    def __call__(self, path: Path, pixels: Any, **tags: Any) -> Path: ...


@pytest.fixture
def make_dicom() -> MakeDicom:
    """Write small DICOM files by hand: pydicom carries none that shows what the tests need."""
    pydicom = pytest.importorskip("pydicom")

    def make(path: Path, pixels: Any, **tags: Any) -> Path:
        from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

        pixels = np.ascontiguousarray(pixels)
        meta = pydicom.dataset.FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
        file = pydicom.dataset.Dataset()
        file.file_meta = meta
        file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        file.PatientName = "Secret^Name"
        bits, colour = 8 * pixels.dtype.itemsize, pixels.ndim == 3 and pixels.shape[2] == 3
        file.Rows, file.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
        file.SamplesPerPixel = 3 if colour else 1
        file.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
        if colour:
            file.PlanarConfiguration = 0
        file.BitsAllocated, file.BitsStored, file.HighBit = bits, bits, bits - 1
        file.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
        file.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        file["PixelData"].VR = "OB" if bits == 8 else "OW"
        for name, value in tags.items():
            if value is None:
                delattr(file, name)
            else:
                setattr(file, name, value)
        file.save_as(path, enforce_file_format=True)
        return path

    return make
