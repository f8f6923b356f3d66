"""Which boxes share a frame, and by how much they overlap: what every measure here starts from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fairmot.mot.rows import NOT_GIVEN, MotRows

MATCH_IOU = 0.5
"""Least overlap of a match in MOTA, IDF1 and the pre-processing of MOTChallenge."""
LEAST_MATCH_IOU = MATCH_IOU - np.finfo(float).eps
"""The same where the official evaluation leaves room for rounding: when it matches for MOTA, and before it scores."""


@dataclass
class FrameOverlap:
    """One frame in which ground truth (G boxes), results (R boxes) or both have something.

    Attributes:
        frame: its number.
        gt_rows: int64 [G], rows of the ground truth.
        result_rows: int64 [R], rows of the results.
        iou: float64 [G, R].
    """

    frame: int
    gt_rows: np.ndarray
    result_rows: np.ndarray
    iou: np.ndarray


def iou_matrix(left_xywh: np.ndarray, right_xywh: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair, without the original's extra pixel: [N, 4], [M, 4] -> [N, M]."""
    # x and y come first: numpy is slow along a last axis of two.
    left, right = left_xywh.T[:, :, None], right_xywh.T[:, None, :]
    left_low, left_high, right_low, right_high = left[:2], left[:2] + left[2:], right[:2], right[:2] + right[2:]
    intersection = _area(np.maximum(left_low, right_low), np.minimum(left_high, right_high))
    # Not width times height: the official evaluation takes corners, and a threshold may hang on the last bit.
    union = _area(left_low, left_high) + _area(right_low, right_high) - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=intersection > 0)


def _area(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Of boxes by their corners, [2, ...] -> [...]; 0 where a side would be negative."""
    width, height = np.maximum(high - low, 0)
    return width * height


def overlap_by_frame(gt: MotRows, results: MotRows, within_classes: bool = False) -> Iterator[FrameOverlap]:
    """The frames of ground truth and of results, in ascending order, each frame once.

    A frame that only one side has is there too: its boxes are all missed, or all false.

    Args:
        gt: ground truth.
        results: a tracker's output.
        within_classes: boxes of different classes do not overlap, where both sides say their classes.
    """
    frames = np.union1d(gt.frames, results.frames)
    gt_groups, result_groups = _rows_by_frame(gt.frames, frames), _rows_by_frame(results.frames, frames)
    for frame, gt_rows, result_rows in zip(frames.tolist(), gt_groups, result_groups, strict=True):
        iou = iou_matrix(gt.boxes_xywh[gt_rows], results.boxes_xywh[result_rows])
        if within_classes:
            gt_classes, result_classes = gt.classes[gt_rows][:, None], results.classes[result_rows]
            iou[(gt_classes != result_classes) & (gt_classes != NOT_GIVEN) & (result_classes != NOT_GIVEN)] = 0
        yield FrameOverlap(frame, gt_rows, result_rows, iou)


def _rows_by_frame(row_frames: np.ndarray, frames: np.ndarray) -> list[np.ndarray]:
    """For each of the sorted `frames` the rows in it, in their own order."""
    order = np.argsort(row_frames, kind="stable")
    starts = np.searchsorted(row_frames[order], frames)
    return np.split(order, starts[1:]) if len(frames) else []
