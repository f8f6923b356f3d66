"""What a data root holds, in numbers."""

from collections import Counter
from typing import Any

import numpy as np

from fairmot.prepare.check.contents import Contents

_PERCENTILES = (0, 5, 50, 95, 100)
_SIZES_NAMED = 10


def list_table(contents: Contents) -> list[dict[str, str | int]]:
    """One row a list: name, images, boxes, identities, largest_id (-1: none), images_without_boxes."""
    boxes = np.diff(contents.row_offsets)
    table: list[dict[str, str | int]] = []
    for item, members in zip(contents.lists, contents.members, strict=True):
        ids = np.unique(contents.identities(members))
        table.append(
            {
                "name": item.name,
                "images": len(members),
                "boxes": int(boxes[members].sum()),
                "identities": len(ids),
                "largest_id": int(ids.max(initial=-1)),
                "images_without_boxes": int((boxes[members] == 0).sum()),
            }
        )
    return table


def statistics(contents: Contents) -> dict[str, Any]:
    """Figures over all images, each counted once: ranges as {"p0", "p5", "p50", "p95", "p100", "mean"}."""
    widths_px, heights_px = box_sizes_px(contents)
    edges = np.abs(contents.rows[:, 2:4] - 0.5) + contents.rows[:, 4:] / 2
    sizes = Counter(f"{width}x{height}" for height, width in contents.sizes_hw.tolist() if height)
    classes, counts = np.unique(contents.rows[:, 0].astype(int), return_counts=True)
    return {
        "images": len(contents.images),
        "boxes": len(contents.rows),
        "boxes_without_identity": int((contents.rows[:, 1] < 0).sum()),
        "boxes_across_the_border": int((edges > 0.5).any(1).sum()),
        "boxes_per_class": {str(name): int(count) for name, count in zip(classes, counts, strict=True)},
        "boxes_per_image": _spread(np.diff(contents.row_offsets)),
        "box_width_px": _spread(widths_px),
        "box_height_px": _spread(heights_px),
        "box_width_by_height": _spread(aspects(contents)),
        "track_length_images": _spread(track_lengths(contents)),
        "image_sizes": dict(sizes.most_common(_SIZES_NAMED)),
    }


def _spread(values: np.ndarray) -> dict[str, float] | None:
    if not len(values):
        return None
    points = np.percentile(values, _PERCENTILES)
    named = {f"p{percent}": round(float(point), 3) for percent, point in zip(_PERCENTILES, points, strict=True)}
    return named | {"mean": round(float(values.mean()), 3)}


def box_sizes_px(contents: Contents) -> tuple[np.ndarray, np.ndarray]:
    """Width and height of each box whose image's size is known, float64."""
    sizes_hw = contents.sizes_hw[contents.row_images]
    known = (sizes_hw > 0).all(1)
    sizes_px = contents.rows[known, 4:] * sizes_hw[known][:, ::-1]
    return sizes_px[:, 0], sizes_px[:, 1]


def aspects(contents: Contents) -> np.ndarray:
    """Width divided by height in pixels, of each box that has an area."""
    widths_px, heights_px = box_sizes_px(contents)
    flat = (widths_px <= 0) | (heights_px <= 0)
    return widths_px[~flat] / heights_px[~flat]


def track_lengths(contents: Contents) -> np.ndarray:
    """The number of boxes of each identity; ids belong to a list, and lists inside another one add nothing."""
    named = [{entry.image for entry in item.entries} for item in contents.lists]
    lengths = [
        np.unique(contents.identities(members), return_counts=True)[1]
        for i, members in enumerate(contents.members)
        if not any(named[i] < other or (named[i] == other and j < i) for j, other in enumerate(named))
    ]
    return np.concatenate([np.zeros(0, int), *lengths])
