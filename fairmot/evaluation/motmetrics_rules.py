"""Matching and counting as py-motmetrics does, for comparison with scores that were made with it."""

from collections.abc import Sequence

import motmetrics
import numpy as np

from fairmot.evaluation.overlap import MATCH_IOU, FrameOverlap
from fairmot.evaluation.rules import MatchCounts, MatchEvents
from fairmot.mot.rows import MotRows

# Ours -> motmetrics'. Sums only: ratios are formed by `SequenceMetrics`, for one sequence as for several.
_NAMES = {
    "matches": "num_detections",
    "switches": "num_switches",
    "fragments": "num_fragmentations",
    "mostly_tracked": "mostly_tracked",
    "partially_tracked": "partially_tracked",
    "mostly_lost": "mostly_lost",
    "id_matches": "idtp",
}


def score_by_motmetrics(
    gt: MotRows, results: MotRows, overlaps: Sequence[FrameOverlap]
) -> tuple[MatchCounts, MatchEvents]:
    """Match frame by frame and count.

    Args:
        gt: ground truth after pre-processing.
        results: results after pre-processing.
        overlaps: `overlap_by_frame` of the two, classes kept apart.
    """
    accumulator = motmetrics.MOTAccumulator()
    for frame in overlaps:
        distance = 1 - frame.iou
        distance[distance > 1 - MATCH_IOU] = np.nan  # NaN: these two may not be matched
        accumulator.update(gt.ids[frame.gt_rows], results.ids[frame.result_rows], distance, frameid=frame.frame)
    if not len(gt):  # of which motmetrics makes NaN
        return MatchCounts(**dict.fromkeys(_NAMES, 0), overlap_sum=0.0), _events(accumulator)
    sums = motmetrics.metrics.create().compute(accumulator, metrics=[*_NAMES.values(), "motp"], return_dataframe=False)
    counts = {ours: int(sums[theirs]) for ours, theirs in _NAMES.items()}
    matches = counts["matches"]
    overlap_sum = matches * (1 - float(sums["motp"])) if matches else 0.0  # motmetrics' MOTP is a mean distance
    return MatchCounts(**counts, overlap_sum=overlap_sum), _events(accumulator)


def _events(accumulator: motmetrics.MOTAccumulator) -> MatchEvents:
    events = accumulator.mot_events
    # motmetrics adds remarks (ASCEND, TRANSFER, ...) beside the event that says what happened to the box.
    events = events[events["Type"].isin(["MATCH", "SWITCH", "MISS", "FP"])]
    return MatchEvents(
        events.index.get_level_values("FrameId").to_numpy(np.int64),
        events["Type"].to_numpy(str),
        events["OId"].to_numpy(np.float64),
        events["HId"].to_numpy(np.float64),
    )
