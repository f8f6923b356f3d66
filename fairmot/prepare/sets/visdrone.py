"""VisDrone-MOT: streets seen from drones.

    VisDrone2019-MOT-<part>/sequences/<sequence>/0000001.jpg       parts train, val, test-dev and test-challenge
    VisDrone2019-MOT-<part>/annotations/<sequence>.txt

Rows are frame,id,x,y,w,h,score,category,truncation,occlusion. Source of the rules (score 0 does not count; category 0
is an ignored region, 1 a pedestrian, 2 a person sitting, riding or lying, the others vehicles): the set's own pages.
Pedestrians and persons become one class; any truncation and occlusion counts, as in MOTChallenge.
"""

from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fairmot.errors import DataError
from fairmot.mot.sequence import existing_root
from fairmot.prepare.assemble import Rules, prepare_origins
from fairmot.prepare.config import PrepareConfig
from fairmot.prepare.sequences import choose_sequences, sequence_of_rows
from fairmot.prepare.source import Origin, Source
from fairmot.prepare.text_rows import check_columns, integer, number

_COLUMNS = ("frame", "id", "x", "y", "w", "h", "score", "category", "truncation", "occlusion")
_PEOPLE = (1, 2)
_CATEGORIES = 11
_SPLITS = ("train", "val", "test")


def prepare(config: PrepareConfig) -> tuple[dict[str, Any], bool]:
    """Prepare the parts of VisDrone-MOT that are below the root, or the one that is the root; as `prepare_origins`.

    Raises:
        ConfigError: unknown sequence names.
    """
    top = existing_root(config.root)
    parts = [top] if (top / "sequences").is_dir() else sorted(path.parent for path in top.glob("*/sequences"))
    found = {folder: part for part in parts for folder in sorted((part / "sequences").iterdir()) if folder.is_dir()}
    if not found:
        raise DataError(f"root={config.root}: no sequences found; looked for {top}/VisDrone2019-MOT-*/sequences/*")
    origins = [
        Origin(folder, [folder], [_annotations(folder)], partial(_read, folder, _split_of(found[folder])))
        for folder in choose_sequences(list(found), config.sequences)
    ]
    return prepare_origins(config, Rules("visdrone"), origins)


def _annotations(folder: Path) -> Path:
    return folder.parent.parent / "annotations" / f"{folder.name}.txt"


def _split_of(part: Path) -> str:
    split = next((word for word in part.name.lower().split("-") if word in _SPLITS), None)
    if split is None:
        raise DataError(
            f"{part}: not a part of VisDrone-MOT; its name says train, val or test, as VisDrone2019-MOT-train"
        )
    return split


def _read(folder: Path, split: str, bar: tqdm) -> list[Source]:
    path = _annotations(folder)
    if split != "test" and not path.is_file():
        raise DataError(f"{path}: these annotations are missing; is the download complete?")
    return [sequence_of_rows(folder, folder.name, split, path if path.is_file() else None, parse_row, bar)]


def parse_row(place: str, line: str) -> tuple[int, int, list[float], bool]:
    """One row: frame, id, box x, y, w, h in pixels, and whether it is a person that counts.

    Raises:
        DataError: the row cannot be used.
    """
    fields = line.rstrip(",").split(",")
    check_columns(place, fields, _COLUMNS)
    values = [number(place, name, field) for name, field in zip(_COLUMNS, fields, strict=True)]
    frame, category = integer(place, "frame", values[0], 1), integer(place, "category", values[7], 0)
    if category > _CATEGORIES:
        raise DataError(f"{place}: category {category} is not of VisDrone, whose categories are 0 to {_CATEGORIES}")
    counts = values[6] != 0 and category in _PEOPLE
    return frame, integer(place, "id", values[1], 0) if counts else -1, values[2:6], counts
