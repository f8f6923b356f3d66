"""The detection and person-search sets of the MIX, as JDE's data zoo hands them out: already in our label format.

    Caltech/images/set00_V000_1271.png           Caltech/labels_with_ids/set00_V000_1271.txt
    Caltech/data/images/...                      as the original's lists have it; both are found
    Citypersons/images/train/jena/...            Citypersons/labels_with_ids/train/jena/...
    ETHZ/eth01/images/...                        ETHZ/eth01/labels_with_ids/...

Which images train is said by list files (caltech.all, prw.train, ...), published with JDE and FairMOT and not with the
images: put them beside the images or name their folder, lists=... . Without them every image with a label file counts.
Classes, boxes and ids stay as they are, to the sixth decimal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fairmot.data.labels import label_path_for
from fairmot.errors import ConfigError, DataError
from fairmot.mot.sequence import existing_root
from fairmot.prepare.assemble import Rules, prepare_origins
from fairmot.prepare.config import PrepareConfig
from fairmot.prepare.label_files import read_label_files
from fairmot.prepare.source import Origin, Source, folders_below, image_sizes, image_target, list_images
from fairmot.prepare.text_rows import read_lines

_IMAGES = "images"


@dataclass(frozen=True)
class JdeRules:
    """How one set is called.

    Attributes:
        name: of its list files.
        splits: endings of its list files; without any, images below a folder of a split's name belong to it, others to
            the first.
    """

    name: str
    splits: tuple[str, ...]


RULES = {
    "caltech": JdeRules("caltech", ("all",)),
    "citypersons": JdeRules("citypersons", ("train", "val")),
    "cuhksysu": JdeRules("cuhksysu", ("train", "val")),
    "prw": JdeRules("prw", ("train", "val")),
    "ethz": JdeRules("eth", ("train",)),
}


def prepare(config: PrepareConfig) -> tuple[dict[str, Any], bool]:
    """Prepare a set of the table; as `prepare_origins`.

    Raises:
        ConfigError: sequences were named.
        DataError: no images, no labels, or a folder `lists` without a list of this set.
    """
    rules = RULES[config.dataset]
    if config.sequences:
        raise ConfigError(f"sequences: {config.dataset} has none")
    top = existing_root(config.root)
    lists = _find_lists(config, rules, top)
    folders = folders_below(top, _IMAGES)
    if not folders:
        raise DataError(
            f"root={config.root}: no folder named '{_IMAGES}' with images; expected {_IMAGES}/ beside labels_with_ids/"
        )
    images = {image.relative_to(top).as_posix(): image for folder in folders for image in list_images(folder)}
    labels = [top / label for label in map(_label_of, images.values()) if label.is_file()]
    origin = Origin(top, folders, [*lists.values(), *labels], partial(_read, rules, images, lists))
    return prepare_origins(config, Rules(rules.name), [origin])


def _label_of(image: Path) -> Path:
    return Path(label_path_for(str(image)))


def _find_lists(config: PrepareConfig, rules: JdeRules, top: Path) -> dict[str, Path]:
    """Split -> list file."""
    places = [Path(config.lists).expanduser().resolve()] if config.lists else [top, top.parent]
    for place in places:
        found = {split: path for split in rules.splits if (path := place / f"{rules.name}.{split}").is_file()}
        if found:
            return found
    if config.lists:
        names = " nor ".join(f"{rules.name}.{split}" for split in rules.splits)
        raise DataError(f"lists={config.lists}: no {names} in this folder")
    return {}


def _read(rules: JdeRules, images: Mapping[str, Path], lists: Mapping[str, Path], bar: tqdm) -> list[Source]:
    if lists:
        return [_source(split, *_listed(path, images), bar) for split, path in lists.items()]
    chosen: dict[str, list[str]] = {split: [] for split in rules.splits}
    for relative, image in images.items():
        if _label_of(image).is_file():
            split = next((split for split in rules.splits if split in relative.split("/")[:-1]), rules.splits[0])
            chosen[split].append(relative)
    if not any(chosen.values()):
        first = next(iter(images.values()))
        raise DataError(f"{first}: none of the {len(images)} images has labels; this one's would be {_label_of(first)}")
    return [_source(split, {path: images[path] for path in paths}, [], bar) for split, paths in chosen.items() if paths]


def _listed(path: Path, images: Mapping[str, Path]) -> tuple[dict[str, Path], list[str]]:
    """The images of a list that are there, by their path below the root, and what is missing.

    Raises:
        DataError: an image twice, or none there.
    """
    found: dict[str, Path] = {}
    absent, lines = [], 0
    for place, line in read_lines(path):
        lines += 1
        parts = line.split("/")
        # A list's paths begin with folders above the root, which everybody calls something else.
        relative = next((tail for k in range(len(parts)) if (tail := "/".join(parts[k:])) in images), None)
        if relative is None:
            absent.append(line)
        elif relative in found:
            raise DataError(f"{place}: {line} is there twice")
        else:
            found[relative] = images[relative]
    if not found:
        raise DataError(
            f"{path}: none of its {lines} images is below root=; the first: {absent[0] if absent else 'none'}"
        )
    return found, [
        f"{len(absent)} of the {lines} images of {path.name} are missing, the first: {absent[0]}"
    ] if absent else []


def _source(split: str, chosen: Mapping[str, Path], lacking: list[str], bar: tqdm) -> Source:
    images = list(chosen.values())
    sizes_hw = image_sizes(images, bar)
    boxes, without = read_label_files([_label_of(image) for image in images], sizes_hw)
    return Source(
        name=split,
        split=split,
        images=images,
        targets=[image_target(relative, (split,)) for relative in chosen],
        sizes_hw=sizes_hw,
        boxes=boxes,
        keeps_ids=True,
        lacking=lacking + without,
    )
