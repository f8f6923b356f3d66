"""Distances between tracks and detections, and the assignment of least total distance.

Of the T x N pairs of a crowded frame a few in a hundred can match at all. Distances are therefore computed for those
pairs only and travel as `Pairs`: a cost matrix in which whatever is missing is forbidden.
"""

from typing import NamedTuple

import lap
import numpy as np

from fairmot.tracking.kalman import GATE_4_DEGREES

_MARGIN = 1 + 1e-6
"""Searches reach this much further than the bound, so that rounding never loses a pair."""
_FEW_PAIRS = 1000
"""Up to so many pairs all of them are looked at, which then costs less than sorting."""


class Pairs(NamedTuple):
    """Entries of a cost matrix [T, N], in ascending order of rows.

    Attributes:
        rows: int64 [P], index of the track.
        columns: int64 [P], index of the detection.
        costs: float64 [P].
    """

    rows: np.ndarray
    columns: np.ndarray
    costs: np.ndarray

    def where(self, keep: np.ndarray) -> "Pairs":
        """The entries named by a boolean mask [P]."""
        return Pairs(self.rows[keep], self.columns[keep], self.costs[keep])


def xyxy_to_xyah(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Boxes [..., 4] as the motion model measures them: centre x, centre y, width / height, height."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    measurements = np.concatenate([(low + high) / 2, high - low], axis=-1)
    measurements[..., 2] /= measurements[..., 3]
    return measurements


def xyah_to_xyxy(states: np.ndarray) -> np.ndarray:
    """Boxes [..., 4] of states [..., 4 or 8] of the motion model."""
    half_height = states[..., 3:4] / 2
    half = np.concatenate([states[..., 2:3] * half_height, half_height], axis=-1)
    return np.concatenate([states[..., :2] - half, states[..., :2] + half], axis=-1)


def normalize(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings [N, D] scaled to length 1; one of length 0 stays."""
    lengths = np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings))
    return embeddings / np.maximum(lengths, np.finfo(embeddings.dtype).tiny)[:, None]


def nearby(centres_a: np.ndarray, reach: np.ndarray, centres_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs whose centres [T, 2], [N, 2] differ by at most `reach` [T, 2] in x and in y.

    In a crowd a sorted search instead of T x N comparisons: a place there has few neighbours.

    Returns:
        Rows and columns, each int64 [P], in ascending order of rows.
    """
    if len(centres_a) * len(centres_b) <= _FEW_PAIRS:
        apart = np.abs(centres_a[:, None] - centres_b)
        rows, columns = np.nonzero((apart <= reach[:, None]).all(axis=2))
        return rows, columns
    order = np.argsort(centres_b[:, 0])
    sorted_x = centres_b[order, 0]
    first = np.searchsorted(sorted_x, centres_a[:, 0] - reach[:, 0], side="left")
    counts = np.searchsorted(sorted_x, centres_a[:, 0] + reach[:, 0], side="right") - first
    rows = np.repeat(np.arange(len(centres_a)), counts)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts - first, counts)
    columns = order[place]
    near = np.abs(centres_a[rows, 1] - centres_b[columns, 1]) <= reach[rows, 1]
    return rows[near], columns[near]


def gate_by_motion(means: np.ndarray, variances: np.ndarray, measurements_xyah: np.ndarray) -> Pairs:
    """Squared Mahalanobis distances of the pairs within the gate.

    Args:
        means: predicted states [T, 8].
        variances: innovation variances [T, 4].
        measurements_xyah: [N, 4].

    Returns:
        The pairs at a distance of at most `GATE_4_DEGREES`.
    """
    # A pair beyond the gate in x or in y alone is beyond it altogether.
    reach = _MARGIN * np.sqrt(GATE_4_DEGREES * variances[:, :2])
    rows, columns = nearby(means[:, :2], reach, measurements_xyah[:, :2])
    differences = measurements_xyah[columns] - means[rows, :4]
    distances = np.einsum("pk,pk->p", differences, differences / variances[rows])
    return Pairs(rows, columns, distances).where(distances <= GATE_4_DEGREES)


def cosine_distances(unit_a: np.ndarray, unit_b: np.ndarray) -> np.ndarray:
    """1 - cosine, at least 0, of P pairs of embeddings of length 1, each [P, D]: float64 [P]."""
    return np.maximum(1 - np.einsum("pd,pd->p", unit_a, unit_b).astype(np.float64), 0)


def _overlaps(boxes_a: np.ndarray, boxes_b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intersection and union [...] in square pixels and the hull's area, each side counting one pixel more."""
    sides_a, sides_b = (boxes[..., 2:] - boxes[..., :2] + 1 for boxes in (boxes_a, boxes_b))
    inner = np.minimum(boxes_a[..., 2:], boxes_b[..., 2:]) - np.maximum(boxes_a[..., :2], boxes_b[..., :2]) + 1
    outer = np.maximum(boxes_a[..., 2:], boxes_b[..., 2:]) - np.minimum(boxes_a[..., :2], boxes_b[..., :2]) + 1
    inner = np.maximum(inner, 0)
    intersections = inner[..., 0] * inner[..., 1]
    unions = sides_a[..., 0] * sides_a[..., 1] + sides_b[..., 0] * sides_b[..., 1] - intersections
    return intersections, unions, outer[..., 0] * outer[..., 1]


def iou_distances(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """1 - intersection over union of boxes_xyxy that broadcast against each other: [...].

    Widths, heights and the intersection count one pixel more, as the original's do.
    """
    intersections, unions, _ = _overlaps(boxes_a, boxes_b)
    return 1 - intersections / unions


def giou_distances(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """1 - generalised IoU (Rezatofighi et al., CVPR 2019), 0 to 2, under `iou_distances`' conventions."""
    intersections, unions, hulls = _overlaps(boxes_a, boxes_b)
    return 2 - intersections / unions - unions / hulls


def iou_pairs(boxes_a: np.ndarray, boxes_b: np.ndarray, limit: float) -> Pairs:
    """The pairs of boxes_xyxy [T, 4] and [N, 4] at an IoU distance of at most `limit` (0 to 1)."""
    # Boxes with an overlap of u = 1 - limit have sides of at most side_a / u and overlap by at least u in x and in y
    # alone; their centres then differ by at most side_a * (1 - u) / 2u.
    share = limit / (2 * (1 - limit)) if limit < 1 else np.inf
    reach = _MARGIN * share * (boxes_a[:, 2:] - boxes_a[:, :2] + 1)
    rows, columns = nearby(boxes_a[:, :2] + boxes_a[:, 2:], 2 * reach, boxes_b[:, :2] + boxes_b[:, 2:])
    distances = iou_distances(boxes_a[rows], boxes_b[columns])
    return Pairs(rows, columns, distances).where(distances <= limit)


def assign(pairs: Pairs, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """One-to-one matches of least total cost, in which leaving both unmatched costs `limit`.

    A pair whose track and detection have no other candidate is a match as it stands; the solver sees the rest only.
    Where several solutions cost the same, any of them may come back.

    Args:
        pairs: each (row, column) at most once.
        limit: pairs that cost more are never matched.

    Returns:
        Rows and columns of the matches, each int64 [M], in ascending order of rows.
    """
    rows, columns, costs = pairs.where(pairs.costs <= limit)
    if not len(rows):
        return rows, columns
    contested = (np.bincount(rows)[rows] > 1) | (np.bincount(columns)[columns] > 1)
    if not contested.any():
        return rows, columns
    block_rows, row_of_pair = np.unique(rows[contested], return_inverse=True)
    block_columns, column_of_pair = np.unique(columns[contested], return_inverse=True)
    block = np.full((len(block_rows), len(block_columns)), np.inf)
    block[row_of_pair, column_of_pair] = costs[contested]
    _, column_of_row, _ = lap.lapjv(block, extend_cost=True, cost_limit=limit)
    matched = np.flatnonzero(column_of_row >= 0)
    rows = np.concatenate([rows[~contested], block_rows[matched]])
    columns = np.concatenate([columns[~contested], block_columns[column_of_row[matched]]])
    order = np.argsort(rows)
    return rows[order], columns[order]
