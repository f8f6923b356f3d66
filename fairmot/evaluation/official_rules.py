"""Matching and counting as MOTChallenge's official evaluation (TrackEval) does: CLEAR and identity figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from fairmot.evaluation.overlap import LEAST_MATCH_IOU, MATCH_IOU, FrameOverlap
from fairmot.evaluation.rules import MatchCounts, MatchEvents
from fairmot.mot.rows import MotRows

_CONTINUED = 1000
"""What a pair of the last frame is worth beside its overlap, which is at most 1: continuing always comes first."""


@dataclass
class _Matches:
    """M matched pairs, in the order of frames.

    Attributes:
        times: int64 [M], which frame it is of those in which both sides have boxes, counted from 0.
        gt_rows: int64 [M], rows of the ground truth.
        result_rows: int64 [M], rows of the results.
        overlap: float64 [M], their IoU.
    """

    times: np.ndarray
    gt_rows: np.ndarray
    result_rows: np.ndarray
    overlap: np.ndarray


def score_by_official_rules(
    gt: MotRows, results: MotRows, overlaps: Sequence[FrameOverlap]
) -> tuple[MatchCounts, MatchEvents]:
    """Match frame by frame and count.

    Args:
        gt: ground truth after pre-processing.
        results: results after pre-processing.
        overlaps: `overlap_by_frame` of the two, classes kept apart.
    """
    gt_ids, gt_tracks = np.unique(gt.ids, return_inverse=True)
    result_ids, result_tracks = np.unique(results.ids, return_inverse=True)
    # A frame in which one side has nothing is passed over: a pair of the frame before it can still be continued.
    both = [frame for frame in overlaps if frame.iou.size]
    matches = _match(both, gt_tracks, result_tracks, len(gt_ids))

    # A track's matches one after the other: sorting is stable, so they stay in the order of frames.
    by_track = np.argsort(gt_tracks[matches.gt_rows], kind="stable")
    tracks, times = gt_tracks[matches.gt_rows[by_track]], matches.times[by_track]
    of_one_track = np.diff(tracks) == 0
    is_other_id = of_one_track & (np.diff(result_tracks[matches.result_rows[by_track]]) != 0)
    switched = matches.gt_rows[by_track[1:][is_other_id]]

    found = np.bincount(tracks, minlength=len(gt_ids)) / np.bincount(gt_tracks, minlength=len(gt_ids))
    mostly_tracked, mostly_lost = int((found > 0.8).sum()), int((found < 0.2).sum())
    counts = MatchCounts(
        matches=len(tracks),
        overlap_sum=float(matches.overlap.sum()),
        switches=len(switched),
        fragments=int((of_one_track & (np.diff(times) != 1)).sum()),
        mostly_tracked=mostly_tracked,
        partially_tracked=len(gt_ids) - mostly_tracked - mostly_lost,
        mostly_lost=mostly_lost,
        id_matches=_id_matches(both, gt_tracks, result_tracks, len(result_ids)),
    )
    return counts, _events(gt, results, matches, switched)


def _match(both: list[FrameOverlap], gt_tracks: np.ndarray, result_tracks: np.ndarray, gt_count: int) -> _Matches:
    """Args: frames, the track of every row of either side, and how many tracks the ground truth has."""
    last_result = np.full(gt_count, -1)  # track of ground truth -> track it was matched with in the last frame
    none = np.zeros(0, np.int64)
    parts = [(none, none, none, np.zeros(0))]
    for time, frame in enumerate(both):
        gt_side, result_side = gt_tracks[frame.gt_rows], result_tracks[frame.result_rows]
        continued = last_result[gt_side][:, None] == result_side
        worth = np.where(frame.iou >= LEAST_MATCH_IOU, _CONTINUED * continued + frame.iou, 0)
        rows, columns = linear_sum_assignment(worth, maximize=True)
        matched = worth[rows, columns] > 0
        rows, columns = rows[matched], columns[matched]
        last_result[:] = -1
        last_result[gt_side[rows]] = result_side[columns]
        times = np.full(len(rows), time)
        parts.append((times, frame.gt_rows[rows], frame.result_rows[columns], frame.iou[rows, columns]))
    return _Matches(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _id_matches(both: list[FrameOverlap], gt_tracks: np.ndarray, result_tracks: np.ndarray, result_count: int) -> int:
    """IDTP: the most boxes that agree when every track of ground truth is given one track of the results or none."""
    pairs = [np.zeros(0, np.int64)]
    for frame in both:
        rows, columns = np.nonzero(frame.iou >= MATCH_IOU)
        pairs.append(gt_tracks[frame.gt_rows[rows]] * result_count + result_tracks[frame.result_rows[columns]])
    together, frames = np.unique(np.concatenate(pairs), return_counts=True)
    if not len(together):
        return 0
    # Tracks that never overlap another are left out of the matrix: most ghosts, which can be very many.
    gt_ids, gt_side = np.unique(together // result_count, return_inverse=True)
    result_ids, result_side = np.unique(together % result_count, return_inverse=True)
    shared = np.zeros((len(gt_ids), len(result_ids)))
    shared[gt_side, result_side] = frames
    return int(shared[linear_sum_assignment(shared, maximize=True)].sum())


def _events(gt: MotRows, results: MotRows, matches: _Matches, switched: np.ndarray) -> MatchEvents:
    """Args: both sides, their matches, and the rows of ground truth whose match is a switch."""
    kinds = np.full(len(gt), "MISS", "<U6")
    kinds[matches.gt_rows], kinds[switched] = "MATCH", "SWITCH"
    result_of_gt = np.full(len(gt), np.nan)
    result_of_gt[matches.gt_rows] = results.ids[matches.result_rows]
    is_false = np.ones(len(results), bool)
    is_false[matches.result_rows] = False
    false_count = int(is_false.sum())
    frames = np.concatenate([gt.frames, results.frames[is_false]])
    order = np.argsort(frames, kind="stable")
    return MatchEvents(
        frames[order].astype(np.int64),
        np.concatenate([kinds, np.full(false_count, "FP", "<U6")])[order],
        np.concatenate([gt.ids, np.full(false_count, np.nan)])[order],
        np.concatenate([result_of_gt, results.ids[is_false]])[order],
    )
