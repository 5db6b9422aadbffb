"""What the documents say can be done, is done here."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]


def _blocks(path: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (HOUSE / path).read_text("utf-8"), flags=re.DOTALL)


def test_the_readme_holds_the_commands_of_the_house() -> None:
    text = (HOUSE / "README.md").read_text("utf-8")
    assert "\npip install . ./plugins/*/ && medtasks run diagnosis\n" in text
    assert "\npip install '.[test]' ./plugins/*/ && pytest\n" in text


def test_the_documents_list_every_check_of_the_kit() -> None:
    from medtasks.testing.checks import CHECKS, PROFILES, holds

    text = (HOUSE / "docs/first-plugin.md").read_text("utf-8")
    listed = re.findall(r"^- `([a-z-]+)`: (.*?)(?=^- |^$)", text, flags=re.DOTALL | re.MULTILINE)
    assert {name: " ".join(said.split()) for name, said in listed} == {
        name: holds(name) for checks in PROFILES.values() for name in checks
    }
    assert f"# {len(CHECKS)} checks" in (HOUSE / "README.md").read_text("utf-8")


@pytest.mark.parametrize("path", ["README.md", "docs/first-plugin.md"])
def test_a_plugin_is_started_as_written(path: str, tmp_path: Path) -> None:
    command = re.search(r"^medtasks (plugins new [^#\n]*)", "\n".join(_blocks(path, "sh")), flags=re.MULTILINE)
    assert command is not None
    done = subprocess.run(
        [sys.executable, "-m", "medtasks", *command.group(1).split()],
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "acme-lungs" / "tests" / "test_conformance.py").is_file()


def test_the_first_plugin_works_as_written(tmp_path: Path) -> None:
    code = next(block for block in _blocks("docs/first-plugin.md", "python") if "class NearestCentre" in block)
    project = tomllib.loads(next(block for block in _blocks("docs/first-plugin.md", "toml") if "build-system" in block))
    (tmp_path / "my_plugin").mkdir()
    (tmp_path / "my_plugin" / "__init__.py").write_text(code, encoding="utf-8")
    about = tmp_path / "my_plugin-0.1.0.dist-info"
    about.mkdir()
    needs = "".join(f"Requires-Dist: {line}\n" for line in project["project"]["dependencies"])
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: my-plugin\nVersion: 0.1.0\n{needs}", encoding="utf-8"
    )
    points = project["project"]["entry-points"]["medtasks.models"]
    lines = "".join(f"{name} = {target}\n" for name, target in points.items())
    (about / "entry_points.txt").write_text(f"[medtasks.models]\n{lines}", encoding="utf-8")
    command = re.search(r"medtasks (run .*nearest-centre.*)", (HOUSE / "docs/first-plugin.md").read_text("utf-8"))
    assert command is not None
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(HOUSE)])}
    done = subprocess.run(
        [sys.executable, "-m", "medtasks", *command.group(1).split(), "--out", str(tmp_path / "out")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "auroc" in done.stdout
    assert (tmp_path / "out" / "bundle" / "medtasks.json").is_file()
    kit = next(block for block in _blocks("docs/first-plugin.md", "python") if "@conformance" in block)
    (tmp_path / "test_conformance.py").write_text(kit, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_conformance.py"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["records.py", "images.py", "molecules.py", "treatments.py"])
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    small = ["--small"] if name == "images.py" else []
    done = subprocess.run(
        [sys.executable, str(HOUSE / "examples" / name), *small],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "report:" in done.stdout


def test_the_page_of_commands_is_the_commands_themselves() -> None:
    spec = importlib.util.spec_from_file_location("make_cli", HOUSE / "docs" / "make_cli.py")
    assert spec is not None
    assert spec.loader is not None
    make_cli = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_cli)
    assert make_cli.PAGE.read_text("utf-8") == make_cli.page(), "run: python docs/make_cli.py"
