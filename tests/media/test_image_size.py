"""The size that a picture's header says is the size of its pixels, however it is turned and whatever is damaged."""

import contextlib
import io
import os
import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from fairmot.errors import DataError
from fairmot.media.image_size import MOST_PIXELS, read_image_size
from fairmot.media.picture import check_file, decode, read_image
from fairmot.media.video import open_source

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
JPEG, PNG = (cv2.imencode(ending, PICTURE)[1].tobytes() for ending in (".jpg", ".png"))
XMP = b"http://ns.adobe.com/xap/1.0/\0<x/>"


def exif(orientation: int, big: bool = True) -> bytes:
    """One entry, the orientation, in either byte order."""
    if big:
        return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def segment(marker: int, content: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg(*segments: bytes) -> bytes:
    return JPEG[:2] + b"".join(segments) + JPEG[2:]


def png(content: bytes, at: int = 33) -> bytes:
    """With an eXIf chunk: behind IHDR, or elsewhere."""
    chunk = struct.pack(">I", len(content)) + b"eXIf" + content + struct.pack(">I", zlib.crc32(b"eXIf" + content))
    return PNG[:at] + chunk + PNG[at:]


@pytest.mark.parametrize("big", [True, False])
@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_size_and_pixels_are_turned_alike(tmp_path: Path, kind: str, orientation: int, big: bool) -> None:
    data = exif(orientation, big)
    content = jpeg(segment(0xE1, b"Exif\0\0" + data)) if kind == "jpeg" else png(data)
    path = tmp_path / "x"
    path.write_bytes(content)
    assert read_image_size(path) == ((40, 24) if 5 <= orientation <= 8 else (24, 40))
    turned_by_opencv = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(read_image(str(path)), turned_by_opencv)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_odd_and_damaged_exif_data(tmp_path: Path) -> None:
    """Whether such a picture is turned is a matter of taste; size and pixels must be of one taste."""
    turned = segment(0xE1, b"Exif\0\0" + exif(6))
    filler = segment(0xFE, bytes(range(1, 200)) * 300)
    contents = [
        jpeg(segment(0xE1, XMP), turned),
        jpeg(filler, filler, turned),  # beyond the bytes that are looked at
        jpeg(segment(0xFE, b"Exif\0\0" + exif(6))),  # in a comment
        jpeg(segment(0xE1, b"Exif\0\0" + exif(1)), turned),
        png(exif(6), len(PNG) - 12),  # behind the pixels
    ]
    rng = np.random.default_rng(5)
    for number in range(400):
        data = bytearray(exif(int(rng.integers(1, 9)), bool(number % 2)))
        data[rng.integers(len(data))] = rng.choice([0, 1, 2, 3, 4, 6, 255])
        cut = int(rng.integers(8, len(data) + 1)) if number % 3 == 0 else len(data)
        contents.append(jpeg(segment(0xE1, b"Exif\0\0" + bytes(data[:cut]))))
    path = tmp_path / "x.jpg"
    for content in contents:
        path.write_bytes(content)
        assert read_image_size(path) == decode(content, "x").shape[:2], content[:80]


def png_that_says(height: int, width: int) -> bytes:
    header = PNG[12:16] + struct.pack(">II", width, height) + PNG[24:29]
    return PNG[:12] + header + struct.pack(">I", zlib.crc32(header)) + PNG[33:]


def test_a_picture_of_very_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png_that_says(8192, 8192))
    assert read_image_size(path) == (8192, 8192)
    bmp = cv2.imencode(".bmp", PICTURE)[1].tobytes()
    for content in (png_that_says(30000, 30000), bmp[:18] + struct.pack("<ii", 30000, 30000) + bmp[26:]):
        path.write_bytes(content)
        for read in (read_image_size, check_file, lambda path: read_image(str(path))):
            with pytest.raises(DataError, match=rf"x\.png: 30000x30000 pixels.*limit.*{MOST_PIXELS}"):
                read(path)
        with pytest.raises(DataError, match=f"at most {MOST_PIXELS} pixels"):
            open_source(str(path))
    assert not recwarn.list


def of_kind(ending: str, orientation: int) -> bytes:
    """A picture with an orientation in its EXIF data, which is a tag of its own in a TIFF file."""
    stream = io.BytesIO()
    data = Image.Exif()
    data[0x0112] = orientation
    Image.fromarray(PICTURE[:, :, ::-1]).save(stream, ending, exif=data)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_other_kinds_are_turned_alike(tmp_path: Path, kind: str, orientation: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(of_kind(kind, orientation))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(path)))[:, :, ::-1]
    assert read_image_size(path) == check_file(path) == upright.shape[:2]
    np.testing.assert_array_equal(read_image(str(path)), upright)


def test_a_jpeg_is_whole_when_its_pixels_are(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    for content in (JPEG, JPEG[:-2], JPEG + bytes(9000), JPEG + JPEG[:-300], JPEG[:-2] + bytes(9000)):
        path.write_bytes(content)
        assert check_file(path) == PICTURE.shape[:2]
        np.testing.assert_array_equal(read_image(str(path)), decode(JPEG, "x"))
    for content in (JPEG[:-3], JPEG[: len(JPEG) // 2], JPEG[: len(JPEG) // 2] + bytes(len(JPEG))):
        path.write_bytes(content)
        for read in (check_file, lambda path: read_image(str(path))):
            with pytest.raises(DataError, match="x.jpg: JPEG file is cut short"):
                read(path)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".webp", ".tif"])
def test_other_kinds_that_are_cut_short_are_found_without_decoding_the_whole(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    content = cv2.imencode(ending, PICTURE)[1].tobytes()
    path.write_bytes(content)
    assert check_file(path) == PICTURE.shape[:2]
    path.write_bytes(content[:-20])
    for read in (check_file, lambda path: read_image(str(path))):
        with pytest.raises(DataError, match=f"x{ending}: "):
            read(path)


@pytest.mark.parametrize("kind", ["png", "jpeg", "stuffed jpeg"])
def test_a_header_of_very_many_parts_takes_no_time(kind: str, tmp_path: Path) -> None:
    chunk = struct.pack(">I", 0) + b"tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))
    made = {
        "png": lambda: PNG[:33] + chunk * 1_000_000 + PNG[33:],
        "jpeg": lambda: jpeg(segment(0xFE, b"") * 1_000_000),
        "stuffed jpeg": lambda: jpeg(b"\xff\0" * 2_000_000),
    }
    path = tmp_path / "x"
    path.write_bytes(made[kind]())
    started = time.monotonic()
    with pytest.raises(DataError, match="header is broken"):
        read_image_size(path)
    with contextlib.suppress(DataError):
        read_image(str(path))
    assert time.monotonic() - started < 2


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    """Each takes the time of a whole picture, and an empty one ten bytes."""
    progressive = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode(progressive, "x").shape == PICTURE.shape
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    with pytest.raises(DataError, match="x: [0-9]+ scans of 40x24 pixels, and the limit is 1000 scans"):
        decode(progressive[:-2] + scan * 1000 + progressive[-2:], "x")


def test_opencv_has_the_same_limit() -> None:
    assert os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] == str(MOST_PIXELS)
