"""Cases that are images, read lazily and in parallel, never a whole folder in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt

from medtasks.cases.base import CHUNK, Cases, Reading, Schema, Source
from medtasks.cases.columns import COHORT
from medtasks.cases.image_files import (
    Deep,
    ImageError,
    Pixels,
    Range,
    as_float,
    bits_used,
    decode,
    is_grey,
    resize,
    scaled,
    stored,
)
from medtasks.cases.image_places import locate
from medtasks.cases.taking import check_source
from medtasks.errors import BundleError, DataError
from medtasks.machine import cores

CHUNK_BYTES = 256 * 2**20
"""Decoded pixels held at a time when predicting; a chunk of large images is cut short here."""

_R = TypeVar("_R")
_T = TypeVar("_T")


@dataclass(frozen=True)
class ImageFacts:
    """What a first look at an image tells.

    ``height`` and ``width`` in pixels, whether it is ``grey``, its content's hash as ``digest``, and the ``bits`` that
    it uses as `medtasks.cases.image_files.bits_used` tells them.
    """

    height: int
    width: int
    grey: bool
    digest: str
    bits: int = 0


class Images(Cases):
    """Images, each in a file or in memory; a model asks for them at the size it wants.

    Parameters
    ----------
    ids
        One name per image.
    items
        One path per image, or one (height, width[, channels]) array per image: uint8, uint16, or
        floating point in [0, 1].
    facts
        What `inspect` told about each image; found out when first needed where None.
    within
        The values that count as black and white in images of more than 8 bits; see `decode`.
    cohorts
        The group of each that sets are calibrated within (a site, a scanner), if there is one.

    Examples
    --------
    >>> images = Images(["a", "b"], np.zeros((2, 8, 8), dtype=np.uint8))
    >>> images.load((4, 4), channels=3).shape
    (2, 4, 4, 3)
    """

    kind: ClassVar[str] = "images"

    def __init__(
        self,
        ids: Sequence[str] | npt.NDArray[Any],
        items: Sequence[Path | Pixels] | Pixels,
        facts: Sequence[ImageFacts] | None = None,
        within: Range | None = None,
        cohorts: Sequence[str | None] | npt.NDArray[Any] | None = None,
    ) -> None:
        super().__init__(ids, cohorts)
        if len(ids) != len(items):
            raise ValueError(f"{len(ids)} ids for {len(items)} images")
        self._items = items
        self._within = within
        self._rows = np.arange(len(items))
        self._facts = list(facts) if facts is not None else None

    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """Return the given images, in the given order, without reading them."""
        part = object.__new__(type(self))
        part.ids, part._items, part._rows = self.ids[rows], self._items, self._rows[rows]
        part._within, part.cohorts = self._within, None if self.cohorts is None else self.cohorts[rows]
        part._facts = [self._facts[i] for i in rows] if self._facts is not None else None
        return part

    def schema(self) -> Schema:
        """Describe the images: ``channels`` (1 where all are grey, else 3), the median size, the declared range."""
        facts = self.facts()
        sizes = np.array([(fact.height, fact.width) for fact in facts])
        height, width = np.median(sizes, axis=0).astype(int).tolist()
        return {
            "kind": self.kind,
            "channels": 1 if all(fact.grey for fact in facts) else 3,
            "height": height,
            "width": width,
            **({} if self._within is None else {"within": list(self._within)}),
        }

    def digests(self) -> list[str]:
        """Return the SHA-256 of each image's decoded pixels."""
        return [fact.digest for fact in self.facts()]

    def facts(self) -> list[ImageFacts]:
        """Return each image's size, colour and digest, decoding them all once."""
        if self._facts is None:
            self._facts = list(parallel(lambda i: inspect(self._stored(i), self._within), range(len(self))))
        return self._facts

    def files(self) -> list[Path | None]:
        """Return each image's file; None where it is in memory."""
        found: list[Path | None] = []
        for row in self._rows.tolist():
            item: Path | Pixels = self._items[row]
            found.append(item if isinstance(item, Path) else None)
        return found

    def pixels(self, row: int) -> Pixels:
        """Return one image, scaled by the declared range if there is one: (height, width, channels).

        Raises
        ------
        DataError
            If the image's file has changed or vanished since it was first read.
        """
        return scaled(self._stored(row), self._within)

    def _stored(self, row: int) -> Pixels | Deep:
        item: Path | Pixels = self._items[self._rows[row]]
        if not isinstance(item, Path):
            pixels = item if item.ndim == 3 else item[:, :, None]
            return Deep(pixels) if pixels.dtype == np.uint16 else pixels
        try:
            return stored(item)
        except ImageError as error:
            raise DataError(
                f"image {self.ids[row]!r} could be read before and now cannot: {error}",
                hint="leave the files in place while medtasks works",
            ) from None

    def load(
        self, size: tuple[int, int], channels: int = 1, rows: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return images at one size, decoded in parallel.

        Parameters
        ----------
        size
            (height, width) in pixels; images are stretched to it, bilinear with anti-aliasing.
        channels
            1 for grey (ITU-R 601 luma of colour images), 3 for RGB.
        rows
            Which images; all of them where None.

        Returns
        -------
        (n, height, width, channels) float32 array in [0, 1]
        """
        wanted = range(len(self)) if rows is None else rows.tolist()
        out = np.empty((len(wanted), *size, channels), dtype=np.float32)

        def fill(place: int) -> None:
            pixels = _with_channels(as_float(self.pixels(wanted[place])), channels)
            out[place] = resize(pixels, *size)

        for _ in parallel(fill, range(len(wanted))):
            pass
        return out

    @classmethod
    def check_schema(cls, schema: Schema) -> None:
        """Refuse a range that is none."""
        _range_of(schema)

    @classmethod
    def read(cls, source: Source, schema: Schema, *, chunk: int = CHUNK) -> Iterator[Reading[Self]]:
        """Read a file, a folder, a glob, a manifest (column ``path``) or an ``.npz``; see `Cases.read`."""
        # Any image that decodes can be brought to what a model wants: the schema only names a manifest's columns, and
        # what counted as black and white in training.
        check_source(
            source,
            "images are given as a path, a glob, a table or cases",
            "name their files in a table's column 'path'",
        )
        within = _range_of(schema)
        if isinstance(source, (str, Path)):
            source = Path(source).expanduser()
            if source.suffix.lower() == ".npz":
                yield from _read_arrays(cls, source, chunk, within)
                return
        columns = schema.get("path", "path"), schema.get("id", "id"), schema.get(COHORT)
        for ids, paths, cohorts in locate(source, chunk, columns):
            yield from _read_files(cls, ids, paths, cohorts, within)


def inspect(image: Pixels | Deep, within: Range | None = None) -> ImageFacts:
    """Look at one image's pixels."""
    pixels = scaled(image, within)
    whole = hashlib.sha256(repr((pixels.shape, pixels.dtype.str)).encode())
    whole.update(np.ascontiguousarray(pixels).tobytes())
    return ImageFacts(pixels.shape[0], pixels.shape[1], is_grey(pixels), whole.hexdigest(), bits_used(image))


def inspect_files(paths: Sequence[Path], within: Range | None = None) -> Iterator[ImageFacts | ImageError]:
    """Decode each file once, in parallel, and tell its facts or why it cannot be used."""

    def look(path: Path) -> ImageFacts | ImageError:
        try:
            return inspect(stored(path), within)
        except ImageError as error:
            return error

    yield from parallel(look, paths)


def parallel(work: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
    """Apply ``work`` to each item in threads (decoders release the GIL), in order, a bounded stretch ahead."""
    workers = cores()
    waiting: list[Any] = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= 4 * workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _with_channels(pixels: npt.NDArray[np.float32], channels: int) -> npt.NDArray[np.float32]:
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    luma = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as Pillow's mode L
    return (pixels @ luma)[:, :, None]


def _range_of(schema: Schema) -> Range | None:
    if schema.get("within") is None:
        return None
    try:
        low, high = map(float, schema["within"])
    except (TypeError, ValueError):
        low = high = 0.0
    if not low < high:
        raise BundleError("the range of pixels that the model needs cannot be read", hint="train the model again")
    return low, high


def _read_files(
    cls: type[Images],
    ids: list[str],
    paths: list[Path | str],
    cohorts: npt.NDArray[Any] | None,
    within: Range | None,
) -> Iterator[Reading[Any]]:
    def look(path: Path | str) -> Pixels | str:
        if isinstance(path, str):
            return path
        try:
            return decode(path, within)
        except ImageError as error:
            return str(error)

    done: list[Pixels | str] = []
    start = held = 0
    for found in parallel(look, paths):
        done.append(found)
        held += 0 if isinstance(found, str) else found.nbytes
        if held >= CHUNK_BYTES:
            yield _reading(cls, ids, done, cohorts, start)
            start, held, done = start + len(done), 0, []
    if done:
        yield _reading(cls, ids, done, cohorts, start)


def _reading(
    cls: type[Images], ids: list[str], found: list[Pixels | str], cohorts: npt.NDArray[Any] | None, start: int
) -> Reading[Any]:
    """Return what was found of the ids from ``start`` on."""
    valid = [(start + i, item) for i, item in enumerate(found) if not isinstance(item, str)]
    groups = None if cohorts is None else [cohorts[row] for row, _ in valid]
    cases = cls([ids[row] for row, _ in valid], [item for _, item in valid], cohorts=groups) if valid else None
    return Reading(
        tuple(ids[start : start + len(found)]), tuple(item if isinstance(item, str) else None for item in found), cases
    )


def _read_arrays(cls: type[Images], path: Path, chunk: int, within: Range | None) -> Iterator[Reading[Any]]:
    """Read every image of an ``.npz``: the key ``images``, or MedMNIST's train, val and test in this order."""
    arrays = load_npz(path)
    keys = [key for key in ("images", "train_images", "val_images", "test_images") if key in arrays]
    if not keys:
        raise DataError(f"{path} has no array 'images'", hint=f"it has: {', '.join(arrays) or 'nothing'}")
    for key in keys:
        images = check_image_array(arrays[key], f"{path}: {key}")
        for start in range(0, len(images), chunk):
            part = images[start : start + chunk]
            ids = [f"{key.removesuffix('_images')}-{start + i}" for i in range(len(part))]
            yield Reading(tuple(ids), (None,) * len(ids), cls(ids, part, within=within))


def load_npz(path: Path) -> dict[str, Pixels]:
    """Read the arrays of an ``.npz`` file; anything that needs pickle is refused.

    Raises
    ------
    DataError
        If the file is missing, damaged, or holds Python objects.
    """
    if not path.is_file():
        raise DataError(f"no file {path}", hint="check the path")
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except Exception as error:  # numpy and zipfile raise many kinds on damaged files
        raise DataError(
            f"{path} is not a readable .npz file ({type(error).__name__})",
            hint="copy it again; arrays of Python objects are not read",
        ) from None


def check_image_array(images: Pixels, where: str) -> Pixels:
    """Check that an array is (n, h, w) or (n, h, w, 1 or 3) of whole numbers or of [0, 1]."""
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)) or 0 in images.shape[1:]:
        raise DataError(
            f"{where} has the shape {images.shape}",
            hint="images are (n, height, width) or (n, height, width, 1 or 3); 3-D is not supported",
        )
    if images.dtype in (np.uint8, np.uint16):
        return images
    if np.issubdtype(images.dtype, np.floating) and images.size and images.min() >= 0 and images.max() <= 1:
        return images
    raise DataError(
        f"{where} is of type {images.dtype} and not within [0, 1]",
        hint="store uint8, uint16, or floating point in [0, 1]",
    )
