"""MOT17: the MOT16 scenes with better ground truth, each three times over with the detections of another detector.

Source of the rules (flag other than 0 and class 1, pedestrians; any visibility): the original's label script.
"""

from pathlib import Path
from typing import Any

from fairmot.data.prepare.config import PrepareConfig
from fairmot.data.prepare.motchallenge import MotRules, prepare_mot
from fairmot.data.prepare.sequences import find_sequences

_RULES = MotRules(
    "mot17",
    columns=("frame", "id", "x", "y", "w", "h", "flag", "class", "visibility"),
    people_class=1,
    halves=True,
)
_DETECTORS = ("FRCNN", "SDP", "DPM")


def prepare(config: PrepareConfig) -> tuple[dict[str, Any], bool]:
    """Prepare MOT17, each scene once; as `prepare_mot`."""
    return prepare_mot(config, _RULES, one_variant_a_scene(find_sequences(config.root)))


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
