"""What an audit asks of images: near copies, blank films, and labels that stand at the edge or in the file's form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.auditing.findings import Finding, Subject
from medtasks.auditing.leaks import from_columns, from_field
from medtasks.cases import Images
from medtasks.cases.image_files import as_float, resize
from medtasks.cases.images import parallel
from medtasks.words import plural

Pixels = npt.NDArray[np.float32]

SIDE = 32
"""Pixels of the small grey copies: what is seen in them is what makes two films the same."""
CORNER = 8
"""Most pixels of a corner that is looked at; of small images an eighth of the side."""
ALIKE, ALIKE_IN_DETAIL = 0.95, 0.85
"""Correlations of two small copies, the mean image taken off, and of their details, above which they are one picture.
Copies with noise of 2 % of the range, JPEG at quality 50 and other brightness lie above; of PneumoniaMNIST's 17 million
pairs of different films and the phantom's 320,000 none does."""
CLOSER, CLOSER_IN_DETAIL = 0.2, 0.3
"""How much closer than an image's fifth neighbour a copy must be besides, as shares of the distance (1 less the
correlation): where all images are alike, as digits and cells are, being alike says little."""
NEIGHBOUR, ASKED = 5, 500
"""The neighbour that copies do not reach, and of how many images it is looked for."""
BLUR = 2.0
"""Standard deviation, in pixels of the small copy, of what counts as more than detail."""
FLAT = 1e-4
"""Standard deviation of an image's pixels, of the range 0 to 1, below which it shows nothing."""
LEAST = 10
"""Images below which the mean image is too much one of them for correlations to mean anything."""
BLOCK = 1024
"""Rows of the matrix of correlations made at a time."""
MOST = 20_000
"""Images that are compared with all others: above this the comparison takes minutes, and the first are taken."""


@dataclass(frozen=True)
class Looks:
    """What one pass over the images keeps of each.

    Attributes
    ----------
    small : (n, SIDE, SIDE) grey copies, 0 to 1
    corners : (n, 4, CORNER, CORNER) the corners, brought to one size
    """

    small: Pixels
    corners: Pixels


def look(images: Images) -> Looks:
    """Decode every image once."""
    n = len(images)
    small = np.empty((n, SIDE, SIDE), dtype=np.float32)
    corners = np.empty((n, 4, CORNER, CORNER), dtype=np.float32)

    def take(row: int) -> None:
        pixels = as_float(images.pixels(row))
        grey = pixels.mean(axis=2, keepdims=True) if pixels.shape[2] > 1 else pixels
        small[row] = resize(grey, SIDE, SIDE)[:, :, 0]
        side = max(1, min(CORNER, min(grey.shape[:2]) // 8))
        low, high = slice(None, side), slice(-side, None)
        for place, (down, right) in enumerate(((low, low), (low, high), (high, low), (high, high))):
            corners[row, place] = _enlarged(grey[down, right])

    for _ in parallel(take, range(n)):
        pass
    return Looks(small, corners)


def _enlarged(patch: Pixels) -> Pixels:
    """Bring a corner to one size without blending: repeats of its own pixels."""
    place = np.arange(CORNER) * patch.shape[0] // CORNER
    return np.asarray(patch[np.ix_(place, place)][:, :, 0])


def near_pairs(small: Pixels) -> npt.NDArray[np.int64]:
    """Return (p, 2) rows whose images are nearly the same, by blocks of correlations; equal ones are among them."""
    rows = np.flatnonzero(small.reshape(len(small), -1).std(axis=1) > FLAT)[:MOST]
    if len(rows) < LEAST:
        return np.empty((0, 2), dtype=np.int64)
    from scipy.ndimage import gaussian_filter

    kept = small[rows]
    whole = _standard(kept)
    details = _standard(kept - gaussian_filter(kept, (0, BLUR, BLUR)))
    alike = max(ALIKE, 1 - CLOSER * _usual(whole))
    fine_enough = max(ALIKE_IN_DETAIL, 1 - CLOSER_IN_DETAIL * _usual(details))
    found = []
    for start in range(0, len(rows), BLOCK):
        block = whole[start : start + BLOCK] @ whole[start:].T
        one, other = np.nonzero(block > alike)
        later = other > one
        one, other = one[later] + start, other[later] + start
        fine = np.einsum("ij,ij->i", details[one], details[other]) > fine_enough
        found.append(np.column_stack([rows[one[fine]], rows[other[fine]]]))
    return np.concatenate(found).astype(np.int64)


def _usual(flat: Pixels) -> float:
    """Return the distance (1 less the correlation) at which images usually have their fifth neighbour."""
    asked = np.random.default_rng(0).permutation(len(flat))[:ASKED]
    close = np.partition(flat[asked] @ flat.T, -NEIGHBOUR - 1, axis=1)[:, -NEIGHBOUR - 1]  # the first is the image
    return float(1 - np.median(close))


def _standard(images: Pixels) -> Pixels:
    """Return (n, pixels), each of mean 0 and length 1 after the mean image was taken off."""
    flat = _unit(images.reshape(len(images), -1))
    return _unit(flat - flat.mean(axis=0))


def _unit(flat: Pixels) -> Pixels:
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(length, 1e-6), dtype=np.float32)  # 1e-6: a flat image stays 0


def blank(subject: Subject, small: Pixels) -> list[Finding]:
    """Tell of images that show one shade only."""
    rows = np.flatnonzero(small.reshape(len(small), -1).std(axis=1) <= FLAT)
    if not len(rows):
        return []
    title = f"{plural(len(rows), 'image')} {'shows' if len(rows) == 1 else 'show'} one shade and nothing else"
    return [Finding("warning", "values", title, "leave them out: nothing can be learnt from them", len(rows),
                    subject.ids(rows))]  # fmt: skip


def edges(subject: Subject, looks: Looks) -> list[Finding]:
    """Ask whether the corners tell the label, where no finding should lie (a marker, a collimator, a scanner)."""
    corners = looks.corners.reshape(len(subject), -1).astype(np.float64)
    each = looks.corners.reshape(len(subject), 4, -1)
    columns = np.column_stack([corners, *(reduce(each, axis=2) for reduce in (np.mean, np.std, np.min, np.max))])
    return from_columns(
        subject,
        columns,
        "the four corners of the image alone tell",
        "look at the corners: crop or mask markers and borders, and make sure that the classes were taken the same way",
    )


def form(subject: Subject, images: Images) -> list[Finding]:
    """Ask whether the size, the colour or the depth of an image's file tells the label."""
    facts = images.facts()
    size = np.array([(fact.height, fact.width) for fact in facts], dtype=np.float64)
    sizes = {"height": size[:, 0], "width": size[:, 1], "ratio of height and width": size[:, 0] / size[:, 1]}
    others = {
        "colour mode": np.array([float(fact.grey) for fact in facts]),
        "bit depth": np.array([float(fact.bits) for fact in facts]),
    }

    def ask(told: dict[str, Any]) -> list[Finding]:
        advice = "the classes were made in different ways: bring all images to one form, and ask what else differs"
        return [
            one
            for name, values in told.items()
            for one in from_field(subject, values, f"the images' {name} alone tells", advice, strong=0.9)
        ]

    return ask(sizes)[:1] + ask(others)  # height, width and their ratio say one thing


def shift_columns(small: Pixels) -> npt.NDArray[np.float64]:
    """Return (n, d): 16 x 16 grey pixels, the distribution of intensity, and how much detail there is."""
    from scipy.ndimage import gaussian_filter

    n = len(small)
    pooled = small.reshape(n, 16, SIDE // 16, 16, SIDE // 16).mean(axis=(2, 4)).reshape(n, -1)
    flat = small.reshape(n, -1)
    spread = np.quantile(flat, (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99), axis=1).T
    detail = (small - gaussian_filter(small, (0, 1, 1))).reshape(n, -1).std(axis=1)
    slope = [np.abs(np.diff(small, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)]
    stacked: Any = np.column_stack([pooled, flat.mean(axis=1), flat.std(axis=1), spread, detail, *slope])
    return np.asarray(stacked, dtype=np.float64)
