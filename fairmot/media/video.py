"""Where frames come from: video files, folders of pictures, MOTChallenge sequences, cameras, streams."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from fairmot.addresses import is_address, masked, may_be_file, name_of_address
from fairmot.errors import DataError
from fairmot.media import RECONNECT_S
from fairmot.media.frame import Frame
from fairmot.media.image_size import MOST_PIXELS
from fairmot.media.live import OPEN_TIMEOUT_S, READ_TIMEOUT_S, LiveSource
from fairmot.media.picture import read_image
from fairmot.media.video_reader import VideoReader, read_frames
from fairmot.mot.numbering import number_pictures
from fairmot.mot.sequence import read_frame_rate
from fairmot.picture_files import PICTURE_SUFFIXES, is_picture, natural_order

_CAMERA_FORMAT = "v4l2"
# UDP loses parts of pictures; a file's connection that breaks goes on at its byte.
_OPTIONS = {"rtsp_flags": "prefer_tcp", "reconnect": "1"}


@dataclass(frozen=True)
class FrameSource:
    """A sequence of frames, all of one size. Iterating it gives their pictures: uint8 [H, W, 3], BGR.

    Attributes:
        name: for the files made from it.
        frame_rate: frames per second, None where nobody says.
        size_hw: height and width of every frame, pixels.
        length: number of frames, None where it shows only at the end.
        is_live: a camera or stream: it ends when somebody stops it.
        read: starts reading: pictures with their numbers and times. A source that is not live is read anew.
        stop: ends a live source's frames, from any thread.
        frames: int64 [length], the numbers of a sequence's frames; None: they count from 1.
    """

    name: str
    frame_rate: float | None
    size_hw: tuple[int, int]
    length: int | None
    is_live: bool
    read: Callable[[], Iterator[Frame]]
    stop: Callable[[], object] = lambda: None
    frames: np.ndarray | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        return (frame.picture for frame in self.read())


def open_source(source: str, reconnect_s: float = RECONNECT_S) -> FrameSource:
    """Open frames by name.

    Args:
        source: a video file; a folder of pictures, taken in natural order (2.jpg before 10.jpg); a MOTChallenge
            sequence (img1, seqinfo.ini); an address such as rtsp://... or https://...; /dev/video0 or 0, a camera.
        reconnect_s: how long a camera, stream or server that falls silent is tried again.

    Returns:
        The source. Its iteration raises DataError for a picture that cannot be decoded or has another size.

    Raises:
        DataError: nothing there, or not one frame can be read.
    """
    if is_address(source):
        return _open_address(source, reconnect_s)
    path = Path(source).expanduser()
    if path.is_dir():
        return _open_sequence(path) if (path / "img1").is_dir() else _open_folder(path)
    if path.is_file():
        return _open_video(path)
    if path.is_char_device():
        return _open_camera(str(path), path.name, reconnect_s)
    if source.isascii() and source.isdigit():
        return _open_camera(f"/dev/video{int(source)}", f"camera{int(source)}", reconnect_s)
    raise DataError(
        f"source={source}: not there; give a video file, a folder of pictures, a MOTChallenge sequence folder, an "
        "address such as rtsp://camera/1, or a camera: /dev/video0 or 0"
    )


def _open_sequence(folder: Path) -> FrameSource:
    pictures = number_pictures(folder)
    frame_rate = read_frame_rate(folder / "seqinfo.ini")
    return _open_pictures(pictures.paths, pictures.frames, folder.resolve().name, frame_rate)


def _open_folder(folder: Path) -> FrameSource:
    if folder.resolve().name == "img1":  # a sequence's, whose frames have numbers
        return _open_sequence(folder.resolve().parent)
    paths = sorted(
        (path for path in folder.iterdir() if is_picture(path.name)), key=lambda path: natural_order(path.name)
    )
    if not paths:
        raise DataError(f"{folder}: no pictures ({', '.join(PICTURE_SUFFIXES)}) in this folder")
    return _open_pictures(paths, np.arange(1, len(paths) + 1), folder.name or folder.resolve().name, None)


def _open_pictures(paths: list[Path], frames: np.ndarray, name: str, frame_rate: float | None) -> FrameSource:
    size_hw = _size_hw(read_image(str(paths[0])))

    def read() -> Iterator[Frame]:
        for number, path in zip(frames.tolist(), paths, strict=True):
            frame = read_image(str(path))
            if _size_hw(frame) != size_hw:
                raise DataError(
                    f"{path}: {_shown(_size_hw(frame))} pixels, but {paths[0]} has {_shown(size_hw)}; "
                    "the frames of a sequence have one size"
                )
            yield Frame(number, None, frame)

    return FrameSource(name, frame_rate, size_hw, len(paths), False, read, frames=frames)


def _open_video(path: Path) -> FrameSource:
    refused = _Refused(f"{path}: no frame can be read", "; not a video, cut short, or of an unknown codec")
    return _recorded(lambda: VideoReader(str(path)), path.stem, str(path), refused)


def _open_address(address: str, reconnect_s: float) -> FrameSource:
    """A stream, or a file on a server, which has an end and a length in seconds."""
    name, said = name_of_address(address), masked(address)
    refused = _Refused(f"source={said}: no picture comes from there")
    live = LiveSource(address, reconnect_s, options=_OPTIONS)
    with refused:
        reader = live.open()
        if reader.duration_s is None or not may_be_file(address):
            return _live(live, reader, name)
        reader.close()
    patience = {"reconnect_on_network_error": "1", "reconnect_delay_max": str(max(1, round(reconnect_s)))}
    timeout_s = OPEN_TIMEOUT_S, reconnect_s + READ_TIMEOUT_S
    options = {"options": _OPTIONS | patience, "timeout": timeout_s}
    return _recorded(lambda: VideoReader(address, **options), name, said, refused)


def _open_camera(path: str, name: str, reconnect_s: float) -> FrameSource:
    live = LiveSource(path, reconnect_s, format=_CAMERA_FORMAT)
    with _Refused(f"source: camera {path} gives no picture"):
        return _live(live, live.open(), name)


class _Refused(AbstractContextManager[None]):
    """Turns what PyAV says of a source into one error, without the words that hold its address as it is."""

    def __init__(self, before: str, behind: str = "") -> None:
        self._before, self._behind = before, behind

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, av.FFmpegError | LookupError | ValueError):  # ValueError: a PyAV without cameras
            reason = error.strerror if isinstance(error, av.FFmpegError) else str(error)
            raise DataError(f"{self._before}: {reason or type(error).__name__}{self._behind}") from None


def _recorded(open_reader: Callable[[], VideoReader], name: str, said: str, refused: _Refused) -> FrameSource:
    """A source with an end. What is open already is the first to be read."""
    with refused:
        reader = open_reader()
        frames = read_frames(reader, said)
        first = next(frames, None)
        if first is None:
            raise LookupError(f"there is none of at most {MOST_PIXELS} pixels")
    opened = [_with_first(first, frames)]

    def read() -> Iterator[Frame]:
        if opened:
            return opened.pop()
        with refused:
            return read_frames(open_reader(), said)

    return FrameSource(name, reader.frame_rate, _size_hw(first.picture), reader.announced, False, read)


def _live(live: LiveSource, reader: VideoReader, name: str) -> FrameSource:
    """A source without an end. It is connected anew when it is read: nobody takes what it would send until then."""
    with closing(reader):
        first = next(reader.pictures(), None)
    if first is None:
        raise LookupError(f"there is none of at most {MOST_PIXELS} pixels")
    size_hw = _size_hw(first.picture)
    return FrameSource(name, reader.frame_rate, size_hw, None, True, lambda: live.frames(size_hw), live.stop)


def _with_first(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from rest


def _size_hw(frame: np.ndarray) -> tuple[int, int]:
    return frame.shape[0], frame.shape[1]


def _shown(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[1]}x{size_hw[0]}"
