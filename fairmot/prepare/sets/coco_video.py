"""Your own data as COCO json with videos: CocoVID, as MMTracking reads it, TAO, or plain COCO without videos.

    videos       id, name
    images       id, file_name [, video_id, frame_id or frame_index, width, height]
    annotations  image_id, category_id, bbox [x, y, w, h] [, instance_id or track_id, iscrowd, ignore]
    categories   id, name

Images of a video become a sequence in order of their frame; images without video stay single. An annotation without
instance_id or track_id, here or among its `attributes` (CVAT), has no identity: it trains detection alone. Ids are
numbers or texts. Crowds and ignored annotations do not count.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fairmot.errors import DataError
from fairmot.mot.sequence import existing_root
from fairmot.prepare.assemble import Rules, prepare_origins
from fairmot.prepare.classes import ClassOf, number_classes
from fairmot.prepare.config import PrepareConfig
from fairmot.prepare.json_values import Identities, Key, box_xywh, key, parse_object, require
from fairmot.prepare.sequences import as_sequence, choose_sequences
from fairmot.prepare.source import (
    BoxRows,
    Origin,
    Source,
    folders_with_images,
    image_sizes,
    image_target,
)
from fairmot.prepare.text_rows import integer, number, read_bytes

_SPLITS = ("train", "val", "test")
_IMAGES_TRIED = 100


@dataclass(frozen=True)
class CocoObject:
    """An annotation that may count.

    Attributes:
        place: in the json file.
        category: its id.
        identity: -1: none.
        box_xywh: pixels.
    """

    place: str
    category: int
    identity: int
    box_xywh: tuple[float, float, float, float]


@dataclass(frozen=True)
class CocoImage:
    """An image as the json file describes it.

    Attributes:
        place: in the json file.
        file_name: below the folder of images.
        frame: orders the images of a video.
        size_hw: pixels, None where the file does not say.
        objects: what is annotated in it.
    """

    place: str
    file_name: str
    frame: float
    size_hw: tuple[int, int] | None
    objects: list[CocoObject]


@dataclass(frozen=True)
class CocoVideos:
    """A json file's content.

    Attributes:
        categories: id -> name.
        videos: name -> its images in order; None: the images without a video.
    """

    categories: dict[int, str]
    videos: dict[str | None, list[CocoImage]]


def prepare(config: PrepareConfig) -> tuple[dict[str, Any], bool]:
    """Prepare the splits annotations/train.json, val.json and test.json, or those that `annotations` names.

    Raises:
        ConfigError: unknown sequence or class names.
        DataError: as `prepare_origins`; a json file that cannot be used or is not there.
    """
    top = existing_root(config.root)
    paths = _find_annotations(top, config.annotations)
    contents = {split: parse_coco(path) for split, path in paths.items()}
    first = next(iter(contents))
    for split, content in contents.items():
        if content.categories != contents[first].categories:
            raise DataError(
                f"{paths[split]}: other categories than in {paths[first]}; one data set has one list of them"
            )
    class_of, classes = number_classes(contents[first].categories, config.classes, first=0)
    names = [Path(name) for content in contents.values() for name in content.videos if name is not None]
    wanted = {path.name for path in choose_sequences(names, config.sequences)} if config.sequences else None
    folders = folders_with_images(top)
    origins = [
        Origin(top, folders, [path], partial(_read, top, split, path, contents[split].videos, wanted, class_of))
        for split, path in paths.items()
    ]
    settings = {"format": "coco_video", "classes": config.classes, "sequences": config.sequences}
    return prepare_origins(config, Rules(config.name, classes=classes, settings=settings), origins)


def _find_annotations(top: Path, given: Mapping[str, str]) -> dict[str, Path]:
    if given:
        found = {split: top / path for split, path in given.items()}
        for split, path in found.items():
            if not path.is_file():
                raise DataError(f"annotations.{split}={given[split]}: {path} is not there")
        return found
    places = [(split, top / folder / f"{split}.json") for split in _SPLITS for folder in ("annotations", ".")]
    found = {split: path for split, path in places if path.is_file()}
    if not found:
        others = sorted(path.relative_to(top).as_posix() for path in top.glob("**/*.json"))[:1]
        hint = f"; is it {others[0]}? Then say +annotations.train={others[0]}" if others else ""
        raise DataError(f"root={top}: no annotations/train.json, val.json or test.json{hint}")
    return found


def parse_coco(path: Path) -> CocoVideos:
    """Read and check a json file.

    Raises:
        DataError: it cannot be used; the message says where in the file.
    """
    content = _load(path)
    categories = {}
    for place, entry in _entries(path, content, "categories"):
        categories[integer(place, "id", require(place, entry, "id", object), 0)] = require(place, entry, "name", str)
    if len(set(categories.values())) != len(content["categories"]):
        raise DataError(f"{path}: categories: an id or a name is there twice")
    video_names = _video_names(path, content)
    images, grouped = _images(path, content, video_names)
    identities = Identities()
    for place, entry in _entries(path, content, "annotations") if "annotations" in content else ():
        _add_object(place, entry, images, categories, identities)
    return CocoVideos(categories, {name: sorted(some, key=lambda image: image.frame) for name, some in grouped.items()})


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_bytes(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    return parse_object(str(path), "the file", content)


def _entries(path: Path, content: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    entries = require(str(path), content, key, list)
    places = [f"{path}: {key}[{position}]" for position in range(len(entries))]
    return [(place, parse_object(place, "it", entry)) for place, entry in zip(places, entries, strict=True)]


def _video_names(path: Path, content: dict[str, Any]) -> dict[Key, str]:
    names: dict[Key, str] = {}
    for place, entry in _entries(path, content, "videos") if "videos" in content else ():
        identity = key(place, "id", require(place, entry, "id", object))
        name = str(entry.get("name", identity)).strip("/").replace("/", "_")
        if identity in names or name in names.values() or name in ("", ".", ".."):
            raise DataError(f"{place}: video {identity}, '{name}', is there twice or has no name")
        names[identity] = name
    return names


def _images(
    path: Path, content: dict[str, Any], video_names: Mapping[Key, str]
) -> tuple[dict[Key, CocoImage], dict[str | None, list[CocoImage]]]:
    """Images by id, and by video."""
    images: dict[Key, CocoImage] = {}
    grouped: dict[str | None, list[CocoImage]] = {}
    for place, entry in _entries(path, content, "images"):
        identity = key(place, "id", require(place, entry, "id", object))
        file_name = require(place, entry, "file_name", str).replace("\\", "/")  # as Windows' tools write them
        if identity in images:
            raise DataError(f"{place}: image id {identity} is there twice")
        if not file_name or file_name.startswith("/") or ".." in file_name.split("/") or "\0" in file_name:
            raise DataError(f"{place}: file_name '{file_name}' must be a path below the folder of images")
        video = None
        if entry.get("video_id") is not None:
            video_id = key(place, "video_id", entry["video_id"])
            if video_id not in video_names:
                raise DataError(f"{place}: video_id {video_id} is not among the videos")
            video = video_names[video_id]
        frame = number(place, "frame_id", entry.get("frame_id", entry.get("frame_index", len(images))))
        size_hw = None
        if entry.get("height") is not None and entry.get("width") is not None:
            size_hw = integer(place, "height", entry["height"], 1), integer(place, "width", entry["width"], 1)
        images[identity] = CocoImage(place, file_name, frame, size_hw, [])
        grouped.setdefault(video, []).append(images[identity])
    if not images:
        raise DataError(f"{path}: images is empty")
    return images, grouped


def _add_object(
    place: str,
    entry: dict[str, Any],
    images: Mapping[Key, CocoImage],
    categories: Mapping[int, str],
    identities: Identities,
) -> None:
    image = key(place, "image_id", require(place, entry, "image_id", object))
    category = integer(place, "category_id", require(place, entry, "category_id", object), 0)
    if image not in images:
        raise DataError(f"{place}: image_id {image} is not among the images")
    if category not in categories:
        raise DataError(f"{place}: category_id {category} is not among the categories")
    if entry.get("iscrowd") in (1, True) or entry.get("ignore") in (1, True):
        return
    identity = identities.number(place, _identity_of(place, entry))
    images[image].objects.append(CocoObject(place, category, identity, box_xywh(place, "bbox", entry.get("bbox"))))


def _identity_of(place: str, entry: dict[str, Any]) -> tuple[str, Any]:
    """The key that says whose box it is, and its value; None: nobody says."""
    holders = (entry, parse_object(place, "attributes", entry.get("attributes") or {}))
    given = ((name, holder.get(name)) for holder in holders for name in ("instance_id", "track_id"))
    return next((found for found in given if found[1] is not None), ("instance_id", None))


def _read(
    top: Path,
    split: str,
    path: Path,
    videos: Mapping[str | None, list[CocoImage]],
    wanted: set[str] | None,
    class_of: ClassOf,
    bar: tqdm,
) -> list[Source]:
    chosen = {name: images for name, images in videos.items() if wanted is None or name in wanted}
    every = [image for images in chosen.values() for image in images]
    places = [top, top / "images", top / split, top / "images" / split, path.parent]
    tried = every[:_IMAGES_TRIED]
    folder = next((place for place in places if any((place / image.file_name).is_file() for image in tried)), None)
    if tried and folder is None:
        where = ", ".join(str(place) for place in places)
        raise DataError(f"{tried[0].place}: {tried[0].file_name} is not there, nor the next ones; looked in {where}")
    return [_source(name, split, folder or top, images, class_of, bar) for name, images in chosen.items()]


def _source(
    name: str | None, split: str, folder: Path, images: list[CocoImage], class_of: ClassOf, bar: tqdm
) -> Source:
    available: list[CocoImage] = []
    absent: list[CocoImage] = []
    for image in images:
        (available if (folder / image.file_name).is_file() else absent).append(image)
    lacking = [f"{len(absent)} of {len(images)} images are missing, the first: {absent[0].file_name}"] if absent else []
    paths = [folder / image.file_name for image in available]
    sizes_hw = image_sizes(paths, bar)
    rows = BoxRows()
    for position, image in enumerate(available):
        if image.size_hw not in (None, tuple(sizes_hw[position])):
            height, width = sizes_hw[position]
            turned = "; its EXIF data turns it: annotate it upright" if image.size_hw == (width, height) else ""
            raise DataError(
                f"{image.place}: says {image.size_hw} for height and width, but the image is {width}x{height}{turned}"
            )
        for one in image.objects:
            class_id = class_of(one.place, one.category)
            if class_id is not None:
                rows.add(one.place, position, one.identity, one.box_xywh, class_id)
    without_image = sum(class_of(one.place, one.category) is not None for image in absent for one in image.objects)
    lacking += rows.lacking()
    if name is not None and available:
        return as_sequence(
            name,
            split,
            paths,
            rows.boxes(),
            sizes_hw=sizes_hw,
            rows_without_image=without_image,
            lacking=lacking,
        )
    targets = [image_target(image.file_name) for image in available]
    return Source(
        name=name or split,
        split=split,
        images=paths,
        targets=targets,
        sizes_hw=sizes_hw,
        boxes=rows.boxes(),
        rows_without_image=without_image,
        lacking=lacking,
    )
