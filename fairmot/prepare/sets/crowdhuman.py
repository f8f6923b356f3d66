"""CrowdHuman: images of crowds without tracks, `annotation_train.odgt` and `annotation_val.odgt`.

A line of an .odgt file is one image as JSON: `{"ID": ..., "gtboxes": [{"tag", "fbox": [x, y, w, h], "extra"}, ...]}`.

Source of the rules: the original's two label scripts. The full-body box `fbox` counts, also where it leaves the image;
boxes whose `extra` says `ignore` do not (people in the distance, reflections, everything tagged `mask`). With labels=id
every box is an identity of its own, counted anew in each file, with labels=det none has any.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fairmot.errors import ConfigError, DataError
from fairmot.mot.sequence import existing_root
from fairmot.prepare.assemble import Rules, prepare_origins
from fairmot.prepare.config import BoxIdentity, PrepareConfig
from fairmot.prepare.json_values import box_xywh, parse_object, require
from fairmot.prepare.source import (
    NO_IDENTITY,
    BoxRows,
    Origin,
    Source,
    folders_with_images,
    image_sizes,
    list_images,
)
from fairmot.prepare.text_rows import read_lines

_SPLITS = ("train", "val")


def prepare(config: PrepareConfig) -> tuple[dict[str, Any], bool]:
    """Prepare CrowdHuman: crowdhuman.train and .val, or crowdhuman_det.train and .val with labels=det.

    The images may lie anywhere below the root, in the folders of the six zips or in one.

    Raises:
        ConfigError: sequences were named.
        DataError: as `prepare_origins`; neither annotation file is there.
    """
    if config.sequences:
        raise ConfigError("sequences: CrowdHuman has none")
    top = existing_root(config.root)
    found = {split: path for split in _SPLITS if (path := top / f"annotation_{split}.odgt").is_file()}
    if not found:
        raise DataError(f"root={config.root}: neither annotation_train.odgt nor annotation_val.odgt is there")
    folders = folders_with_images(top)
    origins = [
        Origin(top, folders, [path], partial(_read, split, path, folders, config.labels))
        for split, path in found.items()
    ]
    name = "crowdhuman" if config.labels is BoxIdentity.id else "crowdhuman_det"
    return prepare_origins(config, Rules(name), origins)


def _read(split: str, path: Path, folders: list[Path], identity: BoxIdentity, bar: tqdm) -> list[Source]:
    image_of = {image.stem: image for folder in folders for image in list_images(folder)}
    images: list[Path] = []
    rows, boxes, without_image, absent, seen = BoxRows(), 0, 0, [], set()
    for place, line in read_lines(path):
        name, kept = parse_image(place, line)
        if name in seen:
            raise DataError(f"{place}: image {name} is there twice")
        seen.add(name)
        if name not in image_of:
            absent.append(name)
            without_image += len(kept)
            continue
        for box in kept:
            rows.add(place, len(images), boxes if identity is BoxIdentity.id else NO_IDENTITY, box)
            boxes += 1
        images.append(image_of[name])
    if not images:
        raise DataError(f"{path}: none of its {len(seen)} images is below {path.parent}; unpack CrowdHuman_*.zip there")
    lacking = rows.lacking()
    if absent:
        lacking.append(f"{len(absent)} of the {len(seen)} images of {path.name} are missing, the first: {absent[0]}")
    source = Source(
        name=split,
        split=split,
        images=images,
        targets=[image.name for image in images],
        sizes_hw=image_sizes(images, bar),
        boxes=rows.boxes(),
        rows_without_image=without_image,
        lacking=lacking,
    )
    return [source]


def parse_image(place: str, line: str) -> tuple[str, list[tuple[float, float, float, float]]]:
    """One line of an .odgt file: the image's name without ending, and the full-body boxes x, y, w, h that count.

    Raises:
        DataError: the line cannot be used.
    """
    try:
        image = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON: {error}") from error
    image = parse_object(place, "the line", image)
    name = require(place, image, "ID", str)
    if not name or "/" in name:
        raise DataError(f"{place}: ID '{name}' is not an image's name")
    kept = []
    for position, entry in enumerate(require(place, image, "gtboxes", list)):
        what = f"gtboxes[{position}]"
        box = parse_object(place, what, entry)
        extra = parse_object(place, f"{what}.extra", box.get("extra", {}))
        if box.get("tag") == "mask" or extra.get("ignore") == 1:
            continue
        kept.append(box_xywh(place, f"{what}.fbox", box.get("fbox")))
    return name, kept
