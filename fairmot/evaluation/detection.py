"""How good the detections are before any tracking: average precision at IoU 0.5."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairmot.boxes import xyxy_to_cxcywh
from fairmot.errors import DataError
from fairmot.evaluation.overlap import MATCH_IOU, iou_matrix


@dataclass
class ImageMatches:
    """The detections of one image, best first, and which of them are right.

    Attributes:
        scores: float64 [N], descending.
        correct: bool [N].
        gt_count: objects in the image.
    """

    scores: np.ndarray
    correct: np.ndarray
    gt_count: int


@dataclass
class DetectionMetrics:
    """Percentages over a data set.

    Attributes:
        average_precision: area under the precision-recall curve of all detections of all images ranked
            together, precision made monotone (PASCAL VOC 2010 and later).
        image_average_precision: the same area image by image, then the mean over images with objects.
            This is what the original's detection test prints; its ranking never compares images.
        recall: objects found by any detection.
        precision: detections that are right.
        image_count: images with objects.
    """

    average_precision: float
    image_average_precision: float
    recall: float
    precision: float
    image_count: int


def match_detections(boxes_xyxy: np.ndarray, scores: np.ndarray, gt_boxes_xyxy: np.ndarray) -> ImageMatches:
    """Best score first, each detection takes the object it overlaps most, if by more than 0.5 and still free.

    As in the original, a detection whose best object is taken is wrong even if a second one is near.

    Args:
        boxes_xyxy: [N, 4] detections, pixels.
        scores: [N].
        gt_boxes_xyxy: [G, 4] objects, pixels.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    correct = np.zeros(len(order), bool)
    if len(order) and len(gt_boxes_xyxy):
        iou = iou_matrix(_xywh(boxes_xyxy[order]), _xywh(gt_boxes_xyxy))
        near = np.flatnonzero(iou.max(1) > MATCH_IOU)
        _, firsts = np.unique(iou.argmax(1)[near], return_index=True)
        correct[near[firsts]] = True
    return ImageMatches(np.asarray(scores, np.float64)[order], correct, len(gt_boxes_xyxy))


def detection_metrics(images: Sequence[ImageMatches]) -> DetectionMetrics:
    """Sum up a data set.

    Raises:
        DataError: no image has an object.
    """
    with_objects = [image for image in images if image.gt_count]
    if not with_objects:
        raise DataError("detections: no object in any image to score against")
    gt_count = sum(image.gt_count for image in with_objects)
    scores = np.concatenate([image.scores for image in images])
    correct = np.concatenate([image.correct for image in images])[np.argsort(-scores, kind="stable")]
    by_image = [_average_precision(image.correct, image.gt_count) for image in with_objects]
    return DetectionMetrics(
        average_precision=100 * _average_precision(correct, gt_count),
        image_average_precision=100 * float(np.mean(by_image)),
        recall=100 * float(correct.sum()) / gt_count,
        precision=100 * float(correct.mean()) if len(correct) else 0.0,
        image_count=len(with_objects),
    )


def _average_precision(correct: np.ndarray, gt_count: int) -> float:
    """Area, 0 to 1, under the precision-recall curve of detections given best first: bool [N]."""
    precision = np.cumsum(correct) / np.arange(1, len(correct) + 1)
    # From the right: at a given recall the best precision of any longer list counts.
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[correct].sum()) / gt_count


def _xywh(boxes_xyxy: np.ndarray) -> np.ndarray:
    boxes_cxcywh = xyxy_to_cxcywh(np.asarray(boxes_xyxy, np.float64))
    return np.concatenate([boxes_cxcywh[:, :2] - boxes_cxcywh[:, 2:] / 2, boxes_cxcywh[:, 2:]], axis=1)
