"""Explaining any model by what its answer loses when a part of a case is hidden; and testing explanations that way.

For models without an explanation of their own. Parts are fields of a record (set to the training median, or to not
known), patches of an image (Zeiler & Fergus 2014, doi:10.1007/978-3-319-10590-1_53) and atoms of a molecule (made an
unknown element; Sheridan 2019, doi:10.1021/acs.jcim.8b00825).

A patch of one grey can itself look like a lesion. Where images are aligned, as films of one view are, a patch is filled
by what training images show there in the mean, at the image's own brightness; else from around it, which leaves there
what is larger than the patch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medtasks.cases import Cases, Images, Molecules, Records
from medtasks.cases.describing import COARSE, Describer, brought_to, shaped_like
from medtasks.cases.hiding import hide_atoms
from medtasks.cases.image_files import as_float, resize
from medtasks.errors import PluginError

Values = npt.NDArray[np.float64]
Score = Callable[[Cases], Values]
"""Gives (n,) how much a model says for the class or target that is explained."""
GRID = 8
"""Patches to a side: smaller ones change no answer, larger ones tell no place."""
SIZES = (1, 2, 3)
"""Sides, in patches, of the windows that are hidden: a lesion larger than one patch is not missed, nor one smaller than
three. Up to 2 found the phantom's in .91 of 144 films, up to 3 in .92."""
FAINT = 1e-6
"""What the image's mean weighs in filling, beside 1 for a pixel in the midst of others: it counts 5 sigma from them."""
HIDDEN = 0.25
"""Share of the parts that the test of an explanation hides."""
DRAWS = 3
"""Random choices of parts that the explanation's is compared with."""
AT_ONCE = 256
"""Altered cases that are held and answered at a time."""
HELD = 2**28
"""Bytes of altered images that are held at a time, unless one alone takes more."""


def occlude(score: Score, cases: Cases, describer: Describer | None) -> npt.NDArray[Any]:
    """Return what each part of each case adds to its score: (n, fields), (n, `GRID`, `GRID`), or n arrays (atoms,).

    Raises
    ------
    PluginError
        If the kind of cases cannot be taken apart here.
    """
    whole = score(cases)
    if isinstance(cases, Records):
        columns = []
        for number in range(len(cases.fields)):
            mask = np.arange(len(cases.fields)) == number
            columns.append(whole - score(without(cases, [mask] * len(cases), describer)))
        return np.column_stack(columns)
    if isinstance(cases, Images):
        windows, sizes = _windows()
        lost = _lost(score, cases, whole, [windows] * len(cases), describer)
        maps = [_by_patch(windows, sizes, one) for one in lost]
        return np.array(maps, dtype=np.float64).reshape(len(cases), GRID, GRID)
    if isinstance(cases, Molecules):
        atoms = [np.eye(mol.GetNumAtoms(), dtype=bool) for mol in cases.mols()]
        found = np.empty(len(cases), dtype=object)
        for row, values in enumerate(_lost(score, cases, whole, atoms, describer)):
            found[row] = values
        return found
    raise PluginError(
        f"{cases.kind} cannot be explained without a model that does it itself", hint="write the model's `explain`"
    )


def _lost(
    score: Score,
    cases: Images | Molecules,
    whole: Values,
    masks: Sequence[npt.NDArray[np.bool_]],
    describer: Describer | None,
) -> list[Values]:
    """Return for each case (masks,) how much its score falls under each of its (masks, parts)."""
    counts = [len(mask) for mask in masks]
    rows = np.repeat(np.arange(len(cases)), counts)
    each = [one for mask in masks for one in mask]
    lost, step = np.empty(len(rows)), AT_ONCE
    if isinstance(cases, Images):
        pixels = max((fact.height * fact.width for fact in cases.facts()), default=1)
        step = max(1, min(step, HELD // (pixels * 3 * 4)))  # three colours of four bytes
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        lost[part] = whole[rows[part]] - score(without(cases, each[part], describer, rows[part]))
    return np.split(lost, np.cumsum(counts, dtype=np.int64))[:-1]  # behind the last case there is nothing


def _windows() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return (windows, patches) what each window of `SIZES` hides, and (windows,) its size."""
    found, sizes = [], []
    for size in SIZES:
        for down, across in np.ndindex(GRID - size + 1, GRID - size + 1):
            mask = np.zeros((GRID, GRID), dtype=bool)
            mask[down : down + size, across : across + size] = True
            found.append(mask.ravel())
            sizes.append(size)
    return np.array(found), np.array(sizes)


def _by_patch(windows: npt.NDArray[np.bool_], sizes: npt.NDArray[np.int64], lost: Values) -> Values:
    """Return (patches,) the mean over sizes of the mean loss under the windows of that size which hold the patch."""
    each = [lost[sizes == size] @ windows[sizes == size] / windows[sizes == size].sum(axis=0) for size in SIZES]
    return np.asarray(np.mean(each, axis=0))


def without(
    cases: Any,
    masks: Sequence[npt.NDArray[np.bool_]],
    describer: Describer | None,
    rows: npt.NDArray[np.int64] | None = None,
) -> Cases:
    """Return cases with the marked parts of each hidden; a mask of an image may have any resolution.

    ``rows`` names the case of each mask, where there is not one mask for each case in turn. An image that has several
    masks one after the other is read once.
    """
    rows = np.arange(len(cases)) if rows is None else rows
    if isinstance(cases, Records):
        return _records(cases.take(rows), np.array(masks), describer)
    if isinstance(cases, Images):
        usual = None if describer is None else describer.usual
        pictures: list[npt.NDArray[Any]] = []
        for row, some in groupby(zip(rows.tolist(), masks, strict=True), key=lambda pair: pair[0]):
            image = _Picture.of(as_float(cases.pixels(row)), usual)
            pictures += [image.without(mask) for _, mask in some]
        return Images(cases.ids[rows], pictures)
    hidden = [hide_atoms(cases.mol(row), mask) for row, mask in zip(rows.tolist(), masks, strict=True)]
    return Molecules(cases.ids[rows], [bytes(mol.ToBinary()) for mol in hidden], cases.standard)


def faithfulness(
    score: Score, cases: Cases, values: Sequence[npt.NDArray[Any]], describer: Describer | None, seed: int = 0
) -> float | None:
    """Return how often hiding the parts that an explanation names lowers the score more than hiding others.

    A deletion test (Petsiuk, Das & Saenko 2018, arXiv:1806.07421) against chance: of each case the quarter of the parts
    with the largest values is hidden, and as many drawn at random; 0.5 says that the explanation is no better.

    Returns
    -------
    float, or None where there is no case of at least two parts, or no hiding changes anything
    """
    rng = np.random.default_rng(seed)
    rows = np.array([i for i, one in enumerate(values) if np.size(one) > 1], dtype=np.int64)
    if not len(rows):
        return None
    some = cases.take(rows)
    whole, named = score(some), [_top(np.asarray(values[i])) for i in rows]
    ours = whole - score(without(some, named, describer))
    won = []
    for _ in range(DRAWS):
        drawn = [rng.permutation(mask.ravel()).reshape(mask.shape) for mask in named]
        theirs = whole - score(without(some, drawn, describer))
        scale = 1e-9 * max(1.0, float(np.abs(whole).max()))
        won.append(np.where(np.abs(ours - theirs) <= scale, 0.5, ours > theirs))
    if np.allclose(won, 0.5):
        return None
    return float(np.mean(won))


def _top(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mark the quarter of the parts with the largest values; of an image, patches of a grid."""
    if values.ndim == 2:
        height, width = (max(1, size // GRID) for size in values.shape)
        cut = values[: height * GRID, : width * GRID] if min(values.shape) >= GRID else values
        if min(values.shape) >= GRID:
            values = cut.reshape(GRID, height, GRID, width).mean(axis=(1, 3))
    count = max(1, round(HIDDEN * values.size))
    mask = np.zeros(values.size, dtype=bool)
    mask[np.argsort(-values.ravel(), kind="stable")[:count]] = True
    return mask.reshape(values.shape)


def _records(cases: Records, masks: npt.NDArray[np.bool_], describer: Describer | None) -> Records:
    frame = cases.frame.copy()
    medians = None if describer is None or describer.encoder is None else describer.encoder.median
    for number, field in enumerate(cases.fields):
        usual = np.nan if medians is None or field.type == "category" else float(medians[number])
        if field.type == "category":
            frame[field.name] = frame[field.name].where(~masks[:, number], None)
        else:
            frame[field.name] = frame[field.name].where(~masks[:, number], usual)
    return cases.replaced(frame)


@dataclass(frozen=True)
class _Picture:
    """An image whose parts are to be hidden.

    Attributes
    ----------
    whole : (height, width, c)
    small : (h, w, c) at a size at which hidden parts are filled; large images would take seconds
    usual : (h, w, c) what training images show there in the mean, or None
    """

    whole: npt.NDArray[np.float32]
    small: npt.NDArray[np.float32]
    usual: npt.NDArray[np.float32] | None

    @classmethod
    def of(cls, image: npt.NDArray[Any], usual: npt.NDArray[np.float32] | None) -> Self:
        whole = image.astype(np.float32)
        small = resize(whole, min(COARSE, image.shape[0]), min(COARSE, image.shape[1]))
        return cls(whole, small, None if usual is None else shaped_like(usual, small))

    def without(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """Return the image, (height, width, c), with what a mask marks filled."""
        side = mask.reshape(GRID, GRID) if mask.ndim == 1 else mask
        seen = ~_stretched(side, self.small.shape[:2])
        if self.usual is None or not seen.any():
            fill = _surroundings(self.small, seen, side)
        else:
            fill = brought_to(self.usual, self.small, seen)
        hidden = _stretched(side, self.whole.shape[:2])[:, :, None]
        return np.where(hidden, resize(fill, *self.whole.shape[:2]), self.whole)


def _surroundings(
    image: npt.NDArray[np.float32], seen: npt.NDArray[np.bool_], side: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Return the image with what is hidden filled from around it: normalised convolution (Knutsson & Westin 1993,
    doi:10.1109/CVPR.1993.341081) by a Gaussian of a quarter of a patch, the image's mean far from all that is seen."""
    from scipy.ndimage import gaussian_filter

    sigma = image.shape[0] / side.shape[0] / 4, image.shape[1] / side.shape[1] / 4, 0
    shown = seen[:, :, None]
    found = gaussian_filter((image * shown).astype(np.float64), sigma, mode="nearest", truncate=8.0)
    weight = gaussian_filter(shown.astype(np.float64), sigma, mode="nearest", truncate=8.0)
    filled = (found + FAINT * image.mean(axis=(0, 1))) / (weight + FAINT)
    return np.asarray(filled, dtype=np.float32)


def _stretched(side: npt.NDArray[np.bool_], size: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    down, across = (np.minimum(np.arange(n) * k // n, k - 1) for n, k in zip(size, side.shape, strict=True))
    return np.asarray(side[np.ix_(down, across)])
