"""Writing annotated frames: H.264 in MP4, which browsers and notebooks play, or a folder of pictures."""

import contextlib
import os
import shutil
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final

import av
import cv2
import numpy as np

from fairmot.errors import DataError
from fairmot.files import new_file, new_folder

_ENCODER: Final = "libx264"
_QUALITY = {"crf": "23", "preset": "veryfast"}
_LARGEST_DENOMINATOR = 1001  # 30000/1001 and its kin stay exact
_BT709 = 1
_LEAST_TICKS_A_SECOND = 10_000


class VideoWriter:
    """An MP4 file that gets its name only once it is whole; leaving the `with` block by an exception leaves nothing.

    The pictures' size and times are kept. H.264's colours need even sides: an odd one gets a repeated row or column.
    Without a single frame there is no file.
    """

    def __init__(self, path: Path, frame_rate: float, size_hw: tuple[int, int]) -> None:
        """Open a temporary file beside `path`.

        Args:
            path: final name, ending in .mp4; an existing file is replaced at the end.
            frame_rate: frames per second, the mean where it varies.
            size_hw: height and width of the frames, pixels.

        Raises:
            DataError: the folder refuses, or PyAV has no H.264 encoder.
        """
        if _ENCODER not in av.codecs_available:
            raise DataError(f"{path}: this PyAV cannot encode H.264: it lacks {_ENCODER}, which PyPI's av has")
        self._path = path
        self._size_hw = size_hw
        self._is_empty = True
        height, width = size_hw
        self._padding = (0, height % 2, 0, width % 2)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, self._temporary = new_file(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror})") from error
        os.close(descriptor)
        self._container = av.open(str(self._temporary), "w", format="mp4", options={"movflags": "+faststart"})
        rate = Fraction(frame_rate).limit_denominator(_LARGEST_DENOMINATOR)
        self._stream = self._container.add_stream(_ENCODER, rate=rate, options=_QUALITY)
        self._stream.height, self._stream.width = height + height % 2, width + width % 2
        self._stream.pix_fmt = "yuv420p"
        # Every frame at this rate is a whole number of ticks, and other times are right to a tenth of a millisecond.
        self._frame_ticks = rate.denominator * -(-_LEAST_TICKS_A_SECOND // rate.numerator)
        self._tick = 1 / (rate * self._frame_ticks)
        self._next_tick, self._last_tick = 0, -1
        context = self._stream.codec_context
        context.time_base = self._tick
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = 1  # limited, as players expect

    def write(self, frame_bgr: np.ndarray, time_s: float | None = None) -> None:
        """Append a frame.

        Args:
            frame_bgr: uint8 [H, W, 3].
            time_s: when it is shown, since the video's begin; None: as the frame rate says, after the last one.

        Raises:
            DataError: the disk refuses.
            ValueError: the frame has another size.
        """
        if frame_bgr.shape[:2] != self._size_hw:
            raise ValueError(f"{self._path}: a frame of {frame_bgr.shape[:2]} in a video of {self._size_hw}")
        if any(self._padding):
            frame_bgr = cv2.copyMakeBorder(frame_bgr, *self._padding, cv2.BORDER_REPLICATE)
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_bgr), format="bgr24")
        self._is_empty = False
        tick = self._next_tick if time_s is None else round(time_s / self._tick)
        picture.pts, picture.time_base = max(tick, self._last_tick + 1), self._tick
        self._last_tick, self._next_tick = picture.pts, picture.pts + self._frame_ticks
        self._encode(picture.reformat(format="yuv420p", dst_colorspace="ITU709"))

    def _encode(self, picture: av.VideoFrame | None) -> None:
        """Encode a picture, or what is left when there are no more."""
        try:
            self._container.mux(self._stream.encode(picture))
        except av.FFmpegError as error:
            raise DataError(f"{self._path}: cannot be written ({error})") from error

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self._is_empty:
                self._encode(None)
                self._finish()
        finally:
            with contextlib.suppress(av.FFmpegError):
                self._container.close()
            self._temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        try:
            self._container.close()
            with self._temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            self._temporary.replace(self._path)
        except (av.FFmpegError, OSError) as error:
            raise DataError(f"{self._path}: cannot be written ({error})") from error


class FramesWriter:
    """A folder of JPEG files, 000001.jpg on, that gets its name only once it is whole, as VideoWriter's file does."""

    def __init__(self, folder: Path) -> None:
        """Make a temporary folder beside `folder`; an existing one is replaced at the end.

        Raises:
            DataError: the parent folder refuses.
        """
        self._folder = folder
        self._number = 0
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = new_folder(folder.parent, f".{folder.name}.tmp-")
        except OSError as error:
            raise DataError(f"{folder}: cannot be written ({error.strerror})") from error

    def write(self, frame_bgr: np.ndarray, number: int | None = None) -> None:
        """Add a frame.

        Args:
            frame_bgr: uint8 [H, W, 3].
            number: of the frame, which becomes the file's name; None: the one after the last.

        Raises:
            DataError: the disk refuses.
        """
        self._number = self._number + 1 if number is None else number
        _, content = cv2.imencode(".jpg", frame_bgr)
        try:
            (self._temporary / f"{self._number:06d}.jpg").write_bytes(content.tobytes())
        except OSError as error:
            raise DataError(f"{self._folder}: cannot be written ({error.strerror})") from error

    def __enter__(self) -> "FramesWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._temporary.replace(self._folder)
        except OSError as refused:
            raise DataError(f"{self._folder}: cannot be written ({refused.strerror})") from refused
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)
