"""JSON that this program wrote, read strictly: exactly of the wanted shape, and of limited size and depth.

The shape is a type, mostly a dataclass: its keys, and no others, each of its own type. A file may carry a seal, the
digest of its own text, so that a single changed bit is noticed.
"""

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from fairmot.errors import LONGEST_REASON, excerpt
from fairmot.files import read_bounded

LARGEST_BYTES = 1 << 22
"""Of a JSON file; the largest of ours, a data set's manifest of thousands of sequences, has one or two million."""

_SEAL = "digest"
_FAULTS_SHOWN, _LONGEST_PLACE = 5, 80
_WORDS = {
    "missing": "is missing",
    "missing_argument": "is missing",
    "unexpected_keyword_argument": "is no key that is known here",
    "extra_forbidden": "is no key that is known here",
}
"""Instead of the library's words, which are about Python."""

Shape = TypeVar("Shape")
Refuse = Callable[[str], Exception]
"""From what is wrong to the error, which names the file and says how to mend it."""


def read_json(path: Path, shape: type[Shape], refuse: Refuse) -> Shape:
    """The content of a JSON file.

    Args:
        path: the file.
        shape: what it must hold.
        refuse: see `Refuse`.

    Raises:
        Exception: `refuse`'s: it cannot be read, is too large or too deep, is no JSON, or holds something else.
    """
    return parse_json(read_json_bytes(path, refuse), shape, refuse)


def read_json_bytes(path: Path, refuse: Refuse) -> bytes:
    """The bytes of a JSON file, if it is a file and not too large.

    Raises:
        Exception: `refuse`'s: it cannot be read, or is too large.
    """
    try:
        return read_bounded(path, LARGEST_BYTES)
    except OSError as error:
        raise refuse(error.strerror or str(error)) from error


def parse_json(content: bytes | str, shape: type[Shape], refuse: Refuse) -> Shape:
    """JSON text as a value of `shape`; arguments and errors as of `read_json`."""
    if len(content) > LARGEST_BYTES:
        raise refuse(f"{len(content)} bytes, and the limit is {LARGEST_BYTES}")
    try:
        # The parser takes 200 levels and numbers of 4300 digits.
        adapter = _adapter(shape)  # type: ignore[arg-type]  # to mypy a type variable is not hashable
        checked: Shape = adapter.validate_json(content, strict=True, extra="forbid")
    except ValidationError as error:
        faults = [
            _in_words(fault["loc"], _WORDS.get(fault["type"], fault["msg"]))
            for fault in error.errors(include_url=False)
        ]
        more = f"; and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
        raise refuse("; ".join(faults[:_FAULTS_SHOWN]) + more) from error
    return checked


def as_shape(value: Any, shape: type[Shape], refuse: Refuse) -> Shape:
    """A part of parsed JSON as a value of `shape`; arguments and errors as of `read_json`."""
    return parse_json(json.dumps(value), shape, refuse)


def sealed(value: dict[str, Any]) -> str:
    """Readable JSON of `value` with a seal under the key "digest": the SHA-256 of this text with an empty one."""
    return _text(value, hashlib.sha256(_text(value, "").encode()).hexdigest())


def is_intact(content: bytes, parsed: dict[str, Any]) -> bool:
    """Whether sealed JSON is as it was written. What has no seal, as older versions wrote it, cannot be told.

    Args:
        content: of the file.
        parsed: what it holds.
    """
    if _SEAL not in parsed:
        return True
    unsealed = content.replace(json.dumps(parsed[_SEAL]).encode(), b'""', 1)
    return hashlib.sha256(unsealed).hexdigest() == parsed[_SEAL]


def _text(value: dict[str, Any], seal: str) -> str:
    return json.dumps({**value, _SEAL: seal}, indent=2, sort_keys=True) + "\n"


@functools.cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def _in_words(place: tuple[int | str, ...], message: str) -> str:
    """Such as `progress.step: Input should be a valid integer`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    said = message.removeprefix("Value error, ").removeprefix("Invalid JSON: ")
    said = excerpt(said, LONGEST_REASON)
    return f"{excerpt(path, _LONGEST_PLACE)}: {said}" if path else said
