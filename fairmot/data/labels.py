"""Label files: one text file an image, one object a row.

    class id x_center y_center width height

The box is divided by the image's width and height; `id` counts from 0 within its data set, -1 says
that the object has no identity. A box may reach beyond the image, or lie outside it altogether.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from fairmot.errors import DataError, excerpt
from fairmot.files import read_bounded

COLUMNS = 6
_IMAGE_FOLDER = "images"
_LABEL_FOLDER = "labels_with_ids"
LARGEST_INTEGER = 2**24
"""Of classes and identities: float32, which holds labels, has every integer up to here."""
_CENTRE_RANGE = (-1.0, 2.0)
_LARGEST_SIZE = 3.0
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BYTES_SHOWN = 256  # more letters than a message has
_MOST_BYTES = 1 << 20  # more than ten thousand objects in one image


def label_path_for(image_path: str) -> str:
    """Where the labels of an image are: its last folder `images` becomes `labels_with_ids`, its ending `.txt`.

    Raises:
        DataError: no folder of the path is named `images`.
    """
    before, found, after = f"/{image_path}".rpartition(f"/{_IMAGE_FOLDER}/")
    if not found:
        raise DataError(
            f"{image_path}: no folder named '{_IMAGE_FOLDER}' in this path, so its label file cannot be found; "
            f"expected <data set>/{_IMAGE_FOLDER}/.../<picture> beside <data set>/{_LABEL_FOLDER}/.../<picture>.txt"
        )
    folder, slash, name = after.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return f"{before}/{_LABEL_FOLDER}/{folder}{slash}{stem}.txt"[1:]


def parse_labels(content: bytes, path: str) -> np.ndarray:
    """Read the rows of one label file; blank lines count for nothing.

    Args:
        content: the file's bytes.
        path: its name, for messages.

    Returns:
        float32 [N, 6]: class, id, x centre, y centre, width, height, normalised by the image's size.

    Raises:
        DataError: a row that cannot be used; the message names `path:line`.
    """
    rows = [fields for line in content.splitlines() if (fields := line.split())]
    if not rows:
        return np.zeros((0, COLUMNS), np.float32)
    try:
        values = np.array([[float(field) for field in fields] for fields in rows], np.float64)
    except ValueError:  # not a number, or rows of different lengths
        values = None
    if values is None or values.shape[1] != COLUMNS or b"_" in content or not usable(values).all():
        number, fault = next(label_faults(content))
        raise DataError(f"{path}:{number}: {fault}")
    return values.astype(np.float32)


def usable(values: np.ndarray) -> np.ndarray:
    """Which rows a label file may hold: [N, 6] -> bool [N]."""
    # NaN and infinity fail the comparisons they take part in.
    integers, centres, sizes = values[:, :2], values[:, 2:4], values[:, 4:]
    return (
        (integers >= (0, -1)).all(1)
        & (integers <= LARGEST_INTEGER).all(1)
        & (integers == np.floor(integers)).all(1)
        & ((centres >= _CENTRE_RANGE[0]) & (centres <= _CENTRE_RANGE[1])).all(1)
        & ((sizes >= 0) & (sizes <= _LARGEST_SIZE)).all(1)
    )


def label_faults(content: bytes) -> Iterator[tuple[int, str]]:
    """(line, what is wrong with it) of each row of a label file that `parse_labels` refuses."""
    for number, line in enumerate(content.splitlines(), start=1):
        fields = line.split()
        fault = next(_row_faults(fields), None) if fields else None
        if fault:
            yield number, fault


def filled_lines(content: bytes) -> list[int]:
    """The line each row of a label file stands on."""
    return [number for number, line in enumerate(content.splitlines(), start=1) if line.strip()]


def _row_faults(fields: list[bytes]) -> Iterator[str]:
    """What is wrong with one row; only the first means anything, the later ones build on its absence."""
    if fields[0].startswith(_BYTE_ORDER_MARK):
        yield "a byte order mark stands before the row; save the file as plain text"
    if len(fields) != COLUMNS:
        yield f"{len(fields)} columns, expected {COLUMNS}: class id x_center y_center width height"
    texts = [_shown(field) for field in fields]
    for field, text in zip(fields, texts, strict=True):
        value = _number(field)
        if value is None or not math.isfinite(value):
            yield f"'{text}' is not a {'number' if value is None else 'finite number'}"
    class_id, identity, *box = map(float, fields)
    if not (0 <= class_id <= LARGEST_INTEGER and class_id.is_integer()):
        yield f"class {texts[0]} must be an integer from 0 to {LARGEST_INTEGER}"
    if not (-1 <= identity <= LARGEST_INTEGER and identity.is_integer()):
        yield f"id {texts[1]} must be an integer from 0 to {LARGEST_INTEGER}, or -1 for no identity"
    if min(box[2:]) < 0:
        yield f"box size {texts[4]} x {texts[5]} is negative"
    if min(box[:2]) < _CENTRE_RANGE[0] or max(box[:2]) > _CENTRE_RANGE[1] or max(box[2:]) > _LARGEST_SIZE:
        yield f"box {' '.join(texts[2:])} looks like pixels; divide by image width and height"


def _shown(field: bytes) -> str:
    """A field for a message: binary rubbish escaped, and not endless."""
    text = field[:_BYTES_SHOWN].decode(errors="backslashreplace")
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return excerpt(text)


def _number(field: bytes) -> float | None:
    try:
        return float(field) if b"_" not in field else None  # Python would read 1_0 as 10
    except ValueError:
        return None


def read_labels(path: str) -> np.ndarray:
    """`parse_labels` of a file.

    Raises:
        DataError: the file cannot be read, or `parse_labels` refuses it.
    """
    return parse_labels(read_label_file(path), path)


def read_label_file(path: str) -> bytes:
    """The content of a label file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return read_bounded(path, _MOST_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot read this label file: {error.strerror}") from error


def format_labels(rows: Iterable[Sequence[float]] | np.ndarray) -> str:
    """The text of a label file; `parse_labels` reads it back to 6 decimals.

    Args:
        rows: [N, 6] class, id and normalised box, as `parse_labels` returns them.
    """
    return "".join(
        f"{int(class_id)} {int(identity)} {x:.6f} {y:.6f} {width:.6f} {height:.6f}\n"
        for class_id, identity, x, y, width, height in rows
    )


def outside_image(rows: np.ndarray) -> np.ndarray:
    """Which boxes do not meet the image at all: [N, 6] -> bool [N]."""
    centres, half_sizes = rows[:, 2:4], rows[:, 4:] / 2
    return ((centres + half_sizes <= 0) | (centres - half_sizes >= 1)).any(1)
