"""Augmentation that the original does not have: four pictures in one, two samples in one, a covered rectangle."""

import math

import cv2
import numpy as np

from fairmot.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from fairmot.data.augment import Picture

TILES = 4
LARGEST_TILE = 0.65
"""Of a mosaic's side; the smallest tile has the rest."""
_SMALLEST_VISIBLE = 0.25
_MIXUP_BETA = 32.0
_ERASED_AREA = 0.02, 0.1
_ERASED_ASPECT = 0.3, 1 / 0.3


def compose_mosaic(pictures: list[Picture], uniforms2: np.ndarray, size_hw: tuple[int, int]) -> Picture:
    """Four pictures around a point, each as large as covers its tile and cut at the tile's sides.

    Boxes are cut there too, since the neighbour hides the rest; of which less than a quarter is left is dropped.

    Args:
        pictures: top left, top right, bottom left, bottom right.
        uniforms2: two numbers in [0, 1): y and x of the point.
        size_hw: height and width of the mosaic, pixels.
    """
    height, width = size_hw
    low = 1 - LARGEST_TILE
    y, x = (int(side * (low + (LARGEST_TILE - low) * float(u))) for side, u in zip(size_hw, uniforms2, strict=True))
    corners = (0, 0, y, x), (0, x, y, width), (y, 0, height, x), (y, x, height, width)
    canvas = np.empty((height, width, 3), np.uint8)
    labels = []
    for picture, (top, left, bottom, right) in zip(pictures, corners, strict=True):
        tile_hw = bottom - top, right - left
        scale = max(tile_hw[0] / picture.size_hw[0], tile_hw[1] / picture.size_hw[1])
        shift_y, shift_x = ((tile - scale * side) / 2 for tile, side in zip(tile_hw, picture.size_hw, strict=True))
        pixel = scale * picture.reduction
        matrix = np.array([[pixel, 0, 0.5 * pixel - 0.5 + shift_x], [0, pixel, 0.5 * pixel - 0.5 + shift_y]])
        canvas[top:bottom, left:right] = cv2.warpAffine(
            picture.image_bgr, matrix, tile_hw[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        sides = np.array(picture.size_hw[::-1] * 2) * scale
        boxes_xyxy = cxcywh_to_xyxy(picture.labels[:, 2:]) * sides + (left + shift_x, top + shift_y) * 2
        cut, kept = _cut(boxes_xyxy, (left, top, right, bottom))
        boxes_cxcywh = xyxy_to_cxcywh(cut) / (width, height, width, height)
        labels.append(np.concatenate([picture.labels[kept, :2], boxes_cxcywh], axis=1).astype(np.float32))
    return Picture(canvas, size_hw, 1, np.concatenate(labels))


def _cut(boxes_xyxy: np.ndarray, bounds_xyxy: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes within bounds: [M, 4], and int64 [M], which of the N they are."""
    low = np.maximum(boxes_xyxy[:, :2], bounds_xyxy[:2])
    high = np.minimum(boxes_xyxy[:, 2:], bounds_xyxy[2:])
    visible = np.maximum(high - low, 0).prod(1)
    whole = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(1)
    kept = np.flatnonzero((visible > 0) & (visible >= _SMALLEST_VISIBLE * whole))
    return np.concatenate([low, high], axis=1)[kept], kept


def mix_up(
    image: np.ndarray,
    labels: np.ndarray,
    other_image: np.ndarray,
    other_labels: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Blend a second sample into `image` in place, about half and half; both keep their objects.

    Args:
        image: uint8 [H, W, 3].
        labels: [N, 6].
        other_image: uint8 [H, W, 3].
        other_labels: [M, 6].
        rng: one number is drawn.

    Returns:
        [N + M, 6].
    """
    share = float(rng.beta(_MIXUP_BETA, _MIXUP_BETA))
    cv2.addWeighted(image, share, other_image, 1 - share, 0, dst=image)
    return np.concatenate([labels, other_labels])


def erase(image: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cover a random rectangle with noise, in place (Zhong et al., AAAI 2020).

    Args:
        image: uint8 [H, W, 3].
        labels: [N, 6], boxes normalised by the picture's size.
        rng: area, proportions, place and noise are drawn.

    Returns:
        [M, 6]: without the objects of which less than a quarter of what the picture shows is left.
    """
    height, width = image.shape[:2]
    area_px = height * width * rng.uniform(*_ERASED_AREA)
    aspect = math.exp(rng.uniform(math.log(_ERASED_ASPECT[0]), math.log(_ERASED_ASPECT[1])))
    erased_hw = (
        max(1, min(height, round(math.sqrt(area_px * aspect)))),
        max(1, min(width, round(math.sqrt(area_px / aspect)))),
    )
    top, left = (int(rng.integers(side - part + 1)) for side, part in zip((height, width), erased_hw, strict=True))
    noise = rng.integers(0, 256, (*erased_hw, 3), np.uint8)
    image[top : top + erased_hw[0], left : left + erased_hw[1]] = noise
    boxes_xyxy = cxcywh_to_xyxy(labels[:, 2:].astype(np.float64)) * (width, height, width, height)
    shown_xyxy = np.clip(boxes_xyxy, 0, (width, height, width, height))
    low = np.maximum(shown_xyxy[:, :2], (left, top))
    high = np.minimum(shown_xyxy[:, 2:], (left + erased_hw[1], top + erased_hw[0]))
    covered = np.maximum(high - low, 0).prod(1)
    shown = (shown_xyxy[:, 2:] - shown_xyxy[:, :2]).prod(1)
    return labels[covered <= (1 - _SMALLEST_VISIBLE) * shown]
