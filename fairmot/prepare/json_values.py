"""Values out of JSON annotations, checked so that every fault names its place."""

from typing import Any, TypeVar

from fairmot.errors import DataError
from fairmot.prepare.source import NO_IDENTITY
from fairmot.prepare.text_rows import integer, number

Key = int | str
"""What something is called by in a file: a number, or a text that is none."""
Value = TypeVar("Value")
_FIRST_TEXT = 2**40
_KINDS: dict[type, str] = {str: "text", list: "a list", dict: "an object"}


def parse_object(place: str, what: str, value: Any) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DataError: it is none.
    """
    return _of_kind(place, what, value, dict)


def require(place: str, holder: dict[str, Any], key: str, kind: type[Value]) -> Value:
    """The value of a key that must be there.

    Raises:
        DataError: it is not, or is of another kind.
    """
    if key not in holder:
        raise DataError(f"{place}: key '{key}' is missing")
    return _of_kind(place, key, holder[key], kind)


def _of_kind(place: str, what: str, value: Any, kind: type[Value]) -> Value:
    if not isinstance(value, kind):
        raise DataError(f"{place}: {what} must be {_KINDS[kind]}, not {str(value)[:40]!r}")
    return value


def box_xywh(place: str, what: str, value: Any) -> tuple[float, float, float, float]:
    """Four numbers: left, top, width, height in pixels.

    Raises:
        DataError: they are not.
    """
    if not isinstance(value, list) or len(value) != 4:
        raise DataError(f"{place}: {what} must be [x, y, width, height], not {str(value)[:40]!r}")
    x, y, width, height = (number(place, name, side) for name, side in zip(("x", "y", "w", "h"), value, strict=True))
    return x, y, width, height


def key(place: str, what: str, value: Any) -> Key:
    """A number from 0 on, or a text that is no number; "7" is 7.

    Raises:
        DataError: it is neither.
    """
    if isinstance(value, str) and value.strip() and not _is_number(value):
        return value
    return integer(place, what, value, 0)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class Identities:
    """Numbers for the ids of a file; texts get those from 2**40 on, which no number in a file has."""

    def __init__(self) -> None:
        self._texts: dict[str, int] = {}

    def number(self, place: str, found: tuple[str, Any]) -> int:
        """The number of an id: its own, or that of its text; NO_IDENTITY where there is none, or -1.

        Args:
            place: for messages.
            found: the id's name and value.

        Raises:
            DataError: it is neither a whole number nor a text.
        """
        what, value = found
        if value is None:
            return NO_IDENTITY
        if isinstance(value, str) and value.strip() and not _is_number(value):
            return self._texts.setdefault(value, _FIRST_TEXT + len(self._texts))
        return integer(place, what, value, NO_IDENTITY)
