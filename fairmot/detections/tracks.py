"""From a sequence's detections to its tracks, without pictures and without a network."""

from collections.abc import Sequence

import numpy as np

from fairmot.detections.sequence import SequenceDetections
from fairmot.errors import ConfigError
from fairmot.mot.rows import track_rows
from fairmot.tracking.config import TrackerConfig
from fairmot.tracking.tracker import Tracker, are_plausible


def check_rules(config: TrackerConfig, found: SequenceDetections) -> None:
    """Refuse rules that ask for detections that were not kept.

    Raises:
        ConfigError: the tracker would take weaker ones than there are.
    """
    key = "low_thres" if config.byte else "conf_thres"
    if getattr(config, key) < found.least_score:
        raise ConfigError(
            f"tracker.{key}={getattr(config, key):g}: {found.place} holds only detections that score at least "
            f"{found.least_score:g}; raise it, or store them again with a lower store_least_score="
        )


def track_detections(
    found: SequenceDetections, config: TrackerConfig, frames: Sequence[int] | None = None
) -> np.ndarray:
    """Track detections from the first frame to the last and keep what is plausible.

    Args:
        found: the detections.
        config: the tracker's rules, with the sequence's frame rate.
        frames: see `SequenceDetections.timed`.

    Returns:
        Float64 [R, 8]: rows of a result, see `fairmot.mot.rows.track_rows`.

    Raises:
        ConfigError: the rules need pictures, or weaker detections than there are.
        DataError: nothing is known of one of the frames.
    """
    if config.camera_motion:
        raise ConfigError("tracker.camera_motion=true needs pictures, and here are none")
    check_rules(config, found)
    tracker, parts = Tracker(config), [np.zeros((0, 8))]
    for number, time_s, detections in found.timed(frames):
        parts.append(track_rows(number, tracker.update(detections, None, time_s), found.num_classes))
    rows = np.concatenate(parts)
    return rows[are_plausible(rows[:, 4], rows[:, 5], config)]
