"""JSON of ours: the wanted shape and nothing else, within limits, sealed."""

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fairmot.errors import DataError
from fairmot.json_files import LARGEST_BYTES, as_shape, is_intact, parse_json, read_json, sealed


@dataclass(frozen=True)
class Shape:
    count: int
    size: tuple[int, int]
    share: float | None = None
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count={self.count}: must be 0 or more")


GOOD = {"count": 3, "size": [4, 5], "share": float("nan")}


def test_a_file_becomes_what_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD))
    found = read_json(path, Shape, DataError)
    assert (found.count, found.size, found.names) == (3, (4, 5), []) and math.isnan(found.share or 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": "3"}, "count: Input should be a valid integer"),
        ({"count": True}, "count: Input should be a valid integer"),
        ({"count": 3.0}, "count: Input should be a valid integer"),
        ({"count": -1}, "count=-1: must be 0 or more"),
        ({"size": [4]}, r"size\[1\]: is missing"),
        ({"names": ["a", None]}, r"names\[1\]: Input should be a valid string"),
        ({"share": "1"}, "share: Input should be a valid number"),
        ({"k" * 5000: 1}, r"k{80}\.\.\.: is no key that is known here"),
        ({"names": [0] * 900}, r"names\[0\]: .*; names\[4\]: [^;]*; and 895 more"),
    ],
)
def test_every_fault_is_named_by_its_place(changes: dict, message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}$"):
        as_shape({**GOOD, **changes}, Shape, DataError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b"[" * 500, "recursion limit exceeded"),
        (b'{"count": ' + b"9" * 5000 + b"}", "number out of range"),
        (b'{"count": "\xff"}', "invalid unicode"),
        (b"[]", "Input should be an? "),
        (b" " * (LARGEST_BYTES + 1), "4194305 bytes, and the limit (for such a file )?is 4194304"),
    ],
)
def test_what_is_no_such_json_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_json(path, Shape, DataError)
    with pytest.raises(DataError, match=message):
        parse_json(content, Shape, DataError)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in ((tmp_path / "pipe", "a named pipe"), (tmp_path, "directory"), (tmp_path / "a", "No such")):
        with pytest.raises(DataError, match=message):
            read_json(path, Shape, DataError)


def test_a_seal_holds_until_something_changes() -> None:
    content = sealed({"count": 3, "digests": {"digest": ""}}).encode()
    assert is_intact(content, json.loads(content))
    assert not is_intact(content.replace(b"3", b"4", 1), json.loads(content))
    assert not is_intact(content + b" ", json.loads(content))
    assert not is_intact(content, {**json.loads(content), "digest": 5})
    assert is_intact(b"{}", {})
    assert sealed(json.loads(content)).encode() == content
