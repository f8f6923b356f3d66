"""HOTA, higher order tracking accuracy (Luiten et al., IJCV 2021); motmetrics 1.4 does not have it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from fairmot.evaluation.overlap import FrameOverlap
from fairmot.mot.rows import MotRows

THRESHOLDS = np.arange(0.05, 0.99, 0.05)
"""The overlaps, 0.05 to 0.95, at which a pair of boxes may count as a match; HOTA is the mean over them.

They are the official ones to the last bit: boxes in whole pixels do overlap by exactly so much.
"""


@dataclass
class HotaSums:
    """What HOTA is made of, so that sequences can be added up; each float64 [19], one per threshold.

    Attributes:
        matches: pairs of boxes matched.
        association: sum over those pairs of the Jaccard index of their two tracks.
        overlap: sum over those pairs of their IoU.
    """

    matches: np.ndarray
    association: np.ndarray
    overlap: np.ndarray

    def __add__(self, other: "HotaSums") -> "HotaSums":
        """Both together, as the official evaluation combines sequences."""
        return HotaSums(
            self.matches + other.matches, self.association + other.association, self.overlap + other.overlap
        )

    def detection_accuracy(self, gt_count: int, result_count: int) -> np.ndarray:
        """[19] DetA, 0 to 1, of that many boxes."""
        return self.matches / np.maximum(1, gt_count + result_count - self.matches)

    def association_accuracy(self) -> np.ndarray:
        """[19] AssA, 0 to 1."""
        return self.association / np.maximum(1, self.matches)

    def localisation_accuracy(self) -> np.ndarray:
        """[19] LocA, 0 to 1; 1 where nothing matched, as in the official evaluation."""
        return np.divide(self.overlap, self.matches, out=np.ones_like(self.overlap), where=self.matches > 0)


def hota_sums(gt: MotRows, results: MotRows, overlaps: Sequence[FrameOverlap]) -> HotaSums:
    """Match boxes so that long common tracks are preferred, then count at every threshold.

    One assignment a frame serves all thresholds: it maximises IoU times the two tracks' alignment over
    the whole sequence, and a threshold only drops the pairs that overlap too little for it.

    Args:
        gt: ground truth after pre-processing.
        results: results after pre-processing.
        overlaps: `overlap_by_frame` of the two.
    """
    gt_ids, gt_tracks = np.unique(gt.ids, return_inverse=True)
    result_ids, result_tracks = np.unique(results.ids, return_inverse=True)
    lengths = (np.bincount(gt_tracks, minlength=len(gt_ids)), np.bincount(result_tracks, minlength=len(result_ids)))
    frames = [frame for frame in overlaps if frame.iou.size]

    shared = np.zeros((len(gt_ids), len(result_ids)))
    for frame in frames:
        shared[np.ix_(gt_tracks[frame.gt_rows], result_tracks[frame.result_rows])] += _soft_match(frame.iou)
    alignment = shared / (lengths[0][:, None] + lengths[1] - shared)

    no_pairs = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    parts = [no_pairs]
    for frame in frames:
        gt_side, result_side = gt_tracks[frame.gt_rows], result_tracks[frame.result_rows]
        rows, columns = linear_sum_assignment(alignment[np.ix_(gt_side, result_side)] * frame.iou, maximize=True)
        parts.append((gt_side[rows], result_side[columns], frame.iou[rows, columns]))
    gt_pairs, result_pairs, iou = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _count_pairs(gt_pairs, result_pairs, iou, lengths)


def _soft_match(iou: np.ndarray) -> np.ndarray:
    """[G, R] how exclusively each pair overlaps: its IoU over all IoU that its two boxes have in the frame."""
    total = iou.sum(0) + iou.sum(1, keepdims=True) - iou
    return np.divide(iou, total, out=np.zeros_like(iou), where=total > np.finfo(float).eps)


def _count_pairs(
    gt_pairs: np.ndarray, result_pairs: np.ndarray, iou: np.ndarray, lengths: tuple[np.ndarray, np.ndarray]
) -> HotaSums:
    """Args: gt track, result track and IoU of P pairs, each [P]; boxes per gt track and per result track."""
    sums = HotaSums(*(np.zeros(len(THRESHOLDS)) for _ in range(3)))
    track_pairs = gt_pairs * len(lengths[1]) + result_pairs
    for k, threshold in enumerate(THRESHOLDS):
        matched = iou >= threshold - np.finfo(float).eps
        pairs, common = np.unique(track_pairs[matched], return_counts=True)
        either = lengths[0][pairs // max(1, len(lengths[1]))] + lengths[1][pairs % max(1, len(lengths[1]))] - common
        sums.matches[k] = matched.sum()
        sums.association[k] = (common * common / either).sum()
        sums.overlap[k] = iou[matched].sum()
    return sums
