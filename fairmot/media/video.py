"""Where frames come from: video files, folders of pictures, MOTChallenge sequences, cameras."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fairmot.errors import DataError
from fairmot.media.picture import read_image
from fairmot.mot.numbering import number_pictures
from fairmot.mot.sequence import read_frame_rate
from fairmot.picture_files import PICTURE_SUFFIXES, is_picture, natural_order

_HIGHEST_FRAME_RATE = 1000.0  # containers without a rate report their clock's instead
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrameSource:
    """A sequence of frames; iterating it reads them anew: uint8 [H, W, 3], BGR, all of one size.

    Attributes:
        name: for the files made from it.
        frame_rate: frames per second, None where nobody says.
        size_hw: height and width of every frame, pixels.
        length: number of frames, None where it shows only at the end.
        is_live: a camera: it ends when somebody stops it.
        read: starts reading.
        frames: int64 [length], the frames' numbers in their sequence, with gaps maybe; None: they count from 1.
    """

    name: str
    frame_rate: float | None
    size_hw: tuple[int, int]
    length: int | None
    is_live: bool
    read: Callable[[], Iterator[np.ndarray]]
    frames: np.ndarray | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        return self.read()

    def numbers(self, positions: np.ndarray) -> np.ndarray:
        """The numbers of the frames at these positions, which count from 1."""
        positions = np.asarray(positions, np.int64)
        return positions if self.frames is None else self.frames[positions - 1]


def open_source(source: str) -> FrameSource:
    """Open frames by name.

    Args:
        source: a video file; a folder of pictures, taken in natural order (2.jpg before 10.jpg); a MOTChallenge
            sequence (img1, seqinfo.ini); or the number of a camera, such as 0.

    Returns:
        The source. Its iteration raises DataError for a picture that cannot be decoded or has another size.

    Raises:
        DataError: nothing there, or not one frame can be read.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return _open_sequence(path) if (path / "img1").is_dir() else _open_folder(path)
    if path.is_file():
        return _open_video(path)
    if source.isascii() and source.isdigit():
        return _open_camera(int(source))
    raise DataError(
        f"source={source}: not there; give a video file, a folder of pictures, a MOTChallenge sequence folder or the "
        "number of a camera"
    )


def _open_sequence(folder: Path) -> FrameSource:
    pictures = number_pictures(folder)
    frame_rate = read_frame_rate(folder / "seqinfo.ini")
    return _open_pictures(pictures.paths, folder.resolve().name, frame_rate, pictures.frames)


def _open_folder(folder: Path) -> FrameSource:
    if folder.resolve().name == "img1":  # a sequence's, whose frames have numbers
        return _open_sequence(folder.resolve().parent)
    paths = sorted(
        (path for path in folder.iterdir() if is_picture(path.name)), key=lambda path: natural_order(path.name)
    )
    if not paths:
        raise DataError(f"{folder}: no pictures ({', '.join(PICTURE_SUFFIXES)}) in this folder")
    return _open_pictures(paths, folder.name or folder.resolve().name, None, None)


def _open_pictures(paths: list[Path], name: str, frame_rate: float | None, frames: np.ndarray | None) -> FrameSource:
    size_hw = _size_hw(read_image(str(paths[0])))

    def read() -> Iterator[np.ndarray]:
        for path in paths:
            frame = read_image(str(path))
            if _size_hw(frame) != size_hw:
                raise DataError(
                    f"{path}: {_shown(_size_hw(frame))} pixels, but {paths[0]} has {_shown(size_hw)}; "
                    "the frames of a sequence have one size"
                )
            yield frame

    return FrameSource(name, frame_rate, size_hw, len(paths), False, read, frames)


def _open_video(path: Path) -> FrameSource:
    first = next(_frames_of(str(path)), None)
    if first is None:
        raise DataError(f"{path}: no frame can be read; not a video, cut short, or of an unknown codec")
    capture = cv2.VideoCapture(str(path))
    announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    frame_rate = _frame_rate(capture)
    capture.release()

    def read() -> Iterator[np.ndarray]:
        number = 0
        for number, frame in enumerate(_frames_of(str(path)), start=1):  # noqa: B007
            yield frame
        if number < announced:
            _logger.warning("%s: only %d of the %d frames it announces can be read", path, number, announced)

    return FrameSource(path.stem, frame_rate, _size_hw(first), announced if announced > 0 else None, False, read)


def _open_camera(number: int) -> FrameSource:
    frames = _frames_of(number)
    first = next(frames, None)
    if first is None:
        raise DataError(f"source={number}: camera {number} gives no picture (a file of this name is not there either)")

    def read() -> Iterator[np.ndarray]:
        yield first
        yield from frames

    return FrameSource(f"camera{number}", None, _size_hw(first), None, True, read)


def _frames_of(video: str | int) -> Iterator[np.ndarray]:
    """Frames of a file or a camera, turned upright as the file says; it is released at the end."""
    capture = cv2.VideoCapture(video)
    try:
        while capture.isOpened():
            is_read, frame = capture.read()
            if not is_read:
                return
            yield frame
    finally:
        capture.release()


def _frame_rate(capture: cv2.VideoCapture) -> float | None:
    frame_rate = float(capture.get(cv2.CAP_PROP_FPS))
    return frame_rate if 0 < frame_rate < _HIGHEST_FRAME_RATE else None


def _size_hw(frame: np.ndarray) -> tuple[int, int]:
    return frame.shape[0], frame.shape[1]


def _shown(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[1]}x{size_hw[0]}"
