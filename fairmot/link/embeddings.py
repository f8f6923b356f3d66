"""Which stored embedding belongs to which row of a result."""

import numpy as np

from fairmot.boxes import cxcywh_to_xyxy, xywh_to_cxcywh
from fairmot.detections.sequence import SequenceDetections
from fairmot.mot.rows import MotRows
from fairmot.tracking.matching import assign, iou_pairs

_FARTHEST = 0.5
"""IoU distance: a track's box is filtered, so it is not quite the detection's."""


def embeddings_of_rows(rows: MotRows, found: SequenceDetections) -> np.ndarray:
    """Embeddings [R, D] of the detections that the rows cover best, NaN where none is near.

    Args:
        rows: a tracker's result.
        found: the detections of its sequence.

    Raises:
        DataError: nobody looked at one of the frames.
    """
    embeddings = np.full((len(rows), found.embedding_length), np.nan, np.float32)
    boxes_xyxy = cxcywh_to_xyxy(xywh_to_cxcywh(rows.boxes_xywh))
    order = np.argsort(rows.frames, kind="stable")
    for here in np.split(order, np.flatnonzero(np.diff(rows.frames[order])) + 1):
        if not len(here):
            continue
        detections = found.at(int(rows.frames[here[0]]))
        covering, covered = assign(iou_pairs(boxes_xyxy[here], detections.boxes_xyxy, _FARTHEST), _FARTHEST)
        embeddings[here[covering]] = detections.embeddings[covered]
    return embeddings
