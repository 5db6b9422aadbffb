"""Which patient DICOM files are of, as their headers say; no identifier leaves this module."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medtasks.cases.image_files import RASTER, SILENCE
from medtasks.cases.images import Images, parallel

TAGS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
"""What tells patients apart, the best first: all of one study or series is of one patient."""
PLACEHOLDER = re.compile(
    r"(anon(ym[a-z]*)?([ _^-]*(patient|pat|subject|name|id))*|"
    r"de-?identified|unknown|none|null|nan?|n/a|removed|redacted|patient( ?id)?|[xX?*.-]*)",
    re.IGNORECASE,
)
"""What programs that anonymise write in place of a patient's identifier; ``ANON0001`` is a pseudonym, and none."""


@dataclass(frozen=True)
class Owners:
    """Which images are of one patient, as told by ``tag``.

    ``numbers`` are (n,) and count from 0 in the order of first appearance: an image of which nothing is known has one
    of its own. ``files`` are the DICOM files among the images, ``count`` the patients (studies, series) of these.
    """

    numbers: npt.NDArray[np.int64]
    tag: str
    files: int
    count: int


def owners(images: Images) -> Owners | None:
    """Tell which images are of one patient by the headers of DICOM files, which are read without their pixels.

    By `TAGS`, of which the first is taken that has different values. None where no image is DICOM; where no tag tells
    files apart, or none joins any two, ``tag`` is empty.
    """
    files = images.files()
    asked = [i for i, path in enumerate(files) if path is not None and path.suffix.lower() not in RASTER]
    headers: list[tuple[str, ...] | None] = [None] * len(files)
    for i, header in zip(asked, parallel(_header, [path for i in asked if (path := files[i])]), strict=True):
        headers[i] = header
    found = [header for header in headers if header is not None]
    if not found:
        return None
    first = next((i for i in range(len(TAGS)) if len({header[i] for header in found} - {""}) > 1), len(TAGS))
    known = {header[1]: header[0] for header in found if header[0] and header[1]}  # patients by their studies
    keys = []
    for row, header in enumerate(headers):
        values = header or ("",) * len(TAGS)
        if first == 0 and not values[0]:
            values = (known.get(values[1], ""), *values[1:])
        named = next(((TAGS[i], values[i]) for i in range(first, len(TAGS)) if values[i]), None)
        keys.append(named or ("", str(row)))
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    count = len({key for key, header in zip(keys, headers, strict=True) if header is not None})
    telling = first == 0 or (first < len(TAGS) and count < len(found))
    return Owners(np.array([numbers[key] for key in keys]), TAGS[first] if telling else "", len(found), count)


def _header(path: Path) -> tuple[str, ...] | None:
    """Return the values of `TAGS`, empty where blank; None for what is no DICOM file."""
    try:
        import pydicom

        with SILENCE:
            file = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))
            values = [str(file.get(tag) or "").strip() for tag in TAGS]
    except Exception:  # each file was decoded before: what is no DICOM, or changed since, is told elsewhere
        return None
    return tuple("" if PLACEHOLDER.fullmatch(value) else value for value in values)
