"""From what the readers found in a download to a prepared data set: identities numbered, images placed, labels written.

Reading and writing run in parallel, image by image, for pictures often lie on storage that answers slowly.
"""

import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from fairmot.data.labels import usable
from fairmot.data.layout import Built, SequenceReport, build_data_set, label_rows, write_labels
from fairmot.errors import DataError
from fairmot.files import read_bounded
from fairmot.picture_files import is_picture
from fairmot.prepare.config import PrepareConfig
from fairmot.prepare.source import NO_IDENTITY, THREADS, Boxes, Origin, Source, in_parallel
from fairmot.prepare.text_rows import MOST_BYTES

_IMAGES_A_TASK = 256
PEOPLE = ("person",)


@dataclass(frozen=True)
class Rules:
    """What is made of the sources, beyond what they hold.

    Attributes:
        name: of the data set.
        halves: also list the first and the second half of every training sequence, for training and validation.
        classes: names of the classes in order of number; None: they are called by the numbers they have in the
            annotations.
        first_class: the first of these numbers.
        settings: JSON values, beside the download itself, that decide what is built.
    """

    name: str
    halves: bool = False
    classes: Sequence[str] | None = PEOPLE
    first_class: int = 0
    settings: Mapping[str, Any] | None = None


def prepare_origins(config: PrepareConfig, rules: Rules, origins: Sequence[Origin]) -> tuple[dict[str, Any], bool]:
    """Prepare a data set from the parts of its download.

    Identities count from 0 in every split, over its sequences in their order, within a sequence in order of the
    annotations' ids; only those with a label count.

    Returns:
        The manifest, and whether anything was written.

    Raises:
        DataError: a download that cannot be used; nothing is left of the attempt.
    """
    output = Path(config.output).expanduser().resolve()
    keep_apart(output / rules.name, [origin.folder for origin in origins])

    def build(folder: Path) -> Built:
        with progress_bar(f"reading {rules.name}") as bar:
            sources = [source for origin in origins for source in origin.read(bar)]
        _check_targets(sources)
        sources = _number_identities([_within_labels(source) for source in sources])
        reports = _write(folder, sources, config.link, f"writing {rules.name}")
        return Built(_lists(rules, sources), reports, _class_names(rules, sources))

    return build_data_set(
        output,
        rules.name,
        {"link": config.link, "sources": fingerprints(origins), **(rules.settings or {})},
        build,
        reuse=not config.overwrite,
        replace=config.overwrite,
    )


def progress_bar(what: str, total: int | None = None) -> tqdm:
    """A bar on stderr that counts images."""
    return tqdm(desc=what, total=total, unit="image", disable=None)


def keep_apart(target: Path, folders: Sequence[Path]) -> None:
    """A data set must not be written into its own download, nor around it.

    Raises:
        DataError: it would be.
    """
    for folder in folders:
        if folder.is_relative_to(target) or target.is_relative_to(folder):
            raise DataError(f"{target}: would be written over the download {folder}; choose another output=")


def fingerprints(origins: Sequence[Origin]) -> dict[str, str]:
    """What each part of a download holds, without reading the images: their names, sizes, and the annotations.

    Raises:
        DataError: something cannot be read.
    """
    states: dict[str, Any] = defaultdict(hashlib.sha256)
    for origin in origins:
        state = states[str(origin.folder)]
        try:
            for folder in origin.image_folders:
                with os.scandir(folder) as entries:
                    images = sorted((entry.name, entry.stat().st_size) for entry in entries if is_picture(entry.name))
                state.update(json.dumps([str(folder.relative_to(origin.folder)), images]).encode())
            for digest in in_parallel(_digest, origin.annotations):
                state.update(digest)
        except OSError as error:
            raise DataError(f"{error.filename}: cannot be read: {error.strerror}; is the download complete?") from error
    return {folder: state.hexdigest() for folder, state in states.items()}


def _digest(path: Path) -> bytes:
    return hashlib.sha256(read_bounded(path, MOST_BYTES) if path.is_file() else b"").digest()


def _within_labels(source: Source) -> Source:
    """Leave out boxes that no label file may hold, because they are so far off their image; say so."""
    if source.boxes is None:
        return source
    boxes = source.boxes
    nobody = np.full(len(boxes), NO_IDENTITY)  # ids may be of any size until they are numbered
    good = usable(label_rows(nobody, boxes.boxes_xywh, source.sizes_hw[boxes.images], boxes.classes))
    if good.all():
        return source
    first = source.targets[boxes.images[int(np.argmin(good))]]
    sentence = f"{np.count_nonzero(~good)} boxes far outside their image left out, the first in {first}"
    return replace(source, boxes=boxes.at(good), lacking=[*source.lacking, sentence])


def _number_identities(sources: list[Source]) -> list[Source]:
    """Ids from 0 within each split; boxes in order of image, then id."""
    counts: dict[str, int] = defaultdict(int)
    numbered = []
    for source in sources:
        if source.boxes is None:
            numbered.append(source)
            continue
        boxes = source.boxes.at(np.lexsort((source.boxes.ids, source.boxes.images)))
        if source.keeps_ids:
            numbered.append(replace(source, boxes=boxes))
            continue
        known = np.unique(boxes.ids[boxes.ids >= 0])
        ids = np.where(boxes.ids >= 0, np.searchsorted(known, boxes.ids) + counts[source.split], boxes.ids)
        counts[source.split] += len(known)
        numbered.append(replace(source, boxes=replace(boxes, ids=ids)))
    return numbered


def _class_names(rules: Rules, sources: list[Source]) -> list[str]:
    if rules.classes is not None:
        return list(rules.classes)
    last = max(
        (int(source.boxes.classes.max(initial=-1)) for source in sources if source.boxes is not None), default=-1
    )
    return [str(rules.first_class + number) for number in range(last + 1)]


def _check_targets(sources: list[Source]) -> None:
    """No two images at one place, and no folder `images` within: labels are found by the last of that name."""
    places: dict[tuple[str, str], Path] = {}
    for source in sources:
        for target, path in zip(source.targets, source.images, strict=True):
            if "images" in target.split("/")[:-1]:
                raise DataError(f"{path}: a folder of its sequence is called images; call it something else")
            place = (source.split, target.rpartition(".")[0])
            if place in places:
                raise DataError(f"{path}: would get the same name as {places[place]}; rename one of them")
            places[place] = path


def _lists(rules: Rules, sources: list[Source]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        paths = [f"{rules.name}/images/{source.split}/{target}" for target in source.targets]
        lists[f"{rules.name}.{source.split}"] += paths
        if rules.halves and source.split == "train":
            # Of an odd number the second half gets one more: 2657 + 2659 images of the whole MOT17.
            bounds = (0, len(paths) // 2, len(paths))
            for split, (start, end) in zip(("train", "val"), pairwise(bounds), strict=True):
                lists[f"{rules.name}_half.{split}"] += paths[start:end]
    return {name: paths for name, paths in lists.items() if paths}


def _write(data_set: Path, sources: list[Source], link: bool, what: str) -> list[SequenceReport]:
    for source in sources:
        top = data_set / "images" / source.split
        parts = [Path(path).parent for path in (*source.targets, *source.texts)]
        for part in set(parts):
            (top / part).mkdir(parents=True, exist_ok=True)
        for path, content in source.texts.items():
            (top / path).write_bytes(content)
    tasks = [(source, start) for source in sources for start in range(0, len(source.images), _IMAGES_A_TASK)]
    placed_by: dict[int, set[str]] = defaultdict(set)
    total = sum(len(source.images) for source in sources)
    with progress_bar(what, total) as bar, ThreadPoolExecutor(THREADS) as pool:
        ways = pool.map(lambda task: _write_images(data_set, link, *task), tasks)
        for (source, start), used in zip(tasks, ways, strict=True):
            placed_by[id(source)] |= used
            bar.update(min(_IMAGES_A_TASK, len(source.images) - start))
    return [_report(source, placed_by[id(source)]) for source in sources]


def _write_images(data_set: Path, link: bool, source: Source, start: int) -> set[str]:
    """Place some of a source's images and write their labels; returns the ways the images were placed."""
    chosen = range(start, min(start + _IMAGES_A_TASK, len(source.images)))
    top = data_set / "images" / source.split
    ways = {place_image(source.images[i], top / source.targets[i], link) for i in chosen}
    if source.boxes is not None:
        first, last = np.searchsorted(source.boxes.images, (chosen.start, chosen.stop))
        boxes: Boxes = source.boxes.at(np.arange(first, last))
        write_labels(
            data_set / "labels_with_ids" / source.split,
            {i: source.targets[i].rpartition(".")[0] for i in chosen},
            boxes.images,
            boxes.ids,
            boxes.boxes_xywh,
            size_hw=source.sizes_hw[boxes.images],
            classes=boxes.classes,
        )
    return ways


def _report(source: Source, placed_by: set[str]) -> SequenceReport:
    sizes = np.unique(source.sizes_hw, axis=0)
    height, width = map(int, sizes[0]) if len(sizes) == 1 else (None, None)
    ids = np.zeros(0, np.int64) if source.boxes is None else source.boxes.ids
    return SequenceReport(
        name=source.name,
        split=source.split,
        height=height,
        width=width,
        frame_rate=source.frame_rate,
        images=len(source.images),
        boxes=len(ids),
        identities=len(np.unique(ids[ids >= 0])),
        rows_without_image=source.rows_without_image,
        images_by=" and ".join(sorted(placed_by)),
        lacking=source.lacking,
    )


def place_image(source: Path, target: Path, link: bool) -> str:
    """Put an image where it belongs, by the cheapest way that the file systems allow; returns which."""
    source = source.resolve()
    ways: list[tuple[str, Callable[[Path, Path], Any]]] = [("hard link", os.link), ("symbolic link", os.symlink)]
    for name, place in ways if link else ():
        try:
            place(source, target)
        except OSError:
            continue
        return name
    shutil.copyfile(source, target)
    return "copy"
