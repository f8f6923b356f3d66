"""Sequences in MOTChallenge's layout as sources of a data set: read from a download, or made of other annotations."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fairmot.errors import ConfigError, DataError
from fairmot.mot.rows import MotRows, ground_truth_text
from fairmot.mot.sequence import read_frame_rate, sequence_info, sequence_split
from fairmot.prepare.classes import ClassOf
from fairmot.prepare.source import Boxes, BoxRows, Source, image_sizes, list_images, require_one_size
from fairmot.prepare.text_rows import check_columns, integer, number, read_lines


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


def read_sequence(folder: Path, columns: tuple[str, ...], class_of: ClassOf | None, bar: tqdm) -> Source:
    """Read and check one sequence.

    Args:
        folder: the sequence.
        columns: names of gt.txt's columns; the first seven are frame, id, x, y, w, h, flag.
        class_of: from the column `class` to the class of the labels, None for what does not count; or no such column.
        bar: counts the images.

    Raises:
        DataError: images without number or of different sizes, a gt row or a seqinfo.ini that cannot be used.
    """
    frames = numbered_images(folder / "img1")
    images = list(frames.values())
    sizes_hw = image_sizes(images, bar)
    require_one_size(images, sizes_hw)
    split = sequence_split(folder)
    boxes, rows_without_image = None, 0
    files = ["seqinfo.ini"]
    if split != "test":
        boxes, rows_without_image = _read_ground_truth(folder / "gt" / "gt.txt", columns, class_of, list(frames))
        files.append("gt/gt.txt")
    return Source(
        name=folder.name,
        split=split,
        images=images,
        targets=[f"{folder.name}/img1/{path.name}" for path in images],
        sizes_hw=sizes_hw,
        boxes=boxes,
        frame_rate=read_frame_rate(folder / "seqinfo.ini", (int(sizes_hw[0][0]), int(sizes_hw[0][1]))),
        texts={f"{folder.name}/{name}": (folder / name).read_bytes() for name in files if (folder / name).is_file()},
        rows_without_image=rows_without_image,
    )


def numbered_images(folder: Path) -> dict[int, Path]:
    """Frame number, which is an image's name, to image, in order of frames.

    Raises:
        DataError: there are none, one has another name, or two the same number.
    """
    images: dict[int, Path] = {}
    for path in list_images(folder):
        if not (path.stem.isascii() and path.stem.isdigit()):
            raise DataError(f"{path}: an image's name must be its frame number, such as 000001.jpg")
        frame = int(path.stem)
        if frame in images:
            raise DataError(f"{path}: frame {frame} is also {images[frame].name}; delete one of them")
        images[frame] = path
    if not images:
        raise DataError(f"{folder}: no images (.jpg or .png); is the download complete?")
    return dict(sorted(images.items()))


def _read_ground_truth(
    path: Path, columns: tuple[str, ...], class_of: ClassOf | None, frames: list[int]
) -> tuple[Boxes, int]:
    """Rows of a gt.txt with a flag other than 0 and a class that counts; how many have no image."""
    image_of = {frame: image for image, frame in enumerate(frames)}
    rows, without_image = BoxRows(), 0
    for place, line in read_lines(path):
        fields = line.split(",")
        check_columns(place, fields, columns)
        values = [number(place, name, field) for name, field in zip(columns, fields, strict=True)]
        frame, identity = integer(place, "frame", values[0], 1), integer(place, "id", values[1], 0)
        class_id = 0 if class_of is None else class_of(place, values[columns.index("class")])
        if values[6] == 0 or class_id is None:
            continue
        if values[4] <= 0 or values[5] <= 0:
            raise DataError(f"{place}: box size {values[4]:g} x {values[5]:g} must be positive")
        if frame in image_of:
            rows.add(place, image_of[frame], identity, values[2:6], class_id)
        else:
            without_image += 1
    return rows.boxes(), without_image


def sequence_of_rows(
    folder: Path,
    name: str,
    split: str,
    annotations: Path | None,
    parse_row: Callable[[str, str], tuple[int, int, list[float], bool]],
    bar: tqdm,
    frame_rate: float | None = None,
) -> Source:
    """A sequence with one text file of annotations, a box a row.

    Args:
        folder: of the images, which are named by their frames.
        name: of the sequence.
        split: train, val or test.
        annotations: the file; None: the sequence has none.
        parse_row: place and line to frame, id, box x, y, w, h in pixels, and whether the row counts.
        bar: counts the images.
        frame_rate: frames per second, None where nobody says.

    Raises:
        DataError: images or annotations that cannot be used.
    """
    frames = numbered_images(folder)
    image_of = {frame: image for image, frame in enumerate(frames)}
    images = list(frames.values())
    rows, without_image = BoxRows(), 0
    for place, line in read_lines(annotations) if annotations is not None else ():
        frame, identity, box, counts = parse_row(place, line)
        if counts and frame in image_of:
            rows.add(place, image_of[frame], identity, box)
        else:
            without_image += counts
    return as_sequence(
        name,
        split,
        images,
        rows.boxes() if annotations is not None else None,
        sizes_hw=image_sizes(images, bar),
        frame_rate=frame_rate,
        rows_without_image=without_image,
        lacking=rows.lacking(),
    )


def as_sequence(
    name: str,
    split: str,
    images: list[Path],
    boxes: Boxes | None,
    *,
    sizes_hw: np.ndarray,
    frame_rate: float | None = None,
    rows_without_image: int = 0,
    lacking: list[str] | None = None,
) -> Source:
    """A source in MOTChallenge's layout, so that tracking and scoring find it.

    Frames are numbered from 1 in the images' order; beside them come seqinfo.ini and ground truth of the columns
    frame,id,x,y,w,h,flag,class,visibility, with ids and classes from 1.

    Raises:
        DataError: the images have different sizes.
    """
    require_one_size(images, sizes_hw)
    height, width = sizes_hw[0]
    suffix = images[0].suffix.lower()
    texts = {f"{name}/seqinfo.ini": sequence_info(name, len(images), (height, width), suffix, frame_rate)}
    if boxes is not None:
        texts[f"{name}/gt/gt.txt"] = truth_text(boxes)
    return Source(
        name=name,
        split=split,
        images=images,
        targets=[f"{name}/img1/{frame:06d}{path.suffix.lower()}" for frame, path in enumerate(images, start=1)],
        sizes_hw=sizes_hw,
        boxes=boxes,
        frame_rate=frame_rate,
        texts={path: text.encode() for path, text in texts.items()},
        rows_without_image=rows_without_image,
        lacking=lacking or [],
    )


def truth_text(boxes: Boxes) -> str:
    """Ground truth in MOTChallenge's columns, of the boxes that have an identity; the first image is frame 1."""
    known = boxes.at(boxes.ids >= 0)
    known = known.at(np.lexsort((known.ids, known.images)))
    everything = np.ones(len(known))
    rows = MotRows(known.images + 1, known.ids + 1, known.boxes_xywh, everything, known.classes + 1, everything)
    return ground_truth_text(rows, visibility_decimals=0)
