"""Small DICOM files, made by hand: pydicom carries none that shows what the tests need."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest


class MakeDicom(Protocol):
    def __call__(self, path: Path, pixels: Any, **tags: Any) -> Path: ...


@pytest.fixture
def make_dicom() -> MakeDicom:
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
