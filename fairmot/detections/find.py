"""Which file holds a sequence's detections, and whether they can be of its pictures."""

import logging
from pathlib import Path

from fairmot.detections.file import ENDING, read_detections
from fairmot.detections.sequence import SequenceDetections
from fairmot.detections.text import ScoreRange, read_detection_text
from fairmot.detections.tracks import check_rules
from fairmot.errors import ConfigError, DataError
from fairmot.media.video import FrameSource
from fairmot.tracking.config import TrackerConfig

_log = logging.getLogger(__name__)


def find_detections(place: str, name: str) -> Path:
    """The file of one sequence's detections.

    Args:
        place: a file of `store_detections=true`, a det.txt, or a folder with one of the two for each sequence:
            <name>_detections.safetensors, <name>.txt or <name>/det/det.txt.
        name: of the sequence.

    Raises:
        DataError: there is none.
    """
    path = Path(place).expanduser()
    if path.is_dir():
        candidates = (path / f"{name}{ENDING}", path / f"{name}.txt", path / name / "det" / "det.txt")
        if (found := next((one for one in candidates if one.is_file()), None)) is not None:
            return found
        looked_for = ", ".join(str(one.relative_to(path)) for one in candidates)
        raise DataError(f"detections={place}: nothing of {name} in this folder; looked for {looked_for}")
    if not path.exists():
        raise DataError(f"detections={place}: not there; give a det.txt, stored detections, or a folder of them")
    return path


def open_detections(path: Path, score_range: ScoreRange | None = None) -> SequenceDetections:
    """Read a file of `find_detections`.

    Args:
        path: the file.
        score_range: see `read_detection_text`; nothing to stored detections, whose scores are from 0 to 1.

    Raises:
        DataError: it cannot be used.
    """
    return read_detections(path) if path.suffix == Path(ENDING).suffix else read_detection_text(path, score_range)


def detections_of_source(
    path: Path, source: FrameSource, rules: TrackerConfig, score_range: ScoreRange | None
) -> SequenceDetections:
    """Read what was found before, once it is known that it can be of this source; say what is left out.

    Args:
        path: see `open_detections`.
        source: the pictures.
        rules: of the tracker that takes the detections.
        score_range: see `open_detections`.

    Raises:
        ConfigError: the source is live, or the rules ask for weaker detections than there are.
        DataError: the file cannot be used, or is of something else.
    """
    if source.is_live:
        raise ConfigError(f"detections={path}: {source.name} is live, nothing was found there before")
    found = open_detections(path, score_range)
    check_rules(rules, found)
    if left_out := found.check_source(source.name, source.size_hw, source.frames):
        _log.warning("%s: detections of %d frames that %s does not have are left out", path, left_out, source.name)
    return found
