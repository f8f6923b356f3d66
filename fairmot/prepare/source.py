"""What every reader of a download hands over: images in order, their boxes, and what is missing."""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from fairmot.data import folders
from fairmot.errors import DataError
from fairmot.media.picture import check_file
from fairmot.picture_files import PICTURE_SUFFIXES, is_foreign_folder, is_picture

THREADS = min(8, os.cpu_count() or 1)
NO_IDENTITY = -1
_log = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Boxes:
    """The objects of a source that count, in any order.

    Attributes:
        images: int64 [N], the image each is in: a position in the source's images.
        ids: int64 [N], as in the annotations; -1: no identity.
        boxes_xywh: float64 [N, 4], pixels.
        classes: int64 [N], from 0.
    """

    images: np.ndarray
    ids: np.ndarray
    boxes_xywh: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def at(self, chosen: np.ndarray) -> "Boxes":
        """Those an index or mask chooses."""
        return Boxes(self.images[chosen], self.ids[chosen], self.boxes_xywh[chosen], self.classes[chosen])


@dataclass(frozen=True)
class Source:
    """One sequence, or one folder of images that belong to no sequence, as downloaded and checked.

    Attributes:
        name: of the sequence or folder.
        split: train, val, test or what else the download calls it.
        images: the image files in order.
        targets: where each goes, below `images/<split>`; endings included.
        sizes_hw: int [images, 2], pixels.
        boxes: None where the download has no annotations; such images get no label files.
        keeps_ids: the annotations number the identities of the whole split from 0 already; else ids mean something only
            within this source.
        frame_rate: frames per second, None where nobody says.
        texts: files of the sequence, below `images/<split>`: seqinfo.ini and gt/gt.txt.
        rows_without_image: annotations left out because the download lacks their image.
        lacking: sentences on what else is missing or left out.
    """

    name: str
    split: str
    images: list[Path]
    targets: list[str]
    sizes_hw: np.ndarray
    boxes: Boxes | None
    keeps_ids: bool = False
    frame_rate: float | None = None
    texts: dict[str, bytes] = field(default_factory=dict)
    rows_without_image: int = 0
    lacking: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Origin:
    """A part of a download that is read as a whole.

    Attributes:
        folder: that must never be written to; also the part's name in the manifest.
        image_folders: whose images are used.
        annotations: text files that decide what becomes of them; some may not be there.
        read: reads it all; the bar counts its images. Raises DataError.
    """

    folder: Path
    image_folders: Sequence[Path]
    annotations: Sequence[Path]
    read: Callable[[tqdm], list[Source]]


def folders_with_images(top: Path) -> list[Path]:
    """`top` and the folders below it that hold images directly, hidden ones left out, in order of path.

    Raises:
        DataError: there are none.
    """
    found = []
    for folder, below, files in os.walk(top, followlinks=True):
        below[:] = sorted(name for name in below if not is_foreign_folder(name))
        if any(is_picture(name) for name in files):
            found.append(Path(folder))
    if not found:
        raise DataError(f"{top}: no images ({', '.join(PICTURE_SUFFIXES)}) in it or below; is the download complete?")
    return sorted(found)


def folders_below(top: Path, name: str) -> list[Path]:
    """Of `folders_with_images` those called `name` or below such a folder; others are named in a warning.

    Raises:
        DataError: there are no images at all.
    """
    folders = folders_with_images(top)
    found = [folder for folder in folders if name in folder.relative_to(top.parent).parts]
    for folder in folders:
        if found and folder not in found:
            _log.warning("left out: %s: images count below a folder named %s", folder, name)
    return found


def image_target(relative: str, without: Sequence[str] = ()) -> str:
    """Where an image goes below `images/<split>`: its path in the download, less the folders that are there already.

    Args:
        relative: its path in the download.
        without: names of folders to leave out besides `images`, which must not be there twice: labels are found by it.
    """
    *folders, name = relative.split("/")
    return "/".join([folder for folder in folders if folder not in ("images", ".", "", *without)] + [name])


def list_images(folder: Path) -> list[Path]:
    """The images directly in a folder, by name."""
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if is_picture(entry.name))


def in_parallel(function: Callable[[Item], Result], items: Sequence[Item], bar: tqdm | None = None) -> list[Result]:
    """`function` of every item, in order; storage that answers slowly is asked for several at a time.

    Args:
        function: what to do; an error of it ends all.
        items: what to do it with.
        bar: counts the items.
    """
    results: list[Result] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for chunk in folders.in_parallel(pool, function, items):
            results += chunk
            if bar is not None:
                bar.update(len(chunk))
    return results


def image_sizes(paths: Sequence[Path], bar: tqdm | None = None) -> np.ndarray:
    """Sizes from the images' headers: int64 [n, 2], height and width in pixels.

    Raises:
        DataError: an image cannot be read, or is cut short.
    """
    return np.array(in_parallel(check_file, paths, bar), np.int64).reshape(-1, 2)


def require_one_size(paths: Sequence[Path], sizes_hw: np.ndarray) -> None:
    """The images of a sequence have one size.

    Raises:
        DataError: they have not.
    """
    for path, (height, width) in zip(paths, sizes_hw, strict=True):
        if (height, width) != tuple(sizes_hw[0]):
            other = f"{sizes_hw[0][1]}x{sizes_hw[0][0]}"
            raise DataError(f"{path}: {width}x{height} pixels, but {paths[0]} has {other}; a sequence has one size")


class BoxRows:
    """Collects boxes row by row; what has no area is left out and named, for a download is never edited.

    An identity twice in an image is refused, as nothing could be scored against it.
    """

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, float, float, float, float, int]] = []
        self._empty: list[str] = []
        self._places: dict[tuple[int, int], str] = {}

    def add(self, place: str, image: int, identity: int, box_xywh: Sequence[float], class_id: int = 0) -> None:
        """One object; `place` says where it stands in the annotations.

        Raises:
            DataError: the image has a box of this identity already.
        """
        x, y, width, height = box_xywh
        if identity != NO_IDENTITY:
            first = self._places.setdefault((image, identity), place)
            if first is not place:
                raise DataError(f"{place}: id {identity} appears twice in one image, first at {first}")
        if width > 0 and height > 0:
            self._rows.append((image, identity, x, y, width, height, class_id))
        else:
            self._empty.append(place)

    def lacking(self) -> list[str]:
        """A sentence on the boxes left out, none where there are none."""
        if not self._empty:
            return []
        return [f"{len(self._empty)} boxes without area left out, the first: {self._empty[0]}"]

    def boxes(self) -> Boxes:
        """What was collected."""
        table = np.array(self._rows, np.float64).reshape(-1, 7)
        images, ids, classes = (table[:, column].astype(np.int64) for column in (0, 1, 6))
        return Boxes(images, ids, table[:, 2:6], classes)
