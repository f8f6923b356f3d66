"""What a training prints must not end it: a log on a full disk, a terminal that is gone, a pipe nobody reads."""

import contextlib
import io
import sys
from typing import Any

from fairmot.addresses import masked


class _Unfailing(io.FileIO):
    """Takes everything; what the file behind it refuses is lost."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError:
            return memoryview(data).nbytes


def print_unfailingly() -> None:
    """From now on nothing that this process prints raises, nor changes its exit code because it cannot be flushed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        with contextlib.suppress(OSError):
            stream.flush()
        raw = _Unfailing(stream.fileno(), "wb", closefd=False)
        unfailing = io.TextIOWrapper(
            io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=stream.line_buffering
        )
        setattr(sys, name, unfailing)


def say(text: str) -> None:
    """Print for people; a terminal that is gone must not end the job."""
    try:
        print(masked(text.rstrip()), file=sys.stderr, flush=True)
    except OSError:
        return
