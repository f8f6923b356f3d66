"""Sequences in MOTChallenge's layout, `<sequence>/img1`, `gt/gt.txt`, `seqinfo.ini`: finding, reading, writing them."""

import configparser
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fairmot.errors import ConfigError, DataError
from fairmot.prepare.classes import ClassOf
from fairmot.prepare.source import Boxes, BoxRows, Source, image_sizes, list_images, require_one_size
from fairmot.prepare.text_rows import check_columns, integer, number, read_lines

_SPLITS = ("train", "val", "test")
_DETECTORS = ("FRCNN", "SDP", "DPM")


def find_sequences(root: str) -> list[Path]:
    """Folders with an `img1` below root/train, root/val and root/test, or, where none is, below root; sorted by name.

    A number may follow the split (train1, train2), as some downloads come in parts.

    Raises:
        DataError: no such root, no sequence in it, or two of the same name.
    """
    top = existing_root(root)
    parents = sorted(folder for folder in top.iterdir() if folder.is_dir() and _split_of(folder)) or [top]
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


def existing_root(root: str) -> Path:
    """The download's folder.

    Raises:
        DataError: there is none.
    """
    top = Path(root).expanduser().resolve()
    if not top.is_dir():
        raise DataError(f"root={root}: no such folder; name the folder the download was unpacked to")
    return top


def _split_of(folder: Path) -> str | None:
    name = folder.name.rstrip("0123456789")
    return name if name in _SPLITS else None


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


def one_variant_a_scene(found: list[Path]) -> list[Path]:
    """Of MOT17-02-FRCNN, -SDP and -DPM, which share images and ground truth, the first that is there."""
    chosen: dict[str, tuple[int, Path]] = {}
    for folder in found:
        scene, _, detector = folder.name.rpartition("-")
        known = detector in _DETECTORS
        key, rank = (scene, _DETECTORS.index(detector)) if known else (folder.name, len(_DETECTORS))
        if key not in chosen or rank < chosen[key][0]:
            chosen[key] = (rank, folder)
    return sorted((folder for _, folder in chosen.values()), key=lambda folder: folder.name)


def sequence_split(folder: Path) -> str:
    """Val below a folder of that name, train elsewhere; test without ground truth or below `test`."""
    split = _split_of(folder.parent) or "train"
    return split if (folder / "gt" / "gt.txt").is_file() else "test"


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
        frame_rate=_read_frame_rate(folder / "seqinfo.ini", (int(sizes_hw[0][0]), int(sizes_hw[0][1]))),
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
    rate = "" if frame_rate is None else f"frameRate={frame_rate:g}\n"
    suffix = images[0].suffix.lower()
    texts = {
        f"{name}/seqinfo.ini": f"[Sequence]\nname={name}\nimDir=img1\n{rate}seqLength={len(images)}\n"
        f"imWidth={width}\nimHeight={height}\nimExt={suffix}\n"
    }
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
    return "".join(
        f"{image + 1},{identity + 1},{x:.2f},{y:.2f},{w:.2f},{h:.2f},1,{class_id + 1},1\n"
        for image, identity, (x, y, w, h), class_id in zip(
            known.images, known.ids, known.boxes_xywh, known.classes, strict=True
        )
    )
