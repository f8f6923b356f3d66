"""Reading a video by PyAV, which is FFmpeg: every codec it knows, upright, with numbers and times, over damage."""

import logging
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer

from fairmot.media.bgr import BgrConverter
from fairmot.media.frame import Frame
from fairmot.media.frame_numbers import FrameNumbers
from fairmot.media.image_size import MOST_PIXELS

_HIGHEST_FRAME_RATE = 1000  # containers without a rate report their clock's instead
_WITHOUT_CLOCK = ("mpjpeg", "mjpeg", "h264", "hevc", "image2pipe")
_AVI, _CHUNK_HEAD_BYTES = "avi", 8
_LIMITS = {"max_pixels": str(MOST_PIXELS)}
_MOST_ERRORS = 100  # in a row, of a container that cannot go on
_SHORT_BY_S, _SHORT_BY_SHARE = 0.5, 0.02  # sound may end a little later than pictures
_logger = logging.getLogger(__name__)


class Decoded(NamedTuple):
    """A picture as it leaves the decoder.

    Attributes:
        ticks: its time of showing, None where the container does not say.
        picture: uint8 [H, W, 3], BGR, upright.
    """

    ticks: int | None
    picture: np.ndarray


class VideoReader:
    """The pictures of an open file or stream, read once.

    Attributes:
        announced: frames that the container says it holds; None: it does not say.
        frame_rate: frames per second, the mean where it varies; None where nobody says.
        time_base: seconds of a tick.
        duration_s: None where nobody says, as of a stream without an end.
        has_clock: its times are real, not counted off by FFmpeg for pictures that bear none.
        numbers: what is known of lost frames; `next` is the caller's to ask.
        concealed: pictures so far of which a part is damaged, and painted over by the decoder.
    """

    def __init__(self, address: str, **options: object) -> None:
        """Open it.

        Args:
            address: whatever FFmpeg can open.
            options: PyAV's, of av.open.

        Raises:
            av.FFmpegError: nothing there, or nothing that FFmpeg knows.
            LookupError: no pictures in it.
        """
        # Larger pictures FFmpeg refuses before it makes room for them, here while it looks what is in the file.
        options["options"] = {**options.get("options", {}), **_LIMITS}  # type: ignore[dict-item]
        self._container: InputContainer = av.open(address, **options)  # type: ignore[call-overload]
        stream = self._container.streams.best("video")
        if stream is None or stream.codec_context is None:
            self._container.close()
            raise LookupError("no video in it" if stream is None else "its codec is unknown")
        stream.codec_context.options = _LIMITS
        self._stream = stream
        stream.thread_type = "AUTO"
        rate = stream.average_rate
        self._rate = rate if rate and 0 < rate < _HIGHEST_FRAME_RATE else None
        self.frame_rate = float(self._rate) if self._rate else None
        self.time_base = Fraction(stream.time_base or Fraction(1, av.time_base))
        self.announced = stream.frames or None
        duration = self._container.duration
        self.duration_s = None if duration is None else duration / av.time_base
        kind = self._container.format.name
        self.has_clock = kind not in _WITHOUT_CLOCK
        has_index = self.announced is not None and kind != _AVI
        self.numbers = FrameNumbers(kind, self._rate, self.time_base, has_index)
        # FFmpeg counts an AVI file's frames as it meets them; its list of them knows better.
        self._listed = {entry.pos: entry.timestamp for entry in stream.index_entries} if kind == _AVI else {}
        self.concealed = 0
        self._to_bgr = BgrConverter()

    def close(self) -> None:
        """Give file or connection back."""
        self._container.close()

    def pictures(self) -> Iterator[Decoded]:
        """Every picture that can be decoded, in the order of showing.

        Raises:
            av.FFmpegError: the connection broke or said nothing for too long.
        """
        for packet in self._packets():
            self.numbers.note_packet(packet)
            try:
                frames = packet.decode()
            except EOFError:  # the decoder has nothing more to give
                return
            except BlockingIOError:  # PyAV left frames behind an error in the decoder, and has no call to take them
                self.numbers.note_damage()
                self._stream.codec_context.flush_buffers()
                continue
            except av.FFmpegError:
                self.numbers.note_damage()
                continue
            for frame in frames:
                self.concealed += frame.is_corrupt
                yield Decoded(frame.pts, upright(self._to_bgr(frame), _display_matrix(frame)))

    def _packets(self) -> Iterator[av.Packet]:
        """Packets of the pictures; the container is asked on after an error in it."""
        errors = 0
        while errors < _MOST_ERRORS:
            try:
                for packet in self._container.demux():
                    errors = 0
                    self.numbers.note_place(packet)
                    if packet.stream is self._stream:
                        self._set_right(packet)
                        yield packet
            except av.InvalidDataError:
                self.numbers.note_damage()
                errors += 1
            else:
                return

    def _set_right(self, packet: av.Packet) -> None:
        """Give a packet behind damage the time that the container's list has for it."""
        listed = None if packet.pos is None else self._listed.get(packet.pos - _CHUNK_HEAD_BYTES)
        if listed is None or packet.dts is None or listed <= packet.dts:
            return
        if packet.pts is not None:
            packet.pts += listed - packet.dts
        packet.dts = listed


def read_frames(reader: VideoReader, name: str) -> Iterator[Frame]:
    """The frames of a video with an end, all of the first one's size; closes the reader.

    What was lost to damage is said at the end, or when the caller has enough.

    Args:
        reader: newly opened.
        name: for messages.
    """
    clock, same_size, end_s = Clock(reader), SameSize(name), None
    try:
        with closing(reader):
            for ticks, picture in reader.pictures():
                number = reader.numbers.next(ticks)
                if number is not None:
                    yield Frame(number, clock.time_s(ticks, number), same_size(picture))
        end_s = clock.last_s
    except av.FFmpegError as error:
        _logger.warning("%s: reading ended after frame %d: %s", name, reader.numbers.last, error.strerror)
    finally:
        say_losses(reader, name, end_s)


def say_losses(reader: VideoReader, name: str, end_s: float | None) -> None:
    """Warn of frames that damage cost.

    Args:
        reader: of which no more is read.
        name: for messages.
        end_s: time of the last frame, where it was read to its end.
    """
    numbers = reader.numbers
    if end_s is not None:
        numbers.end()
    if end_s is not None and reader.announced and numbers.n_packets < reader.announced:
        n_read = numbers.n_frames
        _logger.warning("%s: only %d of the %d frames it announces can be read", name, n_read, reader.announced)
    elif numbers.lost:
        _logger.warning("%s: damaged: %d frames are lost; the others keep numbers and times", name, numbers.lost)
    whole_s = None if reader.announced else reader.duration_s
    if end_s is not None and whole_s and end_s < whole_s - max(_SHORT_BY_S, _SHORT_BY_SHARE * whole_s):
        _logger.warning("%s: damaged or cut short: pictures end after %.1f of %.1f s", name, end_s, whole_s)
    if reader.concealed:
        _logger.warning("%s: damaged: parts of %d frames are guesses of the decoder", name, reader.concealed)


class Clock:
    """Seconds since the first frame, which never go back, whatever a container's clock does.

    Attributes:
        last_s: the newest frame's time; None before the first.
    """

    def __init__(self, reader: VideoReader) -> None:
        self._tick_s = float(reader.time_base)
        self._frame_s = 1 / reader.frame_rate if reader.frame_rate else None
        self._origin: float | None = None
        self.last_s: float | None = None

    def time_s(self, ticks: int | None, number: int) -> float | None:
        """The time of frame `number`, by its ticks, or by the rate where it has none; None where there is neither."""
        if ticks is None:
            if self._frame_s is None:
                return None
            time_s = (number - 1) * self._frame_s
        else:
            if self._origin is None:  # frames lost before the first one took their time
                self._origin = ticks * self._tick_s - (number - 1) * (self._frame_s or 0.0)
            time_s = ticks * self._tick_s - self._origin
        if self.last_s is not None and time_s <= self.last_s:  # the container's clock was set back
            forward_s = self.last_s + (self._frame_s or self._tick_s)
            if self._origin is not None:
                self._origin -= forward_s - time_s
            time_s = forward_s
        self.last_s = time_s
        return time_s


class SameSize:
    """Brings pictures to the size of the first one; a stream may change its own.

    Args:
        name: of the source, for messages.
        size_hw: height and width, pixels; empty: the first picture's.
    """

    def __init__(self, name: str, size_hw: tuple[int, ...] = ()) -> None:
        self._name = name
        self._size_hw = size_hw
        self._is_said = False

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """The picture, uint8 [H, W, 3], with the first one's H and W."""
        self._size_hw = self._size_hw or picture.shape[:2]
        if picture.shape[:2] == self._size_hw:
            return picture
        height, width = self._size_hw
        if not self._is_said:
            said = self._name, picture.shape[1], picture.shape[0], width, height
            _logger.warning("%s: the pictures' size changes to %dx%d; they are brought to %dx%d", *said)
            self._is_said = True
        return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def upright(picture: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """The picture turned and mirrored as a display matrix says, to the nearest quarter turn.

    Args:
        picture: uint8 [H, W, 3].
        matrix: [3, 3]; a point (x, y, 1) of the picture is shown at (x, y, 1) @ matrix. None: it stands upright.
    """
    if matrix is None:
        return picture
    across, down = matrix[:2, 0], matrix[:2, 1]  # what x and y of the picture do to x and y on the screen
    if abs(across[1]) > abs(across[0]):
        picture = cv2.transpose(picture)
        mirrored, upended = across[1] < 0, down[0] < 0
    else:
        mirrored, upended = across[0] < 0, down[1] < 0
    if mirrored or upended:
        picture = cv2.flip(picture, -1 if mirrored and upended else int(mirrored))
    return picture


def _display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    # Not `frame.side_data`: that one and the frame hold each other, and the decoder waits long for the frame's memory.
    matrix = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    return None if matrix is None else np.frombuffer(matrix, np.int32, 9).reshape(3, 3)
