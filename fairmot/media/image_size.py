"""An image's size from its header: thousands of images are checked without decoding one."""

import struct
from pathlib import Path
from typing import BinaryIO

from fairmot.errors import DataError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD8)) | {0x01}


def read_image_size(path: Path) -> tuple[int, int]:
    """(height, width) of a JPEG or PNG file in pixels.

    Raises:
        DataError: it cannot be read, is neither, or its header ends too early.
    """
    try:
        with path.open("rb") as stream:
            signature = stream.read(8)
            if signature == _PNG_SIGNATURE:
                _, width, height = struct.unpack(">8sII", stream.read(16))
            elif signature.startswith(b"\xff\xd8"):
                stream.seek(2)
                height, width = _jpeg_size(stream)
            else:
                raise DataError(f"{path}: neither a JPEG nor a PNG image; is the download complete?")
    except OSError as error:
        raise DataError(f"{path}: cannot read this image: {error.strerror}") from error
    except struct.error as error:
        raise DataError(f"{path}: the image's header is broken; is the download complete?") from error
    if height == 0 or width == 0:
        raise DataError(f"{path}: the image's header says {width}x{height} pixels; is the download complete?")
    return height, width


def _jpeg_size(stream: BinaryIO) -> tuple[int, int]:
    """Walk the segments to the start of frame, which holds precision, height and width."""
    while True:
        lead, marker = struct.unpack(">BB", stream.read(2))
        while marker == 0xFF:  # fill bytes may stand before a marker
            (marker,) = struct.unpack(">B", stream.read(1))
        if lead != 0xFF or marker in (0xD9, 0xDA):
            raise struct.error("no start of frame before the picture's data")
        if marker in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack(">H", stream.read(2))
        if marker in _START_OF_FRAME:
            _, height, width = struct.unpack(">BHH", stream.read(5))
            return height, width
        stream.seek(length - 2, 1)
