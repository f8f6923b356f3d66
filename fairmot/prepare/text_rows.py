"""Rows of numbers in text files, read so that every fault names its file and line."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairmot.errors import DataError, excerpt
from fairmot.files import read_bounded

MOST_BYTES = 512 << 20
"""Of a file of annotations; the largest of public data sets come near it."""
_MOST_LINES = 5_000_000
_LARGEST_INTEGER = 2**31 - 1


def read_bytes(path: Path) -> bytes:
    """A file's content.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return read_bounded(path, MOST_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot read these annotations: {error.strerror}") from error


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines that hold something, each with its place `<file>:<line>`.

    Raises:
        DataError: the file cannot be read or is not text.
    """
    content = read_bytes(path)
    if (n_lines := content.count(b"\n")) > _MOST_LINES:
        raise DataError(f"{path}: {n_lines} lines, and the limit is {_MOST_LINES}")
    if (zero := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, zero) + 1
        raise DataError(f"{path}:{line}: cannot read these annotations: binary zeros, not text")
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: cannot read these annotations: {error}") from error
    return ((f"{path}:{number}", line.strip()) for number, line in enumerate(lines, start=1) if line.strip())


def check_columns(place: str, fields: list[str], columns: tuple[str, ...], separator: str = ",") -> None:
    """Refuse a row with more or fewer fields than columns.

    Raises:
        DataError: it has.
    """
    if len(fields) != len(columns):
        raise DataError(f"{place}: {len(fields)} columns, expected {len(columns)}: {separator.join(columns)}")


def number(place: str, name: str, value: Any) -> float:
    """A finite number, from text or from JSON.

    Raises:
        DataError: it is none.
    """
    shown = excerpt(str(value).strip())
    try:
        if isinstance(value, bool) or "_" in str(value):  # Python would read True as 1 and 1_0 as 10
            raise ValueError
        result = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{place}: {name} '{shown}' is not a number") from error
    if not math.isfinite(result):
        raise DataError(f"{place}: {name} '{shown}' is not a finite number")
    return result


def integer(place: str, name: str, value: Any, least: int) -> int:
    """A whole number from `least` on.

    Raises:
        DataError: it is none.
    """
    result = number(place, name, value)
    if not result.is_integer() or not least <= result <= _LARGEST_INTEGER:
        raise DataError(f"{place}: {name} {result:g} must be an integer from {least} on")
    return int(result)
