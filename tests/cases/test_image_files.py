"""One image file: every kind decodes to the pixels it shows, every damaged one to a reason."""

from __future__ import annotations

import struct
import sys
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medtasks.cases.image_files import (
    WINDOWLESS,
    ImageError,
    as_float,
    bits_used,
    decode,
    is_grey,
    is_image,
    resize,
    stored,
)
from medtasks.cases.image_places import find_images

GREY = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8) * 5
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
DEEP = np.arange(6 * 8, dtype=np.uint16).reshape(6, 8) * 1300


def saved(path: Path, pixels: Any, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def reason(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        decode(path)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_lossless_kinds_give_back_their_pixels(tmp_path: Path, suffix: str) -> None:
    assert np.array_equal(decode(saved(tmp_path / f"g{suffix}", GREY))[:, :, 0], GREY)
    assert np.array_equal(decode(saved(tmp_path / f"c{suffix}", RGB)), RGB)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
def test_jpeg_gives_back_nearly_its_pixels(tmp_path: Path, suffix: str) -> None:
    smooth = np.tile(np.linspace(20, 230, 32), (32, 1)).astype(np.uint8)
    found = decode(saved(tmp_path / f"g{suffix}", smooth, format="JPEG", quality=95))
    assert found.shape == (32, 32, 1)
    assert np.abs(found[:, :, 0].astype(int) - smooth).max() <= 3  # quantisation at quality 95


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_kept(tmp_path: Path, suffix: str) -> None:
    found = decode(saved(tmp_path / f"d{suffix}", DEEP))
    assert found.dtype == np.uint16
    assert np.array_equal(found[:, :, 0], DEEP)
    assert as_float(found).max() == pytest.approx(DEEP.max() / 65535)


def test_float_tiff_within_0_and_1_is_kept_and_else_stretched(tmp_path: Path) -> None:
    share = np.linspace(0.25, 0.5, 48, dtype=np.float32).reshape(6, 8)
    assert np.array_equal(decode(saved(tmp_path / "a.tif", share))[:, :, 0], share)
    wide = decode(saved(tmp_path / "b.tif", share * 1000 - 300))
    assert (wide.min(), wide.max()) == (0, 1)
    share[0, 0] = np.nan
    assert "not numbers" in reason(saved(tmp_path / "c.tif", share))


def test_palette_alpha_and_bilevel_become_what_they_show(tmp_path: Path) -> None:
    palette = Image.fromarray(RGB).convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "p.png")
    assert np.array_equal(decode(tmp_path / "p.png"), np.asarray(palette.convert("RGB")))
    rgba = np.dstack([RGB, np.full((6, 8), 255, dtype=np.uint8)])
    assert np.array_equal(decode(saved(tmp_path / "rgba.png", rgba)), RGB)
    Image.fromarray(np.dstack([GREY, 255 - 0 * GREY])).save(tmp_path / "la.png")
    assert np.array_equal(decode(tmp_path / "la.png")[:, :, 0], GREY)
    Image.fromarray(GREY > 100).save(tmp_path / "one.png")
    assert np.array_equal(decode(tmp_path / "one.png")[:, :, 0], (GREY > 100) * np.uint8(255))


@pytest.mark.parametrize("pixels", [GREY, RGB, DEEP], ids=["grey", "rgb", "16 bit"])
def test_exif_orientation_is_applied(tmp_path: Path, pixels: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise to show it
    found = decode(saved(tmp_path / "e.png", pixels, exif=exif))
    assert np.array_equal(np.squeeze(found), np.rot90(pixels, -1))


def test_a_truncated_jpeg_or_png_is_damaged(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for name in ("n.jpg", "n.png", "n.tif"):
        path = saved(tmp_path / name, noise)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert "damaged" in reason(path) or "not an image" in reason(path)


def test_what_is_no_image_has_a_reason(tmp_path: Path) -> None:
    assert reason(tmp_path / "none.png") == "no such file"
    (tmp_path / "empty.png").touch()
    assert "empty" in reason(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("patient: John Doe")
    assert "not an image" in reason(tmp_path / "text.png")
    assert "Doe" not in reason(tmp_path / "text.png")
    (tmp_path / "folder.png").mkdir()
    assert "cannot be read" in reason(tmp_path / "folder.png")
    saved(tmp_path / "x.png", GREY, format="GIF")  # a kind that medtasks does not name
    assert "not an image" in reason(tmp_path / "x.png")


def png16(path: Path, pixels: Any, colour: int) -> Path:
    """Write a PNG with 16 bits per channel, which Pillow cannot: colour type 2 is RGB, 4 grey with alpha."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    packed = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + packed)
    return path


def test_colour_of_16_bits_is_read_in_8_and_refused_where_that_loses_it(tmp_path: Path) -> None:
    wide = RGB.astype(np.uint16) * 257
    assert np.array_equal(decode(png16(tmp_path / "wide.png", wide, 2)), RGB)
    assert "upper 8" in reason(png16(tmp_path / "narrow.png", RGB.astype(np.uint16) * 16, 2))
    assert "upper 8" in reason(png16(tmp_path / "la.png", (RGB[:, :, :2] // 32).astype(np.uint16) * 257, 4))
    dark = decode(saved(tmp_path / "dark.png", RGB // 32))  # 8 bits are as they are
    assert np.array_equal(dark, RGB // 32)


def bomb(path: Path, side: int) -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    packed = zlib.compress(b"\0" * 1000)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("side", [10_001, 11_000, 20_000])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, side: int) -> None:
    path = bomb(tmp_path / "b.png", side)
    assert path.stat().st_size < 1000
    assert "pixels" in reason(path)


def test_several_frames_are_refused_with_their_number(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY + i) for i in range(3)]
    pages[0].save(tmp_path / "m.tif", save_all=True, append_images=pages[1:])
    assert "3 frames" in reason(tmp_path / "m.tif")


# --- DICOM ---


SLICE = np.array([[1000, 1050], [1064, 1100]], dtype=np.uint16)
CT = {"BitsStored": 12, "HighBit": 11, "RescaleSlope": 1, "RescaleIntercept": -1024}


def test_dicom_without_a_window_is_scaled_by_its_bits(tmp_path: Path, make_dicom: Any) -> None:
    found = decode(make_dicom(tmp_path / "a.dcm", DEEP))
    assert found.dtype == np.float32
    assert found[:, :, 0] == pytest.approx(DEEP / 65535, abs=1e-6)
    twelve = decode(make_dicom(tmp_path / "b.dcm", SLICE, **CT))
    assert twelve[:, :, 0] == pytest.approx(SLICE / 4095, abs=1e-6)
    signed = decode(make_dicom(tmp_path / "c.dcm", SLICE.astype(np.int16), **CT))
    assert signed[:, :, 0] == pytest.approx((SLICE + 2048) / 4095, abs=1e-6)


def test_dicom_of_8_bits_without_a_window_is_as_its_png(tmp_path: Path, make_dicom: Any) -> None:
    png = as_float(decode(saved(tmp_path / "a.png", GREY)))
    assert decode(make_dicom(tmp_path / "a.dcm", GREY)) == pytest.approx(png, abs=1e-6)
    assert decode(make_dicom(tmp_path / "a.dcm", GREY), (0, 100)) == pytest.approx(png, abs=1e-6)


@pytest.mark.parametrize(
    ("tags", "grey"),
    [
        ({"WindowCenter": 40, "WindowWidth": 400}, (26 - 39.5) / 399 + 0.5),
        ({"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "LINEAR_EXACT"}, (26 - 40) / 400 + 0.5),
        ({"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "SIGMOID"}, 1 / (1 + np.exp(4 * 14 / 400))),
        ({"WindowCenter": [40, -600], "WindowWidth": [400, 1500]}, (26 - 39.5) / 399 + 0.5),
        ({"WindowCenter": 40, "WindowWidth": 0}, 1050 / 4095),  # which says nothing
        ({"WindowCenter": 40}, 1050 / 4095),
        ({"WindowCenter": "", "WindowWidth": 400}, 1050 / 4095),
        ({}, 1050 / 4095),
        ({"RescaleSlope": 0.5, "RescaleIntercept": -512, "WindowCenter": 20, "WindowWidth": 200.5}, None),
        ({"RescaleSlope": -1}, 1 - 1050 / 4095),
    ],
)
def test_a_value_has_the_same_grey_whatever_else_is_in_its_slice(
    tmp_path: Path, make_dicom: Any, tags: dict[str, Any], grey: float | None
) -> None:
    wide = SLICE.copy()
    wide[0, 0], wide[1, 1] = 0, 4095
    for name, pixels in (("narrow.dcm", SLICE), ("wide.dcm", wide)):
        found = decode(make_dicom(tmp_path / name, pixels, **{**CT, **tags}))
        expected = (13 - 19.5) / 199.5 + 0.5 if grey is None else grey
        assert found[0, 1, 0] == pytest.approx(expected, abs=1e-4)
        inverted = {**CT, **tags, "PhotometricInterpretation": "MONOCHROME1"}
        assert decode(make_dicom(tmp_path / name, pixels, **inverted))[0, 1, 0] == pytest.approx(1 - expected, abs=1e-4)


def test_a_voi_lut_says_what_is_black_and_white(tmp_path: Path, make_dicom: Any) -> None:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.LUTDescriptor, item.LUTData = [101, 1000, 10], np.linspace(0, 1023, 101).astype(int).tolist()
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    values = np.array([[0, 1000], [1050, 4000]], dtype=np.uint16)
    found = decode(make_dicom(tmp_path / "a.dcm", values, VOILUTSequence=[item], WindowCenter=9, WindowWidth=9))
    assert found[:, :, 0] == pytest.approx(np.array([[0, 0], [511 / 1023, 1]]), abs=1e-6)


def test_a_declared_range_holds_for_dicom_without_a_window_only(tmp_path: Path, make_dicom: Any) -> None:
    bare = make_dicom(tmp_path / "a.dcm", SLICE, **CT)
    assert decode(bare, (-24, 76))[:, :, 0] == pytest.approx((SLICE - 1000.0) / 100, abs=1e-4)
    dark = make_dicom(tmp_path / "b.dcm", SLICE, **CT, PhotometricInterpretation="MONOCHROME1")
    assert decode(dark, (-24, 76))[:, :, 0] == pytest.approx(1 - (SLICE - 1000.0) / 100, abs=1e-4)
    windowed = make_dicom(tmp_path / "c.dcm", SLICE, **CT, WindowCenter=40, WindowWidth=400)
    assert decode(windowed, (-24, 76))[0, 1, 0] == pytest.approx(0.466, abs=1e-3)
    assert (bits_used(stored(bare)), bits_used(stored(windowed))) == (WINDOWLESS, 0)


def test_monochrome1_is_inverted(tmp_path: Path, make_dicom: Any) -> None:
    plain = decode(make_dicom(tmp_path / "a.dcm", DEEP))
    inverted = decode(make_dicom(tmp_path / "b.dcm", DEEP, PhotometricInterpretation="MONOCHROME1"))
    assert inverted == pytest.approx(1 - plain)


def test_rescale_and_window_are_applied(tmp_path: Path, make_dicom: Any) -> None:
    values = np.array([[0, 500, 1000], [1100, 1200, 3000]], dtype=np.int16)
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1000, "WindowCenter": 100, "WindowWidth": 200}
    found = decode(make_dicom(tmp_path / "ct.dcm", values, **tags))[:, :, 0]
    # -1000, -500 and 0 HU lie below the window of 0 to 200 HU; 100 is its middle; 200 and 2000 are white
    assert found[0] == pytest.approx([0, 0, 0], abs=0.01)
    assert found[1] == pytest.approx([0.5, 1, 1], abs=0.01)


def test_colour_dicom_gives_back_its_pixels(tmp_path: Path, make_dicom: Any) -> None:
    assert np.array_equal(decode(make_dicom(tmp_path / "c.dcm", RGB)), RGB)


def test_a_palette_dicom_shows_its_colours_not_its_indices(tmp_path: Path, make_dicom: Any) -> None:
    indices = np.array([[0, 1], [2, 3]], dtype=np.uint8)
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, values in {"Red": [0, 255, 0, 9], "Green": [0, 0, 255, 9], "Blue": [255, 0, 0, 9]}.items():
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [4, 0, 8]
        tags[f"{name}PaletteColorLookupTableData"] = bytes(values)
    found = as_float(decode(make_dicom(tmp_path / "p.dcm", indices, **tags)))
    assert found[0, 0] == pytest.approx([0, 0, 1], abs=0.01)
    assert found[0, 1] == pytest.approx([1, 0, 0], abs=0.01)


@pytest.mark.parametrize("name", ["IM0001", "1.2.840.113619.2.5.7", "IM-0001.001", "scan.IMA", "MR.1.2.840.x"])
def test_dicom_under_any_name_is_found_and_read(tmp_path: Path, make_dicom: Any, name: str) -> None:
    path = make_dicom(tmp_path / name, DEEP)
    assert is_image(path)
    assert find_images(tmp_path) == [path]
    assert decode(path).shape == (6, 8, 1)


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({"NumberOfFrames": 2}, "2 frames"),
        ({"PixelData": None}, "no image"),
        ({"Rows": 20_000, "Columns": 20_000}, "pixels"),
        ({"Rows": 60}, "cannot be decoded"),
        ({"Rows": None}, "cannot be decoded"),
    ],
)
def test_dicom_that_cannot_be_used_has_a_reason(
    tmp_path: Path, make_dicom: Any, tags: dict[str, Any], says: str
) -> None:
    pixels = np.stack([DEEP, DEEP]) if "NumberOfFrames" in tags else DEEP
    found = reason(make_dicom(tmp_path / "a.dcm", pixels, **tags))
    assert says in found
    assert "Secret" not in found


def test_damaged_dicom_has_a_reason(tmp_path: Path, make_dicom: Any) -> None:
    path = make_dicom(tmp_path / "a.dcm", DEEP)
    path.write_bytes(path.read_bytes()[:-40])
    assert "cannot be decoded" in reason(path)
    (tmp_path / "text.dcm").write_text("no DICOM at all")
    assert "cannot be decoded" in reason(tmp_path / "text.dcm")


def test_dicom_without_pydicom_says_what_to_install(
    tmp_path: Path, make_dicom: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_dicom(tmp_path / "a.dcm", DEEP)
    for name in [name for name in sys.modules if name.split(".")[0] == "pydicom"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert "medtasks[dicom]" in reason(path)


# --- helpers ---


def test_threads_leave_the_warning_filters_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first to enter leaves first: what the second restores must not be what it found."""
    path, real = saved(tmp_path / "a.png", GREY), Image.open
    within = {"first": threading.Event(), "second": threading.Event()}
    first = threading.Thread(target=decode, args=(path,), name="first")

    def slow(*args: Any, **kwargs: Any) -> Any:
        me = threading.current_thread().name
        within[me].set()
        if me == "first":
            assert within["second"].wait(10)
        else:
            first.join(10)
        return real(*args, **kwargs)

    monkeypatch.setattr(Image, "open", slow)
    before = list(warnings.filters)
    second = threading.Thread(target=decode, args=(path,), name="second")
    first.start()
    assert within["first"].wait(10)
    second.start()
    second.join(20)
    assert list(warnings.filters) == before


def test_as_float_scales_by_the_type() -> None:
    assert as_float(np.array([0, 255], dtype=np.uint8)).tolist() == [0, 1]
    assert as_float(np.array([0, 65535], dtype=np.uint16)).tolist() == [0, 1]
    assert as_float(np.array([0.5])).dtype == np.float32


def test_resize_keeps_the_mean_and_makes_no_pattern_when_shrinking() -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2).astype(np.float32)[:, :, None]
    small = resize(board, 8, 8)
    assert small.shape == (8, 8, 1)
    assert small == pytest.approx(np.full((8, 8, 1), 0.5), abs=0.05)  # without anti-aliasing 0 or 1
    ramp = np.tile(np.linspace(0, 1, 16, dtype=np.float32), (10, 1))[:, :, None]
    assert np.all(np.diff(resize(ramp, 5, 40)[2, :, 0]) >= 0)


def test_colour_is_told_from_grey_stored_as_rgb(tmp_path: Path) -> None:
    grey = np.repeat(GREY[:, :, None], 3, axis=2)
    assert is_grey(grey)
    assert is_grey(decode(saved(tmp_path / "g.jpg", np.kron(grey, np.ones((8, 8, 1), dtype=np.uint8)))))
    assert not is_grey(RGB)


def test_only_images_count_as_images(tmp_path: Path) -> None:
    for name in ("a.png", "b.JPG", "c.tiff", "d.dcm"):
        assert is_image(tmp_path / name)
    for name in ("README", "1.2.840"):
        (tmp_path / name).write_text("no DICOM")
    for name in ("README", "1.2.840", "notes.txt", "Thumbs.db", "x.csv", "absent"):
        assert not is_image(tmp_path / name)
