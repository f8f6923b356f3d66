"""Picture files to arrays: JPEG by libjpeg-turbo, at full size or at a half, quarter or eighth of it; others by OpenCV.

OpenCV's wheels decode JPEG without the processor's vector instructions; simplejpeg brings a libjpeg-turbo that has
them. At full size both give the same pixels.
"""

from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from fairmot.errors import DataError
from fairmot.files import open_bounded, read_bounded
from fairmot.media.image_size import (
    EXIF_START,
    EXIF_WITHIN_BYTES,
    LYING,
    MOST_BYTES,
    check_pixels,
    orientation,
    read_image_size,
    size_in_header,
)

_JPEG = b"\xff\xd8"
_PNG, _BMP, _WEBP = b"\x89P", b"BM", b"RI"
_END_MARKERS = {_JPEG: b"\xff\xd9", _PNG: b"IEND"}
_SCAN = b"\xff\xda"  # progressive pictures have about ten, each of which takes the time of a whole picture
_MOST_SCANS, _MOST_SCANNED_PIXELS = 1000, 2_000_000_000
_TAIL_BYTES = 4096  # some cameras write a little after the end marker
_MOST_PIXELS_A_BYTE = 1000  # one colour, in the best of codes, makes about 340
_AS_IT_LIES = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION  # turned by the rule that also gives its size
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # EXIF orientation to OpenCV's code: 0 up-down, 1 left-right, -1 both
_REDUCTIONS = (8, 4, 2)  # other fractions of libjpeg-turbo have no vector code and cost more than the full size


def read_content(path: str) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        return read_bounded(path, MOST_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot read this image: {error.strerror}") from error


def check_whole(content: bytes, name: str) -> None:
    """Refuse a file that is cut short, of which decoders would make a half-grey picture or none.

    What stands behind a picture's end is no harm, nor is a JPEG without its end marker whose pixels are all there. A
    JPEG whose header asks for gigabytes that its content cannot fill is refused too: decoders would take minutes. So
    is a picture of more pixels than `MOST_PIXELS`, of whatever kind.

    Raises:
        DataError: the message names `name`.
    """
    kind = content[:2]
    if kind != _JPEG and (size_hw := size_in_header(content)):
        check_pixels(*size_hw, name)
    if kind == _JPEG:
        _check_jpeg(content, name)
    elif kind == _PNG and _END_MARKERS[_PNG] not in content:
        raise _cut_short(name, "PNG", content, "no end marker")
    elif kind in (_BMP, _WEBP):
        said = int.from_bytes(content[2:6] if kind == _BMP else content[4:8], "little") + 8 * (kind == _WEBP)
        if said > len(content):
            raise _cut_short(name, "BMP" if kind == _BMP else "WebP", content, f"{said} by its header")


def _check_jpeg(content: bytes, name: str) -> None:
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(content)
    except ValueError:
        height = width = 0  # for the decoder to judge
    check_pixels(height, width, name)
    if height * width > _MOST_PIXELS_A_BYTE * len(content):
        raise DataError(
            f"{name}: the header says {width}x{height} pixels, more than {len(content)} bytes hold; copy it again"
        )
    scans = content.count(_SCAN)
    if scans > _MOST_SCANS or scans * height * width > _MOST_SCANNED_PIXELS:
        raise DataError(
            f"{name}: {scans} scans of {width}x{height} pixels, and the limit is {_MOST_SCANS} scans or "
            f"{_MOST_SCANNED_PIXELS} pixels in all of them"
        )
    if _END_MARKERS[_JPEG] in content[-_TAIL_BYTES:]:
        return
    if not any(map(_has_all_pixels, (content, content.rstrip(b"\0")))):  # zeros fill what a copy made room for
        raise _cut_short(name, "JPEG", content, "no end marker, and pixels are missing")


def _has_all_pixels(content: bytes) -> bool:
    """Whether an end marker is all that a JPEG file lacks; strictly decoded, whatever else is missing is an error."""
    smallest = {"min_height": 1, "min_width": 1, "min_factor": _REDUCTIONS[0]}
    try:
        simplejpeg.decode_jpeg(content + _END_MARKERS[_JPEG], "GRAY", strict=True, **smallest)
    except ValueError:
        return False
    return True


def _cut_short(name: str, kind: str, content: bytes, what: str) -> DataError:
    return DataError(f"{name}: {kind} file is cut short ({len(content)} bytes, {what}); copy it again")


def check_file(path: Path) -> tuple[int, int]:
    """(height, width) of a picture file that training can read; it is decoded only where its end is not in order.

    Raises:
        DataError: see `read_image_size` and `check_whole`.
    """
    size_hw = read_image_size(path)
    try:
        with open_bounded(path, MOST_BYTES) as stream:
            kind = stream.read(len(_JPEG))
            stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            if kind in _END_MARKERS and _END_MARKERS[kind] in stream.read():
                return size_hw
    except OSError as error:
        raise DataError(f"{path}: cannot read this image: {error.strerror}") from error
    if kind in (*_END_MARKERS, _BMP, _WEBP):
        check_whole(read_content(str(path)), str(path))
        return size_hw
    height, width = read_image(str(path)).shape[:2]  # a TIFF says nothing of its end
    return height, width


def read_image(path: str) -> np.ndarray:
    """Decode a picture file: uint8 [H, W, 3], BGR, turned upright as its EXIF data says.

    Raises:
        DataError: the file cannot be read, or see `decode`.
    """
    return decode(read_content(path), path)


def decode(content: bytes, name: str) -> np.ndarray:
    """Decode a picture: uint8 [H, W, 3], BGR, turned upright as its EXIF data says.

    Args:
        content: a whole picture file.
        name: where it is from, for messages.

    Raises:
        DataError: the content is cut short, or is no picture.
    """
    return decode_reduced(content, name, None)[0]


def decode_reduced(
    content: bytes, name: str, fit_hw: tuple[float, float] | None
) -> tuple[np.ndarray, tuple[int, int], int]:
    """Decode no more than is needed of a picture that will be shrunk to fit into `fit_hw`.

    A pixel of the result covers `reduction` x `reduction` pixels of the picture; at the right and lower border some of
    these may lie outside it.

    Args:
        content: a whole picture file.
        name: where it is from, for messages.
        fit_hw: height and width, pixels; the result is at least as large as the picture would be in there. None: full
            size.

    Returns:
        uint8 [h, w, 3] BGR, turned upright; the height and width of the whole picture; the reduction: 1, 2, 4 or 8.

    Raises:
        DataError: the content is cut short, or is no picture.
    """
    check_whole(content, name)
    if content.startswith(_JPEG) and EXIF_START not in content[:EXIF_WITHIN_BYTES]:
        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(content)
            reduction = _reduction((height, width), fit_hw)
            smallest_hw = {"min_height": -(-height // reduction), "min_width": -(-width // reduction)}
            image = simplejpeg.decode_jpeg(content, "BGR", strict=False, min_factor=reduction, **smallest_hw)
            return image, (height, width), reduction
        except ValueError:
            pass  # such as CMYK: OpenCV reads a little more, or refuses it too
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), _AS_IT_LIES) if content else None
    except cv2.error:  # its header asks for more than 2^30 pixels
        image = None
    if image is None:
        raise DataError(f"{name}: not a picture that can be decoded ({len(content)} bytes)")
    image = _upright(image, orientation(content))
    height, width = image.shape[:2]
    reduction = _reduction((height, width), fit_hw)
    return _shrink(image, reduction), (height, width), reduction


def _upright(image: np.ndarray, turned: int) -> np.ndarray:
    """The picture as EXIF orientation `turned` means it."""
    if turned in LYING:
        image = cv2.transpose(image)
    return cv2.flip(image, _FLIPS[turned]) if turned in _FLIPS else image


def _reduction(size_hw: tuple[int, int], fit_hw: tuple[float, float] | None) -> int:
    """The strongest reduction after which a picture need not be enlarged to fill `fit_hw`; 1 without one."""
    if fit_hw is None:
        return 1
    ratio = min(fit_hw[0] / size_hw[0], fit_hw[1] / size_hw[1])
    return next((reduction for reduction in _REDUCTIONS if reduction * ratio <= 1), 1)


def _shrink(image: np.ndarray, reduction: int) -> np.ndarray:
    """Means over squares of `reduction` pixels; incomplete ones at the border repeat their last pixels."""
    if reduction == 1:
        return image
    height, width = (-(-side // reduction) for side in image.shape[:2])
    missing = height * reduction - image.shape[0], width * reduction - image.shape[1]
    padded = cv2.copyMakeBorder(image, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)
    return cv2.resize(padded, (width, height), interpolation=cv2.INTER_AREA)
