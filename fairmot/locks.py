"""Locks on files: one process at a time, and the lock goes with the process that holds it, however it ends.

What to do when another process holds one, or where a file system has no locks, is for the caller to say.
"""

import errno
import fcntl
import time
from collections.abc import Callable
from typing import IO, Any

_POLL_S = 0.2
_SILENCE_S = 10.0


def lock(stream: IO[Any], *, wait: bool) -> None:
    """Lock an open file until it is closed, by this process and by those that it forks while the file is open.

    Args:
        stream: the file; locks of network file systems need one that is open for writing.
        wait: wait as long as another holds it, instead of raising.

    Raises:
        BlockingIOError: another holds it.
        OSError: the file system has no locks.
    """
    _take(fcntl.flock, stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_shared(stream: IO[Any]) -> None:
    """Lock an open file as `lock` does, beside any number of others that lock it so too.

    Raises:
        BlockingIOError: another holds it for itself.
        OSError: the file system has no locks.
    """
    _take(fcntl.flock, stream, fcntl.LOCK_SH | fcntl.LOCK_NB)


def lock_until_exit(stream: IO[Any]) -> None:
    """Lock a file that is open for writing, for this process alone.

    Forked children do not inherit the lock: it is free as soon as this process is dead, even if they outlive it. It is
    also free once this process closes the file, opened here or anywhere else.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file system has no locks.
    """
    _take(fcntl.lockf, stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_within(stream: IO[Any], patience_s: float, say: Callable[[float], None]) -> None:
    """`lock`, waiting no longer than `patience_s` seconds.

    Args:
        stream: the file.
        patience_s: seconds.
        say: called now and then while waiting, with the seconds so far.

    Raises:
        BlockingIOError: another still holds it.
        OSError: the file system has no locks.
    """
    began_at_s = said_at_s = time.monotonic()
    while True:
        try:
            return lock(stream, wait=False)
        except BlockingIOError:
            now_s = time.monotonic()
            if now_s - began_at_s > patience_s:
                raise
        if now_s - said_at_s > _SILENCE_S:
            say(now_s - began_at_s)
            said_at_s = now_s
        time.sleep(_POLL_S)


def _take(take: Callable[[IO[Any], int], None], stream: IO[Any], kind: int) -> None:
    try:
        take(stream, kind)
    except OSError as error:
        if error.errno != errno.EACCES:
            raise
        raise BlockingIOError(*error.args) from error  # some systems say this instead of EAGAIN
