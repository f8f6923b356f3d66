"""A small data set of moving figures, drawn on the spot: something to learn from and track without a download."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from fairmot.data.layout import FORMAT_VERSION, Built, SequenceReport, build_data_set, image_folder, write_labels
from fairmot.data.synthetic.scene import make_scene, render
from fairmot.errors import DataError
from fairmot.mot.rows import MotRows, ground_truth_text
from fairmot.mot.sequence import sequence_info

NAME = "synthetic"
_DIGEST_DIGITS = 8
_NAMED = re.compile(rf"^{NAME}(-[0-9a-f]{{{_DIGEST_DIGITS}}})?(?=[./])")
_DRAWING_VERSION = 1  # raised whenever the same settings would draw other pictures
_LEAST_VISIBILITY = 0.1
_JPEG_QUALITY = 95


@dataclass
class SyntheticConfig:
    """What is drawn. The same settings give the same files, bit for bit.

    Attributes:
        train_sequences: sequences of the list synthetic.train.
        val_sequences: sequences of the list synthetic.val, with other streets and other walkers.
        frames_per_sequence: length of each.
        height: of the images in pixels.
        width: of the images in pixels.
        walkers: identities in each sequence.
        classes: 1: people; 2: every second one is a cart, of class 1 (data.num_classes must then be 2).
        frame_rate: frames per second.
        seed: of everything random.
    """

    train_sequences: int = 4
    val_sequences: int = 1
    frames_per_sequence: int = 60
    height: int = 224
    width: int = 384
    walkers: int = 8
    classes: int = 1
    frame_rate: int = 10
    seed: int = 317

    def __post_init__(self) -> None:
        least = {"train_sequences": 1, "val_sequences": 0, "frames_per_sequence": 1, "height": 64, "width": 64}
        for key, bound in (least | {"walkers": 1, "frame_rate": 1, "seed": 0}).items():
            if getattr(self, key) < bound:
                raise ValueError(f"data.synthetic.{key}={getattr(self, key)}: must be at least {bound}")
        if self.classes not in (1, 2):
            raise ValueError(f"data.synthetic.classes={self.classes}: choose 1 (people) or 2 (people and carts)")


def data_set_name(config: SyntheticConfig) -> str:
    """`synthetic-` and a digest of the settings: what others draw never replaces what a training reads."""
    drawn = _settings(config) | {"format_version": FORMAT_VERSION}
    digest = hashlib.sha256(json.dumps(drawn, sort_keys=True).encode()).hexdigest()
    return f"{NAME}-{digest[:_DIGEST_DIGITS]}"


def located(path: str, config: SyntheticConfig) -> str:
    """A list file or a pattern of folders with the data set's name where it says just `synthetic`.

    `synthetic.train` becomes `synthetic-<digest>.train`, `synthetic/images/val/*` accordingly, also with the digest of
    other settings, which a saved configuration may bring; others stay as they are.
    """
    return _NAMED.sub(data_set_name(config), path)


def _settings(config: SyntheticConfig) -> dict[str, Any]:
    return asdict(config) | {"drawing_version": _DRAWING_VERSION}


def generate(root: str | Path, config: SyntheticConfig, progress: bool = True) -> None:
    """Have the data set of `data_set_name` below `root`, with lists `<name>.train` and `<name>.val`.

    One that is whole is used as it is; several processes may call this at once.

    Ground truth is as in MOT17: `frame,id,x,y,w,h,flag,class,visibility`. A box holds the whole body and so may
    leave the image; classes count from 1 there and from 0 in the labels; visibility is the share of the body's pixels
    that show. Who does not show at all has no row; below a visibility of 0.1 the flag is 0 and there is no label.

    Args:
        root: made when absent.
        config: what to draw.
        progress: show a progress bar.

    Raises:
        DataError: the file system refuses, or something else has the data set's name.
    """
    name = data_set_name(config)

    def build(folder: Path) -> Built:
        frames = (config.train_sequences + config.val_sequences) * config.frames_per_sequence
        with tqdm(total=frames, desc="drawing synthetic data", unit="frame", disable=None if progress else True) as bar:
            return _draw_data_set(folder, name, config, bar)

    build_data_set(Path(root), name, _settings(config), build)


def _draw_data_set(folder: Path, name: str, config: SyntheticConfig, bar: tqdm) -> Built:
    reports, lists = [], {}
    for split, sequences in (("train", config.train_sequences), ("val", config.val_sequences)):
        paths: list[str] = []
        identities = 0
        for number in range(1, sequences + 1):
            report = draw_sequence(folder, split, number, first_identity=identities, config=config, bar=bar)
            identities += report.identities
            reports.append(report)
            images = image_folder(Path(name), split, report.name)
            paths += [f"{images.as_posix()}/{_stem(frame)}.jpg" for frame in range(1, config.frames_per_sequence + 1)]
        if paths:
            lists[f"{name}.{split}"] = paths
    return Built(lists, reports)


def _stem(frame: int) -> str:
    return f"{frame:06d}"


def draw_sequence(
    folder: Path, split: str, number: int, *, first_identity: int, config: SyntheticConfig, bar: tqdm
) -> SequenceReport:
    """Draw one sequence; its identities count on from `first_identity`."""
    name = f"{NAME}-{split}-{number:02d}"
    images = image_folder(folder, split, name)
    images.mkdir(parents=True)
    # Named by split and number: another count of training sequences leaves the validation sequences as they are.
    entropy = int.from_bytes(hashlib.sha256(f"{split} {number}".encode()).digest()[:8], "big")
    rng = np.random.default_rng([config.seed, entropy])
    duration_s = config.frames_per_sequence / config.frame_rate
    scene = make_scene(rng, config.height, config.width, config.walkers, duration_s, config.classes)

    rows = []
    for frame in range(1, config.frames_per_sequence + 1):
        picture, seen = render(scene, config.height, config.width, (frame - 1) / config.frame_rate)
        _write_jpeg(images / f"{_stem(frame)}.jpg", picture)
        rows += [(frame, one.walker + 1, *one.box_xywh, one.visibility, one.figure.value) for one in seen]
        bar.update()
    table = np.array(rows, np.float64).reshape(-1, 8).round(2)
    labelled = table[table[:, 6] >= _LEAST_VISIBILITY]
    _write_sequence_files(images.parent, name, table, config)

    known, identities = np.unique(labelled[:, 1], return_inverse=True)
    write_labels(
        folder / "labels_with_ids" / split / name / "img1",
        {frame: _stem(frame) for frame in range(1, config.frames_per_sequence + 1)},
        labelled[:, 0].astype(int),
        identities + first_identity,
        labelled[:, 2:6],
        size_hw=(config.height, config.width),
        classes=labelled[:, 7],
    )
    return SequenceReport(
        name=name,
        split=split,
        height=config.height,
        width=config.width,
        frame_rate=config.frame_rate,
        images=config.frames_per_sequence,
        boxes=len(labelled),
        identities=len(known),
        rows_without_image=0,
        images_by="drawn",
    )


def _write_jpeg(path: Path, picture: np.ndarray) -> None:
    encoded, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not encoded:
        raise DataError(f"{path}: OpenCV cannot encode this picture")
    path.write_bytes(content.tobytes())


def _write_sequence_files(folder: Path, name: str, table: np.ndarray, config: SyntheticConfig) -> None:
    """`seqinfo.ini` and `gt/gt.txt`; table [N, 8]: frame, id, x, y, w, h, visibility, class."""
    frames, ids, classes = (table[:, column].astype(np.int64) for column in (0, 1, 7))
    flags = (table[:, 6] >= _LEAST_VISIBILITY).astype(float)
    rows = MotRows(frames, ids, table[:, 2:6], flags, classes + 1, table[:, 6])
    (folder / "gt").mkdir()
    (folder / "gt" / "gt.txt").write_text(ground_truth_text(rows, visibility_decimals=2))
    size_hw = (config.height, config.width)
    info = sequence_info(name, config.frames_per_sequence, size_hw, ".jpg", config.frame_rate)
    (folder / "seqinfo.ini").write_text(info)
