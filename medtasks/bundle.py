"""A predictor as a folder on disk: plain JSON and arrays, each file with its hash, no code."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
from packaging.version import Version

from medtasks import registry
from medtasks.cases import Cases
from medtasks.errors import BundleError, DataError, MedtasksError, PluginError, UsageError
from medtasks.model import Context, configure, model_class
from medtasks.predictor import Predictor
from medtasks.saving import read_model, save_model
from medtasks.stored import write_arrays
from medtasks.task import Outputs, load_task
from medtasks.tracing import told
from medtasks.trust import Trust

FORMAT = 1
"""The version of the layout; a reader refuses a higher one."""
NAME = "medtasks.json"
SUMS = "SHA256SUMS"
"""The hash of every file, in the form that ``sha256sum --check`` reads."""
TRUST = "trust"
"""The folder with what was learnt about how far answers can be trusted."""
FILES = (NAME, SUMS, "model", "baseline", TRUST, "report.html", "card.md")
"""What may stand in a bundle's folder; the first always does."""
_DESKTOP = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # left by file managers that looked into a folder


class Stored(pydantic.BaseModel):
    """What is noted of a model in a bundle."""

    model_config = pydantic.ConfigDict(extra="forbid", use_attribute_docstrings=True)

    id: str
    plugin: str
    """The distribution, and its version, that the model came from."""
    config: dict[str, Any]
    """The hyper-parameters."""
    decision: dict[str, Any]
    """What turns the model's numbers into a decision."""


class Manifest(pydantic.BaseModel):
    """What ``medtasks.json`` holds."""

    model_config = pydantic.ConfigDict(extra="forbid", use_attribute_docstrings=True)

    format: int
    """The version of the layout."""
    medtasks: str
    """The version of medtasks that wrote it."""
    task: str
    model: Stored
    baseline: Stored | None
    names: list[str]
    classes: list[str]
    kinds: list[str] = []
    """What each target is, where there are no classes: `number` or `binary`."""
    input: dict[str, Any]
    """What an input must look like."""
    facts: dict[str, Any]
    """Provenance: data and its hash, seed, device, versions, measures."""


def save(
    predictor: Predictor,
    folder: Path,
    *,
    report: str | None = None,
    card: str | None = None,
    cases: Cases | None = None,
    context: Context | None = None,
) -> Path:
    """Write a bundle; a crash leaves the earlier folder or none, never half of one, and so does a faulty model.

    Parameters
    ----------
    folder
        Where to; an earlier bundle there is replaced.
    report
        The text of ``report.html``, without single cases.
    card
        The text of ``card.md``.
    cases, context
        What the model is asked after it was read back, and where; see `medtasks.saving.save_model`.

    Raises
    ------
    UsageError
        If the folder holds something that is no bundle.
    PluginError
        If a model writes what could run code, or does not come back as it was.
    """
    with replacing(folder, FILES) as fresh:
        save_model(predictor.model, predictor.model_id, fresh / "model", cases=cases, context=context)
        if (floor := predictor.baseline) is not None:
            save_model(floor.model, floor.model_id, fresh / "baseline", cases=cases)
        if predictor.trust is not None:
            (fresh / TRUST).mkdir()
            write_json(fresh / TRUST / "trust.json", predictor.trust.as_json())
            write_arrays(fresh / TRUST / "trust.npz", predictor.trust.to_arrays(), compressed=True)
        if report is not None:
            (fresh / "report.html").write_text(report, encoding="utf-8")
        if card is not None:
            (fresh / "card.md").write_text(card, encoding="utf-8")
        manifest = Manifest(
            format=FORMAT,
            medtasks=registry.version(),
            task=predictor.task.name,
            model=_stored(predictor),
            baseline=_stored(predictor.baseline) if predictor.baseline else None,
            names=list(predictor.outputs.names),
            classes=list(predictor.outputs.classes),
            kinds=list(predictor.outputs.kinds),
            input=predictor.schema,
            facts=dict(predictor.facts),
        )
        write_json(fresh / NAME, manifest.model_dump(mode="json"))
        _write_sums(fresh)
    return folder


def load(folder: Path, *, context: Context | None = None) -> Predictor:
    """Read a bundle back; every file is checked against its hash before anything in it is parsed.

    Parameters
    ----------
    folder
        A bundle, or the folder of a run that holds one.

    Raises
    ------
    DataError
        If there is no such folder.
    BundleError
        If it is damaged, tampered with, or made by a newer version.
    PluginError
        If its model or task is not installed or does not load.
    """
    place = find(folder)
    _check_sums(place)
    manifest = _manifest(place)
    _check_input(manifest)
    context = context or Context()
    baseline = _load_model(place / "baseline", manifest, manifest.baseline, context) if manifest.baseline else None
    predictor = _load_model(place / "model", manifest, manifest.model, context)
    return replace(predictor, facts=manifest.facts, baseline=baseline, trust=_load_trust(place / TRUST, manifest))


@contextlib.contextmanager
def replacing(target: Path, files: Sequence[str]) -> Iterator[Path]:
    """Give a fresh folder that takes the place of ``target`` when the block ends without an error.

    An existing target is replaced only if it is empty, or holds ``files[0]`` and nothing but ``files``: nothing
    of the user's is ever deleted. The fresh folder is a hidden neighbour, so that the last step is one rename.
    """
    check_target(target, files)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = _beside(target, "writing"), _beside(target, "old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
        _sync(fresh)
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def check_target(target: Path, files: Sequence[str]) -> None:
    """Refuse what cannot be replaced: a file, or a folder that holds anything but an earlier result.

    Raises
    ------
    UsageError
        Saying why; nothing is changed.
    """
    recover(target)
    reason = _irreplaceable(target, files)
    if reason:
        raise UsageError(f"{target} {reason}", hint="choose another --out; nothing was changed")


def recover(target: Path) -> None:
    """Put an earlier folder back if a crash came between the two renames of `replacing`."""
    old = _beside(target, "old")
    if old.is_dir() and not target.exists():
        old.rename(target)


def write_json(path: Path, content: Any) -> None:
    """Write plain JSON; NaN is an error, since JSON has none."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stored(predictor: Predictor) -> Stored:
    return Stored(
        id=predictor.model_id,
        plugin=registry.find("model", predictor.model_id).origin,
        config=predictor.model.config.model_dump(mode="json"),
        decision=predictor.decision,
    )


def _load_model(folder: Path, manifest: Manifest, stored: Stored, context: Context) -> Predictor:
    name = registry.of_distribution("model", stored.id, stored.plugin.rpartition(" ")[0])
    try:
        task, kind = load_task(manifest.task), model_class(name)
        config = configure(kind, stored.config, stored.id)
    except UsageError as error:  # no mistake of the user's: this machine lacks what the bundle was made with
        raise PluginError(
            f"the bundle needs {stored.plugin}: {error.message}", hint=f"install {stored.plugin.replace(' ', '==')}"
        ) from None
    try:
        model = read_model(kind, stored.id, folder, config, context)
    except MedtasksError:
        raise
    except Exception as error:  # a plugin raises what it likes on a file that another version of it wrote
        raise _unreadable(folder, stored.plugin, registry.find("model", name).origin, error) from error
    outputs = Outputs(tuple(manifest.names), tuple(manifest.classes), tuple(manifest.kinds))
    return Predictor(task, model, name, outputs, manifest.input, stored.decision)


def _unreadable(folder: Path, then: str, now: str, error: Exception) -> BundleError:
    """Say why a model cannot be read; its `load` has seen the bundle alone, which holds no patients."""
    what = f"the model in {folder} cannot be read ({told(error, folder)})"
    if then == now:
        return BundleError(f"{what}: {now} does not read what it wrote", hint="tell its author, or train again")
    return BundleError(
        f"{what}: it was written by {then}, here is {now}", hint="install the version that wrote it, or train again"
    )


def _load_trust(folder: Path, manifest: Manifest) -> Trust | None:
    if not folder.is_dir():  # a bundle that an author saved of a predictor without it
        return None
    try:
        stored = json.loads((folder / "trust.json").read_text(encoding="utf-8"))
        with np.load(folder / "trust.npz", allow_pickle=False) as file:
            return Trust.read(stored, {name: file[name] for name in file.files}, manifest.input)
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise BundleError(
            f"{folder} cannot be read ({type(error).__name__})", hint="copy the bundle again, or train again"
        ) from error


def _check_input(manifest: Manifest) -> None:
    """Refuse a description of the input that nothing could be read by."""
    try:
        load_task(manifest.task).kind(str(manifest.input.get("kind"))).check_schema(manifest.input)
    except UsageError as error:  # a task or a kind of cases that is not here
        raise PluginError(
            f"the bundle is of the task {manifest.task}: {error.message}", hint="install what it was made with"
        ) from None


def find(folder: Path) -> Path:
    """Return the bundle that a folder is, or that the folder of a run holds; see `load`."""
    recover(folder.absolute().parent)
    for place in (folder, folder / "bundle"):
        recover(place)
        if (place / NAME).is_file():
            return place
    if not folder.exists():
        raise DataError(f"no bundle {str(folder)!r}", hint="check the path; `medtasks run` makes one")
    raise BundleError(f"{folder} is no bundle: it has no {NAME}", hint="give the folder that `medtasks run` made")


def _manifest(place: Path) -> Manifest:
    try:
        content = json.loads((place / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{place / NAME} cannot be read ({type(error).__name__})",
            hint="copy the bundle again, or train again",
        ) from None
    if isinstance(content, dict) and isinstance(content.get("format"), int) and content["format"] > FORMAT:
        wanted = content.get("medtasks", "a newer version")
        raise BundleError(
            f"{place} was made by medtasks {wanted}; this is {registry.version()}",
            hint="upgrade medtasks to read it",
        )
    try:
        manifest = Manifest.model_validate(content)
        Version(manifest.medtasks)
    except ValueError:
        raise BundleError(
            f"{place / NAME} is damaged: it does not have the fields of a bundle",
            hint="copy the bundle again, or train again",
        ) from None
    return manifest


def _write_sums(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _check_sums(place: Path) -> None:
    """Refuse files that are missing, changed, or not listed, before any of them is parsed."""
    if (place / SUMS).is_symlink():
        raise BundleError(f"the {SUMS} of {place} is a link, not a file", hint="copy the bundle again")
    try:
        lines = (place / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise BundleError(f"{place} lacks a readable {SUMS}", hint="copy the bundle again") from None
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = {
        path.relative_to(place).as_posix()
        for path in place.rglob("*")
        if (path.is_symlink() or not path.is_dir()) and path.name not in _DESKTOP
    } - {SUMS}
    for name in sorted(there | sums.keys()):
        if name not in sums:
            raise BundleError(
                f"{place} holds a file that is not its own: {name}",
                hint="remove the file, or copy the bundle again",
            )
        if name not in there or (place / name).is_symlink() or not (place / name).is_file():
            raise BundleError(f"{place} lacks its file {name}", hint="copy the bundle again")
        if sha256(place / name) != sums[name]:
            raise BundleError(
                f"{place / name} is not the file that was saved: its SHA-256 differs",
                hint="copy the bundle again; do not use it if you did not change it yourself",
            )


def _beside(target: Path, what: str) -> Path:
    whole = target.absolute()
    return whole.with_name(f".{whole.name}.{what}")


def _irreplaceable(target: Path, files: Sequence[str]) -> str | None:
    if target.is_dir():
        found = {path.name for path in target.iterdir()} - _DESKTOP
        if found and not (files[0] in found and found <= set(files)):
            return "exists and is no earlier result of medtasks"
        if target.is_mount() or target.resolve() == Path.cwd():
            return "is a mounted or the current folder, which cannot be replaced as a whole: name one inside it"
        return None
    if target.exists() or target.is_symlink():
        return "exists and is no earlier result of medtasks"
    if not next(parent for parent in target.absolute().parents if parent.exists()).is_dir():
        return "cannot be made: what it would stand in is a file"
    return None


def _sync(folder: Path) -> None:
    """Bring the files to disk before the rename makes them count."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
