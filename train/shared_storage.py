"""Files that several processes or hosts share: waiting for them, and keeping second writers out."""

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from fairmot.errors import FairMOTError
from fairmot.locks import lock_until_exit
from train.heartbeat import beat

_POLL_S = 0.2
_SILENCE_S = 10.0
_LOCK = ".writer"


def is_listed(path: Path) -> bool:
    """Whether its folder lists `path`: on shared storage a listing is fresher than a remembered 'not there'."""
    try:
        return path.name in os.listdir(path.parent)  # noqa: PTH208
    except OSError:
        return False


def wait_until(holds: Callable[[], bool], what: str, patience_s: float) -> None:
    """Poll until `holds()`, saying now and then what is waited for.

    Raises:
        FairMOTError: not within `patience_s` seconds.
    """
    began_at_s = said_at_s = time.monotonic()
    while not holds():
        now = time.monotonic()
        if now - began_at_s > patience_s:
            raise FairMOTError(
                f"waited {patience_s:.0f} s for {what}; do all ranks share this storage? "
                "runtime.wait_for_lead_s= sets the limit"
            )
        if now - said_at_s > _SILENCE_S:
            print(f"waiting for {what} ({now - began_at_s:.0f} s)", file=sys.stderr, flush=True)
            said_at_s = now
        beat()
        time.sleep(_POLL_S)


def lock_run_dir(run_dir: Path) -> TextIO:
    """Become the only writer of a run directory until this process ends.

    Returns:
        The open lock file; the lock goes with it.

    Raises:
        FairMOTError: another process writes there.
        OSError: the file cannot be made.
    """
    stream = (run_dir / _LOCK).open("a+")
    try:
        lock_until_exit(stream)
    except BlockingIOError as error:
        stream.seek(0)
        raise FairMOTError(
            f"{run_dir} is being written by another training ({stream.read().strip() or 'just started'}); "
            "end it, or give another run_dir="
        ) from error
    except OSError as error:
        print(f"warning: {run_dir}: its file system cannot lock ({error.strerror})", file=sys.stderr, flush=True)
        return stream
    stream.truncate(0)
    stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    stream.flush()
    return stream
