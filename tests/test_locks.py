"""Locks on files: who holds one, how long others wait, and when it is free again."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairmot.locks import lock, lock_until_exit, lock_within

_HOLD = """
import os, sys
from fairmot.locks import lock_until_exit
stream = open(sys.argv[1], "a")
lock_until_exit(stream)
if os.fork():
    print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_holder_is_refused_until_the_first_closes(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    said: list[float] = []
    with path.open("a") as second:
        with path.open("a") as first:
            lock(first, wait=True)
            with pytest.raises(BlockingIOError):
                lock(second, wait=False)
            with pytest.raises(BlockingIOError):
                lock_within(second, 0.3, said.append)
        assert said == [], "it speaks after ten seconds"
        lock_within(second, 0, said.append)


def test_the_lock_of_a_process_is_not_its_childrens(tmp_path: Path) -> None:
    """Loader workers may outlive a killed trainer for a moment; the next one must not be refused for that."""
    path = tmp_path / "lock"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with (
        path.open("a") as here,
        subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(path)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError):
            lock_until_exit(here)
        process.kill()
        process.wait()
        lock_until_exit(here)


@pytest.mark.parametrize(
    ("number", "raised"), [(errno.EACCES, BlockingIOError), (errno.EAGAIN, BlockingIOError), (errno.ENOLCK, OSError)]
)
def test_held_and_impossible_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: type[OSError]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with (tmp_path / "lock").open("a") as stream, pytest.raises(OSError) as error:
        lock(stream, wait=False)
    assert isinstance(error.value, BlockingIOError) == (raised is BlockingIOError)
