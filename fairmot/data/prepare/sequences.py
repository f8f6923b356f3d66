"""Reading the folders of MOTChallenge downloads: `<sequence>/img1`, `gt/gt.txt`, `seqinfo.ini`."""

import configparser
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from fairmot.data.prepare.image_size import read_image_size
from fairmot.errors import ConfigError, DataError

_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_SPLIT_FOLDERS = ("train", "test")


@dataclass(frozen=True)
class GroundTruth:
    """The rows of a gt.txt that count.

    Attributes:
        frames: int64 [N], from 1.
        ids: int64 [N], as in the file.
        boxes_xywh: float64 [N, 4], pixels.
    """

    frames: np.ndarray
    ids: np.ndarray
    boxes_xywh: np.ndarray

    def at(self, chosen: np.ndarray) -> "GroundTruth":
        """The rows an index or mask chooses."""
        return GroundTruth(self.frames[chosen], self.ids[chosen], self.boxes_xywh[chosen])


@dataclass(frozen=True)
class SourceSequence:
    """One sequence as downloaded and checked.

    Attributes:
        folder: of the download.
        split: train with ground truth, else test.
        images: frame number to image, in order of frames.
        size_hw: of every image.
        frame_rate: frames per second, None where there is no seqinfo.ini to say it.
        truth: rows whose frame has an image, in order of id, then frame; none in a test sequence.
        rows_without_image: rows left out because their frame has none.
    """

    folder: Path
    split: str
    images: dict[int, Path]
    size_hw: tuple[int, int]
    frame_rate: float | None
    truth: GroundTruth
    rows_without_image: int

    @property
    def name(self) -> str:
        """Of the sequence."""
        return self.folder.name


def find_sequences(root: str) -> list[Path]:
    """Folders with an `img1` below root/train and root/test, or, where neither is, below root; sorted by name.

    Raises:
        DataError: no such root, no sequence in it, or two of the same name.
    """
    top = Path(root).expanduser()
    if not top.is_dir():
        raise DataError(f"root={root}: no such folder; name the folder the download was unpacked to")
    parents = [top / name for name in _SPLIT_FOLDERS if (top / name).is_dir()] or [top]
    found = sorted(
        (folder.parent.resolve() for parent in parents for folder in parent.glob("*/img1") if folder.is_dir()),
        key=lambda folder: folder.name,
    )
    if not found:
        places = " and ".join(str(parent / "<sequence>" / "img1") for parent in parents)
        raise DataError(f"root={root}: no sequences found; looked for {places}")
    for one, next_one in pairwise(found):
        if one.name == next_one.name:
            raise DataError(f"{next_one}: a sequence of this name is also {one}; prepare train and test separately")
    return found


def choose_sequences(found: list[Path], wanted: list[str]) -> list[Path]:
    """Those named in `wanted`, all where it is empty.

    Raises:
        ConfigError: a name that is not among the found.
    """
    known = [folder.name for folder in found]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(f"sequences: unknown {', '.join(unknown)}; there are: {', '.join(known)}")
    return [folder for folder in found if not wanted or folder.name in wanted]


def is_labelled(folder: Path) -> bool:
    """Whether a sequence trains: it has ground truth and is not below a folder `test`."""
    return folder.parent.name != "test" and (folder / "gt" / "gt.txt").is_file()


def read_sequence(folder: Path, columns: Sequence[str], people_class: int | None) -> SourceSequence:
    """Read and check one sequence.

    Args:
        folder: the sequence.
        columns: names of gt.txt's columns; the first seven are frame, id, x, y, w, h, flag.
        people_class: value the column `class` must have for a row to count; None: there is no such column.

    Raises:
        DataError: images without number or of different sizes, a gt row or a seqinfo.ini that cannot be used.
    """
    images = _list_images(folder / "img1")
    sizes = {path: read_image_size(path) for path in images.values()}
    first = next(iter(images.values()))
    for path, (height, width) in sizes.items():
        if (height, width) != sizes[first]:
            other = f"{sizes[first][1]}x{sizes[first][0]}"
            raise DataError(f"{path}: {width}x{height} pixels, but {first} has {other}; a sequence has one size")
    labelled = is_labelled(folder)
    truth = read_ground_truth(folder / "gt" / "gt.txt", columns, people_class) if labelled else _no_truth()
    has_image = np.isin(truth.frames, list(images))
    kept = truth.at(has_image)
    return SourceSequence(
        folder=folder,
        split="train" if labelled else "test",
        images=images,
        size_hw=sizes[first],
        frame_rate=_read_frame_rate(folder / "seqinfo.ini", sizes[first]),
        truth=kept.at(np.lexsort((kept.frames, kept.ids))),
        rows_without_image=int(np.count_nonzero(~has_image)),
    )


def _list_images(folder: Path) -> dict[int, Path]:
    images: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        if not (path.stem.isascii() and path.stem.isdigit()):
            raise DataError(f"{path}: an image's name must be its frame number, such as 000001.jpg")
        frame = int(path.stem)
        if frame in images:
            raise DataError(f"{path}: frame {frame} is also {images[frame].name}; delete one of them")
        images[frame] = path
    if not images:
        raise DataError(f"{folder}: no images (.jpg or .png); is the download complete?")
    return dict(sorted(images.items()))


def _no_truth() -> GroundTruth:
    return GroundTruth(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)))


def read_ground_truth(path: Path, columns: Sequence[str], people_class: int | None) -> GroundTruth:
    """The rows of a gt.txt with a flag other than 0 and the right class, in the file's order.

    Raises:
        DataError: the file cannot be read or a row cannot be used; the message names `path:line`.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot read this ground truth: {error}") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        values = _parse_row(f"{path}:{number}", line, columns)
        if values[6] == 0 or (people_class is not None and values[columns.index("class")] != people_class):
            continue
        if values[4] <= 0 or values[5] <= 0:
            raise DataError(f"{path}:{number}: box size {values[4]:g} x {values[5]:g} must be positive")
        rows.append(values)
    if not rows:
        return _no_truth()
    table = np.array(rows, np.float64)
    return GroundTruth(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:6])


def _parse_row(place: str, line: str, columns: Sequence[str]) -> list[float]:
    fields = line.split(",")
    if len(fields) != len(columns):
        raise DataError(f"{place}: {len(fields)} columns, expected {len(columns)}: {','.join(columns)}")
    values = []
    for name, field in zip(columns, fields, strict=True):
        try:
            value = float(field)
        except ValueError as error:
            raise DataError(f"{place}: {name} '{field.strip()}' is not a number") from error
        if not math.isfinite(value):
            raise DataError(f"{place}: {name} '{field.strip()}' is not a finite number")
        values.append(value)
    for name, value, least in (("frame", values[0], 1), ("id", values[1], 0)):
        if not value.is_integer() or value < least:
            raise DataError(f"{place}: {name} {value:g} must be an integer from {least} on")
    return values


def _read_frame_rate(path: Path, size_hw: tuple[int, int]) -> float | None:
    """The frame rate of a seqinfo.ini, after comparing its image size with the images'."""
    if not path.is_file():
        return None
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
        section = parser["Sequence"]
        height, width = section.getint("imHeight"), section.getint("imWidth")
        frame_rate = section.getfloat("frameRate")
    except KeyError as error:
        raise DataError(f"{path}: no section [Sequence]") from error
    except (configparser.Error, ValueError, OSError) as error:
        raise DataError(f"{path}: {' '.join(str(error).split())}; expected [Sequence] with key=value lines") from error
    if height is None or width is None:
        raise DataError(f"{path}: imWidth and imHeight are missing; without the whole file the images are asked")
    if (height, width) != size_hw:
        raise DataError(f"{path}: imWidth x imHeight is {width}x{height}, but the images are {size_hw[1]}x{size_hw[0]}")
    if frame_rate is not None and not (math.isfinite(frame_rate) and frame_rate > 0):
        raise DataError(f"{path}: frameRate {frame_rate:g} must be positive")
    return frame_rate
