"""Data sets in MOTChallenge's format: what differs from one to the next is a line of a table.

Source of the rules (flag other than 0; class 1, pedestrians; any visibility): the original's label scripts, and for
DanceTrack and SportsMOT, whose gt.txt says 1 in both columns of every row, their own pages.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fairmot.mot.rows import GT_COLUMNS_WITH_CLASS, GT_COLUMNS_WITHOUT_CLASS
from fairmot.mot.sequence import existing_root, find_sequences, one_variant_a_scene
from fairmot.prepare.assemble import Rules, prepare_origins
from fairmot.prepare.config import PrepareConfig
from fairmot.prepare.sequences import choose_sequences, read_sequence
from fairmot.prepare.source import Origin, Source

_PEDESTRIAN = 1


@dataclass(frozen=True)
class MotRules:
    """How one data set in MOTChallenge's format is read.

    Attributes:
        columns: how many gt.txt has.
        halves: also list the first and the second half of every training sequence, for training and validation.
        variants: a scene is there several times, with the detections of several detectors.
        inside: folder within the download that holds train, val and test, where it is there.
    """

    columns: int = GT_COLUMNS_WITH_CLASS
    halves: bool = False
    variants: bool = False
    inside: str = "."


RULES = {
    "mot15": MotRules(columns=GT_COLUMNS_WITHOUT_CLASS),
    "mot16": MotRules(),
    "mot17": MotRules(halves=True, variants=True),
    "mot20": MotRules(),
    "dancetrack": MotRules(inside="dancetrack"),
    "sportsmot": MotRules(inside="dataset"),
}


def prepare(config: PrepareConfig) -> tuple[dict[str, Any], bool]:
    """Prepare a data set of the table; as `prepare_origins`.

    Raises:
        ConfigError: unknown sequence names.
    """
    rules = RULES[config.dataset]
    top = existing_root(config.root)
    found = find_sequences(str(top / rules.inside) if (top / rules.inside).is_dir() else config.root)
    if rules.variants:
        found = one_variant_a_scene(found)
    origins = [
        Origin(
            folder,
            [folder / "img1"],
            [folder / "gt" / "gt.txt", folder / "seqinfo.ini"],
            partial(_read, folder, rules.columns),
        )
        for folder in choose_sequences(found, config.sequences)
    ]
    return prepare_origins(config, Rules(config.dataset, halves=rules.halves), origins)


def _read(folder: Path, columns: int, bar: tqdm) -> list[Source]:
    return [read_sequence(folder, (columns,), _pedestrian, bar)]


def _pedestrian(_: str, value: float) -> int | None:
    """Class 1 of MOT16 and later becomes class 0 of the labels, nothing else counts."""
    return 0 if value == _PEDESTRIAN else None
