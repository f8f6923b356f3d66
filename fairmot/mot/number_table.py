"""Text files of numbers, one row a line, as trackers and annotation tools write them.

Cells stand between commas, semicolons, or blanks and tabs; a line may end with one separator more. The first line may
name the columns. A byte order mark, Windows' line ends and empty lines are no harm.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fairmot.errors import DataError, excerpt
from fairmot.files import open_bounded, read_bounded

_LARGEST_INTEGER = 2**53  # float64, in which the files are parsed, holds every integer up to here
_DIALECT = re.compile(rb"[\t;]|,[ \r]*(\n|$)")
_HEAD_BYTES = 1 << 16
_MOST_BYTES, _MOST_LINES, _LONGEST_LINE = 256 << 20, 5_000_000, 4096  # MOT20's longest has half a million rows
_CORNERS = frozenset({"x2", "y2", "xmax", "ymax", "x_max", "y_max", "right", "bottom"})


def read_table(path: Path, widths: Sequence[int], layout: str) -> tuple[np.ndarray, list[int]]:
    """The rows of a file, of which the first two cells, frame and id, are integers.

    Args:
        path: the file.
        widths: how many columns it may have; all its rows have as many. An empty file has the most of them.
        layout: the columns, for messages.

    Returns:
        float64 [N, columns], and the line of each row.

    Raises:
        DataError: the file cannot be read, or a row cannot be used; the message names `path:line`.
    """
    numbered = _filled_lines(path)
    separator = _separator(numbered[0][1]) if numbered else None
    if numbered and _is_header(numbered[0][1], separator):
        _check_header(f"{path}:{numbered[0][0]}", numbered.pop(0)[1], separator, layout)
    lines = [number for number, _ in numbered]
    if not numbered:
        return np.zeros((0, max(widths))), lines
    texts = [text[:-1] if text[-1] == separator else text for _, text in numbered]
    try:
        values = np.loadtxt(texts, np.float64, comments=None, delimiter=separator, ndmin=2)
        usable = values.shape[1] in widths and np.isfinite(values).all() and are_integers(values[:, :2]).all()
    except ValueError:
        usable = False
    if not usable:
        raise DataError(_first_unusable(path, list(zip(lines, texts, strict=True)), separator, widths, layout))
    return values, lines


def holds_rows(path: Path) -> bool:
    """Whether a text file may be one of these: it is empty, or its first row begins with a number.

    README.txt or a list of class names are none.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with open_bounded(path, _MOST_BYTES) as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    texts = [text for _, text in _filled(head.decode("utf-8-sig", errors="replace"))]
    if len(texts) > 1 and _is_header(texts[0], _separator(texts[0])):
        texts = texts[1:]
    return not texts or _number(_cells(texts[0], _separator(texts[0]))[0]) is not None


def is_plain(content: bytes) -> bool:
    """Whether every other reader of MOTChallenge's files understands it too: rows of commas and nothing else."""
    return not content or (content[:1].isdigit() and b"," in content and _DIALECT.search(content) is None)


def are_integers(values: np.ndarray) -> np.ndarray:
    """Which values are integers that float64 holds exactly."""
    return (values == np.floor(values)) & (np.abs(values) <= _LARGEST_INTEGER)


def _filled_lines(path: Path) -> list[tuple[int, str]]:
    try:
        content = read_bounded(path, _MOST_BYTES)
        zero = content.find(b"\0")
        text = (content if zero < 0 else content[:zero]).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read as MOTChallenge text: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: cannot be read as MOTChallenge text: not UTF-8 ({error.reason})") from error
    if zero >= 0:
        line = content.count(b"\n", 0, zero) + 1
        raise DataError(f"{path}:{line}: cannot be read as MOTChallenge text: binary zeros")
    return _filled_within_limits(path, text)


def _filled_within_limits(path: Path, text: str) -> list[tuple[int, str]]:
    if (n_lines := text.count("\n") + text.count("\r")) > _MOST_LINES:
        raise DataError(f"{path}: {n_lines} lines, and the limit is {_MOST_LINES}")
    numbered = _filled(text)
    number, longest = max(numbered, key=lambda pair: len(pair[1]), default=(0, ""))
    if len(longest) > _LONGEST_LINE:
        raise DataError(f"{path}:{number}: {len(longest)} characters, and the limit for a line is {_LONGEST_LINE}")
    return numbered


def _filled(text: str) -> list[tuple[int, str]]:
    """(line, text) of each line that is not blank."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    stripped = (line.strip() for line in lines)
    return [(number, line) for number, line in enumerate(stripped, start=1) if line]


def _separator(line: str) -> str | None:
    """What stands between the cells; None: blanks and tabs."""
    return next((separator for separator in ";," if separator in line), None)


def _cells(line: str, separator: str | None) -> list[str]:
    return [cell.strip() for cell in line.split(separator)]


def _number(cell: str) -> float | None:
    try:
        return float(cell) if cell.isascii() and "_" not in cell else None  # Python would read 1_0 as 10
    except ValueError:
        return None


def _is_header(line: str, separator: str | None) -> bool:
    """Not one cell is a number, and there are several."""
    cells = _cells(line, separator)
    return len(cells) > 1 and all(_number(cell) is None for cell in cells)


def _check_header(place: str, line: str, separator: str | None, layout: str) -> None:
    """Refuse names that tell of another order of columns, or of corners in place of a size."""
    names = [cell.strip("#\"' ").lower() for cell in _cells(line.lstrip("# "), separator)]
    swapped = len(names) > 1 and "frame" in names[1] and "frame" not in names[0]
    if swapped or _CORNERS & set(names[2:6]):
        raise DataError(f"{place}: the header names {','.join(names)}; expected {layout}")


def _first_unusable(
    path: Path, numbered: list[tuple[int, str]], separator: str | None, widths: Sequence[int], layout: str
) -> str:
    """The slow search for the row at fault, once it is known that there is one."""
    width = len(_cells(numbered[0][1], separator))
    if width not in widths:
        choices = f"{widths[0]} to {widths[-1]}" if len(widths) > 2 else " or ".join(map(str, widths))
        return f"{path}:{numbered[0][0]}: {width} columns, expected {choices}: {layout}"
    names = [name if name.isalpha() else "" for name in layout.split(",")]
    for number, text in numbered:
        cells = _cells(text, separator)
        if len(cells) != width:
            return f"{path}:{number}: {len(cells)} columns, expected {width}: {layout}"
        for name, cell in zip(names, cells, strict=False):
            value = _number(cell)
            if value is None:
                return f"{path}:{number}: {f'{name} {excerpt(cell)!r}'.lstrip()} is not a number"
            if not np.isfinite(value):
                return f"{path}:{number}: {f'{name} {excerpt(cell)!r}'.lstrip()} is not a finite number"
            if name in ("frame", "id") and not are_integers(np.array(value)):
                return f"{path}:{number}: {name} {excerpt(cell)} must be an integer"
    return f"{path}: cannot be read as rows of {layout}"
