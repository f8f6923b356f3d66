"""Sequences in MOTChallenge's layout as sources of a data set: read from a download, or made of other annotations."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fairmot.errors import ConfigError, DataError
from fairmot.mot.number_table import is_plain
from fairmot.mot.numbering import NumberedPictures, named_pictures, number_pictures
from fairmot.mot.rows import MotRows, TruthFile, ground_truth_text, read_truth_file
from fairmot.mot.sequence import read_frame_rate, read_length, sequence_info, sequence_split
from fairmot.prepare.classes import ClassOf
from fairmot.prepare.source import Boxes, BoxRows, Source, image_sizes, require_one_size
from fairmot.prepare.text_rows import read_lines

_SEQ_LENGTH = re.compile(rb"(?im)^([ \t]*seqLength[ \t]*[=:][ \t]*)[^\r\n]*")


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


def read_sequence(
    folder: Path,
    columns: tuple[int, ...],
    class_of: ClassOf | None,
    bar: tqdm,
    *,
    only_boxes: bool = False,
    named_classes: int = 0,
) -> Source:
    """Read and check one sequence.

    Its frames keep their numbers (`fairmot.mot.numbering`); rows of frames without a picture are left out, from gt.txt
    too, and seqLength is the number of pictures.

    Args:
        folder: the sequence.
        columns: how many gt.txt may have.
        class_of: from the column `class` to the class of the labels, None for what does not count; None: every class
            counts as one.
        bar: counts the images.
        only_boxes: gt.txt is to hold nothing but what counts, with its classes in the labels.
        named_classes: how many classes have names; of several, the rows must say which.

    Raises:
        DataError: images without number or of different sizes, a gt row or a seqinfo.ini that cannot be used.
    """
    split = sequence_split(folder)
    truth = read_truth_file(folder / "gt" / "gt.txt", columns) if split != "test" else None
    pictures = number_pictures(folder, truth)
    sizes_hw = image_sizes(pictures.paths, bar)
    require_one_size(pictures.paths, sizes_hw)
    texts, lacking = {}, pictures.say()
    info = folder / "seqinfo.ini"
    if info.is_file():
        texts[f"{folder.name}/seqinfo.ini"] = _info_of(info, len(pictures.paths), lacking)
    boxes, without_image = None, 0
    if truth is not None:
        if named_classes > 1 and len(truth.rows) and not truth.has_classes:
            raise DataError(f"{truth.path}: no row says its class, but {named_classes} classes are named; which is it?")
        boxes, without_image = _boxes_of(truth, pictures, class_of)
        text = truth_text(boxes, pictures.frames).encode() if only_boxes else _truth_of(truth, pictures)
        texts[f"{folder.name}/gt/gt.txt"] = text
        lacking += _remarks(truth, boxes)
    frame_rate = read_frame_rate(info, (int(sizes_hw[0][0]), int(sizes_hw[0][1])))
    return Source(
        name=folder.name,
        split=split,
        images=pictures.paths,
        targets=[
            f"{folder.name}/img1/{_picture_name(path, frame)}"
            for path, frame in zip(pictures.paths, pictures.frames.tolist(), strict=True)
        ],
        sizes_hw=sizes_hw,
        boxes=boxes,
        frame_rate=frame_rate,
        texts=texts,
        rows_without_image=without_image,
        lacking=lacking,
    )


def _picture_name(path: Path, frame: int) -> str:
    """A picture's name if it is its frame's number already, else that number."""
    return path.name if path.stem.isdigit() and int(path.stem) == frame else f"{frame:06d}{path.suffix.lower()}"


def _info_of(path: Path, count: int, lacking: list[str]) -> bytes:
    """A seqinfo.ini that says `count` frames; a sentence in `lacking` where it said more."""
    said, content = read_length(path), path.read_bytes()
    if said is None or said == count:
        return content
    if said > count:
        lacking.append(f"{said - count} of the {said} pictures that seqinfo.ini says are missing")
    return _SEQ_LENGTH.sub(rb"\g<1>%d" % count, content, count=1)


def _truth_of(truth: TruthFile, pictures: NumberedPictures) -> bytes:
    """The file as it is, or what it says of the pictures that are there, as every other reader understands it."""
    content = truth.path.read_bytes()
    rows, has_picture = pictures.numbered(truth.rows)
    if has_picture.all() and not pictures.row_shift and is_plain(content):
        return content
    return ground_truth_text(rows.select(has_picture)).encode()


def _boxes_of(truth: TruthFile, pictures: NumberedPictures, class_of: ClassOf | None) -> tuple[Boxes, int]:
    """Rows with a flag other than 0 and a class that counts; how many of these have no picture."""
    rows, has_picture = pictures.numbered(truth.rows)
    counts = rows.scores != 0
    classes = np.zeros(len(rows), np.int64)
    if class_of is not None and truth.has_classes:
        for number in np.unique(rows.classes[counts]).tolist():
            alike = counts & (rows.classes == number)
            class_id = class_of(truth.place(int(np.argmax(alike))), number)
            counts[alike] = class_id is not None
            classes[alike] = class_id or 0
    kept = counts & has_picture
    images = np.searchsorted(pictures.frames, rows.frames[kept])
    boxes = Boxes(images, rows.ids[kept], rows.boxes_xywh[kept], classes[kept])
    return boxes, int(np.count_nonzero(counts & ~has_picture))


def _remarks(truth: TruthFile, boxes: Boxes) -> list[str]:
    """Sentences on ground truth that is good for less than it seems."""
    rows = truth.rows
    if not len(boxes) and len(rows):
        ignored = np.count_nonzero(rows.scores == 0)
        return [f"not one of the {len(rows)} rows of gt.txt counts ({ignored} have flag 0): nothing is trained on"]
    nameless = np.count_nonzero(boxes.ids < 0)
    return [f"{nameless} boxes have no identity (id -1): they train detection alone"] if nameless else []


def numbered_images(folder: Path) -> dict[int, Path]:
    """Frame number, which is an image's name, to image, in order of frames.

    Raises:
        DataError: there are none, one has another name, or two the same number.
    """
    paths, numbers = named_pictures(folder)
    if numbers is None:
        raise DataError(f"{paths[0]}: an image's name must be its frame number, such as 000001.jpg")
    return dict(zip(numbers.tolist(), paths, strict=True))


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
        texts[f"{name}/gt/gt.txt"] = truth_text(boxes, np.arange(1, len(images) + 1))
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


def truth_text(boxes: Boxes, frames: np.ndarray) -> str:
    """Ground truth in MOTChallenge's columns, of the boxes that have an identity.

    Args:
        boxes: the objects.
        frames: int64 [images], the number of each image's frame.
    """
    known = boxes.at(boxes.ids >= 0)
    known = known.at(np.lexsort((known.ids, known.images)))
    everything = np.ones(len(known))
    rows = MotRows(frames[known.images], known.ids + 1, known.boxes_xywh, everything, known.classes + 1, everything)
    return ground_truth_text(rows, visibility_decimals=0)
