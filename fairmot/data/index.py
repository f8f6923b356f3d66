"""All labels of a mix of data sets in memory, checked, with their images accounted for."""

# Paths are strings here: 60,000 Path objects cost seconds at every start.
# ruff: noqa: PTH112, PTH116, PTH118, PTH120, PTH208

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from fairmot.data import label_cache
from fairmot.data.identities import IdentityTable
from fairmot.data.label_cache import CachedLabels
from fairmot.data.labels import COLUMNS, label_path_for, outside_image, read_labels
from fairmot.errors import DataError

_FILES_A_TASK = 128
_FAULTS_SHOWN = 5
_PROGRESS_DELAY_S = 0.5
_logger = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class LabelIndex:
    """Images and labels of a mix of data sets, one data set after the other.

    Attributes:
        root: folder the image paths are relative to.
        image_paths: n of them.
        image_starts: int64 [data sets + 1], where each data set's images begin.
        rows: float32 [R, 6] class, id (local to its data set), normalised cx cy w h.
        row_offsets: int64 [n + 1], where each image's rows begin.
        identities: the data sets' names and identity counts.
    """

    root: str
    image_paths: list[str]
    image_starts: np.ndarray
    rows: np.ndarray
    row_offsets: np.ndarray
    identities: IdentityTable

    def __len__(self) -> int:
        return len(self.image_paths)

    @property
    def names(self) -> list[str]:
        """The data sets."""
        return self.identities.names

    @property
    def max_objects_per_image(self) -> int:
        """The most rows an image has."""
        return int(np.diff(self.row_offsets).max(initial=0))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names, lists and labels: the same on any machine and under any root."""
        state = hashlib.sha256(json.dumps([self.names, self.image_paths]).encode())
        for array in (self.image_starts, self.row_offsets, self.rows):
            state.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
        return state.hexdigest()

    def image_path(self, i: int) -> str:
        """The i-th image file."""
        return os.path.join(self.root, self.image_paths[i])

    def label_path(self, i: int) -> str:
        """The i-th image's label file."""
        return os.path.join(self.root, label_path_for(self.image_paths[i]))

    def place(self, row: int) -> str:
        """Where a row stands: `<label file>:<line>`."""
        image = int(np.searchsorted(self.row_offsets, row, side="right")) - 1
        with open(self.label_path(image), "rb") as stream:
            filled = [number for number, line in enumerate(stream, start=1) if line.strip()]
        return f"{self.label_path(image)}:{filled[row - self.row_offsets[image]]}"

    def labels(self, i: int) -> np.ndarray:
        """The i-th image's rows, float32 [N, 6], ids shifted into the mix (-1 stays -1); a copy."""
        rows = self.rows[self.row_offsets[i] : self.row_offsets[i + 1]].copy()
        data_set = int(np.searchsorted(self.image_starts, i, side="right")) - 1
        rows[rows[:, 1] > -1, 1] += self.identities.offsets[data_set]
        return rows

    def summary(self) -> list[dict[str, str | int]]:
        """One row a data set: name, images, boxes, identities, images_without_boxes."""
        boxes = np.diff(self.row_offsets)
        spans = pairwise(self.image_starts)
        return [
            {
                "name": name,
                "images": int(end - start),
                "boxes": int(boxes[start:end].sum()),
                "identities": count,
                "images_without_boxes": int((boxes[start:end] == 0).sum()),
            }
            for name, count, (start, end) in zip(self.names, self.identities.counts, spans, strict=True)
        ]


class _ImageList(NamedTuple):
    """A list file: its images, the line each stands on, and their label files."""

    name: str
    list_path: str
    image_paths: list[str]
    lines: list[int]
    label_paths: list[str]


def build_index(
    root: str,
    lists: Mapping[str, str],
    cache_dir: str | None = None,
    threads: int = 8,
    progress: bool = True,
) -> LabelIndex:
    """Read and check lists and labels, or take them from the cache of an earlier start.

    The cache lies in `<root>/.fairmot_index`, or in the user's cache folder where that cannot be
    written, or in `cache_dir`. A label file is read again when its modification time or size changed;
    an edit that changes neither (same size, within one tick of the file system's clock) goes unnoticed.

    Args:
        root: folder that image paths are relative to.
        lists: data set name -> list file (relative to root, or absolute), one image path a line.
        cache_dir: the only place for the cache.
        threads: files asked for at the same time; shared storage answers slowly but in parallel.
        progress: show a bar on stderr when it takes longer than half a second.

    Raises:
        DataError: a missing or empty list, image or folder, labels that cannot be used, or a `cache_dir`
            that cannot be written; the message names the first few places.
    """
    if not lists:
        raise DataError("no training data: name at least one data set, data.train.<name>=<list file>")
    if not os.path.isdir(root):
        raise DataError(f"data.root={root} is not a folder")
    image_lists = [_read_list(root, name, path) for name, path in lists.items()]
    label_paths = list(chain.from_iterable(item.label_paths for item in image_lists))
    files = label_cache.cache_files(root, lists, cache_dir)
    cached = label_cache.load(files)
    with ThreadPoolExecutor(threads) as pool:
        _check_images(root, image_lists, set(cached.paths), pool)
        stamps = np.concatenate(list(_in_parallel(pool, lambda path: _stamp(root, path), label_paths)))
        _check_label_files(root, image_lists, stamps)
        labels = _read_changed(root, label_paths, stamps, cached, pool=pool, progress=progress)
    if labels is not cached:
        label_cache.save(files, labels, must_succeed=cache_dir is not None)
    image_starts = np.cumsum([0, *(len(item.image_paths) for item in image_lists)], dtype=np.int64)
    index = LabelIndex(
        root=root,
        image_paths=list(chain.from_iterable(item.image_paths for item in image_lists)),
        image_starts=image_starts,
        rows=labels.rows,
        row_offsets=labels.row_offsets,
        identities=_count_identities(list(lists), labels, image_starts),
    )
    _warn_about_boxes_outside(index)
    return index


def _read_list(root: str, name: str, path: str) -> _ImageList:
    list_path = os.path.join(root, path)
    try:
        with open(list_path, encoding="utf-8") as stream:
            numbered = [(line.strip(), number) for number, line in enumerate(stream, start=1)]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"data set '{name}': cannot read its list file {list_path}: {error}") from error
    numbered = [(image, number) for image, number in numbered if image]
    if not numbered:
        raise DataError(f"data set '{name}': its list file {list_path} names no image")
    first_lines: dict[str, int] = {}
    label_paths, faults = [], []
    for image, number in numbered:
        first = first_lines.setdefault(image, number)
        if first != number:
            faults.append(f"{list_path}:{number}: {image} already stands in line {first}; remove one of them")
        try:
            label_paths.append(label_path_for(image))
        except DataError as error:
            faults.append(f"{list_path}:{number}: {error}")
    _refuse(faults)
    images, lines = zip(*numbered, strict=True)
    return _ImageList(name, list_path, list(images), list(lines), label_paths)


def _refuse(faults: list[str]) -> None:
    """Raise one DataError for all faults, showing the first few."""
    if len(faults) > _FAULTS_SHOWN:
        rest = f"... {len(faults)} faults in all"
        raise DataError("\n".join([*faults[:_FAULTS_SHOWN], rest]))
    if faults:
        raise DataError("\n".join(faults))


def _in_parallel(pool: Executor, function: Callable[[Item], Result], items: list[Item]) -> Iterator[list[Result]]:
    """`function` of every item, in order, a chunk at a time: one task a file would cost more than the file."""
    chunks = [items[start : start + _FILES_A_TASK] for start in range(0, len(items), _FILES_A_TASK)]
    return pool.map(lambda chunk: [function(item) for item in chunk], chunks)


def _check_images(root: str, image_lists: list[_ImageList], known_labels: set[str], pool: Executor) -> None:
    """Every image must be there and hold something; images of an earlier start are only looked for by name."""
    folders = list({os.path.dirname(image) for item in image_lists for image in item.image_paths})
    listings = pool.map(lambda folder: _listing(os.path.join(root, folder)), folders)
    present = dict(zip(folders, listings, strict=True))
    faults, fresh = [], []
    for item in image_lists:
        for image, line, label in zip(item.image_paths, item.lines, item.label_paths, strict=True):
            folder, name = os.path.split(image)
            if name not in present[folder]:
                faults.append(f"{item.list_path}:{line}: image {os.path.join(root, image)} does not exist")
            elif label not in known_labels:
                fresh.append((f"{item.list_path}:{line}", image))
    sizes = chain.from_iterable(_in_parallel(pool, lambda entry: _stamp(root, entry[1])[1], fresh))
    for (place, image), size in zip(fresh, sizes, strict=True):
        if size <= 0:
            state = "is empty (0 bytes)" if size == 0 else "does not exist (broken link)"
            faults.append(f"{place}: image {os.path.join(root, image)} {state}")
    _refuse(faults)


def _listing(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def _stamp(root: str, path: str) -> tuple[int, int]:
    """Modification time in ns and size in bytes; -1, -1 when there is no such file."""
    try:
        status = os.stat(os.path.join(root, path))
    except OSError:
        return -1, -1
    return status.st_mtime_ns, status.st_size


def _check_label_files(root: str, image_lists: list[_ImageList], stamps: np.ndarray) -> None:
    """Some images may lack labels, a whole data set may not."""
    missing = stamps[:, 1] < 0
    start = 0
    for item in image_lists:
        end = start + len(item.label_paths)
        if missing[start:end].all():
            raise DataError(
                f"data set '{item.name}': none of its {end - start} images has a label file; the first was looked for "
                f"at {os.path.join(root, item.label_paths[0])}. Labels stand beside the images: "
                f".../images/x.jpg and .../labels_with_ids/x.txt"
            )
        start = end
    if missing.any():
        label_paths = list(chain.from_iterable(item.label_paths for item in image_lists))
        first = os.path.join(root, label_paths[int(missing.argmax())])
        _logger.warning("%d images have no label file and count as empty, the first: %s", missing.sum(), first)


def _read_changed(
    root: str, paths: list[str], stamps: np.ndarray, cached: CachedLabels, *, pool: Executor, progress: bool
) -> CachedLabels:
    """The labels of `paths`, from the cache where it is still right; `cached` itself when all of it is."""
    position = {path: k for k, path in enumerate(cached.paths)}
    old_stamps, new_stamps = cached.stamps.tolist(), stamps.tolist()
    changed = [i for i, path in enumerate(paths) if path not in position or old_stamps[position[path]] != new_stamps[i]]
    if not changed and paths == cached.paths:
        return cached
    _logger.info("label index: %d label files to read, %d known", len(changed), len(paths) - len(changed))
    fresh: dict[int, np.ndarray] = {}
    faults: list[str] = []
    empty = np.zeros((0, COLUMNS), np.float32)
    present = [i for i in changed if new_stamps[i][1] > 0]
    with tqdm(
        total=len(present), desc="reading labels", unit="file", delay=_PROGRESS_DELAY_S, disable=not progress
    ) as bar:
        for chunk in _in_parallel(pool, lambda i: (i, _read_or_fault(os.path.join(root, paths[i]))), present):
            fresh.update((i, rows) for i, rows in chunk if isinstance(rows, np.ndarray))
            faults.extend(fault for _, fault in chunk if isinstance(fault, str))
            bar.update(len(chunk))
    _refuse(faults)
    fresh.update((i, empty) for i in changed if i not in fresh)
    offsets = cached.row_offsets.tolist()
    pieces = [
        fresh[i] if i in fresh else cached.rows[offsets[position[path]] : offsets[position[path] + 1]]
        for i, path in enumerate(paths)
    ]
    row_offsets = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return CachedLabels(paths, stamps, np.concatenate(pieces), row_offsets)


def _read_or_fault(path: str) -> np.ndarray | str:
    try:
        return read_labels(path)
    except DataError as error:
        return str(error)


def _count_identities(names: Iterable[str], labels: CachedLabels, image_starts: np.ndarray) -> IdentityTable:
    starts = labels.row_offsets[image_starts]
    ids = (labels.rows[start:end, 1] for start, end in pairwise(starts))
    return IdentityTable(list(names), [int(column.max(initial=-1)) + 1 for column in ids])


def _warn_about_boxes_outside(index: LabelIndex) -> None:
    outside = np.flatnonzero(outside_image(index.rows))
    if len(outside):
        place = index.place(int(outside[0]))
        _logger.warning("%d boxes lie wholly outside their image (kept, as in MOTChallenge): %s", len(outside), place)
