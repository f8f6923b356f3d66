"""What scoring counts, whoever's rules it follows: which rules there are, their sums, and what became of every box."""

from dataclasses import dataclass
from enum import Enum

import numpy as np


class Rules(Enum):
    """Whose rules match boxes and count; IoU 0.5 makes a match in both.

    `official`: MOTChallenge's (TrackEval). A pair of the last frame is continued; all others are matched anew for the
    most overlap. An identity is mostly tracked above 80 % of its frames.
    `motmetrics`: any earlier pair of an identity is taken up again, however long ago; mostly tracked from 80 %.
    """

    official = "official"
    motmetrics = "motmetrics"


@dataclass
class MatchCounts:
    """The sums behind CLEAR and identity figures; what each is, `SequenceMetrics` says."""

    matches: int
    overlap_sum: float
    switches: int
    fragments: int
    mostly_tracked: int
    partially_tracked: int
    mostly_lost: int
    id_matches: int


@dataclass
class MatchEvents:
    """What became of every box, one event a row, in the order of frames.

    Attributes:
        frames: int64 [N].
        kinds: str [N]; MATCH, SWITCH (a match under another id than before), MISS or FP.
        gt_ids: float64 [N], NaN where the kind is FP.
        result_ids: float64 [N], NaN where the kind is MISS.
    """

    frames: np.ndarray
    kinds: np.ndarray
    gt_ids: np.ndarray
    result_ids: np.ndarray
