"""Writing what a model stores, and reading it when somebody may have changed it: whatever does not fit is refused.

For the `save` and `load` of any model; arrays are written and read without pickle.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from medtasks.errors import BundleError

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Arrays = Mapping[str, npt.NDArray[Any]]


def refuse(what: str) -> NoReturn:
    """Raise the `BundleError` of a stored model that does not fit itself."""
    raise BundleError(f"the stored model is damaged: {what}", hint="copy the bundle again, or train again")


def require(holds: bool | np.bool_, what: str) -> None:
    """Refuse the stored model unless ``holds``."""
    if not holds:
        refuse(what)


def take(arrays: Arrays, name: str, shape: int | tuple[int | None, ...], kind: str = "f") -> npt.NDArray[Any]:
    """Return one stored array as float64 (``f``), int64 (``i``) or bool (``b``).

    Parameters
    ----------
    shape
        The number of dimensions, or the length of each; None is any length.

    Raises
    ------
    BundleError
        If it is missing, has another kind or shape, or holds NaN or infinity.
    """
    require(name in arrays, f"it lacks the array {name!r}")
    values = np.asarray(arrays[name])
    shape = (None,) * shape if isinstance(shape, int) else shape
    fits = values.ndim == len(shape) and all(
        want in (None, size) for want, size in zip(shape, values.shape, strict=True)
    )
    require(fits and values.dtype.kind == kind, f"{name!r} does not fit")
    if kind == "f":
        require(np.isfinite(values).all(), f"{name!r} holds values that are no finite numbers")
    return np.ascontiguousarray(values, dtype={"f": np.float64, "i": np.int64, "b": np.bool_}[kind])


def write_arrays(path: Path, arrays: Arrays, *, compressed: bool = False) -> None:
    """Write arrays of any names as an ``.npz`` file, without pickle.

    `numpy.savez` can be told to do without only from numpy 2.2 on.

    Raises
    ------
    ValueError
        If an array holds Python objects.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, values in arrays.items():
            add_array(archive, name, values)


def add_array(archive: zipfile.ZipFile, name: str, values: npt.ArrayLike) -> None:
    """Write one array more into an open ``.npz`` file; see `write_arrays`."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, np.asanyarray(values), allow_pickle=False)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read every array of an ``.npz`` file, without pickle.

    Raises
    ------
    BundleError
        If it cannot be read.
    """
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        refuse(f"{path.name} cannot be read ({type(error).__name__})")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    BundleError
        If it cannot be read or is no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        refuse(f"{path.name} cannot be read ({type(error).__name__})")
    if not isinstance(content, dict):
        refuse(f"{path.name} holds no object")
    return content
