"""Open everything that the lists of a data root name, and note what is wrong."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from fairmot.data.folders import in_parallel, list_folders
from fairmot.data.labels import COLUMNS, filled_lines, label_faults, label_path_for, parse_labels, read_label_file
from fairmot.errors import DataError
from fairmot.evaluation.sequences import find_ground_truth
from fairmot.media.picture import check_file, read_image
from fairmot.prepare.check.contents import Contents
from fairmot.prepare.check.findings import Finding, Kind
from fairmot.prepare.check.lists import CheckedList, find_lists, overlaps, read_list, shared_labels
from fairmot.prepare.check.rows import check_rows


class _Seen(NamedTuple):
    """What one image and its label file hold; label lines as in `row_lines`."""

    size_hw: tuple[int, int]
    rows: np.ndarray
    lines: list[int]
    findings: list[Finding]


def examine(
    root: Path, data_set: str = "", *, decode: bool = False, threads: int = 8
) -> tuple[Contents, list[Finding]]:
    """Look over the lists of a data root, their images and labels.

    Args:
        root: the prepared data, as data.root.
        data_set: which lists, see `find_lists`.
        decode: decode every image instead of reading the size in its header.
        threads: files opened at the same time.

    Returns:
        What is there and can be read; what is wrong, in the order of the kinds.

    Raises:
        DataError: no such root or list, or a folder that is there and cannot be listed.
    """
    lists: list[CheckedList] = []
    findings: list[Finding] = []
    for path in find_lists(root, data_set):
        item, faults = read_list(path)
        lists.append(item)
        findings += faults
    findings += [*shared_labels(lists), *overlaps(lists)]
    with ThreadPoolExecutor(threads) as pool:
        position, missing = _present_images(root, lists, pool)
        images = list(position)
        labels, faults = _present_labels(root, lists, images, pool)
        findings += [*missing, *faults]
        seen = _open_all(root, images, labels, decode, pool)
    contents = Contents(
        root=root,
        lists=lists,
        images=images,
        members=[np.array([position[e.image] for e in item.entries if e.image in position], int) for item in lists],
        sizes_hw=np.array([one.size_hw for one in seen], np.int64).reshape(-1, 2),
        rows=np.concatenate([_no_rows(), *(one.rows for one in seen)]),
        row_offsets=np.cumsum([0, *(len(one.rows) for one in seen)], dtype=np.int64),
        row_lines=np.array(list(chain.from_iterable(one.lines for one in seen)), np.int64),
    )
    findings += chain.from_iterable(one.findings for one in seen)
    findings += check_rows(contents)
    findings += _unusable_truths(root, images)
    findings += _lists_without_boxes(contents, {one.file for one in findings if one.kind is Kind.list_without_labels})
    order = {kind: number for number, kind in enumerate(Kind)}
    return contents, sorted(findings, key=lambda finding: order[finding.kind])


def _present_images(root: Path, lists: list[CheckedList], pool: Executor) -> tuple[dict[str, int], list[Finding]]:
    """The listed images that are there, numbered, and findings on the others."""
    folders = {os.path.dirname(entry.image) for item in lists for entry in item.entries}  # noqa: PTH120
    present = list_folders(str(root), folders, pool)
    position: dict[str, int] = {}
    findings = []
    for item in lists:
        for image, line in item.entries:
            folder, name = os.path.split(image)
            if name in present[folder]:
                position.setdefault(image, len(position))
            else:
                findings.append(Finding(Kind.image_missing, item.path, line, f"{root / image} does not exist"))
    return position, findings


def _present_labels(
    root: Path, lists: list[CheckedList], images: list[str], pool: Executor
) -> tuple[set[str], list[Finding]]:
    """The images that have a label file, and findings on images without label and labels without image."""
    label_of = {image: label_path_for(image) for image in images}
    image_folders = {os.path.dirname(label): os.path.dirname(image) for image, label in label_of.items()}  # noqa: PTH120
    labels_in = list_folders(str(root), image_folders, pool)
    labelled = {image for image, label in label_of.items() if os.path.basename(label) in labels_in[_parent(label)]}  # noqa: PTH119
    findings: dict[Finding, None] = {}  # several lists may name an image
    for item in lists:
        here = [entry.image for entry in item.entries if entry.image in label_of]
        if not item.labelled or not here:
            continue
        without = [image for image in here if image not in labelled]
        if len(without) == len(here):
            message = f"none of its {len(here)} images has a label file; {root / label_of[here[0]]} would be the first"
            findings[Finding(Kind.list_without_labels, item.path, 0, message)] = None
            continue
        for image in without:
            finding = Finding(Kind.label_missing, str(root / image), 0, f"{root / label_of[image]} does not exist")
            findings[finding] = None
    images_in = list_folders(str(root), set(image_folders.values()), pool)
    orphans = chain.from_iterable(
        _labels_without_image(root, folder, labels_in[folder], images_in[image_folder])
        for folder, image_folder in image_folders.items()
    )
    return labelled, [*findings, *orphans]


def _lists_without_boxes(contents: Contents, unlabelled: set[str]) -> Iterator[Finding]:
    """Lists for training that teach nothing, but for those of which it is said already that they have no labels."""
    boxes = np.diff(contents.row_offsets)
    for item, members in zip(contents.lists, contents.members, strict=True):
        if not item.held_out and item.path not in unlabelled and len(members) and not boxes[members].any():
            yield Finding(Kind.list_without_boxes, item.path, 0, f"not one box in its {len(members)} images")


def _unusable_truths(root: Path, images: list[str]) -> Iterator[Finding]:
    """The gt/gt.txt beside an `img1`: training that validates on it would refuse it at its start."""
    folders = {parent for image in images if (parent := _parent(image)).rpartition("/")[2] == "img1"}
    for folder in sorted(_parent(folder) for folder in folders):
        truth = root / folder / "gt" / "gt.txt"
        if not truth.is_file():
            continue
        try:
            find_ground_truth(root / folder)
        except DataError as error:
            place = re.match(rf"{re.escape(str(truth))}:(\d+): ", str(error))
            message = str(error)[place.end() :] if place else str(error)
            yield Finding(Kind.truth_unusable, str(truth), int(place[1]) if place else 0, message)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _labels_without_image(root: Path, folder: str, labels: frozenset[str], images: frozenset[str]) -> Iterator[Finding]:
    stems = {name.rpartition(".")[0] or name for name in images}
    for name in sorted(labels):
        stem, _, ending = name.rpartition(".")
        if ending == "txt" and stem not in stems and not name.startswith("."):
            yield Finding(Kind.label_without_image, str(root / folder / name), 0, "there is no image of this name")


def _open_all(root: Path, images: list[str], labelled: set[str], decode: bool, pool: Executor) -> list[_Seen]:
    seen: list[_Seen] = []
    look = partial(_look_at, root, labelled, decode)
    with tqdm(total=len(images), desc="checking images and labels", unit="image", disable=None) as bar:
        for chunk in in_parallel(pool, look, images):
            seen += chunk
            bar.update(len(chunk))
    return seen


def _look_at(root: Path, labelled: set[str], decode: bool, image: str) -> _Seen:
    path = root / image
    findings = []
    size_hw = (0, 0)
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: is empty (0 bytes)")
        height, width = read_image(str(path)).shape[:2] if decode else check_file(path)
        size_hw = height, width
    except (DataError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).removeprefix(f"{path}: ")
        findings.append(Finding(Kind.image_unreadable, str(path), 0, str(reason)))
    rows, lines, faults = _read_rows(root / label_path_for(image)) if image in labelled else (_no_rows(), [], [])
    if image in labelled and not len(rows) and not faults:
        message = "its label file has no row"
        findings.append(Finding(Kind.image_without_boxes, str(path), 0, message))
    return _Seen(size_hw, rows, lines, findings + faults)


def _no_rows() -> np.ndarray:
    return np.zeros((0, COLUMNS), np.float32)


def _read_rows(path: Path) -> tuple[np.ndarray, list[int], list[Finding]]:
    """The usable rows of a label file, the line of each, and a finding on each of the others."""
    try:
        content = read_label_file(str(path))
    except DataError as error:
        return _no_rows(), [], [Finding(Kind.label_row, str(path), 0, str(error).removeprefix(f"{path}: "))]
    lines = filled_lines(content)
    try:
        return parse_labels(content, str(path)), lines, []
    except DataError:
        faults = dict(label_faults(content))
    text = content.splitlines()
    usable = [line for line in lines if line not in faults]
    rows = parse_labels(b"\n".join(text[line - 1] for line in usable), str(path))
    return rows, usable, [Finding(Kind.label_row, str(path), line, fault) for line, fault in faults.items()]
