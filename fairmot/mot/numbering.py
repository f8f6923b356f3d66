"""Which frame of a sequence a picture is: the one rule by which all commands number frames.

Frames count from 1. A picture's name ends with its frame's number; where the names begin with 0 (frame_000000.png),
the first of them is frame 1. Numbers with gaps stay as they are: a lost picture, or every fifth one, shifts nobody.
Ground truth may instead count a clip's pictures (000372.jpg is its frame 1), or from 0 as the names do. Its rows
decide; where two readings are as good, or none is, that is an error.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairmot.errors import DataError
from fairmot.mot.rows import LARGEST_FRAME, MotRows, TruthFile, read_truth_file
from fairmot.mot.sequence import read_length
from fairmot.picture_files import PICTURE_SUFFIXES, is_picture, natural_order


@dataclass(frozen=True)
class NumberedPictures:
    """The pictures of a sequence.

    Attributes:
        folder: of the sequence.
        paths: the N pictures in order of their frames.
        frames: int64 [N], the number of each, from 1, rising.
        row_shift: what is added to a frame of gt.txt to get these numbers: 1 where it counts from 0.
    """

    folder: Path
    paths: list[Path]
    frames: np.ndarray
    row_shift: int = 0

    def numbered(self, rows: MotRows) -> tuple[MotRows, np.ndarray]:
        """The rows of gt.txt under these numbers, and bool [rows]: those whose frame has a picture."""
        shifted = rows.select(np.arange(len(rows)))
        shifted.frames += self.row_shift
        return shifted, np.isin(shifted.frames, self.frames)

    def say(self) -> list[str]:
        """A sentence on numbers that are not those of the names; none where they are."""
        names = [path.name for path in self.paths]
        if [_split_number(name)[1] for name in names] == self.frames.tolist():
            return []
        counted = "; gt.txt counts from 0, one is added" if self.row_shift else ""
        return [f"{names[0]} to {names[-1]} are frames {self.frames[0]} to {self.frames[-1]}{counted}"]


def has_pictures(folder: Path) -> bool:
    """Whether a sequence's folder `img1` is there and holds a picture."""
    images = folder / "img1"
    return images.is_dir() and any(is_picture(path.name) for path in images.iterdir())


def number_pictures(folder: Path, truth: TruthFile | None = None) -> NumberedPictures:
    """The pictures of `<sequence>/img1` with the numbers of their frames.

    Args:
        folder: of the sequence.
        truth: its gt/gt.txt, where it has been read already; None: it is read if the names leave a doubt, and if it is
            there.

    Raises:
        DataError: no pictures, names or rows that do not agree; or a gt.txt that is needed cannot be used.
    """
    paths, names = named_pictures(folder / "img1")
    if truth is None and names is not None and names[0] == 1 and names[-1] == len(names):
        return NumberedPictures(folder, paths, names)
    path = folder / "gt" / "gt.txt"
    if truth is None and path.is_file():
        truth = read_truth_file(path)
    if truth is None or not len(truth.rows):
        frames = np.arange(1, len(paths) + 1) if names is None else _by_name(names)
        return NumberedPictures(folder, paths, frames)
    frames, row_shift = _decide(truth, names, len(paths), lambda: read_length(folder / "seqinfo.ini"))
    return NumberedPictures(folder, paths, frames, row_shift)


def named_pictures(folder: Path) -> tuple[list[Path], np.ndarray | None]:
    """Pictures in order, and the numbers their names end with; None where these are no numbers of frames.

    Raises:
        DataError: there are none, some have a number and some not, or two have the same.
    """
    try:
        found = sorted(name for name in os.listdir(folder) if is_picture(name))  # noqa: PTH208
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}; is the download complete?") from error
    if not found:
        endings = ", ".join(PICTURE_SUFFIXES)
        raise DataError(f"{folder}: no pictures ({endings}) in this folder; is the download complete?")
    split = [_split_number(name) for name in found]
    without = [name for name, (_, number) in zip(found, split, strict=True) if number is None]
    if without and len(without) < len(found):
        raise DataError(f"{folder / without[0]}: an image's name must be its frame number, such as 000001.jpg")
    beginnings = {beginning for beginning, _ in split}
    if without or len(beginnings) > 1 or max(number or 0 for _, number in split) > LARGEST_FRAME:
        return [folder / name for name in sorted(found, key=natural_order)], None
    by_number: dict[int, str] = {}
    for name, (_, number) in zip(found, split, strict=True):
        other = by_number.setdefault(number or 0, name)
        if other != name:
            raise DataError(f"{folder / name}: frame {number} is also {other}; delete one of them")
    numbers = sorted(by_number)
    return [folder / by_number[number] for number in numbers], np.array(numbers, np.int64)


def _split_number(name: str) -> tuple[str, int | None]:
    """What stands before the number at the end of a picture's name, and the number; None: there is none."""
    stem = name.rpartition(".")[0]
    beginning = stem.rstrip("0123456789")
    return beginning, int(stem[len(beginning) :]) if len(beginning) < len(stem) else None


def _by_name(names: np.ndarray) -> np.ndarray:
    return names + 1 if names[0] == 0 else names


def _decide(
    truth: TruthFile, names: np.ndarray | None, count: int, length: Callable[[], int | None]
) -> tuple[np.ndarray, int]:
    """Numbers of the frames, and what is added to the rows'.

    Args:
        truth: the rows.
        names: int64 [count] numbers of the names, rising; None: they have none.
        count: of pictures.
        length: what seqinfo.ini gives as the number of frames.
    """
    rows = np.unique(truth.rows.frames)
    if names is None:
        shift = int(rows[0] == 0)
        if rows[-1] + shift > count:
            raise _disagreement(truth, rows[-1], f"{count} pictures without numbers in their names")
        return np.arange(1, count + 1), shift
    by_name = _by_name(names)
    if rows[0] == 0 and names[0] > 0:
        raise _disagreement(truth, rows[0], _shown(names))
    if rows[0] == 0:
        return by_name, 1
    missing = ~np.isin(rows, by_name)
    if not missing.any():
        return by_name, 0
    if names[0] == 0 and np.isin(rows, names).all():
        return by_name, 1
    return _weigh(truth, names, by_name, missing, length), 0


def _weigh(
    truth: TruthFile, names: np.ndarray, by_name: np.ndarray, missing: np.ndarray, length: Callable[[], int | None]
) -> np.ndarray:
    """Some rows have no picture by the names: either pictures are lost, or the rows count the pictures there are.

    Args:
        truth: the rows.
        names: int64 [N], of the pictures.
        by_name: int64 [N], the frames they mean.
        missing: bool, of the different frames with rows those without a picture by the names.
        length: what seqinfo.ini gives as the number of frames.
    """
    count, rows = len(names), np.unique(truth.rows.frames)
    in_order = np.arange(1, count + 1)
    first = rows[np.argmax(missing)]
    if rows[-1] > count:  # they do not count these pictures
        if missing.all():
            raise _disagreement(truth, first, _shown(names))
        return by_name
    frames = length()
    if frames == count:
        return in_order
    if frames is not None and frames >= by_name[-1]:
        if missing.all():
            raise _disagreement(truth, first, f"{_shown(names)}, of {frames} by seqinfo.ini")
        return by_name
    is_sparse = 2 * count <= by_name[-1] - by_name[0] + 1
    if missing.all() or (is_sparse and missing.mean() > 1 / 2):
        return in_order
    if by_name[0] == 1:
        return by_name
    raise _disagreement(truth, first, _shown(names))


def _shown(names: np.ndarray) -> str:
    return f"{len(names)} pictures named {names[0]} to {names[-1]}"


def _disagreement(truth: TruthFile, frame: int, pictures: str) -> DataError:
    """An error that names the first row of `frame`."""
    frames = truth.rows.frames
    return DataError(
        f"{truth.place(int(np.argmax(frames == frame)))}: a row of frame {frame}; the rows are of frames "
        f"{frames.min()} to {frames.max()}, but img1 holds {pictures}: which picture is which frame cannot be told. "
        "Frames count from 1: name each picture by its frame, or number the rows as the pictures are named"
    )
