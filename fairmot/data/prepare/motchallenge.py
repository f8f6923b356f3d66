"""From a MOTChallenge download to a prepared data set; what differs from one to the next is given by mot15, mot17."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from fairmot.data.prepare.config import PrepareConfig
from fairmot.data.prepare.layout import Built, SequenceReport, build_data_set, image_folder, write_labels
from fairmot.data.prepare.sequences import (
    SourceSequence,
    choose_sequences,
    is_labelled,
    read_sequence,
)
from fairmot.errors import DataError

Item = TypeVar("Item")
_THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class MotRules:
    """How one MOTChallenge data set is read.

    Attributes:
        name: of the data set.
        columns: of gt.txt.
        people_class: value of the column `class` that counts; None: no such column.
        halves: also list the first and the second half of every training sequence, for training and validation.
    """

    name: str
    columns: Sequence[str]
    people_class: int | None = None
    halves: bool = False


def prepare_mot(config: PrepareConfig, rules: MotRules, found: list[Path]) -> tuple[dict[str, Any], bool]:
    """Prepare `found`, or those of them that the configuration names.

    Identities count from 0 over the sequences in order of name, within a sequence in order of the id in its gt.txt;
    only those with a label count.

    Returns:
        The manifest, and whether anything was written.

    Raises:
        ConfigError: unknown sequence names.
        DataError: a download that cannot be used; nothing is left of the attempt.
    """
    folders = choose_sequences(found, config.sequences)
    output = Path(config.output).expanduser().resolve()
    _keep_apart(output / rules.name, folders)
    settings = {
        "link": config.link,
        "sources": {str(folder): _fingerprint(folder) for folder in folders},
    }
    return build_data_set(
        output,
        rules.name,
        settings,
        partial(_build, rules=rules, folders=folders, link=config.link),
        reuse=not config.overwrite,
        replace=config.overwrite,
    )


def _keep_apart(target: Path, folders: list[Path]) -> None:
    for folder in folders:
        if folder.is_relative_to(target) or target.is_relative_to(folder):
            raise DataError(f"{target}: would be written over the download {folder}; choose another output=")


def _fingerprint(folder: Path) -> str:
    """What a sequence holds, without reading the images: their names, sizes, and the text files."""
    try:
        images = sorted((entry.name, entry.stat().st_size) for entry in os.scandir(folder / "img1"))
        texts = [folder / "gt" / "gt.txt", folder / "seqinfo.ini"]
        contents = [text.read_bytes() if text.is_file() else b"" for text in texts]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}; is the download complete?") from error
    parts = [json.dumps([is_labelled(folder), images]).encode(), *contents]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _build(data_set: Path, rules: MotRules, folders: list[Path], link: bool) -> Built:
    with ThreadPoolExecutor(_THREADS) as pool:
        read = partial(read_sequence, columns=rules.columns, people_class=rules.people_class)
        sources = list(_with_bar(pool.map(read, folders), len(folders), f"reading {rules.name}"))
        counts = [len(np.unique(source.truth.ids)) for source in sources]
        starts = np.concatenate([[0], np.cumsum(counts)]).tolist()
        write = partial(_write_sequence, data_set, link)
        reports = list(_with_bar(pool.map(write, sources, starts[:-1]), len(sources), f"writing {rules.name}"))
    return Built(_lists(rules, sources), reports)


def _with_bar(results: Iterator[Item], total: int, what: str) -> Iterator[Item]:
    yield from tqdm(results, total=total, desc=what, unit="sequence")


def _lists(rules: MotRules, sources: list[SourceSequence]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for source in sources:
        folder = image_folder(Path(rules.name), source.split, source.name).as_posix()
        paths = [f"{folder}/{path.name}" for path in source.images.values()]
        lists.setdefault(f"{rules.name}.{source.split}", []).extend(paths)
        if rules.halves and source.split == "train":
            # Of an odd number the second half gets one more: 2657 + 2659 images of the whole MOT17.
            bounds = (0, len(paths) // 2, len(paths))
            for split, (start, end) in zip(("train", "val"), pairwise(bounds), strict=True):
                lists.setdefault(f"{rules.name}_half.{split}", []).extend(paths[start:end])
    return lists


def _write_sequence(data_set: Path, link: bool, source: SourceSequence, first_identity: int) -> SequenceReport:
    images = image_folder(data_set, source.split, source.name)
    images.mkdir(parents=True)
    placed_by = {_place(path, images / path.name, link) for path in source.images.values()}
    for text in ("seqinfo.ini", "gt/gt.txt") if source.split == "train" else ("seqinfo.ini",):
        if (source.folder / text).is_file():
            (images.parent / text).parent.mkdir(exist_ok=True)
            shutil.copyfile(source.folder / text, images.parent / text)
    known, identities = np.unique(source.truth.ids, return_inverse=True)
    if source.split == "train":
        write_labels(
            data_set / "labels_with_ids" / source.split / source.name / "img1",
            {frame: path.stem for frame, path in source.images.items()},
            source.truth.frames,
            identities + first_identity,
            source.truth.boxes_xywh,
            size_hw=source.size_hw,
        )
    return SequenceReport(
        name=source.name,
        split=source.split,
        height=source.size_hw[0],
        width=source.size_hw[1],
        frame_rate=source.frame_rate,
        images=len(source.images),
        boxes=len(identities),
        identities=len(known),
        rows_without_image=source.rows_without_image,
        images_by=" and ".join(sorted(placed_by)),
    )


def _place(source: Path, target: Path, link: bool) -> str:
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
