"""Box formats. Arrays are [..., 4] in any unit; the name of an array carries its format.

xyxy    left, top, right, bottom
cxcywh  centre x, centre y, width, height
xywh    left, top, width, height (MOTChallenge text files)
"""

import numpy as np


def cxcywh_to_xyxy(boxes_cxcywh: np.ndarray) -> np.ndarray:
    """[..., 4] -> [..., 4], a new array of the same dtype."""
    centre, half = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def xyxy_to_cxcywh(boxes_xyxy: np.ndarray) -> np.ndarray:
    """[..., 4] -> [..., 4], a new array of the same dtype."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=-1)


def xywh_to_cxcywh(boxes_xywh: np.ndarray) -> np.ndarray:
    """[..., 4] -> [..., 4], a new array of the same dtype."""
    low, size = boxes_xywh[..., :2], boxes_xywh[..., 2:]
    return np.concatenate([low + size / 2, size], axis=-1)
