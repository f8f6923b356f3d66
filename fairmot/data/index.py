"""All labels of a mix of data sets in memory, checked, with their images accounted for."""

# Paths are strings here: 60,000 Path objects cost seconds at every start.
# ruff: noqa: PTH112, PTH118

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise

import numpy as np
from tqdm import tqdm

from fairmot.data import label_cache
from fairmot.data.folders import ABSENT, Stamp, in_parallel, list_folders, stamp_files
from fairmot.data.identities import IdentityTable
from fairmot.data.image_list import ImageList, read_image_list, refuse
from fairmot.data.label_cache import CachedLabels
from fairmot.data.labels import COLUMNS, filled_lines, label_path_for, outside_image, read_label_file, read_labels
from fairmot.data.watch import DataWatch
from fairmot.errors import DataError

_PROGRESS_DELAY_S = 0.5
_PATHS_AT_ONCE = 1 << 14
_UNSETTLED_NS = 2 * 10**9
_UNSETTLED = Stamp(-2, -2, -2)
_logger = logging.getLogger(__name__)


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
        watch: knows when a data set is no longer the one whose labels these are; None: out of a pack, which stays.
    """

    root: str
    image_paths: Sequence[str]
    image_starts: np.ndarray
    rows: np.ndarray
    row_offsets: np.ndarray
    identities: IdentityTable
    watch: DataWatch | None = None

    def __len__(self) -> int:
        return len(self.image_paths)

    @property
    def names(self) -> list[str]:
        """The data sets."""
        return self.identities.names

    @cached_property
    def max_objects_per_image(self) -> int:
        """The most rows an image has."""
        return int(np.diff(self.row_offsets).max(initial=0))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names, lists and labels: the same on any machine and under any root."""
        state = hashlib.sha256()
        for text in _as_json(self.names, self.image_paths):
            state.update(text.encode())
        for array in (self.image_starts, self.row_offsets, self.rows):
            state.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
        return state.hexdigest()

    @property
    def fingerprint(self) -> str:
        """SHA-256 that differs where two ranks of a training do not have the same labels; cheaper than `digest`."""
        return self.digest

    def image_path(self, i: int) -> str:
        """The i-th image file."""
        return os.path.join(self.root, self.image_paths[i])

    def label_path(self, i: int) -> str:
        """The i-th image's label file."""
        return os.path.join(self.root, label_path_for(self.image_paths[i]))

    def place(self, row: int) -> str:
        """Where a row stands: `<label file>:<line>`."""
        image = int(np.searchsorted(self.row_offsets, row, side="right")) - 1
        lines = filled_lines(read_label_file(self.label_path(image)))
        return f"{self.label_path(image)}:{lines[row - self.row_offsets[image]]}"

    def labels(self, i: int) -> np.ndarray:
        """The i-th image's rows, float32 [N, 6], ids shifted into the mix (-1 stays -1); a copy."""
        rows = self.rows[self.row_offsets[i] : self.row_offsets[i + 1]].copy()
        data_set = int(np.searchsorted(self.image_starts, i, side="right")) - 1
        rows[rows[:, 1] > -1, 1] += self.identities.offsets[data_set]
        return rows

    def check_unchanged(self) -> None:
        """Ask whether the images on disk are still those of the labels.

        Raises:
            DataError: their data set was made anew.
        """
        if self.watch is not None:
            self.watch.check()

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


def _as_json(names: list[str], paths: Sequence[str]) -> Iterator[str]:
    """What json.dumps([names, paths]) gives, in pieces: of ten million paths it would take gigabytes."""
    yield f"[{json.dumps(names)}, ["
    for begin in range(0, len(paths), _PATHS_AT_ONCE):
        yield ", " * (begin > 0) + json.dumps(list(paths[begin : begin + _PATHS_AT_ONCE]))[1:-1]
    yield "]]"


def build_index(
    root: str,
    lists: Mapping[str, str],
    cache_dir: str | None = None,
    threads: int = 8,
    progress: bool = True,
    patience_s: float = 1800.0,
) -> LabelIndex:
    """Read and check lists and labels, or take them from the cache of an earlier start.

    The cache lies in `<root>/.fairmot_index`, or in the user's cache folder where that cannot be written, or in
    `cache_dir`. A label file is read again when its size or one of its times changed, or when it was so new at the last
    start that a further edit could bear the same time. Of processes that find something to read one reads, the others
    wait and take over its cache.

    Args:
        root: folder that image paths are relative to.
        lists: data set name -> list file (relative to root, or absolute), one image path a line.
        cache_dir: the only place for the cache.
        threads: folders and files asked for at the same time; shared storage answers slowly but in parallel.
        progress: show a bar on stderr when it takes longer than half a second.
        patience_s: how long to wait for another process that reads the same labels, before reading them here too.

    Raises:
        DataError: a missing or empty list, image or folder, labels that cannot be used, or a `cache_dir`
            that cannot be written; the message names the first few places.
    """
    if not lists:
        raise DataError("no training data: name at least one data set, data.train.<name>=<list file>")
    if not os.path.isdir(root):
        raise DataError(f"data.root={root} is not a folder")
    image_lists = [read_image_list(root, name, path) for name, path in lists.items()]
    label_paths = list(chain.from_iterable(item.label_paths for item in image_lists))
    watch = DataWatch.of(root, chain.from_iterable(item.image_paths for item in image_lists))
    files = label_cache.cache_files(root, lists, cache_dir)
    labels = label_cache.load(files)
    with ThreadPoolExecutor(threads) as pool:
        _check_images(root, image_lists, set(labels.paths), pool)
        stamps = _stamp_labels(root, label_paths, pool)
        _check_label_files(root, image_lists, stamps)
        if not _is_current(labels, label_paths, stamps):
            with label_cache.only_builder(files, patience_s):
                known = label_cache.load(files)
                labels = _read_changed(root, label_paths, stamps, known, pool=pool, progress=progress)
                if labels is not known:
                    label_cache.save(files, labels, must_succeed=cache_dir is not None)
    image_starts = np.cumsum([0, *(len(item.image_paths) for item in image_lists)], dtype=np.int64)
    index = LabelIndex(
        root=root,
        image_paths=list(chain.from_iterable(item.image_paths for item in image_lists)),
        image_starts=image_starts,
        rows=labels.rows,
        row_offsets=labels.row_offsets,
        identities=_count_identities(list(lists), labels, image_starts),
        watch=watch,
    )
    _warn_about_boxes_outside(index)
    return index


def _check_images(root: str, image_lists: list[ImageList], known_labels: set[str], pool: Executor) -> None:
    """Every image must be there and hold something; images of an earlier start are only looked for by name."""
    images = chain.from_iterable(item.image_paths for item in image_lists)
    present = list_folders(root, {image.rpartition("/")[0] for image in images}, pool)
    faults: list[str] = []
    fresh: dict[str, str] = {}
    for item in image_lists:
        for i, image in enumerate(item.image_paths):
            folder, _, name = image.rpartition("/")
            if name not in present[folder]:
                faults.append(f"{item.list_path}:{item.lines[i]}: image {os.path.join(root, image)} does not exist")
            elif item.label_paths[i] not in known_labels:
                fresh[image] = f"{item.list_path}:{item.lines[i]}"
    stamps = stamp_files(root, fresh, pool)
    for image, place in fresh.items():
        size_bytes = stamps.get(image, ABSENT).size_bytes
        if size_bytes <= 0:
            state = "is empty (0 bytes)" if size_bytes == 0 else "does not exist (broken link)"
            faults.append(f"{place}: image {os.path.join(root, image)} {state}")
    refuse(faults)


def _stamp_labels(root: str, label_paths: list[str], pool: Executor) -> np.ndarray:
    """The `Stamp` of each label file, int64 [n, 3]; a file just written has _UNSETTLED, which never counts as known.

    Within one tick of a file system's clock (up to 2 s) a second edit leaves the stamp as it is.
    """
    settled_before_ns = time.time_ns() - _UNSETTLED_NS
    found = stamp_files(root, label_paths, pool)
    numbers = chain.from_iterable(found.get(path, ABSENT) for path in label_paths)
    stamps = np.fromiter(numbers, np.int64).reshape(-1, len(ABSENT))
    stamps[stamps[:, 1] >= settled_before_ns] = _UNSETTLED
    return stamps


def _check_label_files(root: str, image_lists: list[ImageList], stamps: np.ndarray) -> None:
    """Some images may lack labels, a whole data set may not."""
    missing = (stamps == ABSENT).all(1)
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


def _is_current(cached: CachedLabels, paths: list[str], stamps: np.ndarray) -> bool:
    """Whether the cache holds exactly these files as they are now."""
    return paths == cached.paths and np.array_equal(stamps, cached.stamps) and not (stamps == _UNSETTLED).all(1).any()


def _read_changed(
    root: str, paths: list[str], stamps: np.ndarray, cached: CachedLabels, *, pool: Executor, progress: bool
) -> CachedLabels:
    """The labels of `paths`, from the cache where it is still right; `cached` itself when all of it is."""
    if _is_current(cached, paths, stamps):
        return cached
    position = {path: k for k, path in enumerate(cached.paths)}
    old_rows = [position.get(path, -1) for path in paths]
    known = np.array(old_rows) >= 0
    known[known] = (cached.stamps[np.array(old_rows)[known]] == stamps[known]).all(1)
    known &= (stamps != _UNSETTLED).all(1)
    changed = np.flatnonzero(~known).tolist()
    _logger.info("label index: %d label files to read, %d known", len(changed), len(paths) - len(changed))
    present = [i for i in changed if tuple(stamps[i]) != ABSENT]
    fresh = dict.fromkeys(changed, np.zeros((0, COLUMNS), np.float32))
    faults: list[str] = []
    with tqdm(
        total=len(present),
        desc="reading labels",
        unit="file",
        delay=_PROGRESS_DELAY_S,
        disable=None if progress else True,
    ) as bar:
        for chunk in in_parallel(pool, lambda i: (i, _read_or_fault(os.path.join(root, paths[i]))), present):
            fresh.update((i, rows) for i, rows in chunk if isinstance(rows, np.ndarray))
            faults.extend(fault for _, fault in chunk if isinstance(fault, str))
            bar.update(len(chunk))
    refuse(faults)
    offsets = cached.row_offsets.tolist()
    pieces = [
        fresh[i] if i in fresh else cached.rows[offsets[old] : offsets[old + 1]] for i, old in enumerate(old_rows)
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
