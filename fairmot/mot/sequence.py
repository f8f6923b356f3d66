"""Sequences in MOTChallenge's layout, `<sequence>/img1`, `gt/gt.txt`, `seqinfo.ini`: where they are, what they say."""

import configparser
import logging
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from fairmot.errors import LONGEST_REASON, DataError, excerpt
from fairmot.files import read_bounded
from fairmot.mot.benchmarks import MOT17_DETECTORS
from fairmot.picture_files import is_foreign_folder, is_picture

_SPLITS = ("train", "val", "test")
_INNER = ("img1", "gt", "det")  # of a sequence; no other is inside
_DEEPEST, _SHOWN = 3, 5
_MOST_BYTES = 1 << 16  # of a seqinfo.ini
_log = logging.getLogger(__name__)


def find_sequences(root: str) -> list[Path]:
    """Folders with an `img1` below root/train, root/val and root/test, or, where none is, below root; sorted by name.

    A number may follow the split (train1, train2), as some downloads come in parts. A root with an `img1` of its own is
    one sequence. What looks like a sequence and stands elsewhere is named in a warning.

    Raises:
        DataError: no such root, no sequence in it, or two of the same name.
    """
    top = existing_root(root)
    parents = sorted(folder for folder in top.iterdir() if folder.is_dir() and _split_of(folder)) or [top]
    if (top / "img1").is_dir():
        found = [top]
    else:
        found = sorted(
            (folder.resolve() for parent in parents for folder in _folders(parent) if (folder / "img1").is_dir()),
            key=lambda folder: folder.name,
        )
    places = " and ".join(str(parent / "<sequence>" / "img1") for parent in parents)
    left_out = list(_left_out(top, parents, set(found)))
    if not found:
        hints = "".join(f"\n{sentence}" for sentence in left_out[:_SHOWN])
        raise DataError(f"root={root}: no sequences found; looked for {places}{hints}")
    for sentence in left_out:
        _log.warning("left out: %s", sentence)
    for one, next_one in pairwise(found):
        if one.name == next_one.name:
            raise DataError(f"{next_one}: a sequence of this name is also {one}; prepare train and test separately")
    return found


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_foreign_folder(path.name))


def _left_out(top: Path, parents: list[Path], found: set[Path], depth: int = 0) -> Iterator[str]:
    """A sentence on each folder at or below `top` that looks like a sequence and is none of the found."""
    below = _folders(top)
    names = {path.name for path in below}
    truth = (top / "gt" / "gt.txt").is_file()
    if top.resolve() not in found and "img1" in names:
        where = " or ".join(f"{parent}/" for parent in parents)
        yield f"{top}: a sequence must stand directly in {where}; move it there, or give its folder as root"
    elif "img1" not in names and (truth or top.parent in parents):
        pictures = next((path for path in (*below, top) if _holds_pictures(path)), None)
        if pictures is not None and pictures != top:
            yield f"{top}: its pictures are in {pictures.name}/; rename {pictures} to img1"
        elif truth:
            yield f"{top}: no folder img1 beside its gt/; its pictures belong in {top / 'img1'}"
    if depth < _DEEPEST:
        for path in below:
            if path.name not in _INNER:
                yield from _left_out(path, parents, found, depth + 1)


def _holds_pictures(folder: Path) -> bool:
    return any(is_picture(path.name) for path in folder.iterdir())


def existing_root(root: str) -> Path:
    """The download's folder.

    Raises:
        DataError: there is none.
    """
    top = Path(root).expanduser().resolve()
    if not top.is_dir():
        raise DataError(f"root={root}: no such folder; name the folder the download was unpacked to")
    return top


def _split_of(folder: Path) -> str | None:
    name = folder.name.rstrip("0123456789")
    return name if name in _SPLITS else None


def one_variant_a_scene(found: list[Path]) -> list[Path]:
    """Of MOT17-02-FRCNN, -SDP and -DPM, which share images and ground truth, the first that is there."""
    chosen: dict[str, tuple[int, Path]] = {}
    for folder in found:
        scene, _, detector = folder.name.rpartition("-")
        known = detector in MOT17_DETECTORS
        key, rank = (scene, MOT17_DETECTORS.index(detector)) if known else (folder.name, len(MOT17_DETECTORS))
        if key not in chosen or rank < chosen[key][0]:
            chosen[key] = (rank, folder)
    return sorted((folder for _, folder in chosen.values()), key=lambda folder: folder.name)


def sequence_split(folder: Path) -> str:
    """Val below a folder of that name, train elsewhere; test without ground truth or below `test`."""
    split = _split_of(folder.parent) or "train"
    return split if (folder / "gt" / "gt.txt").is_file() else "test"


def read_frame_rate(path: Path, size_hw: tuple[int, int] | None = None) -> float | None:
    """The frame rate a seqinfo.ini says, None without such a file or key.

    Args:
        path: the file.
        size_hw: height and width of the images, pixels; the file, if there is one, must then say the same size.

    Raises:
        DataError: it cannot be read, its frame rate cannot be, or it speaks of another size.
    """
    parser = _read_info(path)
    if parser is None:
        return None
    try:
        if size_hw is not None:
            _check_size(path, parser, size_hw)
        frame_rate = parser.getfloat("Sequence", "frameRate", fallback=None)
    except ValueError as error:
        raise _unreadable(path, error) from error
    if frame_rate is not None and not 0 < frame_rate < math.inf:
        raise DataError(f"{path}: frameRate {frame_rate:g} must be positive")
    return frame_rate


def read_length(path: Path) -> int | None:
    """The number of frames a seqinfo.ini says, None without such a file or key.

    Raises:
        DataError: it cannot be read, or its seqLength is no number.
    """
    parser = _read_info(path)
    if parser is None:
        return None
    try:
        return parser.getint("Sequence", "seqLength", fallback=None)
    except ValueError as error:
        raise _unreadable(path, error) from error


def _read_info(path: Path) -> configparser.ConfigParser | None:
    if not path.is_file():
        return None
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_bounded(path, _MOST_BYTES).decode("utf-8-sig"), source=str(path))
    except (configparser.Error, ValueError, OSError) as error:
        raise _unreadable(path, error) from error
    return parser


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or excerpt(" ".join(str(error).split()), LONGEST_REASON)
    return DataError(f"{path}: {reason}; expected [Sequence] with key=value lines")


def _check_size(path: Path, parser: configparser.ConfigParser, size_hw: tuple[int, int]) -> None:
    if "Sequence" not in parser:
        raise DataError(f"{path}: no section [Sequence]")
    section = parser["Sequence"]
    height, width = section.getint("imHeight"), section.getint("imWidth")
    if height is None or width is None:
        raise DataError(f"{path}: imWidth and imHeight are missing; without the whole file the images are asked")
    if (height, width) != size_hw:
        raise DataError(f"{path}: imWidth x imHeight is {width}x{height}, but the images are {size_hw[1]}x{size_hw[0]}")


def sequence_info(name: str, length: int, size_hw: tuple[int, int], suffix: str, frame_rate: float | None) -> str:
    """The text of a seqinfo.ini.

    Args:
        name: of the sequence.
        length: frames.
        size_hw: height and width of the images, pixels.
        suffix: of the images' names, such as .jpg.
        frame_rate: frames per second, None where nobody says.
    """
    rate = "" if frame_rate is None else f"frameRate={frame_rate:g}\n"
    return (
        f"[Sequence]\nname={name}\nimDir=img1\n{rate}seqLength={length}\n"
        f"imWidth={size_hw[1]}\nimHeight={size_hw[0]}\nimExt={suffix}\n"
    )
