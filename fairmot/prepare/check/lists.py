"""The lists of a data root, and what is wrong with them."""

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

from fairmot.data.image_list import read_entries
from fairmot.data.labels import label_path_for
from fairmot.errors import DataError
from fairmot.prepare.check.findings import Finding, Kind

_TRAINING, _HELD_OUT = ("train", "all"), ("val", "test")


class ListEntry(NamedTuple):
    """A usable line of a list: the image's path relative to the root, and the line's number."""

    image: str
    line: int


class CheckedList(NamedTuple):
    """A list file.

    Attributes:
        name: of the file.
        path: of the file.
        entries: those that can have labels, each image once.
    """

    name: str
    path: str
    entries: list[ListEntry]

    @property
    def held_out(self) -> bool:
        """Whether it is for validation or test, not for training."""
        return self.name.endswith(tuple(f".{ending}" for ending in _HELD_OUT))

    @property
    def labelled(self) -> bool:
        """Whether its images should have labels: those of a test set have none."""
        return not self.name.endswith(".test")


def find_lists(root: Path, data_set: str) -> list[Path]:
    """The list files in `root`, sorted by name: <data set>.train, .val, .test and .all.

    Args:
        root: the prepared data.
        data_set: only lists of this data set (<name>.train, <name>_half.train); or the path of one list file, relative
            to root or absolute; empty: all lists.

    Raises:
        DataError: no such root, or no such list.
    """
    if not root.is_dir():
        raise DataError(f"root={root}: no such folder; with check=true root is the prepared data, as data.root")
    endings = _TRAINING + _HELD_OUT
    found = sorted(path for path in root.iterdir() if path.suffix[1:] in endings and path.is_file())
    if data_set and (root / data_set).is_file():
        return [root / data_set]
    chosen = [path for path in found if not data_set or path.stem in (data_set, f"{data_set}_half")]
    if not chosen:
        wanted = data_set or "<data set>"
        alternatives = f"; there are: {', '.join(path.name for path in found)}" if found else ""
        raise DataError(
            f"root={root}: no list file {', '.join(f'{wanted}.{ending}' for ending in endings)}{alternatives}"
        )
    return chosen


def read_list(path: Path) -> tuple[CheckedList, list[Finding]]:
    """The usable entries of a list file, and what is wrong with it or the others."""
    findings: list[Finding] = []
    first_lines: dict[str, int] = {}
    try:
        entries = read_entries(str(path))
    except DataError as error:
        return CheckedList(path.name, str(path), []), [Finding(Kind.list_unreadable, str(path), 0, str(error))]
    if not entries:
        findings.append(Finding(Kind.list_empty, str(path), 0, "names no image"))
    for written, line in entries:
        image = os.path.normpath(written)
        first = first_lines.setdefault(image, line)
        if first != line:
            findings.append(Finding(Kind.listed_twice, str(path), line, f"{written} already stands in line {first}"))
            continue
        try:
            label_path_for(image)
        except DataError as error:
            del first_lines[image]
            findings.append(Finding(Kind.no_images_folder, str(path), line, str(error)))
    usable = [ListEntry(image, line) for image, line in first_lines.items()]
    return CheckedList(path.name, str(path), usable), findings


def shared_labels(lists: list[CheckedList]) -> Iterator[Finding]:
    """Images that differ only in their ending, which therefore have one label file."""
    images: dict[str, str] = {}
    for item in lists:
        for image, line in item.entries:
            other = images.setdefault(label_path_for(image), image)
            if other != image:
                yield Finding(Kind.label_shared, item.path, line, f"{image} and {other} have one label file")


def overlaps(lists: list[CheckedList]) -> Iterator[Finding]:
    """Images of a list for validation or test that a list for training names too; one finding a pair of lists."""
    training = [item for item in lists if not item.held_out]
    held_out = [item for item in lists if item.held_out]
    for train, held in product(training, held_out):
        trained = {entry.image for entry in train.entries}
        shared = [entry for entry in held.entries if entry.image in trained]
        if shared:
            same_data_set = Path(train.name).stem == Path(held.name).stem
            kind = Kind.validation_in_training if same_data_set else Kind.shared_images
            count = f"{len(shared)} of {len(held.entries)} images also stand in {train.name}"
            message = f"{count}, the first is {shared[0].image}; do not train on one and validate with the other"
            yield Finding(kind, held.path, shared[0].line, message)
