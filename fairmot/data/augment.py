"""Two ways through the same augmentation: the original's order of work, and a cheaper one.

Both take the same random numbers to the same boxes. `reference` jitters the whole picture, shrinks it, warps it and
flips it, as the original does. `fast` jitters a picture that was decoded no larger than needed and takes it to the
network's input in one warp.
"""

from typing import NamedTuple

import cv2
import numpy as np

from fairmot.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from fairmot.data.transforms import (
    BORDER_GREY,
    Fit,
    TransformConfig,
    affine_matrix,
    fit_into,
    hsv_jitter,
    letterbox,
    warp_boxes,
    warp_image,
)

NUM_DRAWS = 9
LARGEST_ENLARGEMENT = 1.2
"""How much a reduced picture may be enlarged again: at a half a 1080p frame grows 1.13 times into 608 x 1088."""


class Picture(NamedTuple):
    """A picture on its way into a sample.

    Attributes:
        image_bgr: uint8 [h, w, 3]; a pixel covers reduction x reduction pixels of the whole picture.
        size_hw: height and width of the whole picture, pixels.
        reduction: 1, 2, 4 or 8.
        labels: float32 [N, 6] class, id, cx cy w h normalised by the whole picture's size.
    """

    image_bgr: np.ndarray
    size_hw: tuple[int, int]
    reduction: int
    labels: np.ndarray


def fit_plainly(picture: Picture, out_rgb: np.ndarray) -> np.ndarray:
    """Letterbox alone.

    Args:
        picture: not reduced.
        out_rgb: uint8 [H, W, 3] that receives the picture, RGB.

    Returns:
        float32 [N, 6] labels normalised by the size of `out_rgb`.
    """
    size_hw = _size_hw(out_rgb)
    cv2.cvtColor(letterbox(picture.image_bgr, size_hw)[0], cv2.COLOR_BGR2RGB, dst=out_rgb)
    return _labels_from(picture.labels, _boxes_in_input(picture, fit_into(picture.size_hw, size_hw)), size_hw)


def augment_reference(
    picture: Picture, uniforms9: np.ndarray, config: TransformConfig, out_rgb: np.ndarray
) -> np.ndarray:
    """The original's chain: jitter, letterbox, warp, flip.

    Args:
        picture: not reduced.
        uniforms9: numbers in [0, 1): two of `hsv_jitter`, six of `affine_matrix`, one for the flip.
        config: the ranges.
        out_rgb: uint8 [H, W, 3] that receives the picture, RGB.

    Returns:
        float32 [M, 6] labels of the objects that are left, normalised by the size of `out_rgb`.
    """
    size_hw = _size_hw(out_rgb)
    image_rgb = hsv_jitter(picture.image_bgr, uniforms9[:2], config.hsv_fraction)
    matrix, angle_degrees = affine_matrix(uniforms9[2:8], size_hw, config)
    image_rgb = warp_image(letterbox(image_rgb, size_hw)[0], matrix)
    flips = bool(uniforms9[8] < config.flip_probability)
    np.copyto(out_rgb, cv2.flip(image_rgb, 1) if flips else image_rgb)
    return _moved_labels(picture, matrix, angle_degrees, flips, config.clip_boxes, size_hw)


def augment_fast(picture: Picture, uniforms9: np.ndarray, config: TransformConfig, out_rgb: np.ndarray) -> np.ndarray:
    """`augment_reference` with one interpolation instead of two; `picture` may be reduced."""
    size_hw = _size_hw(out_rgb)
    if config.hsv_fraction > 0:
        image_rgb = hsv_jitter(picture.image_bgr, uniforms9[:2], config.hsv_fraction)
    else:
        image_rgb = cv2.cvtColor(picture.image_bgr, cv2.COLOR_BGR2RGB)
    matrix, angle_degrees = affine_matrix(uniforms9[2:8], size_hw, config)
    flips = bool(uniforms9[8] < config.flip_probability)
    whole = matrix @ _pixels_to_input(picture, fit_into(picture.size_hw, size_hw))
    if flips:
        whole[0] = (size_hw[1] - 1) * whole[2] - whole[0]
    cv2.warpAffine(image_rgb, whole[:2], size_hw[::-1], dst=out_rgb, flags=cv2.INTER_LINEAR, borderValue=BORDER_GREY)
    return _moved_labels(picture, matrix, angle_degrees, flips, config.clip_boxes, size_hw)


def _size_hw(image: np.ndarray) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _pixels_to_input(picture: Picture, fit: Fit) -> np.ndarray:
    """float64 [3, 3] from pixel indices of a reduced picture to those of the letterboxed one.

    Pixels are squares about their centres when a picture is resized, points when it is warped: hence the halves.
    """
    matrix = np.eye(3)
    for axis, (side, resized, start) in enumerate(
        zip(picture.size_hw[::-1], fit.resized_hw[::-1], (fit.left, fit.top), strict=True)
    ):
        scale = resized / side * picture.reduction
        matrix[axis, axis], matrix[axis, 2] = scale, 0.5 * scale - 0.5 + start
    return matrix


def _boxes_in_input(picture: Picture, fit: Fit) -> np.ndarray:
    """float64 [N, 4] boxes_xyxy in pixels of the letterboxed picture."""
    height, width = picture.size_hw
    scale = np.array([fit.ratio * width, fit.ratio * height] * 2)
    return cxcywh_to_xyxy(picture.labels[:, 2:]) * scale + (fit.pad_x, fit.pad_y, fit.pad_x, fit.pad_y)


def _moved_labels(
    picture: Picture, matrix: np.ndarray, angle_degrees: float, flips: bool, clip: bool, size_hw: tuple[int, int]
) -> np.ndarray:
    """The labels behind letterbox, warp and flip: [M, 6], normalised by `size_hw`."""
    boxes_xyxy = _boxes_in_input(picture, fit_into(picture.size_hw, size_hw))
    boxes_xyxy, kept = warp_boxes(boxes_xyxy, matrix, angle_degrees, size_hw, clip)
    labels = _labels_from(picture.labels[kept], boxes_xyxy, size_hw)
    if flips:
        labels[:, 2] = 1 - labels[:, 2]
    return labels


def _labels_from(labels: np.ndarray, boxes_xyxy: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Labels [N, 6] with other boxes [N, 4], given in pixels of a picture of `size_hw`."""
    boxes_cxcywh = xyxy_to_cxcywh(boxes_xyxy) / (size_hw[::-1] * 2)
    return np.concatenate([labels[:, :2], boxes_cxcywh.astype(np.float32)], axis=1)
