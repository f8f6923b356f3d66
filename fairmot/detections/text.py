"""A detector's text file, such as the det/det.txt of MOTChallenge: boxes with confidences and nothing else."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fairmot.boxes import cxcywh_to_xyxy, xywh_to_cxcywh
from fairmot.detections.sequence import SequenceDetections
from fairmot.errors import DataError
from fairmot.mot.rows import read_detection_rows
from fairmot.structures import Detections

ScoreRange = tuple[float, float]
"""The confidences that count as 0 and as 1."""


def score_range_of(values: Sequence[float] | None) -> ScoreRange | None:
    """The value of a key score_range.

    Raises:
        ValueError: it is no range.
    """
    if values is None:
        return None
    if len(values) != 2 or not -np.inf < values[0] < values[1] < np.inf:
        raise ValueError(f"score_range={list(values)}: give the confidences that count as 0 and as 1, such as [0,100]")
    return values[0], values[1]


def read_detection_text(path: Path, score_range: ScoreRange | None = None) -> SequenceDetections:
    """The detections of a file of rows `frame,id,x,y,w,h,confidence`, without embeddings.

    Args:
        path: the file.
        score_range: its confidences that become 0 and 1, those between in proportion and those beyond cut off; None:
            they are from 0 to 1 already. MOT15's are from about 0 to 120, those of MOT17's DPM from -0.5 to 3.

    Raises:
        DataError: the file cannot be read, a row cannot be used, or a confidence is not from 0 to 1; the message names
            file and line, or the confidences that are there.
    """
    rows = read_detection_rows(path)
    scores = rows.scores
    if score_range is not None:
        low, high = score_range
        scores = np.clip((scores - low) / (high - low), 0, 1)
    elif len(scores) and not (scores.min() >= 0 and scores.max() <= 1):
        raise DataError(
            f"{path}: its confidences are from {scores.min():g} to {scores.max():g}, and the tracker's thresholds are "
            f"from 0 to 1; say which become 0 and 1, such as score_range=[{scores.min():.3g},{scores.max():.3g}]"
        )
    order = np.lexsort((-scores, rows.frames))
    frames, counts = np.unique(rows.frames, return_counts=True)
    boxes_xyxy = cxcywh_to_xyxy(xywh_to_cxcywh(rows.boxes_xywh[order]))
    return SequenceDetections(str(path), frames, counts, Detections(boxes_xyxy, scores[order]))
