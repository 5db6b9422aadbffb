"""Decoding one image file of any kind that medicine meets: PNG, JPEG, TIFF, BMP, DICOM."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.threads import Shared

RASTER = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
SUFFIXES = (*RASTER, ".dcm", ".dicom")
UNREAD = (".gif", ".webp", ".jp2", ".heic", ".nii")
"""Suffixes of images that are not read."""
BESIDE = (".txt", ".csv", ".tsv", ".json", ".xml", ".md", ".html", ".pdf", ".log", ".py", ".npy", ".npz", ".zip", ".gz")
"""Suffixes of what often lies beside images: these are not opened to see whether they are DICOM, any other is."""
MAX_PIXELS = 100_000_000
"""Above this an image is refused: 10,000 x 10,000 is four times the largest detector in radiography."""

HALVED = ("RGB", "RGBA", "RGBX", "LA")
"""Pillow's modes of several channels, which hold 8 bits of each: of 16 it keeps the upper ones."""
FAINT = 16
"""Below this in the upper 8 of 16 bits, 12 bits or fewer were used, of which no more than 4 are left."""

Pixels = npt.NDArray[Any]
Range = tuple[float, float]
"""The values that count as black and as white in images of more than 8 bits."""


FLOATING = 32
"""What `bits_used` says of 32-bit values whose range means nothing by itself."""
WINDOWLESS = 33
"""What `bits_used` says of DICOM that has no window, so that only the range of its bits tells black from white."""


@dataclass(frozen=True)
class Deep:
    """Pixels of more than 8 bits as their file has them: uint16, or float32 of any range; see `scaled`.

    ``declared`` are the least and the greatest value that the file says it can hold, if it does; ``inverted`` says
    that small is bright.
    """

    values: Pixels
    declared: Range | None = None
    inverted: bool = False


class ImageError(ValueError):
    """One image cannot be used; the message is the reason that its row carries."""


SILENCE = Shared(lambda: warnings.catch_warnings(action="ignore"))
"""What Pillow and pydicom are called within: they remark on what is of no use here."""


def is_image(path: Path) -> bool:
    """Say whether the file counts as an image: by its suffix, or as DICOM by its preamble.

    Images of kinds that are not read count too: their rows say so, instead of being passed over. DICOM comes under any
    name: archives call it by its UID (``1.2.840.113619.2.5.7``), by numbers (``IM-0001.001``), scanners ``.IMA``.
    """
    suffix = path.suffix.lower()
    return suffix in (*SUFFIXES, *UNREAD) or (suffix not in BESIDE and _is_dicom(path))


def decode(path: Path, within: Range | None = None) -> Pixels:
    """Read an image file.

    Parameters
    ----------
    path
        PNG, JPEG, TIFF, BMP or DICOM.
    within
        What 16-bit and 32-bit PNG and TIFF are scaled by, and DICOM without a window; where None, 16 bits by the range
        of their type, 32 bits by [0, 1] or, beyond it, by their own extremes, DICOM by the range of its stored bits.
        DICOM with a window says by itself what is black and white.

    Returns
    -------
    (height, width, 1 or 3) array
        uint8, uint16, or float32 in [0, 1]; upright (EXIF), dark is small (MONOCHROME1 inverted).

    Raises
    ------
    ImageError
        If the file is missing, empty, damaged, no image, too large, or has several frames.
    """
    return scaled(stored(path), within)


def stored(path: Path) -> Pixels | Deep:
    """Read an image file without scaling its values; see `decode`."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except OSError as error:
        raise ImageError(f"the file cannot be read ({error.strerror})") from None
    if not data:
        raise ImageError("the file is empty (0 bytes)")
    if data[128:132] == b"DICM" or path.suffix.lower() in (".dcm", ".dicom"):
        return _dicom(data)
    return _raster(data)


def scaled(pixels: Pixels | Deep, within: Range | None) -> Pixels:
    """Bring deep pixels to [0, 1], by the same rule for every image; leave others as they are."""
    if not isinstance(pixels, Deep):
        return pixels
    limits = within or pixels.declared
    if limits is None:
        return pixels.values if pixels.values.dtype == np.uint16 else _stretch(pixels.values)
    shares = _shares(pixels.values, limits)
    return 1 - shares if pixels.inverted else shares


def bits_used(pixels: Pixels | Deep) -> int:
    """Return how many bits the values of a deep image need; `FLOATING` for 32 bits beyond [0, 1], 0 for others.

    Of DICOM without a window, `WINDOWLESS`.
    """
    if not isinstance(pixels, Deep):
        return 0
    if pixels.declared is not None:
        return WINDOWLESS
    if pixels.values.dtype == np.uint16:
        return int(pixels.values.max()).bit_length()
    return FLOATING if pixels.values.min() < 0 or pixels.values.max() > 1 else 0


def as_float(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Scale pixels to [0, 1] as float32: integers by the range of their type."""
    if np.issubdtype(pixels.dtype, np.integer):
        return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return pixels.astype(np.float32, copy=False)


def resize(pixels: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """Stretch (h, w, c) pixels to (height, width, c), bilinear, anti-aliased when shrinking."""
    if pixels.shape[:2] == (height, width):
        return pixels
    from PIL import Image

    channels = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(pixels[:, :, i])).resize((width, height), Image.Resampling.BILINEAR)
        )
        for i in range(pixels.shape[2])
    ]
    return np.stack(channels, axis=-1)


def is_grey(pixels: Pixels) -> bool:
    """Say whether an image holds no colour: one channel, or three that differ by less than JPEG does."""
    if pixels.shape[2] == 1:
        return True
    values = as_float(pixels[:: max(1, pixels.shape[0] // 64), :: max(1, pixels.shape[1] // 64)])
    spread = values.max(axis=2) - values.min(axis=2)
    return bool(spread.mean() < 0.01)  # chroma quantisation leaves 1 to 2 grey levels of 255


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _raster(data: bytes) -> Pixels | Deep:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        # Pillow's remarks on odd metadata are of no use; the size is checked below
        with SILENCE, Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF", "BMP")) as image:
            _check_size(*image.size)
            if getattr(image, "n_frames", 1) > 1:
                raise ImageError(f"the file holds {getattr(image, 'n_frames', 0)} frames; give one per file")
            halved = image.mode in HALVED and any(";16" in str(tile[3]) for tile in image.tile)
            image.load()
            pixels = _pixels(ImageOps.exif_transpose(image))
            if halved and not isinstance(pixels, Deep) and pixels.max() < FAINT:
                raise ImageError(
                    "of 16 bits per colour channel the upper 8 are read, and hold next to nothing; "
                    "save it with 8 bits per channel, or in grey"
                )
            return pixels
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError("not an image that can be read (PNG, JPEG, TIFF, BMP or DICOM)") from None
    except Image.DecompressionBombError:
        raise ImageError(_too_large()) from None
    except Exception as error:  # each decoder of Pillow raises errors of its own on damaged data
        raise ImageError(f"the image is damaged ({type(error).__name__})") from None


def _pixels(image: Any) -> Pixels | Deep:
    mode = image.mode
    if mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"))[:, :, None]
    if mode.startswith("I;16"):
        return Deep(np.asarray(image).astype(np.uint16)[:, :, None])
    if mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float32)[:, :, None]
        if not np.isfinite(values).all():
            raise ImageError("the image holds values that are not numbers")
        return Deep(values)
    return np.asarray(image.convert("RGB"))


def _stretch(values: npt.NDArray[np.float32]) -> Pixels:
    """Bring 32-bit values, whose range means nothing by itself, to [0, 1] by their own extremes."""
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return values
    return ((values - low) / max(high - low, 1e-12)).astype(np.float32)


def _shares(values: Pixels, limits: Range) -> Pixels:
    low, high = limits
    shares: Pixels = np.clip((values.astype(np.float32) - low) / (high - low), 0, 1).astype(np.float32)
    return shares


def _dicom(data: bytes) -> Pixels | Deep:
    try:
        import pydicom
        from pydicom.pixels import apply_color_lut, apply_modality_lut
    except ImportError:
        raise ImageError("DICOM needs pydicom: pip install 'medtasks[dicom]'") from None
    try:
        with SILENCE:  # pydicom remarks on values outside the standard; we need pixels
            file = pydicom.dcmread(io.BytesIO(data), force=False)
            frames = int(file.get("NumberOfFrames", 1) or 1)
            if frames > 1:
                raise ImageError(f"the DICOM file holds {frames} frames; export the frame you need as a file")
            if "PixelData" not in file:
                raise ImageError("the DICOM file holds no image")
            _check_size(int(file.Columns), int(file.Rows))
            if int(file.get("SamplesPerPixel", 1)) > 1:
                return _colour(pydicom, file)
            if file.get("PhotometricInterpretation") == "PALETTE COLOR":
                return as_float(apply_color_lut(file.pixel_array, file))
            values = apply_modality_lut(file.pixel_array, file)
            if not np.isfinite(values).all():
                raise ImageError("the DICOM image holds values that are not numbers")
            return _shown(values, file)
    except ImageError:
        raise
    except Exception as error:  # each decoder of pydicom raises errors of its own on damaged data
        raise ImageError(f"the DICOM image cannot be decoded ({type(error).__name__})") from None


def _shown(values: Pixels, file: Any) -> Pixels | Deep:
    """Scale rescaled values by what the file says, the same for every image: its VOI LUT, its window, or its bits."""
    inverted = file.get("PhotometricInterpretation") == "MONOCHROME1"
    shares = _by_lut(values, file)
    shares = _by_window(values, file) if shares is None else shares
    if shares is None:
        declared = _declared(file)
        if int(file.BitsStored) > 8:
            return Deep(values[:, :, None].astype(np.float32), declared, inverted)
        shares = _shares(values, declared)
    shares = shares[:, :, None].astype(np.float32)
    return 1 - shares if inverted else shares


def _by_lut(values: Pixels, file: Any) -> Pixels | None:
    from pydicom.pixels import apply_voi

    item: Any = next(iter(file.get("VOILUTSequence") or ()), {})
    if item.get("LUTDescriptor") is None or item.get("LUTData") is None:
        return None
    entries, first, bits = map(int, item.LUTDescriptor)
    # beyond the table its ends hold; pydicom casts to the table's type before it cuts there
    within = np.clip(values, first, first + (entries or 2**16) - 1)
    shares: Pixels = apply_voi(within, file) / (2**bits - 1)
    return shares


def _by_window(values: Pixels, file: Any) -> Pixels | None:
    """Apply the first window (DICOM PS3.3 C.11.2.1.2 and .3); None where there is none or its width is not above 0."""
    found = [np.atleast_1d(file.get(name) or ()) for name in ("WindowCenter", "WindowWidth")]
    if not all(map(len, found)) or (width := float(found[1][0])) <= 0:
        return None
    center, function = float(found[0][0]), str(file.get("VOILUTFunction") or "LINEAR").upper()
    if function == "SIGMOID":
        curve: Pixels = 1 / (1 + np.exp(-4 * (values - center) / width))
        return curve
    if function == "LINEAR" and width > 1:  # below, only floating-point values can be meant, as in LINEAR_EXACT
        center, width = center - 0.5, width - 1
    return np.clip((values - center) / width + 0.5, 0, 1)


def _declared(file: Any) -> Range:
    """Return the least and the greatest value that the stored bits can hold, rescaled."""
    from pydicom.pixels import apply_modality_lut

    if file.get("ModalityLUTSequence"):
        return 0.0, 2.0 ** int(file.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    bits, low = int(file.BitsStored), 0.0
    if int(file.PixelRepresentation) == 1:
        low = -(2.0 ** (bits - 1))
    ends = sorted(apply_modality_lut(np.array([low, low + 2.0**bits - 1]), file).tolist())
    if ends[0] == ends[1]:
        raise ImageError("the DICOM file has a rescale slope of 0")
    return ends[0], ends[1]


def _colour(pydicom: Any, file: Any) -> Pixels:
    """Decode to RGB; pydicom turns YBR into RGB by itself since 3.0."""
    pixels = np.asarray(pydicom.pixels.pixel_array(file))
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ImageError(f"the DICOM image has the unusual shape {pixels.shape}")
    return pixels if pixels.dtype == np.uint8 else _shares(pixels, (0.0, 2.0 ** int(file.BitsStored) - 1))


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large())
    if width < 1 or height < 1:
        raise ImageError("the image has no pixels")


def _too_large() -> str:
    return f"the image has more than {MAX_PIXELS // 1_000_000} million pixels"
