"""Ctrl-C and SIGTERM: stop at a step's end with everything saved, as schedulers that pre-empt jobs expect."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType

_ONE_REQUEST_S = 5.0
"""Signals that come together are one request: a scheduler may signal a rank that its launcher signals too."""


class Stopped(KeyboardInterrupt):
    """Training ended early because it was asked to; its state is saved."""


class StopRequest:
    """Notices the first SIGINT or SIGTERM; one that comes seconds later interrupts at once.

    Attributes:
        made: whether this process has been asked to stop.
    """

    def __init__(self) -> None:
        self.made = False
        self._made_at_s = 0.0
        self._at_once = False

    def __enter__(self) -> "StopRequest":
        # While a graph runs MindSpore turns Ctrl-C into SIGTERM: both mean the same here.
        self._previous = {number: signal.signal(number, self._notice) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _notice(self, number: int, frame: FrameType | None) -> None:
        if self._at_once:
            raise KeyboardInterrupt
        if self.made:
            if time.monotonic() - self._made_at_s > _ONE_REQUEST_S:
                raise KeyboardInterrupt
            return
        self.made, self._made_at_s = True, time.monotonic()
        # Not print: it raises on a full disk, and where the signal has come in the middle of another print.
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), b"stopping after this step with a checkpoint; once more: at once\n")

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """A request within the body interrupts it; one made before it does so too."""
        if self.made:
            raise KeyboardInterrupt
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False
