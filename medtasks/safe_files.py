"""Whether the files of a folder can be read without running code."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

CODE = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".py", ".pyc", ".so", ".dll", ".sh", ".exe"})
"""Names that say that a file runs code when it is read, or is code."""
KNOWN = {b"\x89HDF": "HDF5", b"\x93NUMPY": "npy", b"PK\x03\x04": "zip", b"PAR1": "Parquet", b"ARROW1": "Arrow"}
"""How files start whose readers run no code."""
PICKLED = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
PACKED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
"""How gzip and zlib start, which joblib writes too."""


def fault(folder: Path) -> str:
    """Say which file of a folder could run code when it is read, or is a link; nothing where all are safe."""
    for path in files(folder):
        if path.is_symlink():
            return f"{path.name} is a link"
        if path.suffix.lower() in CODE:
            return f"{path.name} is a kind of file that runs code"
        if found := _fault(path.name, path.read_bytes()):
            return found
    return ""


def files(folder: Path) -> list[Path]:
    """Return the files below a folder, and links, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or path.is_file())


def unpacked(data: bytes) -> bytes | None:
    """Return what is in data packed by gzip or zlib (they start as `PACKED` says); None where they do not unpack."""
    try:
        return gzip.decompress(data) if data.startswith(PACKED[0]) else zlib.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None


def _fault(name: str, data: bytes) -> str:
    """Say why a file is not safe to read; nothing where it is."""
    if data.startswith(PICKLED):
        return f"{name} is a pickle"
    if data.startswith(PACKED):
        inner = unpacked(data)
        return f"{name} is packed and cannot be looked into" if inner is None else _fault(f"{name}, unpacked,", inner)
    if data.startswith(b"PK\x03\x04"):
        try:
            return _member_fault(name, data)
        except zipfile.BadZipFile:
            return f"{name} is a damaged zip"
    if data.startswith(b"\x93NUMPY"):
        return f"{name} is an array of Python objects, which is a pickle" if _of_objects(data) else ""
    if data.startswith(b"#!") or not (data.startswith(tuple(KNOWN)) or _is_text(data) or _is_tensors(data)):
        return f"{name} is of an unknown kind; JSON, text, npy, npz, HDF5, Keras, safetensors and Parquet are known"
    return ""


def _member_fault(name: str, data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        for member in packed.namelist():
            if Path(member).suffix.lower() in CODE:
                return f"{name} holds {member}, a kind of file that runs code"
            if found := _fault(f"{member} in {name}", packed.read(member)):
                return found
    return ""


def _of_objects(data: bytes) -> bool:
    try:
        np.load(io.BytesIO(data), allow_pickle=False)
    except ValueError:
        return True
    return False


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _is_tensors(data: bytes) -> bool:
    """Say whether it is safetensors: the length of a JSON header, the header, numbers."""
    if len(data) < 8:
        return False
    (length,) = struct.unpack("<Q", data[:8])
    return bool(8 + length <= len(data) and data[8:9] == b"{" and _is_text(data[8 : 8 + length]))
