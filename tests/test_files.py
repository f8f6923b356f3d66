"""What a user names for a file may be a pipe, a device or endless: every reader says so at once."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairmot.convert.source import read_source
from fairmot.convert.torch_file import read_torch_file
from fairmot.data import label_cache
from fairmot.data.image_list import read_image_list
from fairmot.data.labels import read_labels
from fairmot.errors import FairMOTError
from fairmot.files import open_bounded, read_bounded
from fairmot.inference.exported_file import read_description
from fairmot.media.image_size import read_image_size
from fairmot.media.picture import check_file, read_image
from fairmot.mot.number_table import holds_rows, read_table
from fairmot.prepare.text_rows import read_lines
from fairmot.weights.weights_file import read_weights_file

READERS: dict[str, Callable[[Path], object]] = {
    "list": lambda path: read_image_list("/", "a", str(path)),
    "labels": lambda path: read_labels(str(path)),
    "rows": lambda path: read_table(path, (10,), "frame,id,x,y,w,h,a,b,c,d"),
    "looked at for rows": holds_rows,
    "annotations": read_lines,
    "picture": lambda path: read_image(str(path)),
    "picture's header": read_image_size,
    "picture's end": check_file,
    "weights": read_weights_file,
    "weights to convert": read_source,
    ".pth": read_torch_file,
    "exported": read_description,
}


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """A test that waits for a pipe would wait for ever."""

    def give_up(*_: object) -> None:
        raise TimeoutError("it waits")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(5)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("reader", READERS)
def test_what_never_ends_is_refused_by_name(reader: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, kind in ((pipe, "a named pipe"), (Path("/dev/zero"), "a device")):
        with pytest.raises(FairMOTError, match=f"{path}.*not a file but {kind}"):
            READERS[reader](path)


@pytest.mark.parametrize("reader", READERS)
def test_what_is_far_too_large_is_refused_unread(reader: str, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # which takes no room on the disk
    started = time.monotonic()
    with pytest.raises(FairMOTError, match=f"{path}.*1099511627776 bytes, and the limit.* is [0-9]+"):
        READERS[reader](path)
    assert time.monotonic() - started < 1


def test_a_cache_of_labels_that_is_a_pipe_or_too_large_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    assert label_cache.load([tmp_path / "pipe.npz"]).paths == []


def test_limits_hold_for_files_that_grow_and_for_those_without_a_size(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(OSError, match="5 bytes, and the limit for such a file is 4"):
        read_bounded(path, 4)
    assert read_bounded("/proc/self/status", 1 << 20).startswith(b"Name:")
    with pytest.raises(OSError, match="the limit for such a file is 9"):
        read_bounded("/proc/self/status", 9)
    with pytest.raises(IsADirectoryError):
        open_bounded(tmp_path, 9)
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "none", 9)


def test_a_refused_file_is_closed_again(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(OSError, match="device"):
            open_bounded("/dev/zero", 9)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("reader", "content", "said"),
    [
        ("labels", b" 0" * 500_000, ":1: 500000 columns, expected 6"),
        ("labels", b"7" * 1_000_000 + b" 0 0 0 0 0", ":1: '7{40}\\.\\.\\.' is not a finite number"),
        ("labels", b"x" * 1_000_000 + b" 0 0 0 0 0", ":1: 'x{40}\\.\\.\\.' is not a number"),
        ("list", b"\n" * 4_000_001, ": 4000001 lines, and the limit is 4000000"),
        ("list", b"a\n" * 200_000, "\\.\\.\\. 1000 faults or more"),
        ("list", b"images/" + b"a" * 1_000_000, ":1: 1000007 characters, and the limit for a path is 4096"),
        ("rows", b"\r" * 5_000_001, ": 5000001 lines, and the limit is 5000000"),
        ("rows", b"1,2,3\n" + b",1" * 1_000_000, ":2: 2000000 characters, and the limit for a line is 4096"),
        ("rows", b"1,1,1,1,1,1,1,1,1," + b"9" * 4000, "'9{40}\\.\\.\\.' is not a finite number"),
        ("rows", b"\0" * 1_000_000, ":1: cannot be read as MOTChallenge text: binary zeros"),
        ("annotations", b"\n" * 5_000_001, ": 5000001 lines, and the limit is 5000000"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isalpha() else "",
)
def test_text_that_would_take_long_or_fill_a_message(reader: str, content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    started = time.monotonic()
    with pytest.raises(FairMOTError, match=said) as error:
        READERS[reader](path)
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 2000
    assert time.monotonic() - started < 5
