"""What MOTChallenge does to ground truth and results before it compares them.

The rules are those of the official evaluation (TrackEval): a result that covers something close to a
pedestrian (a sitting person, a mirror image, a mannequin) is neither right nor wrong and is taken out.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from fairmot.errors import DataError
from fairmot.evaluation.overlap import LEAST_MATCH_IOU, overlap_by_frame
from fairmot.mot.benchmarks import Benchmark
from fairmot.mot.rows import NOT_GIVEN, MotRows

PEDESTRIAN = 1
_CLASSES = range(1, 14)
_PERSON_ON_VEHICLE, _NON_MOTORISED_VEHICLE, _STATIC_PERSON, _DISTRACTOR, _REFLECTION = 2, 6, 7, 8, 12

_DISTRACTORS = {
    Benchmark.mot16: (_PERSON_ON_VEHICLE, _STATIC_PERSON, _DISTRACTOR, _REFLECTION),
    Benchmark.mot17: (_PERSON_ON_VEHICLE, _STATIC_PERSON, _DISTRACTOR, _REFLECTION),
    Benchmark.mot20: (_PERSON_ON_VEHICLE, _STATIC_PERSON, _DISTRACTOR, _REFLECTION, _NON_MOTORISED_VEHICLE),
}


def preprocess(gt: MotRows, results: MotRows, benchmark: Benchmark) -> tuple[MotRows, MotRows]:
    """Apply a benchmark's rules.

    MOT15 drops ground truth with flag 0. MOT16, MOT17 and MOT20 match all ground truth with the results
    frame by frame, drop the results matched with a distractor, then drop all ground truth that is not
    a pedestrian with flag 1.

    Args:
        gt: every row of the gt file.
        results: every row of the result file.
        benchmark: whose rules.

    Returns:
        The ground truth and the results to compare.

    Raises:
        DataError: the ground truth has no classes, or one unknown to MOTChallenge.
    """
    if benchmark is Benchmark.none:
        return gt, results
    counted = gt.scores != 0
    if benchmark is Benchmark.mot15:
        return gt.select(counted), results
    _refuse_unknown_classes(gt, benchmark)
    kept = ~_covers_distractor(gt, results, _DISTRACTORS[benchmark])
    return gt.select(counted & (gt.classes == PEDESTRIAN)), results.select(kept)


def _covers_distractor(gt: MotRows, results: MotRows, distractors: tuple[int, ...]) -> np.ndarray:
    """Bool [results]: matched, by the assignment of largest total overlap, with a box of these classes."""
    covers = np.zeros(len(results), bool)
    is_distractor = np.isin(gt.classes, distractors)
    # A frame without distractors, or without results, removes nothing, whatever is matched.
    concerned = np.intersect1d(gt.frames[is_distractor], results.frames)
    gt_rows, result_rows = (np.flatnonzero(np.isin(side.frames, concerned)) for side in (gt, results))
    for frame in overlap_by_frame(gt.select(gt_rows), results.select(result_rows)):
        overlap = np.where(frame.iou >= LEAST_MATCH_IOU, frame.iou, 0)
        gt_side, result_side = linear_sum_assignment(overlap, maximize=True)
        removed = (overlap[gt_side, result_side] > 0) & is_distractor[gt_rows[frame.gt_rows[gt_side]]]
        covers[result_rows[frame.result_rows[result_side[removed]]]] = True
    return covers


def _refuse_unknown_classes(gt: MotRows, benchmark: Benchmark) -> None:
    unknown = np.flatnonzero(~np.isin(gt.classes, _CLASSES))
    if not len(unknown):
        return
    row = unknown[0]
    place = f"ground truth, frame {gt.frames[row]}, id {gt.ids[row]}"
    if gt.classes[row] == NOT_GIVEN:
        raise DataError(f"{place}: no class column, which {benchmark.value} needs; without it: benchmark=mot15")
    raise DataError(f"{place}: class {gt.classes[row]} is unknown to {benchmark.value} (1 to {_CLASSES[-1]})")
