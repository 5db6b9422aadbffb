"""Distributions built and installed in environments of their own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Fresh:
    """A new virtual environment into which a distribution was installed from its wheel."""

    python: Path
    run: Callable[..., str]

    def medtasks(self, *arguments: object) -> str:
        """Run a command of medtasks there and return what it wrote to stdout."""
        return self.run(self.python, "-m", "medtasks", *arguments)

    def pytest(self, tests: object) -> str:
        """Run a distribution's own tests there."""
        return self.run(self.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests)


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Callable[..., str]:
    """Run a command in a process of its own, in ``tmp_path``, and return its stdout; it must succeed."""

    def command(*arguments: object) -> str:
        done = subprocess.run(
            [*map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return command


@pytest.fixture
def installed(tmp_path: Path, run: Callable[..., str]) -> Callable[[Path], Fresh]:
    """Build the wheel of a distribution's folder and install it into an environment of its own, offline."""

    def install(folder: Path) -> Fresh:
        pip, offline = [sys.executable, "-m", "pip", "--disable-pip-version-check"], ["--no-deps", "--no-index", "-q"]
        run(*pip, "wheel", *offline, "--no-build-isolation", "-w", "dist", folder)
        (wheel,) = (tmp_path / "dist").glob(f"{folder.name.replace('-', '_')}-*.whl")
        run(sys.executable, "-m", "venv", "--without-pip", "venv")
        python = tmp_path / "venv" / "bin" / "python"
        (place,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
        # What is installed here is lent to it: nothing may be fetched.
        lent = f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r})\n"
        (place / "lent.pth").write_text(lent, encoding="utf-8")
        run(*pip, "--python", python, "install", *offline, wheel)
        return Fresh(python, run)

    return install
