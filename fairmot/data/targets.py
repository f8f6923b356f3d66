"""What the network should say about a picture: heat map, sizes, offsets, identities (CenterNet's encoding).

The encoding is the original's, down to its legacy radius formula, because published weights and
figures depend on it.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fairmot.boxes import cxcywh_to_xyxy
from fairmot.errors import DataError

MIN_OVERLAP = 0.7
MSRA_SIGMA_CELLS = 6


class Targets(NamedTuple):
    """The columns of a sample beside its image. Cells are pixels of the output map [h, w], K is the slots.

    Attributes:
        hm: float32 [C, h, w], 1 at centres, falling off around them.
        reg_mask: int32 [K], 1 where a slot holds an object.
        ind: int32 [K], y * w + x of the centre's cell.
        wh: float32 [K, 4] distances from the centre to left, top, right, bottom in cells (ltrb), or
            [K, 2] width and height.
        reg: float32 [K, 2], the centre's fraction within its cell, x and y.
        ids: int32 [K], -1 = no identity.
    """

    hm: np.ndarray
    reg_mask: np.ndarray
    ind: np.ndarray
    wh: np.ndarray
    reg: np.ndarray
    ids: np.ndarray


def gaussian_radius(height: float, width: float, min_overlap: float = MIN_OVERLAP) -> float:
    """How far a corner may stray, in cells, for a box to keep `min_overlap` (CornerNet).

    Each root is divided by 2 whatever its leading coefficient: wrong, but what all published
    CenterNet-style weights were trained with.
    """
    total, area = height + width, height * width
    inside_outside = total, area * (1 - min_overlap) / (1 + min_overlap), 1.0
    both_inside = 2 * total, area * (1 - min_overlap), 4.0
    both_outside = -2 * min_overlap * total, area * (min_overlap - 1), 4 * min_overlap
    return min((b + math.sqrt(b * b - 4 * a * c)) / 2 for b, c, a in (inside_outside, both_inside, both_outside))


@lru_cache(maxsize=512)
def _gaussian(radius: int, sigma: float) -> np.ndarray:
    """[2 radius + 1, 2 radius + 1] with 1 in the middle; shared between callers, so read-only."""
    steps = np.arange(-radius, radius + 1, dtype=np.float64)
    bell = np.exp(-(steps[:, None] ** 2 + steps**2) / (2 * sigma * sigma))
    bell[bell < np.finfo(np.float64).eps] = 0
    bell = bell.astype(np.float32)
    bell.setflags(write=False)
    return bell


def _draw(heatmap: np.ndarray, x: int, y: int, radius: int, sigma: float) -> None:
    """Raise `heatmap` [h, w] in place to a Gaussian about the cell (x, y), which lies inside it."""
    height, width = heatmap.shape
    left, right = min(x, radius), min(width - x, radius + 1)
    top, bottom = min(y, radius), min(height - y, radius + 1)
    region = heatmap[y - top : y + bottom, x - left : x + right]
    bell = _gaussian(radius, sigma)[radius - top : radius + bottom, radius - left : radius + right]
    np.maximum(region, bell, out=region)


def draw_umich_gaussian(heatmap: np.ndarray, x: int, y: int, radius: int) -> None:
    """Raise `heatmap` [h, w] in place by a Gaussian that ends at `radius` cells (three sigma)."""
    _draw(heatmap, x, y, radius, sigma=(2 * radius + 1) / 6)


def draw_msra_gaussian(heatmap: np.ndarray, x: int, y: int, sigma: int = MSRA_SIGMA_CELLS) -> None:
    """Raise `heatmap` [h, w] in place by a Gaussian of fixed `sigma` cells: the target of the MSE heat-map loss."""
    _draw(heatmap, x, y, radius=3 * sigma, sigma=sigma)


def empty_targets(
    batch_size: int, output_size_hw: tuple[int, int], max_objects: int, *, ltrb: bool, num_classes: int
) -> Targets:
    """Room for the targets of a batch, not filled.

    Args:
        batch_size: B, a first axis of every array.
        output_size_hw: height and width of the output map, cells.
        max_objects: number of slots K.
        ltrb: four distances instead of width and height.
        num_classes: channels of the heat map.
    """
    slots = batch_size, max_objects
    return Targets(
        hm=np.empty((batch_size, num_classes, *output_size_hw), np.float32),
        reg_mask=np.empty(slots, np.int32),
        ind=np.empty(slots, np.int32),
        wh=np.empty((*slots, 4 if ltrb else 2), np.float32),
        reg=np.empty((*slots, 2), np.float32),
        ids=np.empty(slots, np.int32),
    )


def write_targets(labels: np.ndarray, targets: Targets, *, ltrb: bool, msra: bool) -> None:
    """Encode the objects of one picture; row k of the labels fills slot k.

    Rows beyond the slots are left out; a row whose box has no area leaves its slot empty. Only the
    centre is clipped to the map: distances run from there to the box's own sides.

    Args:
        labels: float32 [N, 6] class, id, and cx cy w h normalised by the network's input size.
        targets: where they are written, as one picture has them; all of it is overwritten.
        ltrb: four distances instead of width and height.
        msra: fixed Gaussians (MSE heat-map loss) instead of ones that follow the box size.

    Raises:
        DataError: a class the heat map has no channel for.
    """
    num_classes, height, width = targets.hm.shape
    for array in targets:
        array.fill(0)
    labels = np.asarray(labels, np.float32)[: len(targets.ids)]
    if len(labels) and labels[:, 0].max() >= num_classes:
        raise DataError(f"class {int(labels[:, 0].max())} but num_classes is {num_classes}")
    boxes_cxcywh = labels[:, 2:] * np.array([width, height, width, height], np.float32)
    sizes = boxes_cxcywh[:, 2:]
    centres = np.clip(boxes_cxcywh[:, :2], 0, np.array([width - 1, height - 1], np.float32))
    cells = centres.astype(np.int32)
    slots = np.flatnonzero((sizes > 0).all(1))
    boxes_xyxy = cxcywh_to_xyxy(boxes_cxcywh)
    distances = np.concatenate([centres - boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - centres], axis=1)
    targets.reg_mask[slots] = 1
    targets.ind[slots] = (cells[:, 1] * width + cells[:, 0])[slots]
    targets.wh[slots] = (distances if ltrb else sizes)[slots]
    targets.reg[slots] = (centres - cells)[slots]
    targets.ids[slots] = labels[slots, 1]
    classes, places, extents = labels[:, 0].astype(np.int32).tolist(), cells.tolist(), sizes.tolist()
    for slot in slots.tolist():
        heatmap, (x, y), (box_width, box_height) = targets.hm[classes[slot]], places[slot], extents[slot]
        if msra:
            draw_msra_gaussian(heatmap, x, y)
        else:
            radius = int(gaussian_radius(math.ceil(box_height), math.ceil(box_width)))
            draw_umich_gaussian(heatmap, x, y, max(0, radius))
