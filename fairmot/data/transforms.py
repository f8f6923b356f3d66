"""Pictures and boxes on their way into the network: colour jitter, letterbox, affine warp, flip.

The chain and its constants are those of the original's training (Zhang et al., IJCV 2021, and its
code). Randomness comes only from the generator, or the uniform numbers, handed in.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

BORDER_GREY = (127.5, 127.5, 127.5)
_SMALLEST_SIDE_PX = 4.0
_SMALLEST_AREA_RATIO = 0.1
_LARGEST_ASPECT = 10.0


@dataclass
class TransformConfig:
    """How far training pictures are changed.

    Attributes:
        hsv_fraction: saturation and value are each multiplied by 1 +- this.
        rotation_degrees: rotation about the centre, up to this either way.
        translation: shift, as a fraction of the picture's side.
        scale_low: smallest magnification.
        scale_high: largest magnification.
        shear_degrees: shear in x and in y, up to this either way.
        flip_probability: chance of a left-right flip; 0 never flips.
        clip_boxes: cut warped boxes to the picture, as MOT20's annotation is; the others need boxes
            that reach beyond the border.
        translate_by_swapped_size: x shifts by a fraction of the HEIGHT and y by one of the WIDTH, as the
            original does; False: each by its own side.
        mosaic_probability: chance that a picture is put together from four (not in the original).
        mixup_probability: chance that a second sample is blended in (not in the original).
        erasing_probability: chance that a rectangle is covered by noise (not in the original).
    """

    hsv_fraction: float = 0.5
    rotation_degrees: float = 5.0
    translation: float = 0.1
    scale_low: float = 0.5
    scale_high: float = 1.2
    shear_degrees: float = 2.0
    flip_probability: float = 0.5
    clip_boxes: bool = False
    translate_by_swapped_size: bool = True
    mosaic_probability: float = 0.0
    mixup_probability: float = 0.0
    erasing_probability: float = 0.0

    def __post_init__(self) -> None:
        chances = ("flip_probability", "mosaic_probability", "mixup_probability", "erasing_probability")
        for key in ("hsv_fraction", "translation", *chances):
            _check_range(key, getattr(self, key), 0, 1)
        _check_range("rotation_degrees", self.rotation_degrees, 0, 180)
        _check_range("shear_degrees", self.shear_degrees, 0, 89)
        if not 0 < self.scale_low <= self.scale_high < math.inf:
            raise ValueError(
                f"transforms.scale_low and transforms.scale_high must satisfy 0 < low <= high, "
                f"got {self.scale_low} and {self.scale_high}"
            )


def _check_range(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"transforms.{key} must be from {low} to {high}, got {value}")


def hsv_jitter(image_bgr: np.ndarray, uniforms2: np.ndarray, fraction: float) -> np.ndarray:
    """Multiply saturation and value by a factor each from 1 +- fraction.

    Args:
        image_bgr: uint8 [H, W, 3].
        uniforms2: two numbers in [0, 1): saturation, value.
        fraction: 0 changes nothing but the rounding of the colour space.

    Returns:
        A new uint8 [H, W, 3], RGB.
    """
    factors = 1 + (2 * uniforms2 - 1) * fraction
    levels = np.arange(256, dtype=np.float32)
    table = np.stack([levels, *(np.minimum(levels * np.float32(factor), 255) for factor in factors)], axis=-1)
    image_hsv = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2HSV)
    cv2.LUT(image_hsv, table.astype(np.uint8)[None], dst=image_hsv)
    return cv2.cvtColor(image_hsv, cv2.COLOR_HSV2RGB)


class Fit(NamedTuple):
    """How a picture fits into the network's input.

    Attributes:
        ratio: the magnification.
        resized_hw: height and width of the magnified picture, whole pixels.
        pad_x: free columns at the left; may end in .5.
        pad_y: free rows at the top; may end in .5.
        left: whole columns of grey that are put there.
        top: whole rows of grey that are put there.
    """

    ratio: float
    resized_hw: tuple[int, int]
    pad_x: float
    pad_y: float
    left: int
    top: int


def fit_into(image_hw: tuple[int, int], size_hw: tuple[int, int]) -> Fit:
    """Where a picture of `image_hw` pixels goes in `size_hw`, keeping its proportions.

    Pictures are padded by whole pixels, but boxes are shifted by `pad_x` and `pad_y`, as in the original.
    """
    ratio = min(size_hw[0] / image_hw[0], size_hw[1] / image_hw[1])
    resized_hw = max(1, round(image_hw[0] * ratio)), max(1, round(image_hw[1] * ratio))
    pad_y, pad_x = (size_hw[0] - resized_hw[0]) / 2, (size_hw[1] - resized_hw[1]) / 2
    return Fit(ratio, resized_hw, pad_x, pad_y, left=round(pad_x - 0.1), top=round(pad_y - 0.1))


def letterbox(image: np.ndarray, size_hw: tuple[int, int]) -> tuple[np.ndarray, float, float, float]:
    """Shrink or enlarge a picture to fit, keeping its proportions, and fill up with grey.

    Args:
        image: uint8 [H, W, 3].
        size_hw: height and width of the result, pixels.

    Returns:
        The picture, the magnification, and the left and top padding of boxes: see `fit_into`.
    """
    fit = fit_into((image.shape[0], image.shape[1]), size_hw)
    resized = cv2.resize(image, fit.resized_hw[::-1], interpolation=cv2.INTER_AREA)
    bottom, right = (size_hw[k] - fit.resized_hw[k] - (fit.top, fit.left)[k] for k in (0, 1))
    padded = cv2.copyMakeBorder(resized, fit.top, bottom, fit.left, right, cv2.BORDER_CONSTANT, value=BORDER_GREY)
    return padded, fit.ratio, fit.pad_x, fit.pad_y


def affine_matrix(uniforms6: np.ndarray, size_hw: tuple[int, int], config: TransformConfig) -> tuple[np.ndarray, float]:
    """The random warp: rotation and magnification about the centre, then translation, then shear.

    Args:
        uniforms6: six numbers in [0, 1): angle, scale, x shift, y shift, x shear, y shear.
        size_hw: height and width of the picture, pixels.
        config: the ranges.

    Returns:
        float64 [3, 3] from old to new pixel coordinates, and the angle in degrees.
    """
    angle_u, scale_u, *signed_u = map(float, uniforms6)
    x_shift, y_shift, x_shear, y_shear = (2 * uniform - 1 for uniform in signed_u)
    height, width = size_hw
    angle_degrees = (2 * angle_u - 1) * config.rotation_degrees
    scale = config.scale_low + scale_u * (config.scale_high - config.scale_low)
    rotation = np.eye(3)
    rotation[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), angle_degrees, scale)
    x_side, y_side = (height, width) if config.translate_by_swapped_size else (width, height)
    translation = np.eye(3)
    translation[:2, 2] = x_shift * config.translation * x_side, y_shift * config.translation * y_side
    shear = np.eye(3)
    shear[0, 1] = math.tan(math.radians(x_shear * config.shear_degrees))
    shear[1, 0] = math.tan(math.radians(y_shear * config.shear_degrees))
    return shear @ translation @ rotation, angle_degrees


def warp_image(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Move a picture by `matrix` [3, 3], bilinear, grey where nothing was: uint8 [H, W, 3], same size."""
    height, width = image.shape[:2]
    return cv2.warpPerspective(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=BORDER_GREY)


def warp_boxes(
    boxes_xyxy: np.ndarray, matrix: np.ndarray, angle_degrees: float, size_hw: tuple[int, int], clip: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Move boxes with their picture and drop those that became too small, too thin or invisible.

    The hull of the four moved corners is shrunk about its centre, because a rotated box's hull is
    larger than what it holds. Kept: sides over 4 px, more than a tenth of the old area, proportions
    under 10, and not wholly outside the picture.

    Args:
        boxes_xyxy: [N, 4] pixels of the picture before the warp.
        matrix: float64 [3, 3] of `affine_matrix`.
        angle_degrees: the rotation in it.
        size_hw: the picture's height and width.
        clip: cut boxes to the picture first (MOT20).

    Returns:
        float32 [M, 4] boxes_xyxy and int64 [M], which of the N they are.
    """
    height, width = size_hw
    corners = boxes_xyxy[:, [0, 1, 2, 3, 0, 3, 2, 1]].reshape(-1, 4, 2).astype(np.float64)
    moved = corners @ matrix[:2, :2].T + matrix[:2, 2]
    low, high = moved.min(1), moved.max(1)
    radians = math.radians(angle_degrees)
    shrink = math.sqrt(max(abs(math.sin(radians)), abs(math.cos(radians))))
    centre, half = (low + high) / 2, (high - low) / 2 * shrink
    low, high = centre - half, centre + half
    if clip:
        low, high = np.clip(low, 0, (width, height)), np.clip(high, 0, (width, height))
    sides, old_sides = high - low, boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    area_ratio = sides.prod(1) / (old_sides.prod(1) + 1e-16)
    aspect = np.maximum(sides[:, 0] / (sides[:, 1] + 1e-16), sides[:, 1] / (sides[:, 0] + 1e-16))
    keep = (sides > _SMALLEST_SIDE_PX).all(1) & (area_ratio > _SMALLEST_AREA_RATIO) & (aspect < _LARGEST_ASPECT)
    keep &= (low < (width, height)).all(1) & (high > 0).all(1)
    kept = np.flatnonzero(keep)
    return np.concatenate([low, high], axis=1)[kept].astype(np.float32), kept
