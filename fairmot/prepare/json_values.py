"""Values out of JSON annotations, checked so that every fault names its place."""

from typing import Any, TypeVar

from fairmot.errors import DataError
from fairmot.prepare.text_rows import number

Value = TypeVar("Value")
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
