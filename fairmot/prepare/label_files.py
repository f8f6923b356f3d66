"""Label files that a download holds already, in this project's format or nearly so."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fairmot.boxes import cxcywh_to_xyxy
from fairmot.data.labels import COLUMNS, parse_labels
from fairmot.errors import DataError
from fairmot.prepare.source import Boxes, in_parallel
from fairmot.prepare.text_rows import read_bytes


def read_label_files(
    labels: Sequence[Path],
    sizes_hw: np.ndarray,
    parse: Callable[[bytes, str], np.ndarray] = parse_labels,
) -> tuple[Boxes, list[str]]:
    """The rows of each image's label file.

    Args:
        labels: a path an image; a file that is not there is an image without objects.
        sizes_hw: int [images, 2], pixels.
        parse: from a file's content and name to float [N, 6]: class, id, cx, cy, w, h divided by the image's size.

    Returns:
        The boxes with ids as in the files, and a sentence on the files that are not there.

    Raises:
        DataError: a row that cannot be used, or not one of the files is there.
    """
    absent = [path for path in labels if not path.is_file()]
    if len(absent) == len(labels):
        raise DataError(f"{absent[0]}: no such label file, nor one for any other of the {len(labels)} images")

    def rows_of(path: Path) -> np.ndarray:
        return parse(read_bytes(path), str(path)) if path.is_file() else np.zeros((0, COLUMNS))

    parts = in_parallel(rows_of, labels)
    images = np.repeat(np.arange(len(labels)), [len(part) for part in parts])
    boxes = _in_pixels(images, np.concatenate(parts).astype(np.float64), sizes_hw)
    if not absent:
        return boxes, []
    return boxes, [f"{len(absent)} of {len(labels)} images have no label file and count as empty: {absent[0]} ..."]


def _in_pixels(images: np.ndarray, rows: np.ndarray, sizes_hw: np.ndarray) -> Boxes:
    size_wh = sizes_hw[images][:, ::-1].astype(np.float64)
    low_xy = cxcywh_to_xyxy(rows[:, 2:])[:, :2]
    boxes_xywh = np.concatenate([low_xy * size_wh, rows[:, 4:] * size_wh], axis=1)
    return Boxes(images.astype(np.int64), rows[:, 1].astype(np.int64), boxes_xywh, rows[:, 0].astype(np.int64))
