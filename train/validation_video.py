"""The video of a validation sequence."""

import logging
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from fairmot.errors import DataError
from fairmot.media.video_writer import VideoWriter

_LARGEST_WIDTH_PX = 960

_log = logging.getLogger(__name__)


class ValidationVideo:
    """The first pictures of a sequence as an MP4 file, which gets its name only once it is whole.

    What goes wrong costs the video and is said, but never ends a training run.

    Args:
        path: ends in .mp4; an earlier file is removed.
        frame_rate: frames per second.
        most_frames: pictures after these are left out; 0: no file.

    Attributes:
        is_broken: whether it went wrong.
    """

    def __init__(self, path: Path, frame_rate: float, most_frames: int) -> None:
        self.is_broken = False
        self._path, self._frame_rate, self._frames_left = path, frame_rate, most_frames
        self._writer: VideoWriter | None = None
        self._opened = ExitStack()
        path.unlink(missing_ok=True)

    def add(self, picture: np.ndarray) -> None:
        """Take the next picture, uint8 [H, W, 3] BGR, all of one size; wide ones are shrunk."""
        if not self._frames_left:
            return
        self._frames_left -= 1
        scale = min(1.0, _LARGEST_WIDTH_PX / picture.shape[1])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
        try:
            if self._writer is None:
                writer = VideoWriter(self._path, self._frame_rate, (small.shape[0], small.shape[1]))
                self._writer = self._opened.enter_context(writer)
            self._writer.write(small)
        except DataError as error:
            self._opened.__exit__(DataError, error, error.__traceback__)
            self._give_up(error)

    def __enter__(self) -> "ValidationVideo":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._opened.__exit__(kind, error, trace)
        except DataError as refused:
            self._give_up(refused)

    def _give_up(self, error: DataError) -> None:
        self.is_broken, self._frames_left = True, 0
        _log.warning("%s; training goes on without videos", error)
