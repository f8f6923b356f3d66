"""List files: the images of a data set, one path a line, relative to the data's root."""

# Paths are strings here: 60,000 Path objects cost seconds at every start.
# ruff: noqa: PTH118

import os
from typing import NamedTuple

from fairmot.data.labels import label_path_for
from fairmot.errors import DataError
from fairmot.files import read_bounded

_FAULTS_SHOWN = 5
_LONGEST_PATH = 4096  # the system's own limit
_MOST_BYTES, _MOST_LINES = 256 << 20, 4_000_000  # the largest public sets have two million images
_MOST_FAULTS = 1000


class ImageList(NamedTuple):
    """A list file: its images, the line each stands on, and their label files.

    Image and label paths are relative to the data's root.
    """

    name: str
    list_path: str
    image_paths: list[str]
    lines: list[int]
    label_paths: list[str]


def read_entries(list_path: str) -> list[tuple[str, int]]:
    """(image path, line) of each line that is not blank; a byte order mark and Windows' line ends are no harm.

    Raises:
        DataError: the file cannot be read, or is not UTF-8.
    """
    try:
        content = read_bounded(list_path, _MOST_BYTES)
    except OSError as error:
        raise DataError(f"cannot read its list file {list_path}: {error.strerror}") from error
    zero = content.find(b"\0")
    if zero >= 0:
        raise DataError(f"cannot read its list file {list_path}:{_line_of(content, zero)}: binary zeros, not text")
    if (n_lines := content.count(b"\n") + content.count(b"\r")) > _MOST_LINES:
        raise DataError(f"cannot read its list file {list_path}: {n_lines} lines, and the limit is {_MOST_LINES}")
    try:
        lines = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    except UnicodeDecodeError as error:
        line = _line_of(content, error.start)
        raise DataError(f"cannot read its list file {list_path}:{line}: not UTF-8 text ({error.reason})") from error
    if (longest := max(map(len, lines))) > _LONGEST_PATH:
        number = next(number for number, line in enumerate(lines, start=1) if len(line) == longest)
        raise DataError(
            f"cannot read its list file {list_path}:{number}: {longest} characters, and the limit for a path is "
            f"{_LONGEST_PATH}"
        )
    return [(path, number) for number, line in enumerate(lines, start=1) if (path := line.strip())]


def _line_of(content: bytes, place: int) -> int:
    return len((content[:place] + b"x").splitlines())


def read_image_list(root: str, name: str, path: str) -> ImageList:
    """The list file of data set `name`.

    Args:
        root: folder that image paths are relative to.
        name: for messages.
        path: of the list file, relative to root or absolute.

    Raises:
        DataError: it cannot be read, names no image, one twice, or one that cannot have a label file; the message
            names the first few places.
    """
    list_path = os.path.join(root, path)
    try:
        entries = read_entries(list_path)
    except DataError as error:
        raise DataError(f"data set '{name}': {error}") from error
    if not entries:
        raise DataError(f"data set '{name}': its list file {list_path} names no image")
    first_lines: dict[str, int] = {}
    label_paths, faults = [], []
    for image, number in entries:
        first = first_lines.setdefault(image, number)
        if first != number:
            faults.append(f"{list_path}:{number}: {image} already stands in line {first}; remove one of them")
        try:
            label_paths.append(label_path_for(image))
        except DataError as error:
            faults.append(f"{list_path}:{number}: {error}")
        if len(faults) >= _MOST_FAULTS:
            break
    refuse(faults, there_may_be_more=len(faults) >= _MOST_FAULTS)
    images, lines = zip(*entries, strict=True)
    return ImageList(name, list_path, list(images), list(lines), label_paths)


def refuse(faults: list[str], there_may_be_more: bool = False) -> None:
    """Raise one DataError for all faults, showing the first few; none, no error."""
    if len(faults) > _FAULTS_SHOWN:
        rest = f"... {_MOST_FAULTS} faults or more" if there_may_be_more else f"... {len(faults)} faults in all"
        raise DataError("\n".join([*faults[:_FAULTS_SHOWN], rest]))
    if faults:
        raise DataError("\n".join(faults))
