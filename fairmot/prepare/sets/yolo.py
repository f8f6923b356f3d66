"""Your own data as YOLO text files with ids, a label file an image, boxes divided by the image's width and height.

    images/<split>/[<video>/]a.jpg   labels/<split>/[<video>/]a.txt            class x_center y_center width height [id]
    images/<split>/[<video>/]a.jpg   labels_with_ids/<split>/[<video>/]a.txt   class id x_center y_center width height

The first is what YOLO's trackers write; its ids mean something within their folder only. The second, taken where both
are there, is this project's own format, with ids that count over the whole split. `<split>/images/a.jpg` beside
`<split>/labels/a.txt` is understood as well. Class names stand in `data.yaml` or `classes.txt`; without them the
numbers do for names.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from fairmot.data.labels import parse_labels
from fairmot.errors import ConfigError, DataError
from fairmot.mot.sequence import existing_root
from fairmot.picture_files import natural_order
from fairmot.prepare.assemble import Rules, prepare_origins
from fairmot.prepare.classes import ClassOf, number_classes, read_names
from fairmot.prepare.config import PrepareConfig
from fairmot.prepare.label_files import read_label_files
from fairmot.prepare.sequences import as_sequence
from fairmot.prepare.source import (
    Boxes,
    Origin,
    Source,
    folders_below,
    image_sizes,
    image_target,
    list_images,
)
from fairmot.prepare.text_rows import read_lines
from fairmot.yaml_files import read_yaml

_SPLITS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
_CONFIDENCE = "; the sixth column is the track's id: is it a confidence? Then remove it"
_IMAGES, _PLAIN, _WITH_IDS = "images", "labels", "labels_with_ids"


def prepare(config: PrepareConfig) -> tuple[dict[str, Any], bool]:
    """Prepare the folders of images below the root; as `prepare_origins`.

    Raises:
        ConfigError: sequences were named; unknown class names.
        DataError: as `prepare_origins`; no folder `images`.
    """
    if config.sequences:
        raise ConfigError("sequences: format=yolo takes all folders; leave the others out of root")
    top = existing_root(config.root)
    folders = folders_below(top, _IMAGES)
    if not folders:
        raise DataError(f"root={config.root}: no folder named images with images; expected images/ beside labels/")
    class_of, classes = number_classes(_names(top), config.classes, first=0)
    kind = _WITH_IDS if any(_label_of(folder, _WITH_IDS).is_dir() for folder in folders) else _PLAIN
    origins = [
        Origin(
            top,
            some,
            [path for folder in some for path in map(partial(_label_of, kind=kind), list_images(folder))],
            partial(_read, top, split, some, kind, class_of),
        )
        for split, some in _by_split(top, folders).items()
    ]
    settings = {"format": "yolo", "classes": config.classes}
    return prepare_origins(config, Rules(config.name, classes=classes, settings=settings), origins)


def _by_split(top: Path, folders: list[Path]) -> dict[str, list[Path]]:
    splits: dict[str, list[Path]] = {}
    for folder in folders:
        words = [part for part in folder.relative_to(top).parts if part in _SPLITS]
        splits.setdefault(_SPLITS[words[0]] if words else "train", []).append(folder)
    return splits


def _label_of(path: Path, kind: str) -> Path:
    """An image's label file, or the folder of the label files of a folder of images."""
    position = len(path.parts) - 1 - path.parts[::-1].index(_IMAGES)
    label = Path(*path.parts[:position], kind, *path.parts[position + 1 :])
    return label.with_suffix(".txt") if path.is_file() else label


def _names(top: Path) -> dict[int, str] | None:
    for name in ("data.yaml", "data.yml"):
        if (top / name).is_file():
            return _names_of_yaml(top / name)
    return read_names(top / "classes.txt", 0) if (top / "classes.txt").is_file() else None


def _names_of_yaml(path: Path) -> dict[int, str] | None:
    """The key `names`, a list or a dictionary by number."""
    try:
        content = read_yaml(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot read this YAML: {getattr(error, 'strerror', None) or error}") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if names is None:
        return None
    if not isinstance(names, dict) or not all(isinstance(number, int) and number >= 0 for number in names):
        raise DataError(f"{path}: names must be a list, or a dictionary by number from 0 on")
    if len(set(map(str, names.values()))) != len(names):
        raise DataError(f"{path}: names: a class is there twice")
    return {number: str(name) for number, name in names.items()}


def _read(top: Path, split: str, folders: list[Path], kind: str, class_of: ClassOf, bar: tqdm) -> list[Source]:
    if kind == _WITH_IDS:
        images = [image for folder in folders for image in _in_order(folder)]
        return [_source(top, split, split, images, kind, class_of, bar)]
    return [_source(top, split, _name(top, folder), _in_order(folder), kind, class_of, bar) for folder in folders]


def _in_order(folder: Path) -> list[Path]:
    """Images in natural order: frame2 before frame10."""
    return sorted(
        list_images(folder),
        key=lambda path: natural_order(path.name),
    )


def _name(top: Path, folder: Path) -> str:
    """Of a video: its folders without those that every layout has; empty for images directly in the split's folder."""
    return "_".join(part for part in folder.relative_to(top).parts if part not in (_IMAGES, "img1", *_SPLITS))


def _source(top: Path, split: str, name: str, images: list[Path], kind: str, class_of: ClassOf, bar: tqdm) -> Source:
    sizes_hw = image_sizes(images, bar)
    labels = [_label_of(image, kind) for image in images]
    boxes, lacking = read_label_files(labels, sizes_hw, parse_labels if kind == _WITH_IDS else parse_plain)
    all_boxes, boxes = boxes, _with_classes(boxes, labels, class_of)
    if kind == _PLAIN:
        _refuse_confidences(all_boxes, labels)
    if kind == _PLAIN and name and (sizes_hw == sizes_hw[0]).all():
        return as_sequence(name, split, images, boxes, sizes_hw=sizes_hw, lacking=lacking)
    targets = [image_target(image.relative_to(top).as_posix(), (split,)) for image in images]
    return Source(name or split, split, images, targets, sizes_hw, boxes, keeps_ids=kind == _WITH_IDS, lacking=lacking)


def parse_plain(content: bytes, path: str) -> np.ndarray:
    """Rows class x_center y_center width height [id] as `parse_labels` returns its own.

    Raises:
        DataError: a row that cannot be used; the message names `path:line`.
    """
    lines = []
    for number, line in enumerate(content.splitlines(), start=1):
        fields = line.split()
        if len(fields) not in (0, 5, 6):
            raise DataError(
                f"{path}:{number}: {len(fields)} columns, expected class x_center y_center width height [id]"
            )
        lines.append(b" ".join([*fields[:1], *(fields[5:] or [b"-1"]), *fields[1:5]]) if fields else b"")
    try:
        return parse_labels(b"\n".join(lines), path)
    except DataError as error:
        raise DataError(f"{error}{_CONFIDENCE}" if ": id " in str(error) else str(error)) from error


def _refuse_confidences(boxes: Boxes, labels: list[Path]) -> None:
    """Ids that no tracks have: twice in an image, or 1.0 of every box; a confidence in the sixth column looks so."""
    known = np.flatnonzero(boxes.ids >= 0)
    order = known[np.lexsort((boxes.ids[known], boxes.images[known]))]
    same = (np.diff(boxes.images[order]) == 0) & (np.diff(boxes.ids[order]) == 0)
    if same.any():
        row = int(order[1:][same].min())
        place, line = _row_of(boxes, labels, row)
        raise DataError(f"{place}: id {line.split()[5]} appears twice in this image{_CONFIDENCE}")
    if len(known) and (boxes.ids[known] == 1).all():
        place, line = _row_of(boxes, labels, int(known[0]))
        if "." in line.split()[5]:
            raise DataError(f"{place}: id {line.split()[5]}, as of all boxes{_CONFIDENCE}")


def _row_of(boxes: Boxes, labels: list[Path], row: int) -> tuple[str, str]:
    """The place and the line of a row; boxes stand in the order of their files."""
    image = int(boxes.images[row])
    first = int(np.searchsorted(boxes.images, image))
    return list(read_lines(labels[image]))[row - first]


def _with_classes(boxes: Boxes, labels: list[Path], class_of: ClassOf) -> Boxes:
    """The boxes whose class counts, with its number in the labels."""
    numbers = {}
    for found in np.unique(boxes.classes).tolist():
        label = labels[boxes.images[int(np.argmax(boxes.classes == found))]]
        place = next(place for place, line in read_lines(label) if float(line.split()[0]) == found)
        numbers[found] = class_of(place, found)
    counts = np.array([numbers[found] is not None for found in boxes.classes.tolist()], bool)
    kept = boxes.at(counts)
    classes = np.array([numbers[found] for found in kept.classes.tolist()], np.int64)
    return Boxes(kept.images, kept.ids, kept.boxes_xywh, classes)
