"""What a picture's header says: its size, and how it is to be turned. Thousands are checked without decoding one."""

import contextlib
import io
import struct
from pathlib import Path
from typing import BinaryIO

from PIL.BmpImagePlugin import BmpImageFile
from PIL.Image import Exif
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from fairmot.errors import DataError
from fairmot.files import open_bounded

EXIF_START = b"Exif\0\0"
EXIF_WITHIN_BYTES = 65536  # of a JPEG; what begins later turns no picture
LYING = (5, 6, 7, 8)
"""The EXIF orientations that exchange height and width."""
MOST_PIXELS = 1 << 26
"""Of a picture: 67 million, 8192x8192, which OpenCV needs 400 MB to decode; 8K has 33 million."""
MOST_BYTES = 3 * MOST_PIXELS
"""Of a picture file: so many pixels, not compressed."""
_UPRIGHT = 1
_MOST_READS = 20_000  # a header of the largest colour profiles takes some hundreds
_ORIENTATION = 0x0112
# The classes, not Image.open: that warns of large pictures and refuses the largest, which are not decoded here.
_READERS: dict[bytes, type[ImageFile]] = {
    b"\xff\xd8": JpegImageFile,
    b"\x89P": PngImageFile,
    b"BM": BmpImageFile,
    b"RI": WebPImageFile,
    b"II": TiffImageFile,
    b"MM": TiffImageFile,
}


def read_image_size(path: Path) -> tuple[int, int]:
    """(height, width) of a picture file in pixels, as `fairmot.media.picture` decodes it: turned upright.

    Raises:
        DataError: it cannot be read, is of no kind that we read, its header is damaged or ends too early, or it has
            too many pixels.
    """
    try:
        with open_bounded(path, MOST_BYTES) as stream:
            header = _read_header(stream)
            if header is None:
                raise DataError(f"{path}: neither a JPEG nor a PNG, BMP, WebP or TIFF image; is the download complete?")
            width, height = header.size
            check_pixels(height, width, str(path))
            return (width, height) if _orientation(header, stream) in LYING else (height, width)
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{path}: cannot read this image: {error.strerror}") from error
        raise DataError(f"{path}: the image's header is broken; is the download complete?") from error


def check_pixels(height: int, width: int, name: str) -> None:
    """Refuse a picture before room is made for all its pixels.

    Raises:
        DataError: it has too many; the message names `name`.
    """
    if height * width > MOST_PIXELS:
        raise DataError(
            f"{name}: {width}x{height} pixels, and the limit for a picture is {MOST_PIXELS}; make it smaller"
        )


def size_in_header(content: bytes) -> tuple[int, int] | None:
    """(height, width) in pixels as a picture file's header says, not turned; None where it cannot be read."""
    with contextlib.suppress(OSError, SyntaxError, ValueError):
        if header := _read_header(io.BytesIO(content)):
            width, height = header.size
            return height, width
    return None


def orientation(content: bytes) -> int:
    """The EXIF orientation of a picture file's content, 1 to 8; 1, which is upright, where it does not say."""
    stream = io.BytesIO(content)
    with contextlib.suppress(OSError, SyntaxError, ValueError):  # damaged: for the decoder to judge
        if header := _read_header(stream):
            return _orientation(header, stream)
    return _UPRIGHT


def _read_header(stream: BinaryIO) -> ImageFile | None:
    """None: of another kind."""
    reader = _READERS.get(stream.read(2))
    stream.seek(0)
    return reader(_FewReads(stream)) if reader else None  # type: ignore[arg-type]


class _FewReads:
    """A file that is read only so often: Pillow reads a few times for every part of a header, of which many fit in."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._left = stream, _MOST_READS
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        """See io.BufferedIOBase.read."""
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"its header takes more than {_MOST_READS} reads")
        return self._stream.read(size)


def _orientation(header: ImageFile, stream: BinaryIO) -> int:
    if "exif" not in header.info or isinstance(header, TiffImageFile):  # who reads TIFF turns it, Pillow and OpenCV
        return _UPRIGHT
    stream.seek(0)
    if isinstance(header, JpegImageFile) and EXIF_START not in stream.read(EXIF_WITHIN_BYTES):
        return _UPRIGHT
    exif = Exif()
    with contextlib.suppress(SyntaxError, ValueError, struct.error):
        exif.load(header.info["exif"])
        value = exif.get(_ORIENTATION)
        if isinstance(value, int) and 1 <= value <= 8:
            return value
    return _UPRIGHT
