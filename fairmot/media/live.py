"""Cameras and streams without an end: a hiccup is waited out, and only somebody or a long silence ends them."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import av

from fairmot.addresses import masked
from fairmot.media.frame import Frame
from fairmot.media.video_reader import Clock, SameSize, VideoReader, say_losses

OPEN_TIMEOUT_S = 15.0  # FFmpeg looks at up to five seconds of a stream before it knows it
READ_TIMEOUT_S = 10.0
_WAITS_S = (0.5, 1.0, 2.0, 4.0)  # between attempts; the last one goes on
_logger = logging.getLogger(__name__)


class LiveSource:
    """The frames of a camera or stream, numbered as they come, with the time since the first of them.

    Args:
        address: what FFmpeg opens.
        reconnect_s: how long to try again when nothing comes any more.
        options: of av.open.
    """

    def __init__(self, address: str, reconnect_s: float, **options: object) -> None:
        self._address = address
        self._name = masked(address)
        self._reconnect_s = reconnect_s
        self._options = options
        self._stopped = threading.Event()

    def open(self) -> VideoReader:
        """Connect.

        Raises:
            av.FFmpegError: it cannot be reached, or says nothing in time.
            LookupError: there are no pictures in it.
        """
        return VideoReader(self._address, timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S), **self._options)

    def stop(self) -> None:
        """End the frames; for other threads than the reading one."""
        self._stopped.set()

    def frames(self, size_hw: tuple[int, int]) -> Iterator[Frame]:
        """Frames until somebody has enough, or until nothing came for `reconnect_s`.

        Args:
            size_hw: to which pictures of another size are brought.

        """
        began_at_s, number, same_size = time.monotonic(), 0, SameSize(self._name, size_hw)
        reader = self._connected() or self._again("no answer", number)
        while reader is not None:
            reason, before, offset_s, clock = "it ended", number, None, Clock(reader)
            try:
                with closing(reader):
                    for ticks, picture in reader.pictures():
                        if self._stopped.is_set():
                            return
                        now_s = time.monotonic() - began_at_s
                        offset_s = (now_s if number else 0.0) if offset_s is None else offset_s
                        counted = reader.numbers.next(ticks)
                        if counted is None:
                            continue
                        number = before + counted
                        time_s = clock.time_s(ticks, 1) if reader.has_clock and ticks is not None else None
                        yield Frame(number, now_s if time_s is None else offset_s + time_s, same_size(picture))
            except av.FFmpegError as error:
                reason = error.strerror or type(error).__name__
            finally:
                say_losses(reader, self._name, end_s=None)
            reader = self._again(reason, number)

    def _connected(self) -> VideoReader | None:
        try:
            return self.open()
        except (av.FFmpegError, LookupError):
            return None

    def _again(self, reason: str, number: int) -> VideoReader | None:
        """A new connection; None: there was none in time, or somebody stopped."""
        name, began_at_s = self._name, time.monotonic()
        said = name, number, reason, self._reconnect_s
        _logger.warning("%s: broke off after frame %d (%s); trying again for %g s", *said)
        waits_s = iter(_WAITS_S)
        wait_s = next(waits_s)
        while not self._stopped.wait(wait_s) and time.monotonic() - began_at_s < self._reconnect_s:
            if reader := self._connected():
                _logger.warning("%s: back after %.1f s", name, time.monotonic() - began_at_s)
                return reader
            wait_s = next(waits_s, _WAITS_S[-1])
        if not self._stopped.is_set():
            _logger.warning("%s: not back after %g s; the source ends with frame %d", name, self._reconnect_s, number)
        return None
