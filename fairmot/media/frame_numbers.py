"""Which number a decoded frame of a video bears when others before it were damaged.

A container holds one packet for every frame. Packets come in the order of decoding, frames in the order of showing,
and both bear the time of showing. A packet whose time has passed without a frame is a lost frame. Where the container
itself is damaged, packets are missing too; how many shows from the time that is missing.
"""

import heapq
from fractions import Fraction

import av

_SURE_AFTER_FRAMES = 25  # of one packet each; then a packet without a frame is a loss, not the codec's way
_SUSPECT_FOR_FRAMES = 100  # after an error; decoders are less than this behind
_MOST_LATE = 50  # frames
_CLOSE = 0.15  # of a frame's duration
_SHARE_OF_BYTES = 0.25  # of what the missing frames should take
_TRANSPORT_STREAM = "mpegts"
_TABLES_BYTES = 600  # a transport stream repeats its tables of programs between pictures
_HEADERS_BYTES = 100
_CUT_ANYWHERE = ("mpegts", "rtsp", "hls", "flv", "h264", "hevc")  # these may begin between two whole pictures


class FrameNumbers:
    """Counts the frames of one reading of a video, the lost ones too.

    Attributes:
        last: the newest frame's number; 0 before the first.
        lost: frames that could not be decoded so far.
        n_frames: frames that have a number so far.
        n_packets: packets of pictures so far.
    """

    def __init__(
        self, container_format: str, frame_rate: Fraction | None, time_base: Fraction, has_index: bool
    ) -> None:
        """Start before the first packet.

        Args:
            container_format: FFmpeg's name, such as "matroska,webm".
            frame_rate: frames per second, None where nobody says.
            time_base: seconds of a tick of the packets' times.
            has_index: the container lists its frames in one place, so that none is overlooked.
        """
        self.last = 0
        self.lost = 0
        self.n_frames = 0
        self.n_packets = 0
        self._pending: list[int] = []  # times of packets without a frame yet, a heap
        self._first: int | None = None  # time of the first packet that counts
        self._may_begin_anywhere = container_format in _CUT_ANYWHERE
        self._previous: int | None = None  # time of the newest frame
        self._frame_ticks = float(1 / (frame_rate * time_base)) if frame_rate else 1.0
        self._step = None if has_index or not frame_rate else self._frame_ticks
        self._is_transport_stream = container_format == _TRANSPORT_STREAM
        self._end_byte: int | None = None
        self._bytes = 0
        self._skipped_bytes = 0
        self._given_up: set[int] = set()  # times of lost frames
        self._is_one_each = True
        self._is_surely_one_each = "mp4" in container_format
        self._suspect = 0
        self._late_in_a_row = 0

    def note_damage(self) -> None:
        """The decoder or the container reports an error here."""
        self._suspect = _SUSPECT_FOR_FRAMES

    def note_place(self, packet: av.Packet) -> None:
        """Take in where a packet of any stream stands in the file."""
        if packet.pos is None or not packet.size:
            return
        size = packet.size * 188 // 184 + 188 if self._is_transport_stream else packet.size
        overhead = _TABLES_BYTES if self._is_transport_stream else _HEADERS_BYTES
        if self._end_byte is not None and packet.pos > self._end_byte:
            self._skipped_bytes += max(0, packet.pos - self._end_byte - overhead)
        self._end_byte = max(self._end_byte or 0, packet.pos + size)

    def note_packet(self, packet: av.Packet) -> None:
        """Take in the next packet of the pictures, before it is decoded."""
        if not packet.size:  # tells the decoder that the file ends
            return
        self.n_packets += 1
        self._bytes += packet.size
        if packet.is_corrupt:
            self.note_damage()
        time = packet.dts if packet.pts is None else packet.pts
        if self._first is None and (packet.is_keyframe or not self._may_begin_anywhere):
            self._first = time
        # What comes before the first whole picture, in the file or on the screen, was never anybody's first frame.
        if self._first is not None and time is not None and time >= self._first and not packet.is_discard:
            heapq.heappush(self._pending, time)

    def next(self, time: int | None) -> int | None:
        """The number of the next frame that leaves the decoder.

        Args:
            time: its own, ticks; None where the container does not say.

        Returns:
            The number; None: the frame comes out of its turn behind damage, and counts as lost.
        """
        missing = 0
        if time is not None:
            if time in self._given_up or self._is_late(time):
                return None
            passed = set()
            while self._pending and self._pending[0] <= time:
                passed.add(heapq.heappop(self._pending))
            missing = self._judged(passed - {time})
            missing = max(missing, self._overlooked(time))
            self._previous = time
        self.n_frames += 1
        self.last += 1 + missing
        self.lost += missing
        self._suspect = max(0, self._suspect - 1)
        return self.last

    def _is_late(self, time: int) -> bool:
        """Whether a decoder in disorder gives an earlier frame after a later one; a clock set back goes far back."""
        is_late = self._previous is not None and 0 <= self._previous - time < _MOST_LATE * self._frame_ticks
        self._late_in_a_row = self._late_in_a_row + 1 if is_late else 0
        return 0 < self._late_in_a_row <= _MOST_LATE

    def end(self) -> None:
        """The file is over: what the decoder still owes is lost."""
        self.lost += self._judged(set(self._pending))
        self._pending.clear()

    def _judged(self, times: set[int]) -> int:
        """How many of the packets without a frame, of these times, are lost ones; some codecs have two a frame."""
        if times and not self._suspect and self.last < _SURE_AFTER_FRAMES:
            self._is_one_each = self._is_surely_one_each
        if not self._is_one_each:
            return 0
        self._given_up |= times
        return len(times)

    def _overlooked(self, time: int) -> int:
        """Frames that time, and errors or unread bytes, say were here, in a container without an index."""
        if self._step is None or self._previous is None or time <= self._previous:
            return 0
        steps = (time - self._previous) / self._step
        missing = round(steps) - 1
        if abs(steps - round(steps)) > max(_CLOSE, 1 / self._step):
            self._step = None  # no steady rate: a longer wait says nothing
            return 0
        expected_bytes = missing * self._bytes / max(1, self.n_packets)
        has_evidence = self._suspect or self._skipped_bytes > _SHARE_OF_BYTES * expected_bytes
        if missing <= 0 or not (has_evidence or self._is_transport_stream):  # that of broadcasts, which keeps its rate
            return 0
        self._skipped_bytes = max(0, self._skipped_bytes - round(expected_bytes))
        return missing
